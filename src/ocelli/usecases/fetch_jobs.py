"""Requests to /api/fetch: several pictures, paid in credits, answered at once or by polling."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from ocelli.domain.analysis import Analysis, Failure, Status, VerificationLevel, failure_by
from ocelli.domain.errors import NotCancellable
from ocelli.domain.fetch_jobs import (
    STRIDE,
    CreditBalance,
    FetchJob,
    FetchOutcome,
    FetchRequest,
    InsufficientCredits,
    NoCredits,
    failure_of,
    paid_for,
    partial_failures,
)
from ocelli.domain.webhooks import fetch_ended
from ocelli.media.header import read_header
from ocelli.media.sniff import HEAD_BYTES, is_video
from ocelli.usecases import fetch_bodies
from ocelli.usecases.adhoc import store_asked
from ocelli.usecases.concurrency import store_all
from ocelli.usecases.lookup import existing
from ocelli.usecases.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.errors import OcelliError
    from ocelli.domain.pricing import PricingPlan
    from ocelli.domain.questions import Question
    from ocelli.media.blob_writer import BlobWriter
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction
    from ocelli.usecases.store_resolver import StoreResolver
    from ocelli.usecases.waiting import Listen

# Pictures of one tenant come in rounds, one of each request; so many requests share a round.
ROUND = 16
CANCELLED = "Cancelled before it began."
# So many single pictures of a tenant, whose clients wait, go before all other jobs.
URGENT_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Source:
    """One picture or video of a request: an address, a file, or the error about it."""

    name: str
    url: str | None = None
    file: BlobWriter | None = None
    error: OcelliError | None = None


@dataclass(frozen=True, slots=True)
class _StoredFile:
    source: Source
    object_key: str = ""
    is_video: bool = False
    failure: Failure | None = None


class FetchJobs:
    """Use cases around requests to ``/api/fetch``."""

    def __init__(
        self,
        database: PostgresDatabase,
        stores: StoreResolver,
        listen: Listen,
        *,
        max_pixels: int,
    ) -> None:
        self._database = database
        self._stores = stores
        self._listen = listen
        self._max_pixels = max_pixels

    async def balance(self, tenant: Tenant) -> CreditBalance:
        """Return the credits of the tenant."""
        async with self._database.autocommit() as tx:
            return await tx.credits.balance(tenant.id)

    async def accept(
        self,
        tenant: Tenant,
        parameters: FetchRequest,
        plan: PricingPlan,
        question: Question,
        sources: Sequence[Source],
        *,
        waits: bool = False,
    ) -> FetchJob:
        """Reserve the price and enqueue the request; after this returns it will be answered.

        ``waits``: the client waits for the answer. Raises NoCredits, InsufficientCredits.
        """
        balance = await self.balance(tenant)
        least = plan.cost * sum(each.error is None for each in sources)
        _check(balance, least)  # before anything is stored; what counts is checked below
        stored = await store_all(
            partial(self._store, tenant.id),
            sources,
            lambda source, error: _StoredFile(source, failure=failure_by(error)),
        )
        request = FetchJob(
            id=uuid.uuid4(),
            tenant_id=tenant.id,
            user_id=balance.number,
            parameters=parameters,
            plan=plan,
            reserved=plan.cost * sum(_pictures(each, parameters) for each in stored),
            created_at=datetime.now(UTC),
        )
        async with self._database.transaction() as tx:
            await self._record(tx, request, question, stored, tenant.key_id, waits=waits)
            if not await tx.credits.take(tenant.id, request.reserved):
                _check(await tx.credits.balance(tenant.id), request.reserved)
                raise InsufficientCredits
            await settle(tx, request.id)  # where nothing is left to be done
        return request

    async def body(self, tenant_id: UUID, id: UUID) -> tuple[str, bool]:
        """Return the body for polls, and whether it is final.

        Raises NotFound, also for a request of another tenant.
        """
        async with self._database.autocommit() as tx:
            found = await tx.fetch_jobs.body(tenant_id, id)
        return existing(found, "Request", id)

    async def wait(self, request: FetchJob, *, timeout: float) -> str | None:
        """Wait at most ``timeout`` seconds for the final body; None if there is none yet."""
        body, finished = await wait_until(
            self._listen,
            request.id,
            partial(self.body, request.tenant_id, request.id),
            lambda found: found[1],
            timeout=timeout,
        )
        return body if finished else None

    async def cancel(self, tenant_id: UUID, id: UUID) -> None:
        """End what has not begun; only what was answered is paid.

        The analyses come before the request, as where workers end one: none waits in a circle.
        Raises NotFound, NotCancellable if nothing is waiting.
        """
        async with self._database.transaction() as tx:
            existing(await tx.fetch_jobs.body(tenant_id, id), "Request", id)
            if not await tx.analyses.cancel(id, CANCELLED):
                raise NotCancellable("Nothing of this request is waiting: it has begun, or ended.")
            await tx.fetch_jobs.cancel(id)
            await settle(tx, id)

    async def _store(self, tenant_id: UUID, source: Source) -> _StoredFile:
        if source.error is not None:
            raise source.error
        if source.file is None:
            return _StoredFile(source)
        content_type, video = await asyncio.to_thread(self._kind, source.file)
        key = await store_asked(self._stores, tenant_id, source.file, content_type)
        return _StoredFile(source, key, video)

    def _kind(self, file: BlobWriter) -> tuple[str, bool]:
        file.close()
        with file.path.open("rb") as opened:
            if is_video(opened.read(HEAD_BYTES)):
                return "application/octet-stream", True
        return read_header(file.path, max_pixels=self._max_pixels).format.content_type, False

    async def _record(
        self,
        tx: PostgresTransaction,
        request: FetchJob,
        question: Question,
        stored: Sequence[_StoredFile],
        key_id: UUID | None,
        *,
        waits: bool,
    ) -> None:
        ahead = await tx.fetch_jobs.unfinished(request.tenant_id)
        await tx.fetch_jobs.add(request, fetch_bodies.processing(request))
        analyses = [
            Analysis(
                id=uuid.uuid4(),
                tenant_id=request.tenant_id,
                image_id=None,
                object_key=each.object_key,
                level=VerificationLevel.QUICK,
                status=Status.QUEUED,
                created_at=request.created_at,
                question=question,
                source_url=each.source.url,
                request_id=request.id,
                position=number * STRIDE,
                name=each.source.name,
                key_id=key_id,
            )
            for number, each in enumerate(stored)
        ]
        await tx.analyses.add(*analyses)
        for analysis, each in zip(analyses, stored, strict=True):
            if each.failure is not None:
                await tx.analyses.fail(analysis.id, each.failure)
        if not request.plan.shares:  # no backend has anything to answer: the request is complete
            for analysis in analyses:
                await tx.analyses.complete(analysis)
            return
        fine = [
            analysis
            for analysis, each in zip(analyses, stored, strict=True)
            if each.failure is None
        ]
        await tx.jobs.analyse(
            *fine, urgent=waits and ahead < URGENT_AT_ONCE, positions=positions(ahead, len(fine))
        )


async def settle(tx: PostgresTransaction, id: UUID) -> None:
    """End a request whose last picture is final, in the transaction that made it so.

    Nothing happens if it is finished already, or something is still to be done. Two that end the
    last two pictures at the same moment wait for each other at ``lock``, so one of them sees that
    nothing is left.
    """
    request = await tx.fetch_jobs.lock(id)
    if request is None or await tx.analyses.is_pending(id):
        return
    analyses = await tx.analyses.of_request(request.tenant_id, id)
    paid = min(paid_for(request, analyses), request.reserved)
    balance = await tx.credits.give(request.tenant_id, request.reserved - paid)
    outcome = FetchOutcome(
        request=replace(request, completed_at=datetime.now(UTC)),
        answered=[each for each in analyses if each.status is Status.COMPLETED],
        errors=partial_failures(request, analyses),
        paid=paid,
        credits=balance.shown,
        failure=failure_of(analyses),
    )
    await tx.fetch_jobs.finish(id, paid=paid, body=fetch_bodies.finished(outcome))
    event = fetch_ended(
        id,
        answered=len(outcome.answered),
        errors=len(outcome.errors),
        failure=outcome.failure,
    )
    await tx.webhooks.emit(request.tenant_id, event)


def positions(ahead: int, count: int) -> list[int]:
    """Return the queue positions of a request's pictures, with ``ahead`` requests before it.

    >>> places(0, 3), places(2, 3)
    ([0, 16, 32], [2, 18, 34])
    """
    return [ahead + ROUND * number for number in range(count)]


def _pictures(stored: _StoredFile, parameters: FetchRequest) -> int:
    """Return the number of pictures to reserve credits for; 1 for all frames of a video."""
    if stored.failure is not None:
        return 0
    may_be_more = stored.is_video or stored.source.url is not None
    return parameters.frames_expected(stored.source.url) if may_be_more else 1


def _check(balance: CreditBalance, cost: int) -> None:
    if balance.unmetered or not cost or balance.credits >= cost:
        return
    raise InsufficientCredits if balance.credits > 0 else NoCredits
