"""Small files in crowds: a process of their own stores them, and its end loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests
from tests.conftest import Server, reachable, start_server
from tests.integration.test_crashes import children
from tests.integration.test_main_job import get, noise, upload
from tests.waiting import until

AT_ONCE = 16


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Server]:
    """A server without workers."""
    server = start_server(reachable(tmp_path) / "data", "--workers", "0")
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


def aside(server: Server) -> list[psutil.Process]:
    return children(server, "anyio.to_process")


def sent(server: Server, data: bytes) -> requests.Response:
    answer: requests.Response = upload(server, data, auto_describe="false")
    return answer


def test_a_crowd_with_the_process_killed_in_the_middle(busy: Server) -> None:
    """Every picture is there as it came, every other file was refused, none is there twice."""
    assert not aside(busy)
    files = [noise(number, 40 + number) for number in range(240)]
    files[::8] = [b"no picture %d" % number for number in range(len(files[::8]))]
    killed = 0
    over = threading.Event()

    def kill() -> None:
        nonlocal killed
        while not over.wait(0.2 if killed else 0.02):
            for process in aside(busy):
                process.kill()
                killed += 1

    killer = threading.Thread(target=kill)
    killer.start()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = list(threads.map(lambda data: sent(busy, data), files))
    over.set()
    killer.join()

    assert killed
    assert [each.status_code for each in answers[::8]] == [422] * len(files[::8])
    good = [
        (data, answer) for n, (data, answer) in enumerate(zip(files, answers, strict=True)) if n % 8
    ]
    assert {answer.status_code for _, answer in good} == {200}
    assert get(busy, "/user-files").json()["total_count"] == len(good)
    for data, answer in good:
        found = get(busy, f"/user-files/{answer.json()['image_id']}/download")
        assert found.content == data
    stored = [each for each in (busy.data / "objects" / "uploads").rglob("*") if each.is_file()]
    assert len(stored) == len(good)


def test_it_ends_with_the_api_however_that_ends(busy: Server) -> None:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        while not aside(busy):
            list(threads.map(lambda number: sent(busy, noise(number)), range(AT_ONCE)))
    (process,) = aside(busy)
    children(busy, "child api")[0].kill()
    until(lambda: not process.is_running())
    assert sent(busy, noise(1)).status_code == 200
