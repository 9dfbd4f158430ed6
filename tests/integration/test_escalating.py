"""A policy carried out over a real database: budgets under concurrency and crashes, and records."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from tests.integration.test_storage import a_tenant
from tests.integration.test_vocabularies import CountingEmbedder
from tests.unit.test_engine import SAID, Scripted, Several

from ocelli.domain.analysis import Analysis, Status, VerificationLevel
from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.domain.escalation import (
    Budget,
    EscalationOutcome,
    EscalationReason,
    Policy,
    Spending,
    Step,
    StoredPolicy,
    Triggers,
)
from ocelli.domain.findings import Findings
from ocelli.domain.questions import Question
from ocelli.domain.tagging import TagVocabulary
from ocelli.domain.usage import UsageHistory
from ocelli.domain.vocabulary_files import VocabularyFormat
from ocelli.media.colors import extract
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.analyse import Analyse
from ocelli.usecases.embeddings import Embeddings
from ocelli.usecases.verification_engine import Engine
from ocelli.usecases.vocabularies import Vocabularies

QUICK, STANDARD = VerificationLevel.QUICK, VerificationLevel.STANDARD
DOUBTFUL = Triggers(confidence_below=0.9)


class Crash(BaseException):
    """The worker is gone."""


@dataclass
class Doubting(Scripted):
    """Looks when it is let; ``crashes`` so many times once it has looked."""

    crashes: int = 0
    stuck: bool = False
    looked: asyncio.Event = field(default_factory=asyncio.Event)

    async def look(self, picture: Any, question: Question, *, thorough: bool = False) -> Findings:
        found = await super().look(picture, question, thorough=thorough)
        self.looked.set()
        await asyncio.sleep(0)
        if self.crashes:
            self.crashes -= 1
            raise Crash
        if self.stuck:
            await asyncio.Event().wait()
        return found


class _Source:
    """Gives every analysis bytes of its own, so that no answer is known before."""

    async def open(self, analysis: Analysis) -> bytes:
        return analysis.id.bytes


@dataclass
class _Picture:
    pixels: Any
    width: int = 8
    height: int = 8
    data: bytes = b""


class _Decoders:
    max_pixels = 100

    async def decode(
        self, tenant_id: uuid.UUID, data: bytes, work: Callable[[], Any], **_: Any
    ) -> Any:
        pixels = np.zeros((8, 8, 3), np.uint8)
        return _Picture(pixels), extract(pixels)


@dataclass
class Worker:
    """A worker over the shared database, with a tenant and backends ``a`` and ``b`` of its own."""

    database: PostgresDatabase
    tenant_id: uuid.UUID
    first: Doubting
    second: Doubting
    timeout: float = 600.0
    cost: Callable[..., float | None] = lambda *_: None

    async def policy(
        self, budget: Budget, when: Triggers = DOUBTFUL, **second: Any
    ) -> StoredPolicy:
        policy = Policy(Step("a"), Step(**{"backend": "b", **second}), when, budget)
        async with self.database.transaction() as tx:
            id = await tx.policies.put(
                self.tenant_id, f"p-{uuid.uuid4()}", policy, is_default=False
            )
        return await self.stored(id)

    async def stored(self, id: uuid.UUID) -> StoredPolicy:
        async with self.database.autocommit() as tx:
            found = await tx.policies.get(id)
        assert found is not None
        return found

    async def queue(
        self, policy_id: uuid.UUID | None, key_id: uuid.UUID | None = None, **question: Any
    ) -> uuid.UUID:
        analysis = Analysis(
            id=uuid.uuid4(),
            tenant_id=self.tenant_id,
            image_id=None,
            object_key="asked/x",
            level=QUICK,
            status=Status.QUEUED,
            created_at=datetime.now(UTC),
            question=Question(backends=("a",), **question),
            policy_id=policy_id,
            key_id=key_id,
        )
        async with self.database.transaction() as tx:
            await tx.analyses.add(analysis)
        return analysis.id

    async def run(self, id: uuid.UUID) -> Analysis:
        engine = Engine(Several(self.first, self.second))
        vocabularies = Vocabularies(self.database, Embeddings(CountingEmbedder()))
        parts: Any = (engine, _Decoders(), _Source(), (), vocabularies)
        job = Analyse(self.database, *parts, token_cost=self.cost, timeout=self.timeout)
        await job.run(id, last_attempt=False)
        return await self.get(id)

    async def get(self, id: uuid.UUID) -> Analysis:
        async with self.database.autocommit() as tx:
            found = await tx.analyses.get(self.tenant_id, id)
        assert found is not None
        return found

    async def describe(self, policy: StoredPolicy) -> Analysis:
        return await self.run(await self.queue(policy.id))


@pytest.fixture
async def worker(database: PostgresDatabase) -> Worker:
    better = replace(SAID, description="There is a cup. There is no mouse.", claims=SAID.claims[:1])
    return Worker(database, await a_tenant(database), Doubting("a"), Doubting("b", better))


def outcome(analysis: Analysis) -> EscalationOutcome:
    assert analysis.status is Status.COMPLETED
    assert analysis.escalation is not None
    return analysis.escalation.outcome


async def test_the_record_says_who_answered_and_why(worker: Worker) -> None:
    policy = await worker.policy(Budget(calls=10), level=STANDARD)
    done = await worker.describe(policy)
    record = done.escalation
    assert record is not None
    assert outcome(done) is EscalationOutcome.ESCALATED
    assert (record.policy, record.reasons) == (policy.name, (EscalationReason.LOW_CONFIDENCE,))
    assert record.first is not None
    assert record.second is not None
    assert record.answered is record.second
    assert (record.first.backend, record.first.level, record.first.looks) == ("a", QUICK, 1)
    assert (record.second.backend, record.second.level, record.second.looks) == ("b", STANDARD, 2)
    assert record.second.confidence == done.confidence
    assert done.description == "There is a cup. There is no mouse."
    assert [each.source for each in done.findings] == ["b", "a"]
    assert (done.looks, done.level, done.answered_level) == (3, QUICK, STANDARD)
    spent = (await worker.stored(policy.id)).spent
    assert spent == Spending(pictures=1, escalated=1, calls=2, hundredths=200)


async def test_the_second_step_chooses_from_the_vocabulary_too(worker: Worker) -> None:
    vocabularies = Vocabularies(worker.database, Embeddings(CountingEmbedder()))
    await vocabularies.store(worker.tenant_id, "things", "Tasse = cup\n", VocabularyFormat.TEXT)
    stored = await vocabularies.get(worker.tenant_id, "things")
    asked = TagVocabulary(str(stored.id), stored.name, stored.digest)
    policy = await worker.policy(Budget(calls=10), level=STANDARD)
    done = await worker.run(await worker.queue(policy.id, vocabulary=asked))
    assert outcome(done) is EscalationOutcome.ESCALATED
    assert done.tags == ("Tasse",)
    assert done.tagging is not None
    assert [each.source for each in done.tagging.tags] == ["b"]
    await vocabularies.delete(worker.tenant_id, "things")
    gone = await worker.run(await worker.queue(policy.id, vocabulary=asked))
    assert gone.tags == ()
    assert [each.source for each in gone.errors] == ["vocabulary"]
    assert gone.description


async def used(worker: Worker) -> UsageHistory:
    today = datetime.now(UTC).date()
    async with worker.database.snapshot() as tx:
        return await tx.usage.history(worker.tenant_id, today, today)


async def test_each_look_is_counted_for_who_asked_and_what_it_cost(worker: Worker) -> None:
    worker.cost = lambda backend, _: 0.25 if backend == "a" else None
    policy = await worker.policy(Budget(calls=10), level=STANDARD)
    one, other = uuid.uuid4(), uuid.uuid4()
    await worker.run(await worker.queue(policy.id, one))
    await worker.run(await worker.queue(None, other))
    await worker.run(await worker.queue(None))
    found = await used(worker)
    assert {name: (each.calls, each.unpriced) for name, each in found.backends.items()} == {
        "a": (4, 0),
        "b": (1, 1),
    }
    assert found.backends["a"].dollars == 1
    assert {each.key_id: (each.succeeded, each.credits) for each in found.keys} == {
        one: (1, 3),
        other: (1, 1),
        None: (1, 1),
    }
    spent = {each.key_id: each.spend.dollars for each in found.keys}
    assert spent == {one: Decimal("0.5"), other: Decimal("0.25"), None: Decimal("0.25")}
    assert found.days[0].spend == found.backends["a"] + found.backends["b"]


async def test_what_two_workers_look_at_is_counted_once(worker: Worker) -> None:
    worker.cost = lambda *_: 0.25
    id = await worker.queue(None, uuid.uuid4())
    await asyncio.gather(worker.run(id), worker.run(id))
    worker.first.crashes = 1
    crashed = await worker.queue(None)
    with pytest.raises(Crash):
        await worker.run(crashed)
    assert (await used(worker)).backends["a"].calls == 1
    await worker.run(crashed)
    found = await used(worker)
    assert (found.backends["a"].calls, found.backends["a"].dollars) == (2, Decimal("0.5"))


async def test_what_is_sure_costs_nothing_more(worker: Worker) -> None:
    policy = await worker.policy(Budget(share=1), Triggers(confidence_below=0.1))
    done = await worker.describe(policy)
    assert outcome(done) is EscalationOutcome.NOT_NEEDED
    assert (done.description, worker.second.calls) == (SAID.description, [])
    assert (await worker.stored(policy.id)).spent == Spending(pictures=1)


@pytest.mark.parametrize(
    ("budget", "calls"),
    [(Budget(calls=7), 6), (Budget(credits=5), 4), (Budget(share=0.25), 10), (Budget(calls=0), 0)],
)
async def test_workers_together_never_exceed_a_budget(
    worker: Worker, budget: Budget, calls: int
) -> None:
    """Twenty doubtful pictures at once, two calls each: the rest keep the first answer."""
    policy = await worker.policy(budget, level=STANDARD)
    ids = [await worker.queue(policy.id) for _ in range(20)]
    done = await asyncio.gather(*(worker.run(id) for id in ids))
    again = [each for each in done if outcome(each) is EscalationOutcome.ESCALATED]
    kept = [each for each in done if outcome(each) is EscalationOutcome.BUDGET_EXHAUSTED]
    spent = (await worker.stored(policy.id)).spent
    assert len(again) + len(kept) == 20
    assert spent == Spending(20, len(again), 2 * len(again), 200 * len(again))
    looks = [each for each in worker.second.calls if each[0] == "look"]
    assert len(looks) == len(again)
    if budget.share is None:
        assert spent.calls == calls
    else:
        assert spent.escalated <= budget.share * 20
    for each in kept:
        assert each.description == SAID.description
        assert each.escalation is not None
        assert each.escalation.message
        assert each.escalation.answered is each.escalation.first


async def test_a_worker_that_dies_has_spent_what_it_reserved(worker: Worker) -> None:
    policy = await worker.policy(Budget(calls=3))
    worker.second.crashes = 2
    id = await worker.queue(policy.id)
    for _ in range(2):
        with pytest.raises(Crash):
            await worker.run(id)
    assert (await worker.stored(policy.id)).spent == Spending(1, 1, 2, 200)
    done = await worker.run(id)
    assert outcome(done) is EscalationOutcome.ESCALATED
    assert (await worker.stored(policy.id)).spent == Spending(1, 1, 3, 300)
    assert len(worker.second.calls) == 3
    last = await worker.describe(policy)
    assert outcome(last) is EscalationOutcome.BUDGET_EXHAUSTED
    assert (await worker.stored(policy.id)).spent == Spending(2, 1, 3, 300)


async def test_two_runs_of_one_picture_count_it_once(worker: Worker) -> None:
    policy = await worker.policy(Budget(calls=10))
    id = await worker.queue(policy.id)
    await asyncio.gather(worker.run(id), worker.run(id))
    spent = (await worker.stored(policy.id)).spent
    assert (spent.pictures, spent.escalated) == (1, 1)
    assert spent.calls == len(worker.second.calls)


@pytest.mark.parametrize("is_retryable", [True, False])
async def test_a_second_backend_that_fails_leaves_the_first_answer(
    worker: Worker, is_retryable: bool
) -> None:
    policy = await worker.policy(Budget(calls=10))
    worker.second.fails = AnalysisFailed(FailureType.VLM_ERROR, "away", retryable=is_retryable)
    done = await worker.describe(policy)
    assert outcome(done) is EscalationOutcome.FAILED
    assert done.escalation is not None
    assert done.escalation.message == "away"
    assert done.description == SAID.description
    assert [(each.source, each.message) for each in done.errors] == [("b", "away")]
    assert (await worker.stored(policy.id)).spent == Spending(pictures=1)


async def test_a_second_backend_that_does_not_answer_in_time_leaves_the_first_answer(
    worker: Worker,
) -> None:
    policy = await worker.policy(Budget(calls=10))
    worker.second.stuck = True
    worker.timeout = 2.0
    done = await worker.describe(policy)
    assert outcome(done) is EscalationOutcome.FAILED
    assert done.description == SAID.description
    assert (await worker.stored(policy.id)).spent == Spending(1, 0, 1, 100)  # it was asked


async def test_a_second_backend_that_describes_nothing_leaves_the_first_answer(
    worker: Worker,
) -> None:
    policy = await worker.policy(Budget(calls=10))
    worker.second.says = Findings("b", "1")
    done = await worker.describe(policy)
    assert outcome(done) is EscalationOutcome.FAILED
    assert done.description == SAID.description
    assert (await worker.stored(policy.id)).spent == Spending(1, 0, 1, 100)


async def test_a_second_backend_that_is_not_there_leaves_the_first_answer(worker: Worker) -> None:
    policy = await worker.policy(Budget(calls=10), backend="gone")
    done = await worker.describe(policy)
    assert outcome(done) is EscalationOutcome.UNAVAILABLE
    assert done.escalation is not None
    assert done.escalation.message == "gone is not configured here."
    assert (await worker.stored(policy.id)).spent == Spending(pictures=1)


async def test_steps_that_became_the_same_are_one(worker: Worker) -> None:
    """The default backend of today is the one that the policy names."""
    policy = await worker.policy(Budget(calls=10), backend=None, level=QUICK)
    assert outcome(await worker.describe(policy)) is EscalationOutcome.UNAVAILABLE
    assert worker.second.calls == []


async def test_a_policy_that_was_deleted_while_a_picture_waited(worker: Worker) -> None:
    policy = await worker.policy(Budget(calls=10))
    id = await worker.queue(policy.id)
    async with worker.database.autocommit() as tx:
        await tx.policies.delete(policy.id)
    done = await worker.run(id)
    assert outcome(done) is EscalationOutcome.POLICY_DELETED
    assert done.description == SAID.description


async def test_a_policy_that_was_deleted_while_the_second_step_looked(worker: Worker) -> None:
    policy = await worker.policy(Budget(calls=10))
    id = await worker.queue(policy.id)
    worker.second.stuck = True
    running = asyncio.create_task(worker.run(id))
    await worker.second.looked.wait()
    async with worker.database.autocommit() as tx:
        await tx.policies.delete(policy.id)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    worker.second.stuck = False
    assert outcome(await worker.run(id)) is EscalationOutcome.POLICY_DELETED


async def test_an_answer_that_is_known_takes_nothing_from_the_budget(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def same(self: _Source, analysis: Analysis) -> bytes:
        return b"one picture"

    monkeypatch.setattr(_Source, "open", same)
    policy = await worker.policy(Budget(calls=1))
    first, second = await worker.describe(policy), await worker.describe(policy)
    assert outcome(first) is outcome(second) is EscalationOutcome.ESCALATED
    assert (first.looks, second.looks) == (2, 0)
    spent = (await worker.stored(policy.id)).spent
    assert (spent.pictures, spent.calls) == (2, 1)


async def test_policies_of_requests_go_once_nothing_waits_for_them(worker: Worker) -> None:
    policy = Policy(Step("a"), Step("b"), DOUBTFUL, Budget(share=1))
    async with worker.database.transaction() as tx:
        waiting, done = [
            await tx.policies.put(worker.tenant_id, None, policy, is_default=False)
            for _ in range(2)
        ]
    id = await worker.queue(waiting)
    async with worker.database.transaction() as tx:
        await tx.policies.purge(older_than=0)
        assert await tx.policies.get(done) is None
        assert await tx.policies.get(waiting) is not None
    assert outcome(await worker.run(id)) is EscalationOutcome.ESCALATED
