"""The job that analyses one picture and stores the answer."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ocelli.domain.analysis import Failure, Status
from ocelli.domain.errors import AnalysisFailed, FailureType, OcelliError, StorageFull, Unavailable
from ocelli.domain.findings import Feature
from ocelli.domain.jobs import report
from ocelli.domain.review import assess
from ocelli.domain.upload_sessions import ItemState
from ocelli.domain.usage import Charge, spend_by_backend
from ocelli.domain.webhooks import image_described, image_failed
from ocelli.media.colors import extract
from ocelli.media.decode import MAX_SIDE, decode
from ocelli.usecases.batches import settle_batch
from ocelli.usecases.escalate import BudgetUse, Escalate, Picture, settle_budget
from ocelli.usecases.fetch_jobs import settle
from ocelli.usecases.verification_engine import answer_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from uuid import UUID

    from ocelli.domain.analysis import Analysis, AnalysisAnswer
    from ocelli.domain.claims import Tokens
    from ocelli.domain.colors import Palette
    from ocelli.domain.ports_backends import PictureLike
    from ocelli.domain.usage import Spend
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction
    from ocelli.usecases.decoders import DecoderPool
    from ocelli.usecases.image_loader import ImageLoader
    from ocelli.usecases.open_vocabulary import OpenVocabulary
    from ocelli.usecases.picture_index import PictureIndex
    from ocelli.usecases.text_index import TextIndex
    from ocelli.usecases.verification_engine import Engine
    from ocelli.usecases.vocabularies import Vocabularies


DESCRIBE, VERIFY = "describe", "verify"
MAX_ATTEMPTS = 12
STORING = 0.05  # the share of the time for an analysis that is left to store its answer

log = logging.getLogger(__name__)


class Analyse:
    """The worker's main job. Safe to run twice: the first run to finish stores its answer."""

    def __init__(
        self,
        database: PostgresDatabase,
        engine: Engine,
        decoders: DecoderPool,
        sources: ImageLoader,
        indexes: Sequence[TextIndex | PictureIndex],
        vocabularies: Vocabularies,
        *,
        token_cost: Callable[[str, Tokens], float | None],
        timeout: float,
    ) -> None:
        self._token_cost = token_cost
        self._vocabularies = vocabularies
        self._timeout = timeout
        self._database = database
        self._engine = engine
        self._escalate = Escalate(database, engine)
        self._decoders = decoders
        self._sources = sources
        self._indexes = indexes

    async def run(self, id: UUID, *, last_attempt: bool) -> None:
        """Bring the analysis to a final state.

        Raises AnalysisFailed (retryable) if it should be tried again, and never on the last
        attempt; StorageFull if it has to wait.
        """
        async with self._database.autocommit() as tx:
            analysis = await tx.analyses.start(id)
        if analysis is None:
            return
        report(
            image_id=analysis.image_id,
            level=analysis.level.value,
        )
        try:
            async with asyncio.timeout(self._timeout) as limit:
                data = await self._sources.open(analysis)
                if data is None:  # a video: from now on each frame is an analysis of its own
                    return
                until = (limit.when() or 0.0) - self._timeout * STORING
                done = await self._look(analysis, data, until, last_attempt=last_attempt)
        except StorageFull:
            async with self._database.transaction() as tx:
                await tx.analyses.requeue(id)
            raise
        except Exception as error:
            failed = _timed_out() if limit.expired() else _classify(error)
            report(status="failed", error_type=failed.type.value)
            again = failed.retryable and not last_attempt
            async with self._database.transaction() as tx:
                if again:
                    await tx.analyses.requeue(id)
                else:
                    failure = Failure(failed.type, failed.message, failed.retryable)
                    await fail_analysis(tx, analysis, failure)
            if again or not (limit.expired() or isinstance(error, AnalysisFailed | OcelliError)):
                raise failed from error
            return
        report(calls=done.analysis.calls)
        async with self._database.transaction() as tx:
            await self._complete(tx, done)
        if analysis.image_id is not None:
            for index in self._indexes:
                await index.embed(analysis.image_id)

    async def give_up(self, id: UUID, reason: str) -> None:
        """Fail the analysis, because its workers died at each attempt."""
        failure = Failure(FailureType.RESOURCE_LIMIT, reason, retryable=False)
        async with self._database.transaction() as tx:
            analysis = await tx.analyses.start(id)
            if analysis is not None:
                await fail_analysis(tx, analysis, failure)

    async def rescue(self, *, older_than: float) -> int:
        """Enqueue unfinished analyses without a job again; return how many.

        What was begun ``MAX_ATTEMPTS`` and never ended is given up: it would go on for ever, and
        cost.
        """
        async with self._database.transaction() as tx:
            orphans = await tx.analyses.orphans(older_than)
            again = [each for each in orphans if each.attempts < MAX_ATTEMPTS]
            for orphan in again:
                await tx.jobs.analyse(orphan)
        for orphan in orphans:
            if orphan.attempts >= MAX_ATTEMPTS:
                await self.give_up(orphan.id, "This could not be brought to an end.")
        if orphans:
            log.warning("%d analyses had no job; %d enqueued again", len(orphans), len(again))
        return len(again)

    async def _complete(self, tx: PostgresTransaction, done: _Done) -> None:
        """Store the answer, unless another run was first.

        The batch comes before the meters, as where one is cancelled. The payment of a fetch job
        comes last: it locks the tenant's balance until the commit.
        """
        if done.use is not None:  # also of a run that was not the first to end
            await settle_budget(tx, done.analysis.id, done.use)
        if not await tx.analyses.complete(done.analysis):
            return
        request = await _request(tx, done.analysis)
        if done.analysis.image_id is not None:
            await tx.webhooks.emit(done.analysis.tenant_id, image_described(done.analysis))
        if request is None and done.analysis.request_id is not None:
            await settle_batch(tx, done.analysis.request_id)
        await _record_delivery(tx, done, metered=request is None)
        if request is not None:
            await settle(tx, request)

    async def _look(
        self, analysis: Analysis, data: bytes, until: float, *, last_attempt: bool
    ) -> _Done:
        started = time.perf_counter()
        picture, palette = await self._decoders.decode(
            analysis.tenant_id, data, partial(self._open, data), side=MAX_SIDE
        )
        vocabulary = await self._vocabulary(analysis, patient=not last_attempt)
        roster = self._engine.roster(analysis.question, vocabulary)
        key = answer_key(data, analysis.question, analysis.level, roster)
        answer = await self._cached_answer(analysis.tenant_id, key)
        new = answer is None
        if answer is None:
            answer = await self._engine.answer(
                picture, analysis.question, analysis.level, vocabulary
            )
        # An answer with errors in it may be a better one next time.
        keep = [(key, answer)] if new and not answer.errors else []
        record, use = None, None
        if analysis.policy_id is not None:
            escalated = await self._escalate.answer(
                analysis, Picture(picture, data), answer, vocabulary, until=until
            )
            answer, record, use = escalated.answer, escalated.record, escalated.use
            keep += [escalated.keep] if escalated.keep else []
        done = replace(
            analysis,
            looks=answer.looks,
            findings=answer.findings,
            description=answer.description,
            visible_text=answer.visible_text,
            tags=answer.tags,
            confidence=answer.confidence,
            claims=answer.claims,
            errors=answer.errors,
            width=picture.width,
            height=picture.height,
            calls=answer.calls,
            tagging=answer.tagging,
            processing_ms=(time.perf_counter() - started) * 1000,
            escalation=record,
        )
        digest = await asyncio.to_thread(lambda: hashlib.sha256(data).digest())
        spend = spend_by_backend(answer.calls, self._token_cost)
        return _Done(done, palette, digest, tuple(keep), use, spend)

    async def _vocabulary(self, analysis: Analysis, *, patient: bool) -> OpenVocabulary | None:
        """Return the vocabulary of the question, as it is now.

        Raises AnalysisFailed (retryable) while vectors of its names are being made.
        """
        asked = analysis.question.vocabulary
        if asked is None or Feature.TAGS not in analysis.question.features:
            return None
        try:
            return await self._vocabularies.open(analysis.tenant_id, asked, patient=patient)
        except Unavailable as error:
            raise AnalysisFailed(FailureType.TIMEOUT, error.message, retryable=True) from error

    async def _cached_answer(self, tenant_id: UUID, key: bytes) -> AnalysisAnswer | None:
        """Return the stored answer of an equal question, without model calls; None if none."""
        async with self._database.autocommit() as tx:
            known = await tx.answers.get(tenant_id, key)
        return known and replace(known, calls=())

    def _open(self, data: bytes) -> tuple[PictureLike, Palette]:
        picture = decode(data, max_pixels=self._decoders.max_pixels)
        return picture, extract(picture.pixels)


@dataclass(frozen=True, slots=True)
class _Done:
    """An analysis with its answer, the SHA-256 of its picture, cache entries to store, what its
    policy took, what it cost.
    """

    analysis: Analysis
    palette: Palette
    digest: bytes
    keep: tuple[tuple[bytes, AnalysisAnswer], ...]
    use: BudgetUse | None
    spend: Mapping[str, Spend]


async def fail_analysis(tx: PostgresTransaction, analysis: Analysis, failure: Failure) -> None:
    """Store the failure, unless another run was first; in the order of ``_complete``."""
    if not await tx.analyses.fail(analysis.id, failure):
        return
    request = await _request(tx, analysis)
    if analysis.image_id is not None:
        await tx.webhooks.emit(analysis.tenant_id, image_failed(analysis, failure))
    if request is None and analysis.request_id is not None:
        await settle_batch(tx, analysis.request_id)
    await _record_failure(tx, analysis, failure, metered=request is None)
    if request is not None:
        await settle(tx, request)


async def _request(tx: PostgresTransaction, analysis: Analysis) -> UUID | None:
    """Return the id of the fetch job of an analysis; None without one, and for a batch."""
    id = analysis.request_id
    return id if id is not None and await tx.fetch_jobs.exists(id) else None


def _operation(analysis: Analysis, *, metered: bool) -> str:
    """Return the meter's name of what was done; a fetch job is not ``metered``, and no batch."""
    operation = DESCRIBE if analysis.question.statement is None else VERIFY
    of_batch = metered and analysis.request_id is not None and analysis.image_id is None
    return f"batch_{operation}" if of_batch else operation


async def _record_delivery(tx: PostgresTransaction, done: _Done, *, metered: bool) -> None:
    """Store the answer, the colours, the session's counters and the meters."""
    analysis = done.analysis
    for entry in done.keep:
        await tx.answers.put(analysis.tenant_id, *entry, picture=done.digest)
    if analysis.image_id is not None:
        await tx.colors.complete(analysis.image_id, done.palette)
        await tx.sessions.move(analysis.image_id, ItemState.COMPLETED)
        await tx.reviews.put(analysis, assess(analysis))
    await tx.usage.delivered(
        analysis.tenant_id,
        analysis.key_id,
        operation=_operation(analysis, metered=metered),
        level=analysis.answered_level,
        succeeded=1,
        failed=0,
        credits=analysis.looks,
        milliseconds=analysis.processing_ms or 0.0,
    )
    await tx.usage.spent(analysis.tenant_id, analysis.key_id, done.spend)
    if metered and analysis.looks < analysis.level.looks:
        await tx.usage.give_back(
            analysis.tenant_id, descriptions=0, credits=analysis.level.looks - analysis.looks
        )
    if metered and analysis.looks > analysis.level.looks:  # a second step, or a long vocabulary
        more = analysis.looks - analysis.level.looks
        await tx.usage.reserve(Charge(tenant_id=analysis.tenant_id, credits=more))


async def _record_failure(
    tx: PostgresTransaction, analysis: Analysis, failure: Failure, *, metered: bool
) -> None:
    """Update session and meters, and give back what was reserved: only answers are charged."""
    if analysis.image_id is not None:
        await tx.sessions.move(
            analysis.image_id,
            ItemState.FAILED,
            error=failure.message,
            retryable=failure.retryable,
        )
        await tx.reviews.put(analysis, assess(replace(analysis, status=Status.FAILED)))
    await tx.usage.delivered(
        analysis.tenant_id,
        analysis.key_id,
        operation=_operation(analysis, metered=metered),
        level=analysis.level,
        succeeded=0,
        failed=1,
        credits=0,
        milliseconds=0.0,
    )
    if metered:
        await tx.usage.give_back(analysis.tenant_id, descriptions=1, credits=analysis.level.looks)


def _timed_out() -> AnalysisFailed:
    return AnalysisFailed(
        FailureType.TIMEOUT, "No answer came within the time an analysis may take.", retryable=True
    )


def _classify(error: Exception) -> AnalysisFailed:
    match error:
        case AnalysisFailed():
            return error
        case FileNotFoundError():
            return AnalysisFailed(
                FailureType.VALIDATION, "The stored file is gone.", retryable=False
            )
        case OSError() | TimeoutError() | Unavailable():
            return AnalysisFailed(
                FailureType.TIMEOUT, "The store did not answer in time.", retryable=True
            )
        case OcelliError():
            return AnalysisFailed(FailureType.UNKNOWN, error.message, retryable=error.retryable)
        case MemoryError():
            return AnalysisFailed(
                FailureType.RESOURCE_LIMIT, "Not enough memory for this picture.", retryable=False
            )
        case _:
            return AnalysisFailed(
                FailureType.UNKNOWN, "The analysis failed unexpectedly.", retryable=True
            )
