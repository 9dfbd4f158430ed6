"""The console over HTTP: signing in and out, what a session may do, and the headers of pages."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
import requests
from starlette.routing import Route
from tests.conftest import Server
from tests.console_client import CSRF, ConsoleClient
from tests.integration.test_main_job import API, finished, noise
from tests.waiting import until

from ocelli.api.policy import policy_of
from ocelli.console.app import ROUTERS

COOKIE = "ocelli_console"
PARAMETER = re.compile(r"\{(\w+)(:\w+)?\}")


@pytest.fixture(scope="module")
def client(server: Server) -> ConsoleClient:
    return ConsoleClient(server, server.new_key("console"))


def test_the_root_leads_to_the_console_and_the_console_to_signing_in(server: Server) -> None:
    answer = requests.get(server.url, timeout=60)
    assert [each.headers["Location"] for each in answer.history][:1] == ["/console/"]
    assert answer.url == f"{server.url}/console/sign-in"
    assert "API key" in answer.text


def test_who_is_not_signed_in_comes_back_to_where_they_wanted(server: Server) -> None:
    http = requests.Session()
    asked = http.get(f"{server.url}/console/library?search=cat&tags=a%26b", timeout=60)
    shown = re.search(r'name="next" value="([^"]*)"', asked.text)
    assert shown is not None
    assert shown[1] == "/library?search=cat&amp;tags=a%26b"
    fields = {"key": server.key, "next": "/library?search=cat&tags=a%26b"}
    answer = http.post(f"{server.url}/console/sign-in", data=fields, timeout=60)
    assert answer.url == f"{server.url}/console/library?search=cat&tags=a%26b"


@pytest.mark.parametrize("elsewhere", ["//evil.test/", "https://evil.test", "/\\evil.test", "evil"])
def test_signing_in_leads_nowhere_else(server: Server, elsewhere: str) -> None:
    answer = requests.post(
        f"{server.url}/console/sign-in",
        data={"key": server.key, "next": elsewhere},
        allow_redirects=False,
        timeout=60,
    )
    assert answer.headers["Location"] == "/console/"


def test_the_cookie_and_the_headers(server: Server, client: ConsoleClient) -> None:
    signed_in = requests.post(
        f"{server.url}/console/sign-in",
        data={"key": server.key},
        allow_redirects=False,
        timeout=60,
    )
    cookie = signed_in.headers["Set-Cookie"]
    for part in ("HttpOnly", "SameSite=strict", "Path=/console", "Max-Age=43200"):
        assert part in cookie
    assert "Secure" not in cookie
    page = client.get("/library")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'self'; img-src 'self' blob:;" in policy
    assert "unsafe" not in policy
    for part in ("frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
        assert part in policy
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["X-Request-ID"]
    assert "X-RateLimit-Remaining" in page.headers
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=", page.text)


def test_scripts_and_styles_are_kept_for_ever_under_their_hash(client: ConsoleClient) -> None:
    page = client.get("/library").text
    found = re.findall(r'(?:src|href)="/console(/static/[^"]+)"', page)
    assert len(found) >= 4
    for path in found:
        answer = client.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
        other = re.sub("/static/[0-9a-f]+/", "/static/0123456789abcdef/", path)
        assert client.get(other).status_code == 404


def test_pages_are_counted_under_their_whole_routes(server: Server, client: ConsoleClient) -> None:
    client.get("/library")
    counted = requests.get(f"{server.url}/metrics", timeout=60).text
    assert 'route="/console/library"' in counted
    assert 'route="/library"' not in counted


def test_a_key_that_is_none_is_refused_with_a_sentence(server: Server) -> None:
    answer = requests.post(
        f"{server.url}/console/sign-in", data={"key": "aion_" + "x" * 43}, timeout=60
    )
    assert answer.status_code == 401
    assert "This API key is not known here." in answer.text
    assert COOKIE not in answer.cookies


def test_a_change_needs_the_token_of_its_session(server: Server, client: ConsoleClient) -> None:
    other = ConsoleClient(server)
    for headers in ({}, {"X-CSRF-Token": "0" * 64}, {"X-CSRF-Token": other.csrf}):
        answer = client.post("/sign-out", csrf=False, headers=headers)
        assert answer.status_code == 403, headers
        assert "Load it again" in answer.text
    assert client.get("/library").status_code == 200


def test_another_site_cannot_sign_somebody_in(server: Server) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.test"}):
        answer = requests.post(
            f"{server.url}/console/sign-in",
            data={"key": server.key},
            headers=headers,
            allow_redirects=False,
            timeout=60,
        )
        assert answer.status_code == 403
        assert not answer.cookies


def test_signing_out_ends_the_session(server: Server) -> None:
    client = ConsoleClient(server)
    token = client.http.cookies[COOKIE]
    page = client.get("/library").text
    found = CSRF.search(page)
    assert found is not None
    assert client.post("/sign-out", {"csrf": found[1]}, csrf=False).status_code == 303
    client.http.cookies.set(COOKIE, token, path="/console")
    answer = client.get("/library", allow_redirects=True)
    assert answer.url.startswith(f"{client.root}/sign-in")
    assert "Your session has ended" in answer.text


def test_a_revoked_key_signs_out_with_a_sentence(server: Server) -> None:
    admin = {"Authorization": f"Bearer {server.new_key('console-revoked')}"}
    body = {"name": "short-lived", "scopes": ["write"]}
    made = requests.post(f"{server.url}{API}/api-keys", headers=admin, json=body, timeout=60).json()
    client = ConsoleClient(server, made["api_key"])
    assert client.get("/library").status_code == 200
    requests.delete(f"{server.url}{API}/api-keys/{made['id']}", headers=admin, timeout=60)
    until(lambda: client.get("/library").status_code == 303)
    part = client.get("/library", headers={"HX-Request": "true"})
    assert part.status_code == 200
    assert "/console/sign-in" in part.headers["HX-Redirect"]
    answer = client.get("/sign-in")
    assert "was revoked, so you were signed out" in answer.text


def test_a_link_signs_the_owner_in_once(server: Server, new_link: Any) -> None:
    token = new_link().partition("link=")[2]
    address = f"{server.url}/console/sign-in"
    shown = requests.get(f"{address}?link={token}", timeout=60)
    assert token in shown.text  # looking does not use it up
    first = requests.post(address, data={"link": token}, allow_redirects=False, timeout=60)
    assert first.status_code == 303
    page = requests.get(f"{server.url}/console/library", cookies=first.cookies, timeout=60)
    assert "default" in page.text
    second = requests.post(address, data={"link": token}, timeout=60)
    assert second.status_code == 401
    assert "it works once" in second.text


@pytest.fixture
def new_link(server: Server) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    from typer.testing import CliRunner

    from ocelli.cli.main import app

    def make() -> str:
        with ThreadPoolExecutor(1) as thread:
            arguments = ["console", "--data", str(server.data)]
            done = thread.submit(CliRunner().invoke, app, arguments).result(240)
        assert done.exit_code == 0, done.output
        assert done.stdout.startswith(f"{server.url}/console/sign-in?link=")
        return str(done.stdout.strip())

    return make


@pytest.mark.parametrize(
    "body", [b"key=%00", b"key=%ff%fe", b"a&" * 3000, b"key=" + b"x" * 20_000, b"\xff\xfe=1"]
)
def test_forms_that_are_none(server: Server, body: bytes) -> None:
    answer = requests.post(
        f"{server.url}/console/sign-in",
        data=body,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        timeout=60,
    )
    assert answer.status_code in (400, 401, 413)
    assert "text/html" in answer.headers["Content-Type"]


def test_unknown_pages_and_parameters_are_told_as_pages(client: ConsoleClient) -> None:
    for path, status in (
        ("/nothing-of-the-kind", 404),
        ("/library?order=sideways", 422),
        ("/library?cursor=bm9uZQ", 422),
        ("/library?search=%00", 422),
    ):
        answer = client.get(path)
        assert answer.status_code == status, path
        assert "<h1>" in answer.text
        assert client.get(path, headers={"HX-Request": "true"}).headers["HX-Retarget"] == "#notice"


def walked_routes() -> list[tuple[str, str]]:
    found = [
        (method, route.path)
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, Route) and policy_of(route.endpoint) is not None
        for method in (route.methods or set()) - {"HEAD"}
    ]
    return sorted(found)


# What makes each form one that would be carried out.
FIELDS = {
    "title": "mine now",
    "claim": "There is a cup.",
    "verdict": "accepted",
    "status": "approved",
    "level": "quick",
    "decision": "approved",
}


def test_other_tenants_pictures_are_nowhere(server: Server, client: ConsoleClient) -> None:
    """Every route with an id, as another tenant: exactly as if there were no such thing."""
    victim = server.new_key("console-victim")
    headers = {"Authorization": f"Bearer {victim}"}
    answer = requests.post(
        f"{server.url}{API}/user-files/upload/stream",
        headers=headers,
        files={"file": ("secret-name.png", noise(777_123))},
        timeout=60,
    )
    image = answer.json()["image_id"]
    finished(server, image, headers=headers)
    for method, path in walked_routes():
        names = [name for name, _ in PARAMETER.findall(path)]
        theirs = PARAMETER.sub(image, path)
        unknown = PARAMETER.sub(str(uuid.uuid4()), path)
        if names:
            answers = [
                client.get(each) if method == "GET" else client.post(each, FIELDS)
                for each in (theirs, unknown)
            ]
            assert [each.status_code for each in answers] == [404, 404], path
        elif method == "GET":
            assert "secret-name" not in client.get(path).text, path
            assert image not in client.get(path).text, path


NASTY = '"><script>alert(1)</script>\u202egnp.<b>&amp;{{7*7}}[x](javascript:1) \U0001f408'


def test_names_and_texts_are_shown_as_text(server: Server) -> None:
    key = server.new_key("console-nasty")
    client = ConsoleClient(server, key)
    headers = {"Authorization": f"Bearer {key}"}
    answer = requests.post(
        f"{server.url}{API}/user-files/upload/stream",
        headers=headers,
        files={"file": ("a.png", noise(777_124))},
        data={"auto_describe": "false"},
        timeout=60,
    )
    address = f"{server.url}{API}/user-files/{answer.json()['image_id']}"
    body = {"title": NASTY, "description": NASTY}
    assert requests.patch(address, headers=headers, json=body, timeout=60).status_code == 200
    page = client.get("/library").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{7*7}}" in page
    assert "<bdi>&#34;&gt;" in page


def test_pages_follow_one_another_without_gaps_while_others_upload(server: Server) -> None:
    key = server.new_key("console-pages")
    client = ConsoleClient(server, key)
    headers = {"Authorization": f"Bearer {key}"}

    def send(seed: int) -> str:
        answer = requests.post(
            f"{server.url}{API}/user-files/upload/stream",
            headers=headers,
            files={"file": (f"n{seed}.png", noise(900_000 + seed, 8))},
            data={"auto_describe": "false"},
            timeout=60,
        )
        return str(answer.json()["image_id"])

    before = [send(seed) for seed in range(65)]
    first = client.get("/library").text
    assert len(first) <= 60_000
    names = re.findall(r'aria-label="Select (n\d+\.png)"', first)
    send(1_000)  # would move an offset on by one
    following = re.search(r'rel="next" href="/console([^"]+)"', first)
    assert following is not None
    second = client.get(following[1].replace("&amp;", "&")).text
    names += re.findall(r'aria-label="Select (n\d+\.png)"', second)
    assert names == [f"n{seed}.png" for seed in reversed(range(65))]
    assert len(before) == len(names)


def test_a_search_that_finds_nothing_says_what_to_do(client: ConsoleClient) -> None:
    page = client.get("/library?search=unfindable").text
    assert "Nothing matches" in page
    assert "see all pictures" in page


def test_an_empty_library_says_what_to_do(server: Server) -> None:
    page = ConsoleClient(server, server.new_key("console-empty")).get("/library").text
    assert "ocelli upload" in page


def test_too_many_wrong_keys_have_to_wait(server: Server) -> None:
    """Of an address of its own: all other tests come from the same one."""
    address = f"{server.url}/console/sign-in"
    from_elsewhere = {"X-Forwarded-For": "203.0.113.7"}  # a proxy on this machine is trusted
    body = {"key": f"aion_{'y' * 43}"}
    answers = [
        requests.post(address, data=body, headers=from_elsewhere, timeout=60) for _ in range(11)
    ]
    assert [each.status_code for each in answers] == [401] * 10 + [429]
    assert answers[-1].headers["Retry-After"] == "60"
    assert "Try again in a minute" in answers[-1].text
    good = requests.post(address, data={"key": server.key}, headers=from_elsewhere, timeout=60)
    assert good.status_code == 429
    assert requests.post(address, data={"key": server.key}, timeout=60).status_code == 200
