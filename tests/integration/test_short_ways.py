"""What is asked most often has a short way; it must be no other way."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest
import requests
from tests.conftest import Server
from tests.integration.test_main_job import finished, get, noise, upload
from tests.integration.test_sessions import pictures, upload_batch


@pytest.fixture(scope="module")
def session(server: Server) -> str:
    files = [*pictures(70_000, 2), ("bad.png", b"nothing")]
    return str(upload_batch(server, files, auto_describe="false").json()["session_id"])


def test_both_ways_answer_the_same(server: Server, session: str) -> None:
    """The long way is taken by ids in upper case."""
    image = upload(server, noise(70_100), auto_describe="false").json()["image_id"]
    finished(server, image)  # or a worker changes it in between
    for path, id in (("sessions/{}/status", session), ("status/{}", image)):
        short, long = (get(server, "/uploads/" + path.format(each)) for each in (id, id.upper()))
        assert short.status_code == long.status_code == 200
        assert short.json() == long.json()
        same = set(short.headers) ^ set(long.headers)
        assert not same
        assert short.headers["Content-Type"] == "application/json"
        assert int(short.headers["X-RateLimit-Remaining"]) >= 0


def test_both_ways_refuse_the_same(server: Server, session: str) -> None:
    stranger = {"Authorization": f"Bearer {server.new_key('poller')}"}
    unknown = str(uuid.uuid4()).replace("1", "a")
    for headers in (stranger, server.headers, {"X-Key": "none"}, {"Authorization": "Bearer x"}):
        for id in (session, unknown):
            if headers == server.headers and id == session:
                continue
            for path in ("sessions/{}/status", "status/{}"):
                short, long = (
                    get(server, "/uploads/" + path.format(each), headers=headers)
                    for each in (id, id.upper())
                )
                assert short.status_code == long.status_code
                assert short.status_code in (401, 404)
                assert short.json()["error"]["code"] == long.json()["error"]["code"]
                assert short.json()["request_id"] == short.headers["X-Request-ID"]
                assert short.headers.get("WWW-Authenticate") == long.headers.get("WWW-Authenticate")


def test_a_poll_is_never_older_than_an_answer(server: Server) -> None:
    """Many poll one session while it grows: whoever was told of a file sees it counted."""
    id = upload_batch(server, pictures(71_000, 1), auto_describe="false").json()["session_id"]
    accepted = 1
    wrong: list[str] = []
    stop = threading.Event()

    def poll() -> None:
        with requests.Session() as mine:
            while not stop.is_set():
                before = accepted
                seen = mine.get(
                    f"{server.url}/api/v2/uploads/sessions/{id}/status",
                    headers=server.headers,
                    timeout=10,
                ).json()
                if seen["completed_files"] < before or seen["total_files"] < before:
                    wrong.append(f"{seen['completed_files']} of {before}")

    crowd = [threading.Thread(target=poll) for _ in range(8)]
    for each in crowd:
        each.start()
    for number in range(30):
        upload_batch(
            server, pictures(71_100 + 2 * number, 2), auto_describe="false", session_id=id
        ).raise_for_status()
        accepted += 2
    stop.set()
    for each in crowd:
        each.join()
    assert wrong == []
    assert get(server, f"/uploads/sessions/{id}/status").json()["completed_files"] == 61


def test_a_status_is_never_older_than_the_picture(server: Server) -> None:
    """A crowd polls each picture that a worker finishes, which no notification tells of."""
    stop = threading.Event()
    image = ""

    def poll() -> None:
        with requests.Session() as mine:
            while not stop.is_set():
                get_with(mine, f"/uploads/status/{image}")

    def get_with(mine: requests.Session, path: str) -> dict[str, Any]:
        url = f"{server.url}/api/v2{path}"
        answer: dict[str, Any] = mine.get(url, headers=server.headers, timeout=10).json()
        return answer

    image = upload(server, noise(72_000)).json()["image_id"]
    crowd = [threading.Thread(target=poll) for _ in range(3)]
    for each in crowd:
        each.start()
    older = 0
    with requests.Session() as mine:
        for number in range(1, 9):
            image = upload(server, noise(72_000 + number)).json()["image_id"]
            while get_with(mine, f"/user-files/{image}")["upload_description"] is None:
                pass
            said = get_with(mine, f"/uploads/status/{image}")["component_statuses"]
            older += said["description_status"] != "completed"
    stop.set()
    for each in crowd:
        each.join()
    assert older == 0


def test_recent_files_say_what_became_of_them(server: Server, session: str) -> None:
    seen = get(server, f"/uploads/sessions/{session}/status").json()
    (error,) = seen["recent_errors"]
    assert (error["filename"], error["index"]) == ("bad.png", 2)
    assert len(seen["recent_completions"]) == 2
    first = seen["recent_completions"][0]["image_id"]
    url = f"{server.url}/api/v2/user-files/{first}"
    requests.delete(url, headers=server.headers, timeout=10).raise_for_status()
    again = get(server, f"/uploads/sessions/{session}/status").json()["recent_completions"]
    assert len(again) == 2
    assert all(each["description"] is None for each in again)


def _outline(value: object) -> object:
    """Its shape: names and kinds."""
    if isinstance(value, dict):
        return {name: _outline(each) for name, each in value.items()}
    return type(value).__name__


def test_both_ways_of_an_upload_answer_the_same(server: Server) -> None:
    """The long way is taken with an Idempotency-Key."""
    fields = {"auto_describe": "false", "title": "a"}
    short, long = sent_both_ways(server, noise(72_000), noise(72_001), fields)
    assert short.status_code == long.status_code == 200
    assert _outline(short.json()) == _outline(long.json())
    assert {name.lower() for name in short.headers} == {name.lower() for name in long.headers}
    image = get(server, f"/user-files/{short.json()['image_id']}").json()
    assert image["title"] == "a"


def sent_both_ways(
    server: Server, one: bytes, other: bytes, fields: dict[str, str], **headers: str
) -> list[requests.Response]:
    mine = {**server.headers, **headers}
    return [
        requests.post(
            f"{server.url}/api/v2/user-files/upload/stream",
            headers=each,
            files={"file": ("photo.jpg", data)},
            data=fields,
            timeout=60,
        )
        for data, each in ((one, mine), (other, {**mine, "Idempotency-Key": str(uuid.uuid4())}))
    ]


@pytest.mark.parametrize(
    ("data", "fields", "status"),
    [
        (b"no picture", {}, 422),
        (b"", {}, 422),
        (noise(72_002), {"auto_describe": "perhaps"}, 422),
        (noise(72_003), {"title": "x" * 256}, 422),
        (noise(72_005), {"storage_target": "custom"}, 422),
    ],
)
def test_both_ways_of_an_upload_refuse_the_same(
    server: Server, data: bytes, fields: dict[str, str], status: int
) -> None:
    short, long = sent_both_ways(server, data, data, fields)
    assert (short.status_code, long.status_code) == (status, status)
    assert short.json()["error"] == long.json()["error"]
    assert short.json()["request_id"] == short.headers["X-Request-ID"]


def test_both_ways_of_an_upload_want_a_key(server: Server) -> None:
    picture = noise(72_004)
    short, long = sent_both_ways(server, picture, picture, {}, Authorization="Bearer x")
    assert (short.status_code, long.status_code) == (401, 401)
    assert short.json()["error"] == long.json()["error"]
    assert short.headers["WWW-Authenticate"] == long.headers["WWW-Authenticate"]
