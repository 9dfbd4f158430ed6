"""Counting requests: any number of processes, one budget, never one too many."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import examples

from ocelli.domain.accounts import TIER_LIMITS, Tenant, Tier
from ocelli.domain.errors import RateLimited, Unavailable
from ocelli.domain.rates import Budget, Grant, Lease, RateState
from ocelli.usecases.rates import RateLimiter, UploadSlots

EPOCH = 1_700_000_040  # Unix time of the simulated clock's zero; a minute begins there


@dataclass
class Minute:
    """What the database does (see migration 0005); the suite holds the two together."""

    limit: int
    minute: int = -1
    used: int = 0
    questions: int = 0

    def lease(self, needed: int, requested: int, at: float) -> Grant:
        self.questions += 1
        self._turn(at)
        free = max(0, self.limit - self.used)
        granted = min(free, max(needed, min(requested, free // 4)))
        self.used += granted
        return Grant(granted, free - granted, self._reset, self._reset - EPOCH - at)

    def give_back(self, count: int, reset: int) -> None:
        if reset == self._reset:
            self.used = max(0, self.used - count)

    @property
    def _reset(self) -> int:
        return EPOCH + (self.minute + 1) * 60

    def _turn(self, at: float) -> None:
        if int(at // 60) != self.minute:
            self.minute, self.used = int(at // 60), 0


@dataclass
class Processes:
    """Several API processes on one clock."""

    limit: int
    number: int
    now: float = 0.0
    passed: dict[int, int] = field(default_factory=dict)
    waits: int = 0

    def __post_init__(self) -> None:
        budget = Budget(uuid.uuid4(), "", self.limit)
        self.minute = Minute(self.limit)
        self.leases = [Lease(budget) for _ in range(self.number)]

    def request(self, process: int) -> RateState:
        lease = self.leases[process]
        while (state := lease.spend(self.now)) is None:
            self.waits += 1
            grant = self.minute.lease(1, lease.next_size(self.now), self.now)
            lease.receive(grant, asked_at=self.now, now=self.now)
        if lease.is_low(self.now):
            grant = self.minute.lease(0, lease.next_size(self.now), self.now)
            lease.receive(grant, asked_at=self.now, now=self.now)
        if not state.exceeded:
            minute = int(self.now // 60)
            self.passed[minute] = self.passed.get(minute, 0) + 1
        return state

    def give_back(self, process: int) -> None:
        lease = self.leases[process]
        if count := lease.give_back(self.now):
            self.minute.give_back(count, lease.reset)


STEPS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["request", "burst", "give back"]),
        st.floats(0, 20) | st.just(0.0),
    ),
    max_size=60,
)


@given(limit=st.integers(1, 300), steps=STEPS)
def test_never_more_than_the_limit_in_any_minute(
    limit: int, steps: list[tuple[int, str, float]]
) -> None:
    world = Processes(limit, 4)
    for process, action, wait in steps:
        world.now += wait
        if action == "give back":
            world.give_back(process)
        for _ in range({"request": 1, "burst": 50}.get(action, 0)):
            state = world.request(process)
            assert state.limit == limit
            assert 0 <= state.remaining < limit
            assert state.reset == EPOCH + (int(world.now // 60) + 1) * 60
            assert not (state.exceeded and state.remaining)
    assert all(count <= limit for count in world.passed.values())


@given(limit=st.integers(1, 300), waits=st.lists(st.floats(0, 3), max_size=400))
@examples(30)
def test_one_process_counts_exactly(limit: int, waits: list[float]) -> None:
    world, asked = Processes(limit, 1), dict[int, int]()
    for wait in waits:
        world.now += wait
        minute = int(world.now // 60)
        asked[minute] = asked.get(minute, 0) + 1
        state = world.request(0)
        assert state.remaining == limit - world.passed[minute]
    assert world.passed == {minute: min(limit, count) for minute, count in asked.items()}


@given(limit=st.integers(1, 1000), number=st.integers(2, 5))
@examples(50)
def test_processes_that_all_want_more_share_every_last_request(limit: int, number: int) -> None:
    world = Processes(limit, number)
    for _ in range(2 * limit):
        for process in range(number):
            world.request(process)
    assert world.passed == {0: limit}


def test_what_one_process_does_not_use_another_one_gets() -> None:
    world = Processes(100, 2)
    for _ in range(20):
        world.request(0)
    refused_at_once = next(n for n in range(101) if world.request(1).exceeded)
    assert refused_at_once < 80
    world.now = 1.5
    world.give_back(0)
    while not world.request(1).exceeded:
        pass
    assert world.passed == {0: 100}


@pytest.mark.parametrize(
    ("limit", "per_second", "most_questions"), [(60_000, 900, 80), (60_000, 100, 90), (600, 9, 200)]
)
def test_a_fast_client_costs_about_a_question_per_second(
    limit: int, per_second: int, most_questions: int
) -> None:
    world = Processes(limit, 1)
    for _ in range(59 * per_second):
        world.request(0)
        world.now += 1 / per_second
    assert world.passed == {0: 59 * per_second}
    assert world.minute.questions <= most_questions


def test_a_fast_client_waits_for_no_slice_but_the_first_ones() -> None:
    world = Processes(60_000, 1)
    waited = 0
    for _ in range(10_000):
        waited += world.waits
        world.waits = 0
        world.request(0)
        world.now += 1 / 900
    assert 0 < waited <= 5


def test_a_key_that_is_out_costs_a_question_per_second() -> None:
    world = Processes(10, 1)
    for _ in range(1000):
        world.now += 0.01
        world.request(0)
    assert world.minute.questions <= 10 + 11


@given(st.floats(0, 59.99))
def test_the_wait_is_a_whole_second_within_the_minute(at: float) -> None:
    world = Processes(1, 1, now=at)
    world.request(0)
    with pytest.raises(RateLimited) as raised:
        world.request(0).enforce()
    assert isinstance(raised.value.retry_after, int)
    assert 1 <= raised.value.retry_after <= 60


class SlowDatabase:
    """The model of a minute; its transactions can be kept waiting for a connection."""

    def __init__(self, limit: int) -> None:
        self.now = 0.0
        self.minute = Minute(limit)
        self.answers = asyncio.Event()
        self.answers.set()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SimpleNamespace]:
        await self.answers.wait()
        yield SimpleNamespace(rates=self)

    async def lease(self, _: Budget, *, needed: int, requested: int) -> Grant:
        return self.minute.lease(needed, requested, self.now)

    async def give_back(self, _: Budget, count: int, *, reset: int) -> None:
        self.minute.give_back(count, reset)


KEY = SimpleNamespace(
    id=uuid.uuid4(), tenant=SimpleNamespace(tier=Tier.FREE, requests_per_minute=400)
)


async def pass_(limiter: RateLimiter, most: int) -> int:
    """How many of so many requests pass."""
    return sum([not (await limiter.count(KEY, "")).exceeded for _ in range(most)])  # type: ignore[arg-type]


async def test_a_slice_asked_for_ahead_is_not_lost_when_the_minute_turns() -> None:
    database = SlowDatabase(400)
    limiter = RateLimiter(database, clock=lambda: database.now)  # type: ignore[arg-type]
    database.now = 59.0
    while database.minute.used < 200:
        await pass_(limiter, 1)
        await asyncio.sleep(0)
        database.now += 0.001
    database.answers.clear()
    (lease,) = limiter._leases.values()
    while lease.leasing is None:
        await pass_(limiter, 1)
    await asyncio.sleep(0)
    database.now = 60.1
    await limiter.give_back()
    database.answers.set()
    await asyncio.sleep(0.01)
    assert await pass_(limiter, 401) == 400


async def test_what_is_given_back_belongs_to_the_minute_that_it_was_taken_from() -> None:
    database = SlowDatabase(400)
    limiter = RateLimiter(database, clock=lambda: database.now)  # type: ignore[arg-type]
    database.now = 58.5
    await pass_(limiter, 20)
    database.now = 59.99
    database.answers, now_it_does = asyncio.Event(), database.answers
    giving = asyncio.create_task(limiter.give_back())
    await asyncio.sleep(0)
    database.answers, waited_for = now_it_does, database.answers
    database.now = 60.01
    passed = await pass_(limiter, 20)
    waited_for.set()
    await giving
    assert passed + await pass_(limiter, 400) == 400


async def test_all_who_wait_for_a_slice_go_on_at_once() -> None:
    """One per turn of the loop would let newcomers pass them, for seconds."""
    database = SlowDatabase(100_000)
    limiter = RateLimiter(database, clock=lambda: database.now)  # type: ignore[arg-type]
    database.answers.clear()
    waiting = [asyncio.create_task(limiter.count(KEY, "")) for _ in range(300)]  # type: ignore[arg-type]
    await asyncio.sleep(0)
    database.answers.set()
    for _ in range(30):
        await asyncio.sleep(0)
    assert all(each.done() and not each.result().exceeded for each in waiting)
    assert database.minute.questions == 1


async def test_a_flood_in_the_moment_in_which_a_slice_comes_hangs_nobody() -> None:
    """A task's callbacks run a turn after its end; who waits for it in between must not spin."""
    late: list[asyncio.Task[RateState]] = []

    class Flooded(SlowDatabase):
        async def lease(self, _: Budget, *, needed: int, requested: int) -> Grant:
            if not late:
                late.extend(asyncio.create_task(limiter.count(KEY, "")) for _ in range(50))  # type: ignore[arg-type]
            return self.minute.lease(needed, requested, self.now)

    database = Flooded(1000)
    limiter = RateLimiter(database, clock=lambda: database.now)  # type: ignore[arg-type]
    assert await pass_(limiter, 1) == 1
    async with asyncio.timeout(5):
        assert not any(each.exceeded for each in await asyncio.gather(*late))


async def test_who_waits_hears_that_there_is_no_database_and_the_next_one_asks_again() -> None:
    class Down(SlowDatabase):
        down = True

        async def lease(self, _: Budget, *, needed: int, requested: int) -> Grant:
            if self.down:
                raise Unavailable("no database")
            return self.minute.lease(needed, requested, self.now)

    database = Down(400)
    limiter = RateLimiter(database, clock=lambda: database.now)  # type: ignore[arg-type]
    heard = await asyncio.gather(
        *(limiter.count(KEY, "") for _ in range(10)),  # type: ignore[arg-type]
        return_exceptions=True,
    )
    assert all(isinstance(each, Unavailable) for each in heard)
    database.down = False
    assert await pass_(limiter, 10) == 10


async def test_as_many_uploads_at_once_as_the_tier_says() -> None:
    slots = UploadSlots(TIER_LIMITS)
    tenant, other = (
        Tenant(uuid.uuid4(), "t", Tier.FREE, None)  # type: ignore[arg-type]
        for _ in range(2)
    )

    async def nest(depth: int) -> None:
        async with slots.acquire(tenant):
            if depth:
                await nest(depth - 1)

    await nest(9)
    with pytest.raises(RateLimited) as raised:
        await nest(10)
    assert raised.value.retry_after == 1
    await nest(9)
    async with slots.acquire(other):
        await nest(9)
