"""Look at one stored picture and write down what was found."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from ocelli.domain.analysis import Failure
from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.media.decode import decode

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from uuid import UUID

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.ports import Backend, Database, Objects


class Analyse:
    """The worker's main job. Safe to run twice: whoever finishes first wins, and both agree.

    ``compute`` is where decoding happens: one thread, so that a worker uses one core.
    """

    def __init__(
        self,
        database: Database,
        objects: Objects,
        backend: Backend,
        compute: Executor,
        *,
        max_pixels: int,
    ) -> None:
        self._database = database
        self._objects = objects
        self._backend = backend
        self._compute = compute
        self._max_pixels = max_pixels

    async def run(self, id: UUID, *, last_attempt: bool) -> None:
        """Bring the analysis to a final state.

        Raises AnalysisFailed (retryable) if it should be tried again, and never on the last
        attempt.
        """
        async with self._database.transaction() as tx:
            analysis = await tx.analyses.start(id)
        if analysis is None:
            return
        try:
            done = await self._look(analysis)
        except Exception as error:
            failed = _classify(error)
            again = failed.retryable and not last_attempt
            async with self._database.transaction() as tx:
                if again:
                    await tx.analyses.requeue(id)
                else:
                    await tx.analyses.fail(
                        id, Failure(failed.type, failed.message, failed.retryable)
                    )
            if again or not isinstance(error, AnalysisFailed):
                raise failed from error
            return
        async with self._database.transaction() as tx:
            await tx.analyses.complete(done)

    async def give_up(self, id: UUID, failure: Failure) -> None:
        """For jobs whose workers died over and over."""
        async with self._database.transaction() as tx:
            await tx.analyses.fail(id, failure)

    async def rescue(self, *, older_than: float) -> int:
        """Enqueue again what no job stands for any more; how many."""
        async with self._database.transaction() as tx:
            orphans = await tx.analyses.orphans(older_than)
            for orphan in orphans:
                await tx.jobs.analyse(orphan)
        return len(orphans)

    async def _look(self, analysis: Analysis) -> Analysis:
        started = time.perf_counter()
        data = await self._objects.read(analysis.object_key)
        picture = await asyncio.get_running_loop().run_in_executor(
            self._compute, lambda: decode(data, max_pixels=self._max_pixels)
        )
        findings = await self._backend.look(picture)
        return replace(
            analysis,
            looks=1,
            findings=(findings,),
            description=findings.description,
            visible_text=findings.visible_text,
            tags=tuple(tag.name for tag in findings.tags),
            confidence=findings.confidence,
            processing_ms=(time.perf_counter() - started) * 1000,
        )


def _classify(error: Exception) -> AnalysisFailed:
    match error:
        case AnalysisFailed():
            return error
        case FileNotFoundError():
            return AnalysisFailed(
                FailureType.VALIDATION, "The stored file is gone.", retryable=False
            )
        case OSError() | TimeoutError():
            return AnalysisFailed(
                FailureType.TIMEOUT, "The store did not answer in time.", retryable=True
            )
        case MemoryError():
            return AnalysisFailed(
                FailureType.RESOURCE_LIMIT, "Not enough memory for this picture.", retryable=False
            )
        case _:
            return AnalysisFailed(
                FailureType.UNKNOWN, "The analysis failed unexpectedly.", retryable=True
            )
