"""The review over HTTP: the most doubtful first, one at a time."""

from __future__ import annotations

import html
import re
from typing import Any

import requests
from tests.conftest import Server
from tests.console_client import ConsoleClient, upload_as
from tests.integration.test_main_job import API, finished, noise

FIELD = re.compile(r'<input type="hidden" name="(revision|analysis_id|cursor)" value="([^"]*)">')
ABOUT = re.compile(r'action="/console/review/([0-9a-f-]{36})"')


def details(server: Server, key: str, id: str) -> Any:
    address = f"{server.url}{API}/user-files/{id}"
    headers = {"Authorization": f"Bearer {key}"}
    return requests.get(address, headers=headers, timeout=60).json()


def shown(page: str) -> str:
    found = ABOUT.search(page)
    assert found is not None, page
    return found[1]


def decide(client: ConsoleClient, page: str, decision: str, **fields: str) -> requests.Response:
    sent = {**dict(FIELD.findall(page)), "decision": decision, **fields}
    return client.post(f"/review/{shown(page)}", sent)


def test_the_queue_from_its_beginning_to_its_end(server: Server) -> None:
    key = server.new_key("console-review")
    client = ConsoleClient(server, key)
    assert "Nothing waits for review" in client.get("/review").text
    ids = [upload_as(server, key, noise(781_000 + n), f"r{n}.png") for n in range(4)]
    for id in ids:
        finished(server, id, headers={"Authorization": f"Bearer {key}"})
    headers = {"Authorization": f"Bearer {key}"}
    queue = requests.get(f"{server.url}{API}/reviews", headers=headers, timeout=60).json()
    order = [each["file"]["id"] for each in queue["items"]]
    assert sorted(order) == sorted(ids)

    page = client.get("/review").text
    assert "4 descriptions wait" in page
    assert shown(page) == order[0]
    assert "It waits because" in page
    approved = decide(client, page, "approved")
    assert approved.status_code == 303
    assert details(server, key, order[0])["review_status"] == "approved"

    page = client.get("/review").text
    assert shown(page) == order[1]
    following = re.search(r'rel="next" href="/console([^"]+)"', page)
    assert following is not None
    passed = client.get(html.unescape(following[1])).text
    assert shown(passed) == order[2]
    corrected = decide(client, passed, "corrected", description="Only noise.", tags="noise")
    assert corrected.status_code == 303
    assert corrected.headers["Location"].startswith("/console/review?cursor=")
    after = details(server, key, order[2])
    assert (after["upload_description"], after["tags"]) == ("Only noise.", ["noise"])
    assert after["review_status"] == "approved"

    page = client.get(corrected.headers["Location"].removeprefix("/console")).text
    assert shown(page) == order[3]
    assert decide(client, page, "rejected").status_code == 303
    assert details(server, key, order[3])["review_status"] == "rejected"
    page = client.get(corrected.headers["Location"].removeprefix("/console")).text
    assert "That was the last one" in page
    assert shown(client.get("/review").text) == order[1]


def test_who_decides_second_is_told(server: Server) -> None:
    key = server.new_key("console-review-two")
    client = ConsoleClient(server, key)
    id = upload_as(server, key, noise(781_100))
    finished(server, id, headers={"Authorization": f"Bearer {key}"})
    page = client.get("/review").text
    assert decide(client, page, "sideways").status_code == 422
    body = {"title": "Faster"}
    headers = {"Authorization": f"Bearer {key}"}
    address = f"{server.url}{API}/user-files/{id}"
    assert requests.patch(address, headers=headers, json=body, timeout=60).status_code == 200
    second = decide(client, page, "approved")
    assert second.status_code == 409
    assert "set the title to “Faster”" in second.text
    assert decide(client, second.text, "approved").status_code == 303
    assert details(server, key, id)["review_status"] == "approved"
