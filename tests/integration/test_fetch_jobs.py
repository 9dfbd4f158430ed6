"""Requests below HTTP: ended once, paid once, forgotten after a day."""

from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ocelli.domain.accounts import Tenant, Tier
from ocelli.domain.activities import ActivityKind
from ocelli.domain.analysis import Analysis, Failure
from ocelli.domain.errors import FailureType, NotCancellable, NotFound
from ocelli.domain.fetch_jobs import FetchJob, FetchRequest, InsufficientCredits, NoCredits
from ocelli.domain.findings import LOCAL, Feature, Findings
from ocelli.domain.pricing import Roster
from ocelli.domain.questions import Question
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.fetch_jobs import CANCELLED, FetchJobs, Source, positions, settle

PLAN = Roster((LOCAL,), LOCAL).plan((), frozenset(Feature), None)  # 2 credits a picture


@asynccontextmanager
async def deaf(_: uuid.UUID) -> Any:
    yield asyncio.Event()


def use_cases(database: PostgresDatabase) -> FetchJobs:
    stores = cast("Any", SimpleNamespace())
    return FetchJobs(database, stores, deaf, max_pixels=10**6)


async def tenant(database: PostgresDatabase, credits: int) -> Tenant:
    async with database.transaction() as tx:
        made = await tx.accounts.add_tenant(f"requests {uuid.uuid4()}", Tier.FREE)
        await tx.credits.give(made.id, credits)
    return made


async def accepted(database: PostgresDatabase, owner: Tenant, count: int) -> FetchJob:
    urls = tuple(f"http://example.com/{number}.jpg" for number in range(count))
    sources = [Source(url, url=url) for url in urls]
    return await use_cases(database).accept(
        owner, FetchRequest(urls=urls), PLAN, Question(), sources
    )


async def pictures(database: PostgresDatabase, request: FetchJob) -> list[Analysis]:
    async with database.transaction() as tx:
        return list(await tx.analyses.of_request(request.tenant_id, request.id))


async def end(
    database: PostgresDatabase, request: FetchJob, analysis: Analysis, failed: FailureType | None
) -> None:
    async with database.transaction() as tx:
        if failed is None:
            found = (Findings(LOCAL, "1", description="A cat."),)
            await tx.analyses.complete(replace(analysis, findings=found))
        else:
            await tx.analyses.fail(analysis.id, Failure(failed, "It did not work.", False))
        await settle(tx, request.id)


async def balance(database: PostgresDatabase, owner: Tenant) -> int:
    return (await use_cases(database).balance(owner)).credits


async def test_all_at_once_end_it_once(database: PostgresDatabase) -> None:
    owner = await tenant(database, 100)
    request = await accepted(database, owner, 6)
    assert await balance(database, owner) == 88
    ours = use_cases(database)
    assert await ours.wait(request, timeout=0.01) is None
    assert json.loads((await ours.body(owner.id, request.id))[0])["status"] == "processing"
    found = await pictures(database, request)
    kinds = [None, None, None, FailureType.VALIDATION, FailureType.TIMEOUT, None]
    await asyncio.gather(
        *(end(database, request, each, kind) for each, kind in zip(found, kinds, strict=True))
    )
    body = json.loads(await ours.wait(request, timeout=60) or "{}")
    assert body["status"] == "completed"
    assert (body["credits_paid"], body["credits"]) == (8, 92)
    assert await balance(database, owner) == 92
    assert [each["name"][-5] for each in body["all"]["assets"]] == ["0", "1", "2", "5"]
    assert body["all"]["errors"] == [
        f"http://example.com/{number}.jpg: It did not work." for number in (3, 4)
    ]
    async with database.transaction() as tx:  # a second time changes nothing
        await settle(tx, request.id)
    assert await balance(database, owner) == 92


async def test_what_has_not_begun_is_cancelled_and_not_paid(database: PostgresDatabase) -> None:
    owner = await tenant(database, 100)
    request = await accepted(database, owner, 4)
    ours = use_cases(database)
    first, second, *_ = await pictures(database, request)
    await end(database, request, first, None)
    async with database.transaction() as tx:
        assert await tx.analyses.start(second.id)
    await ours.cancel(owner.id, request.id)
    assert not (await ours.body(owner.id, request.id))[1]  # one is still under way
    with pytest.raises(NotCancellable):
        await ours.cancel(owner.id, request.id)
    await end(database, request, second, None)
    body = json.loads((await ours.body(owner.id, request.id))[0])
    assert (body["status"], body["credits_paid"], body["credits"]) == ("completed", 4, 96)
    assert len(body["all"]["assets"]) == 2
    assert [each.rpartition(": ")[2] for each in body["all"]["errors"]] == [CANCELLED] * 2
    async with database.transaction() as tx:
        activity = await tx.activities.get(owner.id, ActivityKind.REQUEST, request.id)
    assert activity is not None
    assert (activity.is_cancelled, activity.skipped, activity.completed) == (True, 2, 2)
    stranger = await tenant(database, 0)
    with pytest.raises(NotFound):
        await ours.cancel(stranger.id, request.id)


async def test_a_request_of_which_nothing_began_costs_nothing(database: PostgresDatabase) -> None:
    owner = await tenant(database, 100)
    request = await accepted(database, owner, 3)
    done = await asyncio.gather(
        *(use_cases(database).cancel(owner.id, request.id) for _ in range(3)),
        return_exceptions=True,
    )
    assert [type(each) for each in done].count(NotCancellable) == 2
    body, is_final = await use_cases(database).body(owner.id, request.id)
    assert is_final
    assert json.loads(body)["status"] == "failed"
    assert CANCELLED in json.loads(body)["error"]
    assert await balance(database, owner) == 100


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        ([FailureType.TIMEOUT, FailureType.VLM_ERROR], "failed"),
        ([FailureType.TIMEOUT, FailureType.VALIDATION], "completed"),
        ([FailureType.VALIDATION, FailureType.VALIDATION], "completed"),
    ],
)
async def test_when_nothing_came_of_it(
    database: PostgresDatabase, kinds: list[FailureType], status: str
) -> None:
    owner = await tenant(database, 10)
    request = await accepted(database, owner, 2)
    for each, kind in zip(await pictures(database, request), kinds, strict=True):
        await end(database, request, each, kind)
    body = json.loads((await use_cases(database).body(owner.id, request.id))[0])
    assert body["status"] == status
    assert body["credits_paid"] == 0
    assert await balance(database, owner) == 10
    if status == "failed":
        assert body["error"] == "Request failed. It did not work."
        assert "all" not in body
    else:
        assert len(body["all"]["errors"]) == 2


async def test_the_last_credits_are_given_once(database: PostgresDatabase) -> None:
    owner = await tenant(database, 31)
    answers = await asyncio.gather(
        *(accepted(database, owner, 1) for _ in range(40)), return_exceptions=True
    )
    assert sum(isinstance(each, FetchJob) for each in answers) == 15
    assert sum(isinstance(each, InsufficientCredits) for each in answers) == 25
    assert await balance(database, owner) == 1
    poor = await tenant(database, 0)
    with pytest.raises(NoCredits):
        await accepted(database, poor, 1)
    async with database.transaction() as tx:  # what was refused left nothing behind
        assert await tx.fetch_jobs.unfinished(poor.id) == 0
        assert await tx.fetch_jobs.unfinished(owner.id) == 15


async def test_a_day_later_it_is_gone(database: PostgresDatabase) -> None:
    owner, other = await tenant(database, 10), await tenant(database, 10)
    request = await accepted(database, owner, 1)
    (picture,) = await pictures(database, request)
    await end(database, request, picture, None)
    with pytest.raises(NotFound):
        await use_cases(database).body(other.id, request.id)
    for hours, there in ((23, True), (25, False)):
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE requests SET completed_at = now() - make_interval(hours => %s)"
                " WHERE id = %s",
                (hours, request.id),
            )
        async with database.transaction() as tx:
            assert (await tx.fetch_jobs.body(owner.id, request.id) is not None) is there
    async with database.transaction() as tx:
        assert await tx.fetch_jobs.purge(older_than=24 * 3600) >= 1
        assert not await tx.fetch_jobs.exists(request.id)


def test_places_go_round() -> None:
    first, second, third = (positions(ahead, 10) for ahead in range(3))
    order = sorted([*first, *second, *third])
    rounds = [order[i : i + 3] for i in range(0, 30, 3)]
    assert all(len({*turn} & {*each}) == 1 for turn in rounds for each in (first, second, third))
