"""Clients poll what changes meanwhile: no answer is older than one that they have in hand."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import requests
from tests.conftest import Server
from tests.integration.test_main_job import get, noise, upload
from tests.integration.test_sessions import pictures, upload_batch
from tests.waiting import PATIENCE


@pytest.fixture(scope="module")
def session(server: Server) -> str:
    files = [*pictures(70_000, 2), ("bad.png", b"nothing")]
    return str(upload_batch(server, files, auto_describe="false").json()["session_id"])


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
                    timeout=PATIENCE,
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
        answer: dict[str, Any] = mine.get(url, headers=server.headers, timeout=PATIENCE).json()
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
    requests.delete(url, headers=server.headers, timeout=PATIENCE).raise_for_status()
    again = get(server, f"/uploads/sessions/{session}/status").json()["recent_completions"]
    assert len(again) == 2
    assert all(each["description"] is None for each in again)
