"""Nothing accepted is ever lost: processes killed with -9, in the middle of their work."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import psycopg
import pytest
import requests
from aiohttp import web
from standardwebhooks import Webhook
from tests.conftest import OCELLI, Server, first_start, reachable, start_server
from tests.integration.test_main_job import API, finished, get, upload
from tests.integration.test_webhooks import Receiver
from tests.integration.test_webhooks import receiver as receiver
from tests.waiting import PATIENCE, until

from aion import SyncAionVision
from ocelli.storage.embedded import EmbeddedPostgres


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[Server]:
    """A server of its own, to be broken."""
    server = first_start(reachable(tmp_path) / "data")
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


@pytest.fixture(scope="module")
def enduring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that break it and see that it mends itself."""
    data = reachable(tmp_path_factory.mktemp("enduring")) / "data"
    server = first_start(data, OCELLI_FETCH_ALLOW="127.0.0.0/8")
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


def children(server: Server, word: str) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(server.process.pid).children(recursive=True)
        if is_alive(child) and word in command(child)
    ]


def command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # it has ended meanwhile
        return ""


def accepted(server: Server, photos: dict[str, Path], count: int) -> list[str]:
    """Pictures that the server has accepted; none is known to it, and answered at once."""
    names = list(photos)
    answers = [
        upload(server, photos[names[number % len(names)]].read_bytes() + os.urandom(8))
        for number in range(count)
    ]
    return [answer.json()["image_id"] for answer in answers]


def assert_each_described_once(server: Server, ids: list[str], before: int) -> None:
    for id in ids:
        file = finished(server, id)
        assert file["description_status"] == "completed"
        assert len(file["full_descriptions"]) == 1
    assert stored(server) == before + len(ids)


def stored(server: Server) -> int:
    return int(get(server, "/user-files").json()["total_count"])


def is_processing(server: Server, id: str, retries: int = 0) -> bool:
    status = get(server, f"/uploads/status/{id}").json()
    described = status["component_statuses"]["description_status"]
    return bool(described == "processing" and status["retry_count"] == retries)


def test_a_killed_worker_costs_five_seconds(enduring: Server, photos: dict[str, Path]) -> None:
    before = stored(enduring)
    ids = accepted(enduring, photos, 6)
    until(lambda: any(is_processing(enduring, id) for id in ids), fleeting=True)
    children(enduring, "child worker")[0].kill()
    assert_each_described_once(enduring, ids, before)


def test_a_killed_api_comes_back(enduring: Server, photos: dict[str, Path]) -> None:
    before = stored(enduring)
    ids = accepted(enduring, photos, 3)
    children(enduring, "child api")[0].kill()
    # The first poll waits in the listener's queue.
    assert_each_described_once(enduring, ids, before)


def test_a_killed_postgres_comes_back(enduring: Server, photos: dict[str, Path]) -> None:
    before = stored(enduring)
    ids = accepted(enduring, photos, 6)
    until(lambda: any(is_processing(enduring, id) for id in ids), fleeting=True)
    children(enduring, "bin/postgres")[0].kill()

    def answers() -> bool:
        return bool(requests.get(f"{enduring.url}/health/ready", timeout=60).status_code == 200)

    until(answers)
    assert_each_described_once(enduring, ids, before)


def test_killed_processes_lose_no_event(
    enduring: Server, photos: dict[str, Path], receiver: Receiver
) -> None:
    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    receiver.answers = [never]
    client = SyncAionVision(enduring.key, base_url=f"{enduring.url}{API}")
    with client, psycopg.connect(EmbeddedPostgres(enduring.data / "postgres").dsn) as connection:
        webhook = client.webhooks.create(receiver.url, event_types=["image.described"])
        ids = accepted(enduring, photos, 4)
        until(lambda: receiver.received)
        for child in [*children(enduring, "child worker"), *children(enduring, "child api")]:
            child.kill()

        def all_told() -> bool:
            # What they were sending is due again in a minute; a test need not wait for it.
            connection.execute(
                "UPDATE webhook_deliveries SET next_attempt_at = least(next_attempt_at,"
                " last_attempt_at + interval '17 seconds'), claimed_until = least(claimed_until,"
                " last_attempt_at + interval '17 seconds') WHERE status = 'pending'"
            )
            connection.commit()
            told = [json.loads(each.body)["data"]["image_id"] for each in receiver.received[1:]]
            return set(told) == set(ids)

        until(all_told)
        assert receiver.received[0].id in {each.id for each in receiver.received[1:]}
        for received in receiver.received:
            Webhook(webhook.secret).verify(received.body, received.headers)
        client.webhooks.delete(webhook.id)


def test_a_killed_parent_leaves_nothing_behind(enduring: Server, photos: dict[str, Path]) -> None:
    before = stored(enduring)
    ids = accepted(enduring, photos, 6)
    left = psutil.Process(enduring.process.pid).children(recursive=True)
    assert len(left) >= 4
    enduring.process.kill()
    enduring.process.wait()
    until(lambda: not any(is_alive(process) for process in left))
    assert enduring.process.stdout is not None
    enduring.process.stdout.close()
    again = start_server(enduring.data)
    enduring.process, enduring.url = again.process, again.url
    assert_each_described_once(enduring, ids, before)


@pytest.fixture
def starting(tmp_path: Path) -> Iterator[Server]:
    """A server whose children load while its database does not get ready: what is there is none."""
    data = reachable(tmp_path) / "data"
    (data / "postgres" / "cluster").mkdir(parents=True)
    (data / "postgres" / "cluster" / "PG_VERSION").write_text("18\n")
    (data / "postgres" / "password").write_text("none")
    command = [*OCELLI, "serve", "--data", str(data), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        server = Server(process, "", data)
        until(lambda: bool(children(server, "child worker")))
        yield server
        process.kill()


def test_a_database_that_cannot_start_ends_all(starting: Server) -> None:
    left = psutil.Process(starting.process.pid).children(recursive=True)
    assert starting.process.wait(PATIENCE) == 3
    assert not any(is_alive(process) for process in left)
    assert starting.process.stderr is not None
    assert "postgres.log" in starting.process.stderr.read()


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_a_start_cut_short_leaves_nothing_behind(starting: Server, sig: signal.Signals) -> None:
    left = psutil.Process(starting.process.pid).children(recursive=True)
    starting.process.send_signal(sig)
    until(lambda: not any(is_alive(process) for process in left))
    starting.process.wait(PATIENCE)


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_picture_that_kills_its_workers_ends_failed(
    tmp_path: Path, photos: dict[str, Path]
) -> None:
    server = start_server(reachable(tmp_path) / "data", "--workers", "1")
    try:
        (id,) = accepted(server, photos, 1)
        for attempt in range(3):
            until(partial(is_processing, server, id, attempt), every=0.05, fleeting=True)
            children(server, "child worker")[0].kill()
        file = finished(server, id)
        assert file["description_status"] == "failed"
        status = get(server, f"/uploads/status/{id}").json()
        assert "3 times" in status["error_message"]
        assert status["error_type"] == "resource_limit"
        (other,) = accepted(server, photos, 1)
        assert finished(server, other)["description_status"] == "completed"
    finally:
        server.stop()
        assert server.process.stdout is not None
        server.process.stdout.close()


def test_sigterm_ends_everything(enduring: Server, photos: dict[str, Path]) -> None:
    accepted(enduring, photos, 4)
    left = psutil.Process(enduring.process.pid).children(recursive=True)
    enduring.process.terminate()
    assert enduring.process.wait(PATIENCE) == 0
    assert not any(is_alive(process) for process in left)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{enduring.url}{API}/user-files", timeout=2)
