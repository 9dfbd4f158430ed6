"""Limits over real processes and a real Postgres."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest
import requests
from tests.conftest import Server, reachable, start_server
from tests.integration.test_main_job import API, noise
from tests.unit.test_leases import EPOCH, Minute
from tests.waiting import PATIENCE, until

from ocelli.domain.accounts import ApiKey, KeyDraft, Tier, hash_key
from ocelli.domain.rates import Budget, Grant, RateState
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.keys import Keys
from ocelli.usecases.rates import RateLimiter

T = TypeVar("T")


async def a_key(database: PostgresDatabase, limit: int | None = None) -> ApiKey:
    draft = KeyDraft("test", ("admin",))
    secret = await Keys(database).issue(f"t-{uuid.uuid4()}", Tier.FREE, draft)
    async with database.transaction() as tx:
        key = await tx.accounts.key_by_hash(hash_key(secret))
    assert key is not None
    return replace(key, tenant=replace(key.tenant, requests_per_minute=limit))


TRIES = 9


def in_one_minute(scenario: Callable[[], T]) -> T:
    """The outcome of a run in which the calendar minute, and so every budget, did not turn."""
    for _ in range(TRIES):
        minute = time.time() // 60
        outcome = scenario()
        if time.time() // 60 == minute:
            return outcome
    raise AssertionError("no run fits into a minute")


async def in_one_minute_too(scenario: Callable[[], Awaitable[T]]) -> T:
    """The same for a scenario that is awaited."""
    for _ in range(TRIES):
        minute = time.time() // 60
        outcome = await scenario()
        if time.time() // 60 == minute:
            return outcome
    raise AssertionError("no run fits into a minute")


async def test_the_database_leases_as_the_model_does(database: PostgresDatabase) -> None:
    async def both(limit: int) -> list[tuple[Grant, Grant]]:
        model, chance = Minute(limit), random.Random(limit)
        budget = Budget((await a_key(database)).id, "r", limit)
        now = time.time() - EPOCH
        grants = []
        for _ in range(30):
            needed, wished = chance.randint(1, 3), chance.randint(0, 90)
            asked_at = time.time()
            async with database.transaction() as tx:
                real = await tx.rates.lease(budget, needed=needed, requested=wished)
            grants.append((real, model.lease(needed, wished, now)))
            assert real.reset - time.time() - 0.01 <= real.seconds_left
            assert real.seconds_left <= real.reset - asked_at + 0.01
            if chance.random() < 0.3:
                back = chance.randint(0, real.granted)
                model.give_back(back, real.reset)
                async with database.transaction() as tx:
                    await tx.rates.give_back(budget, back, reset=real.reset)
                    await tx.rates.give_back(budget, 1, reset=real.reset - 60)  # long over
        return grants

    for limit in (1, 7, 400):
        for real, expected in await in_one_minute_too(partial(both, limit)):
            assert (real.granted, real.free) == (expected.granted, expected.free)
            assert real.reset == expected.reset


async def test_four_processes_at_full_speed_pass_exactly_the_limit(
    database: PostgresDatabase,
) -> None:
    async def passed() -> int:
        key = await a_key(database, 3000)
        limiters = [RateLimiter(database) for _ in range(4)]

        async def client(limiter: RateLimiter) -> int:
            states = [await limiter.count(key, "x") for _ in range(150)]
            return sum(not state.exceeded for state in states)

        return sum(await asyncio.gather(*(client(each) for each in limiters for _ in range(10))))

    assert await in_one_minute_too(passed) == 3000


async def test_a_route_may_have_a_limit_of_its_own(database: PostgresDatabase) -> None:
    async def asked() -> list[RateState]:
        key, limiter = await a_key(database, 1000), RateLimiter(database)
        narrow = [await limiter.count(key, "narrow", 5) for _ in range(6)]
        return [*narrow, await limiter.count(key, "wide")]

    *narrow, wide = await in_one_minute_too(asked)
    assert [state.exceeded for state in narrow] == [False] * 5 + [True]
    assert {state.limit for state in narrow} == {5}
    assert not wide.exceeded


async def test_shutting_down_gives_everything_back(database: PostgresDatabase) -> None:
    async def remaining() -> int:
        key = await a_key(database, 1000)
        first, second = RateLimiter(database), RateLimiter(database)
        for _ in range(40):
            await first.count(key, "x")
        await first.give_back(idle=0.0)
        return (await second.count(key, "x")).remaining

    assert await in_one_minute_too(remaining) == 1000 - 41


@contextmanager
def running(data: Path, *options: str, **environment: str) -> Iterator[Server]:
    server = start_server(data, *options, **environment)
    try:
        yield server
    finally:
        server.stop()
        assert server.process.stdout is not None
        server.process.stdout.close()


@pytest.fixture(scope="module")
def pair(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Two servers with one database; the second has other limits in its settings."""
    folder = reachable(tmp_path_factory.mktemp("pair"))
    shared = {"OCELLI_DATABASE_URL": dsn}
    tiers = {"starter": {"requests_per_minute": 3}, "professional": {"concurrent_uploads": 2}}
    changed = {**shared, "OCELLI_TIERS": json.dumps(tiers)}
    with (
        running(folder / "one", "--workers", "1", **shared) as one,
        running(folder / "two", "--workers", "0", **changed) as two,
    ):
        yield [one, two]


def shared_key(dsn: str, tier: str) -> dict[str, str]:
    async def make() -> str:
        async with PostgresDatabase(dsn, max_connections=1) as database:
            draft = KeyDraft("test", ("admin",))
            return await Keys(database).issue(f"t-{uuid.uuid4()}", Tier(tier), draft)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return {"Authorization": f"Bearer {pool.submit(asyncio.run, make()).result()}"}


def get(server: Server, path: str, headers: dict[str, str]) -> requests.Response:
    return requests.get(f"{server.url}{API}{path}", headers=headers, timeout=60)


def test_two_api_processes_pass_exactly_the_limit(pair: list[Server], dsn: str) -> None:
    def ask(headers: dict[str, str], number: int) -> tuple[int, int]:
        answer = get(pair[number % 2], "/user-files?limit=1", headers)
        if answer.status_code == 429:
            assert 1 <= int(answer.headers["Retry-After"]) <= 60
        return answer.status_code, int(answer.headers["X-RateLimit-Remaining"])

    def crowd() -> list[tuple[int, int]]:
        asking = partial(ask, shared_key(dsn, "professional"))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return list(pool.map(asking, range(240)))

    answers = in_one_minute(crowd)
    assert Counter(status for status, _ in answers) == {200: 100, 429: 140}
    assert {left for status, left in answers if status == 429} == {0}


def test_what_is_left_is_told_across_processes(pair: list[Server], dsn: str) -> None:
    """A slow client sees one counter, whichever process it meets: what is idle is given back."""

    def left() -> list[int]:
        headers, seen = shared_key(dsn, "professional"), []
        for number in range(6):
            answer = get(pair[number % 2], "/user-files?limit=1", headers)
            seen.append(int(answer.headers["X-RateLimit-Remaining"]))
            until(partial(nothing_is_idle, dsn, headers, number + 1), within=60, fleeting=True)
        return seen

    assert in_one_minute(left) == [99, 98, 97, 96, 95, 94]


def nothing_is_idle(dsn: str, headers: dict[str, str], asked: int) -> bool:
    """Whether of the key's newest minute no process holds more than was asked."""
    secret = headers["Authorization"].removeprefix("Bearer ")
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT used FROM rate_windows JOIN api_keys ON api_keys.id = key_id"
            " WHERE key_hash = %s ORDER BY minute DESC",
            (hash_key(secret),),
        ).fetchone()
    return row is not None and row[0] <= asked


def test_settings_change_a_tier(pair: list[Server], dsn: str) -> None:
    headers = shared_key(dsn, "starter")
    limits = [get(server, "/user-files", headers) for server in pair]
    assert [answer.headers["X-RateLimit-Limit"] for answer in limits] == ["30", "3"]


def test_too_many_uploads_at_once(pair: list[Server], dsn: str) -> None:
    """One too many is told to come back, even in the middle of sending, and the others go on."""
    headers = shared_key(dsn, "professional")
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    tail = b'\r\n--b\r\nContent-Disposition: form-data; name="auto_describe"\r\n\r\nfalse\r\n--b--'
    finish = threading.Event()

    def slow_body() -> Iterator[bytes]:
        yield head + noise(7) + bytes(2_000_000)  # more than is kept in memory
        finish.wait(PATIENCE)
        yield tail

    def upload(data: Iterator[bytes] | bytes) -> requests.Response:
        return requests.post(
            f"{pair[1].url}{API}/user-files/upload/stream",
            headers={**headers, "Content-Type": "multipart/form-data; boundary=b"},
            data=data,
            timeout=60,
        )

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        running = [pool.submit(upload, slow_body()) for _ in range(2)]
        staging = pair[1].data / "objects" / ".staging"
        until(lambda: len(list(staging.glob("[!p]*"))) == 2, fleeting=True)
        try:
            refused = upload(head + bytes(20_000_000) + tail)
        finally:
            finish.set()
        assert {each.result().status_code for each in running} == {200}
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "1"
    assert "at the same time" in refused.json()["error"]["message"]
    assert upload(head + noise(8) + tail).status_code == 200
