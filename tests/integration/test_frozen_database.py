"""A database that neither answers nor goes away: SIGSTOP, a hung disk, a network that swallows."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import requests
from tests.conftest import Server, reachable
from tests.integration.test_crashes import children, fragile, is_processing
from tests.integration.test_main_job import API, finished, get, upload
from tests.waiting import until

from ocelli.domain.errors import Unavailable
from ocelli.storage.embedded import EmbeddedPostgres
from ocelli.storage.postgres.connection import ApiConnection, parameters
from ocelli.storage.postgres.database import PostgresDatabase

__all__ = ["fragile"]

# Seconds; far above the deadlines, far below what a client once waited.
ANSWERED = 25.0


@contextlib.contextmanager
def frozen(processes: list[psutil.Process]) -> Iterator[None]:
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


def postgres_of(server: Server) -> list[psutil.Process]:
    (postmaster,) = children(server, "bin/postgres")[:1]
    return [postmaster, *postmaster.children(recursive=True)]


def test_a_frozen_database_is_said_to_be_away_and_loses_nothing(
    fragile: Server, photos: dict[str, Path]
) -> None:
    names = list(photos)

    def send(number: int) -> requests.Response:
        data = photos[names[number % len(names)]].read_bytes()
        return requests.post(
            f"{fragile.url}{API}/user-files/upload/stream",
            headers=fragile.headers,
            files={"file": ("photo.jpg", data)},
            timeout=ANSWERED,
        )

    ids = [send(number).json()["image_id"] for number in range(4)]
    until(lambda: any(is_processing(fragile, id) for id in ids), fleeting=True)

    def ask(method: str, path: str, **options: Any) -> Callable[[], requests.Response]:
        url = f"{fragile.url}{path}"
        return lambda: requests.request(
            method, url, headers=fragile.headers, timeout=ANSWERED, **options
        )

    picture = base64.b64encode(photos["coffee"].read_bytes()).decode()
    data_url = f"data:image/png;base64,{picture}"
    content = [{"type": "image_url", "image_url": {"url": data_url}}]
    question = {"model": "ocelli-local", "messages": [{"role": "user", "content": content}]}
    questions = [
        ask("GET", f"{API}/user-files"),
        ask("GET", f"{API}/uploads/status/{ids[0]}"),
        ask("GET", f"{API}/api-keys"),
        ask("GET", f"{API}/usage/summary"),
        ask("POST", f"{API}/uploads/sessions/{ids[0]}/cancel"),
        ask("POST", f"{API}/describe", json={"image_base64": picture}),
        ask("GET", "/api/credits"),
        ask("POST", "/api/fetch", json={"url": ["https://example.com/a.png"]}),
        ask("POST", "/chat/completions", json=question),
        *(lambda number=number: send(number) for number in range(12)),
    ]
    with frozen(postgres_of(fragile)), ThreadPoolExecutor(len(questions)) as pool:
        answers = [pool.submit(question) for question in questions]
        live = requests.get(f"{fragile.url}/health/live", timeout=ANSWERED)
        ready = requests.get(f"{fragile.url}/health/ready", timeout=ANSWERED)
        refused = [answer.result() for answer in answers]
    assert live.status_code == 200
    assert ready.status_code == 503
    assert ready.json()["checks"]["database"] == "no answer"
    assert [(a.request.url, a.text) for a in refused if a.status_code != 503] == []
    assert all(answer.headers["Retry-After"] for answer in refused)

    def answers_again() -> bool:
        return requests.get(f"{fragile.url}/health/ready", timeout=ANSWERED).status_code == 200

    until(answers_again)
    again = [upload(fragile, photos[name].read_bytes()) for name in names[:3]]
    ids += [answer.json()["image_id"] for answer in again]
    for id in ids:
        file = finished(fragile, id)
        assert file["description_status"] == "completed"
        assert len(file["full_descriptions"]) == 1
    # What was refused while it was frozen was not carried out when it thawed.
    assert get(fragile, "/user-files").json()["total_count"] == len(ids)


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[tuple[EmbeddedPostgres, psutil.Process]]:
    running = EmbeddedPostgres(reachable(tmp_path) / "postgres", durable=False)
    running.start()
    (server,) = (
        child
        for child in psutil.Process().children()
        if str(running.directory) in " ".join(child.cmdline())
    )
    yield running, server
    running.stop()


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ApiConnection, "statement_timeout", 0.5)


@pytest.mark.usefixtures("short_timeouts")
async def test_one_frozen_backend_holds_up_its_own_caller_only(
    postgres: tuple[EmbeddedPostgres, psutil.Process],
) -> None:
    running, server = postgres
    async with PostgresDatabase(running.dsn, max_connections=3, short_timeouts=True) as database:
        async with database.connection() as connection:
            pid = connection.info.backend_pid
            with frozen([each for each in server.children() if each.pid == pid]):
                with pytest.raises(psycopg.OperationalError):
                    await connection.execute("SELECT 1")
                await database.check()
        # The transaction of a connection that was given up is over, and its place is free.
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(3):
                taken = await stack.enter_async_context(database.connection())
                await taken.execute("SELECT 1")


@pytest.mark.usefixtures("short_timeouts")
async def test_a_statement_that_is_cancelled_ends_although_the_server_does_not_answer(
    postgres: tuple[EmbeddedPostgres, psutil.Process],
) -> None:
    running, server = postgres
    async with PostgresDatabase(running.dsn, max_connections=1, short_timeouts=True) as database:
        await database.check()
        with frozen([server, *server.children()]):
            asked = asyncio.create_task(database.check())
            await asyncio.sleep(0)
            asked.cancel()
            async with asyncio.timeout(ANSWERED):
                with pytest.raises(asyncio.CancelledError):
                    await asked
                with pytest.raises(Unavailable):
                    await database.check()
        async with asyncio.timeout(ANSWERED):
            while True:
                with contextlib.suppress(Unavailable):
                    await database.check()
                    break


@pytest.mark.usefixtures("short_timeouts")
async def test_who_listens_waits_longer_than_an_answer_may_take(
    postgres: tuple[EmbeddedPostgres, psutil.Process],
) -> None:
    running, _ = postgres
    options = parameters(ApiConnection)
    async with await ApiConnection.connect(running.dsn, autocommit=True, **options) as one:
        await one.execute("LISTEN something")
        heard = [each async for each in one.notifies(timeout=3 * 1.5, stop_after=1)]
        assert heard == []
        await one.execute("NOTIFY something")
        assert [each.channel async for each in one.notifies(stop_after=1)] == ["something"]
