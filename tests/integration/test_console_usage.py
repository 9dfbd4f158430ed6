"""Usage, keys, vocabularies, webhooks over HTTP: who may what; what a form says that is wrong."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest
import requests
from tests.conftest import Server
from tests.console_client import ConsoleClient, upload_as
from tests.integration.test_main_job import API, finished
from tests.waiting import until

SECRET = re.compile(r"<code>(aion_[\w-]+)</code>")


@pytest.fixture(scope="module")
def client(server: Server) -> ConsoleClient:
    return ConsoleClient(server, server.new_key("console-usage"))


def made(client: ConsoleClient, **fields: str | list[str]) -> requests.Response:
    return client.post("/usage/keys", {"name": "made", "lifetime": "", **fields})


def test_limits_and_an_empty_month(client: ConsoleClient) -> None:
    page = client.get("/usage").text
    assert "Descriptions this month" in page
    assert "No backend was asked in these days" in page
    assert "Nothing was described in these days" in page


def test_a_new_key_is_shown_once(server: Server, client: ConsoleClient) -> None:
    answer = made(client, scopes=["read", "usage:read"])
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    found = SECRET.search(answer.text)
    assert found is not None
    assert found[1] not in client.get("/usage").text
    reader = ConsoleClient(server, found[1])
    page = reader.get("/usage").text
    assert "Make the key" not in page
    assert "Revoke" not in page
    assert "Drop</a>" not in page
    assert reader.get("/drop").status_code == 403
    assert made(reader, scopes=["read"]).status_code == 403


def test_use_is_told_by_key(server: Server, photos: dict[str, Path]) -> None:
    tenant = f"console-spend-{uuid.uuid4()}"
    first = server.new_key(tenant)
    client = ConsoleClient(server, first)
    found = SECRET.search(made(client, name="nightly import", scopes=["write"]).text)
    assert found is not None
    other = {"Authorization": f"Bearer {found[1]}"}
    id = upload_as(server, found[1], photos["coffee"].read_bytes(), "coffee.png")
    finished(server, id, headers=other)
    page = client.get("/usage").text
    by_key = page.partition("By key")[2].partition("</table>")[0]
    assert "nightly import" in by_key
    assert "$0.00" in by_key
    headers = {"Authorization": f"Bearer {first}"}
    keys = requests.get(f"{server.url}{API}/api-keys", headers=headers, timeout=60).json()
    counts = {}
    for each in keys["api_keys"]:
        asked = requests.get(
            f"{server.url}{API}/usage/summary",
            params={"api_key_id": each["id"]},
            headers=headers,
            timeout=60,
        ).json()
        counts[each["name"]] = asked["usage"]["describe_count"]
    assert counts.pop("nightly import") == 1
    assert list(counts.values()) == [0]


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"name": ""}, 422, "A key needs a name"),
        ({"name": "x" * 256}, 422, "A key needs a name"),
        ({"lifetime": "-1"}, 422, "Choose from the list"),
        ({"scopes": "everything"}, 400, "Unknown scope: everything"),
    ],
)
def test_forms_that_do_not_fit(
    client: ConsoleClient, fields: dict[str, str], status: int, said: str
) -> None:
    answer = made(client, **fields)
    assert answer.status_code == status
    assert said in answer.text


def test_keys_of_others_are_neither_seen_nor_revoked(server: Server, client: ConsoleClient) -> None:
    secret = server.new_key("console-usage-other")
    headers = {"Authorization": f"Bearer {secret}"}
    keys = requests.get(f"{server.url}{API}/api-keys", headers=headers, timeout=60).json()
    theirs = keys["api_keys"][0]["id"]
    assert theirs not in client.get("/usage?inactive=true").text
    assert client.post(f"/usage/keys/{theirs}/revoke").status_code == 404
    assert requests.get(f"{server.url}{API}/api-keys", headers=headers, timeout=60).ok


def test_vocabularies_are_imported_tried_and_deleted(server: Server, client: ConsoleClient) -> None:
    fields = {"name": "animals", "content": "animal/dog\nanimal/cat"}
    done = client.post("/vocabulary", fields, allow_redirects=True)
    assert "Imported: 3 terms." in done.text
    address = done.url.partition("/console")[2].partition("?")[0]
    tried = client.get(f"{address}?words=dog").text
    assert "is its name" in tried
    stranger = ConsoleClient(server, server.new_key("console-vocabulary-stranger"))
    assert stranger.get(address).status_code == 404
    assert stranger.post(f"{address}/delete").status_code == 404
    assert client.post(f"{address}/delete").status_code == 303
    assert client.get(address).status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"content": ""}, "no term"),
        ({"content": "a", "name": "a/b"}, "A name has"),
        ({"content": "a", "format": "pdf"}, "Choose the format"),
        ({"content": "a/" * 20 + "b"}, "Line 1"),
    ],
)
def test_vocabularies_that_cannot_be_read(
    client: ConsoleClient, fields: dict[str, str], said: str
) -> None:
    answer = client.post("/vocabulary", {"name": "bad", **fields})
    assert answer.status_code == 422
    assert said in answer.text


def test_webhooks_are_registered_tried_paused_and_deleted(
    server: Server, client: ConsoleClient
) -> None:
    fields = {"url": "http://127.0.0.1:9/<hook>", "event_types": ["image.failed"]}
    made = client.post("/webhooks", fields)
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", made.text)
    assert made.status_code == 200
    assert secret is not None
    assert made.headers["Cache-Control"] == "no-store"
    listed = client.get("/webhooks").text
    assert "http://127.0.0.1:9/&lt;hook&gt;" in listed
    assert "image.failed" in listed
    address = re.search(r'href="/console(/webhooks/[0-9a-f-]{36})"', listed)
    assert address is not None
    path = address[1]
    assert secret[0] not in client.get(path).text
    assert "on its way" in client.post(f"{path}/test", allow_redirects=True).text
    until(lambda: "cannot be reached" in client.get(path).text)
    again = rf'action="/console({path}/deliveries/[0-9a-f-]+/replay)"'
    replay = re.search(again, client.get(path).text)
    assert replay is not None
    assert "delivered again" in client.post(replay[1], allow_redirects=True).text
    assert "whsec_" in client.post(f"{path}/secret").text
    paused = client.post(f"{path}/enabled", {"enabled": "false"}, allow_redirects=True).text
    assert "Paused." in paused
    assert "Send a test event</button>" not in paused
    assert client.post(f"{path}/test").status_code == 409
    stranger = ConsoleClient(server, server.new_key("console-webhook-stranger"))
    for refused in (stranger.get(path), stranger.post(f"{path}/delete"), stranger.post(replay[1])):
        assert refused.status_code == 404
    for bad in ({"url": "ftp://x"}, {"url": ""}, {"url": "https://x.example", "event_types": "x"}):
        assert client.post("/webhooks", bad).status_code == 422
    assert client.post(f"{path}/delete").status_code == 303
    assert client.get(path).status_code == 404
    reader = ConsoleClient(server, server.new_key("console-webhook-reader", "--scopes", "read"))
    assert reader.get("/webhooks").status_code == 403
    assert "/console/webhooks" not in reader.get("/library").text


def test_the_installation_is_shown_to_its_owner_alone(
    server: Server, client: ConsoleClient
) -> None:
    assert client.get("/backends").status_code == 404
    assert 'href="/console/backends"' not in client.get("/usage").text
    owner = ConsoleClient(server)
    page = owner.get("/backends").text
    assert 'href="/console/backends"' in page
    for said in ("the local models", "database", "workers", "Models on this machine"):
        assert said in page
    checks = page.partition('aria-label="Checks"')[2].partition("</table>")[0]
    for name in ("python", "packages", "data folder", "models", "graphics card", "disk"):
        assert f'<th scope="row">{name}</th>' in checks
    assert "all hashes as pinned" in checks
    writer = server.new_key("default", "--scopes", "write")
    assert ConsoleClient(server, writer).get("/backends").status_code == 403


def test_retention_is_asked_for_before_it_erases(server: Server) -> None:
    client = ConsoleClient(server, server.new_key(f"console-privacy-{uuid.uuid4()}"))
    assert "Nothing was erased yet." in client.get("/privacy").text
    asked = client.post("/privacy/retention", {"pictures": "365", "request_log": "7"})
    assert (asked.status_code, "after their upload: 365 days" in asked.text) == (200, True)
    assert 'value="365"' not in client.get("/privacy").text, "it was only asked for"
    sure = {"pictures": "365", "request_log": "7", "confirmed": "yes"}
    assert client.post("/privacy/retention", sure).status_code == 303
    assert 'value="365"' in client.get("/privacy").text
    longer = client.post("/privacy/retention", {"pictures": "400", "request_log": ""})
    assert longer.status_code == 303, "nothing goes sooner, so nothing is asked"
    assert 'value="400"' in client.get("/privacy").text
    for bad in ("0", "-1", "x", "36501", "²"):
        assert client.post("/privacy/retention", {"pictures": bad}).status_code == 422


def test_pictures_are_named_before_they_are_erased(server: Server, photos: dict[str, Path]) -> None:
    key = server.new_key(f"console-privacy-{uuid.uuid4()}")
    client = ConsoleClient(server, key)
    id = upload_as(server, key, photos["coffee"].read_bytes(), "<b>coffee.png")
    assert "Erase for good" in client.get("/library").text
    asked = client.post("/privacy/erase", {"ids": id})
    assert (asked.status_code, "&lt;b&gt;coffee.png" in asked.text) == (200, True)
    assert client.get(f"/pictures/{id}").status_code == 200
    sure = {"ids": id, "confirmed": "yes"}
    assert client.post("/privacy/erase", sure, csrf=False).status_code == 403
    assert client.post("/privacy/erase", sure).status_code == 303
    assert client.get(f"/pictures/{id}").status_code == 404
    page = client.get("/privacy").text
    assert "Nothing was erased yet." not in page
    assert client.post("/privacy/erase", {"ids": id, "confirmed": "yes"}).status_code == 404
    for bad in ({}, {"typed": "x"}, {"typed": " ".join(str(uuid.uuid4()) for _ in range(101))}):
        assert client.post("/privacy/erase", bad).status_code == 422


def test_privacy_is_for_administrators(server: Server, client: ConsoleClient) -> None:
    found = SECRET.search(made(client, scopes=["write"]).text)
    assert found is not None
    writer = ConsoleClient(server, found[1])
    assert writer.get("/privacy").status_code == 403
    for path in ("/privacy/retention", "/privacy/erase"):
        sure = {"pictures": "1", "ids": str(uuid.uuid4()), "confirmed": "yes"}
        assert writer.post(path, sure).status_code == 403
    library = writer.get("/library").text
    assert "/console/privacy" not in library
