"""A server behind nginx, with TLS and under a path, as deploy/nginx shows it.

Tests of the console that are named here run through the proxy, since ``visit`` goes there.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from aion import SyncAionVision
from tests.conftest import Server, reachable, start_server
from tests.foreign import nginx, test_console_browser, test_console_drop
from tests.foreign.browser import LONGEST_WAIT
from tests.foreign.nginx import PREFIX, Site
from tests.integration.test_main_job import API

key = test_console_browser.key
pictures = test_console_browser.pictures
test_signing_out_and_in = test_console_browser.test_a_session_that_ended_leads_to_signing_in
test_the_library = test_console_browser.test_the_library
test_a_picture = test_console_browser.test_a_picture
test_correcting = test_console_browser.test_correcting_a_picture
test_the_request_shown = test_console_browser.test_show_me_the_request
test_dropping = test_console_drop.test_dropped_pasted_and_chosen_with_the_keyboard


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = reachable(tmp_path_factory.mktemp("nginx"))
    site = nginx.site(folder)
    with nginx.running(folder):
        yield site


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory, proxy: Site) -> Iterator[Server]:
    """The server behind it; the name is that of the fixtures of the imported tests."""
    server = start_server(
        reachable(tmp_path_factory.mktemp("behind")) / "data",
        *("--workers", "1", "--port", str(proxy.upstream_port)),
        OCELLI_PUBLIC_URL=proxy.url,
    )
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


@pytest.fixture(scope="module")
def site_url(proxy: Site, chat: Server) -> str:
    return proxy.url


def client(proxy: Site) -> requests.Session:
    """A client that trusts the proxy's certificate, whatever the environment names."""
    session = requests.Session()
    session.trust_env = False
    session.verify = str(proxy.authority)
    return session


@pytest.fixture(scope="module")
def http(proxy: Site, key: str) -> Iterator[requests.Session]:
    """A client of the proxy."""
    with client(proxy) as session:
        session.headers["Authorization"] = f"Bearer {key}"
        yield session


def test_links_and_redirects_have_the_prefix(
    proxy: Site, http: requests.Session, pictures: dict[str, str]
) -> None:
    bare = proxy.url.removesuffix(PREFIX)
    assert (
        http.get(f"{bare}{PREFIX}", allow_redirects=False).headers["Location"].endswith("/ocelli/")
    )
    for path in ("", "/console", "/console/"):
        answer = http.get(f"{proxy.url}{path}", headers={"Accept": "text/html"})
        assert answer.url.startswith(f"{proxy.url}/console/"), path
    slashed = http.get(f"{proxy.url}{API}/user-files/?limit=1")
    assert slashed.url == f"{proxy.url}{API}/user-files?limit=1"
    listed = slashed.json()["files"]
    links = {
        link for each in listed for name, link in each.items() if name.endswith("_url") and link
    }
    assert links
    for link in links:
        assert link.startswith(f"{proxy.url}/"), link
        assert http.get(link, headers={"Authorization": ""}).status_code == 200
    id = pictures["coffee"]
    answer = http.get(f"{proxy.url}{API}/user-files/{id}/download")
    assert answer.url.startswith(proxy.url)
    assert answer.headers["Content-Type"] == "image/png"


def test_the_document_names_the_address(proxy: Site, http: requests.Session) -> None:
    document = http.get(f"{proxy.url}/openapi.json").json()
    assert document["servers"] == [{"url": proxy.url}]


def test_the_reference_in_a_browser(browser: Any, proxy: Site, chat: Server) -> None:
    context = browser.new_context(ignore_https_errors=True)
    try:
        page = context.new_page()
        page.set_default_timeout(LONGEST_WAIT * 1000)
        failed: list[str] = []
        page.on("requestfailed", lambda request: failed.append(request.url))
        page.goto(f"{proxy.url}/docs")
        page.get_by_role("heading", name="Ocelli").first.wait_for()
        assert page.get_by_role("combobox").first.input_value() == proxy.url  # of servers
        assert failed == []
    finally:
        context.close()


def test_cookies_are_for_the_prefix_alone(proxy: Site, http: requests.Session, key: str) -> None:
    with client(proxy) as visitor:
        visitor.post(f"{proxy.url}/console/sign-in", data={"key": key}).raise_for_status()
        assert visitor.cookies
        assert {cookie.path for cookie in visitor.cookies} == {f"{PREFIX}/console"}
        assert all(cookie.secure for cookie in visitor.cookies)


def test_the_sdk(proxy: Site, key: str, photos: dict[str, Path]) -> None:
    with SyncAionVision(key, base_url=f"{proxy.url}/api/v2", verify=str(proxy.authority)) as client:
        assert client.upload_one(photos["rocket"]).description
        assert client.files.list().files


def test_the_other_surfaces(
    proxy: Site, chat: Server, http: requests.Session, photos: dict[str, Path]
) -> None:
    models = http.get(f"{proxy.url}/v1/models").json()["data"]
    assert "ocelli-local" in {each["id"] for each in models}
    assert http.get(f"{proxy.url}/api/ollama/api/tags").json()["models"]
    answer = http.post(
        f"{proxy.url}/api/fetch",
        headers=chat.headers,  # the owner's: it needs no credits
        json={"file": [base64.b64encode(photos["coffee"].read_bytes()).decode()]},
    )
    assert answer.status_code in (200, 202), answer.text
    named = [value for value in answer.json().values() if str(value).startswith("http")]
    assert named, answer.text
    assert all(urlsplit(value).path.startswith(f"{PREFIX}/") for value in named)
    assert http.get(f"{proxy.url}/health/ready").status_code == 200
