"""Batches: one question about many pictures, with results that can be read as they complete."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ocelli.domain.analysis import Status, failure_by
from ocelli.domain.batches import Batch, BatchKind, BatchStatus, Progress
from ocelli.domain.errors import NotCancellable, OcelliError
from ocelli.domain.webhooks import batch_ended, batch_summary
from ocelli.usecases.concurrency import store_all
from ocelli.usecases.lookup import existing, parse_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.analysis import Analysis, Failure, VerificationLevel
    from ocelli.domain.paging import PageRequest
    from ocelli.domain.questions import Question
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction
    from ocelli.usecases.adhoc import AdHocAnalyses, Source
    from ocelli.usecases.quota import Quota

    _Placed = Analysis | tuple[Analysis, Failure]

MAX_ITEMS = 1_000
AT_ONCE = 100

CANCELLED = "Cancelled before it began."


@dataclass(frozen=True, slots=True)
class BatchQuestion:
    """One item: ``source`` is its picture, or the error in the place of one; ``input`` is what
    answers repeat of it."""

    source: Source | OcelliError
    input: Mapping[str, Any]
    statement: str | None = None


@dataclass(frozen=True, slots=True)
class BatchState:
    """A job and how far it has come."""

    batch: Batch
    progress: Progress

    @property
    def status(self) -> BatchStatus:
        """The state of the batch, derived from those of its items."""
        done = self.progress.count(Status.COMPLETED)
        if self.batch.cancelled_at is not None:
            return BatchStatus.CANCELLED
        if self.finished < self.batch.total:
            begun = self.finished or self.progress.count(Status.PROCESSING)
            return BatchStatus.PROCESSING if begun else BatchStatus.PENDING
        if done == self.batch.total:
            return BatchStatus.COMPLETED
        return BatchStatus.PARTIALLY_COMPLETED if done else BatchStatus.FAILED

    @property
    def finished(self) -> int:
        """The number of items in a final state."""
        return self.progress.count(Status.COMPLETED, Status.FAILED, Status.SKIPPED)


class Batches:
    """Use cases around batches. An item that fails does not affect the others."""

    def __init__(self, database: PostgresDatabase, adhoc: AdHocAnalyses, quota: Quota) -> None:
        self._database = database
        self._adhoc = adhoc
        self._quota = quota

    async def submit(
        self,
        tenant: Tenant,
        kind: BatchKind,
        items: Sequence[BatchQuestion],
        question: Question,
        level: VerificationLevel,
        *,
        policy_id: UUID | None = None,
        webhook_url: str | None = None,
    ) -> BatchState:
        """Enqueue all items; after this returns each will be answered.

        Raises UsageLimitExceeded.
        """
        now = datetime.now(UTC)
        input = tuple(item.input for item in items)
        batch = Batch(
            uuid.uuid4(), tenant.id, kind, level, len(items), input, now, webhook_url=webhook_url
        )
        placed = await self._place(tenant, batch, items, question, policy_id)
        good = sum(not isinstance(each, tuple) for each in placed)
        async with self._database.transaction() as tx:
            await tx.batches.add(batch)
            for each in placed:
                if isinstance(each, tuple):
                    analysis, failure = each
                    await tx.analyses.add(analysis)
                    await tx.analyses.fail(analysis.id, failure)
                else:
                    await self._adhoc.enqueue(tx, each)
            await self._quota.reserve(
                tx, tenant, uploads=0, descriptions=good, credits=good * level.looks
            )
            await settle_batch(tx, batch.id)  # where nothing is left to be done
        counts = Counter({Status.QUEUED: good, Status.FAILED: len(items) - good})
        return BatchState(batch, Progress(counts))

    async def get(self, tenant_id: UUID, id: str) -> BatchState:
        """Return the state of a batch. Raises NotFound."""
        async with self._database.transaction() as tx:
            return await _state(tx, tenant_id, id)

    async def results(
        self, tenant_id: UUID, id: str, *, include_failed: bool, page: PageRequest
    ) -> tuple[BatchState, Sequence[Analysis], int, bool]:
        """Return the batch, a page of items in order, their total number, and if others follow.

        The key of an item is (position,).
        """
        state = await self.get(tenant_id, id)
        async with self._database.transaction() as tx:
            found = await tx.batches.results(
                state.batch.id, include_failed=include_failed, page=page
            )
        items, more = page.cut(found)
        total = state.batch.total
        if not include_failed:
            total -= state.progress.count(Status.FAILED, Status.SKIPPED)
        return state, items, total, more

    async def cancel(self, tenant_id: UUID, id: str) -> None:
        """Cancel the items that have not begun.

        Raises NotFound, NotCancellable if all have ended.
        """
        async with self._database.transaction() as tx:
            state = await _state(tx, tenant_id, id)
            ended = await tx.batches.cancel(state.batch.id, CANCELLED)
            if ended is None:
                raise NotCancellable(
                    f"The batch has ended already ({state.status}).",
                    details={"status": state.status},
                )
            await tx.usage.give_back(
                tenant_id, descriptions=ended, credits=ended * state.batch.level.looks
            )
            await settle_batch(tx, state.batch.id)

    async def _place(
        self,
        tenant: Tenant,
        batch: Batch,
        items: Sequence[BatchQuestion],
        question: Question,
        policy_id: UUID | None,
    ) -> list[_Placed]:
        analyses = [
            self._adhoc.new(
                tenant,
                replace(question, statement=item.statement),
                batch.level,
                request_id=batch.id,
                position=position,
                policy_id=policy_id,
            )
            for position, item in enumerate(items)
        ]

        async def place(asked: tuple[Analysis, BatchQuestion]) -> _Placed:
            analysis, item = asked
            if isinstance(item.source, OcelliError):
                raise item.source
            return await self._adhoc.place(tenant, item.source, analysis)

        return await store_all(
            place,
            list(zip(analyses, items, strict=True)),
            lambda asked, error: (asked[0], failure_by(error)),
        )


class TellBatches:
    """Announces batches that workers of the version before have ended.

    They know no deliveries: they leave a job for the batch's address, or die before they do.
    """

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def run(self, id: UUID, *, last_attempt: bool) -> None:
        """Announce the batch of such a job, which nothing else does any more."""
        del last_attempt
        async with self._database.transaction() as tx:
            await tx.batches.announced(id, at=None)
            await settle_batch(tx, id)

    async def give_up(self, id: UUID, reason: str) -> None:
        """See Job: the batch can be polled all the same."""

    async def catch_up(self) -> int:
        """Announce those that ended and were not announced; return how many were looked at."""
        async with self._database.transaction() as tx:
            ended = await tx.batches.ended(limit=AT_ONCE)
            for id in ended:
                await settle_batch(tx, id)
        return len(ended)


async def settle_batch(tx: PostgresTransaction, id: UUID) -> None:
    """Announce a batch whose last item is final, in the transaction that made it so.

    Nothing happens if the id is of no batch, or something is still to be done. Two that end the
    last two items at the same moment wait for each other at ``lock``, so one of them sees that
    nothing is left.
    """
    batch = await tx.batches.lock(id)
    if batch is None or await tx.analyses.is_pending(id):
        return
    state = BatchState(batch, await tx.batches.progress(id))
    await tx.batches.announced(id, at=datetime.now(UTC))
    event = batch_ended(batch, state.status, state.progress)
    await tx.webhooks.emit(batch.tenant_id, event)
    if batch.webhook_url is not None:
        body = json.dumps(batch_summary(batch, state.status, state.progress))
        await tx.webhooks.emit_to_url(batch.tenant_id, batch.webhook_url, event.type, body)


async def _state(tx: PostgresTransaction, tenant_id: UUID, id: str) -> BatchState:
    batch = existing(await tx.batches.get(tenant_id, parse_id("Batch", id)), "Batch", id)
    return BatchState(batch, await tx.batches.progress(batch.id))
