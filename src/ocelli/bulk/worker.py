"""What one process of a run does with a source: read it, describe it, and say what came of it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from ocelli.bulk import buckets, rows
from ocelli.bulk.rows import Content
from ocelli.domain.analysis import Failure
from ocelli.domain.errors import AnalysisFailed, FailureType, OcelliError, TooLarge
from ocelli.domain.findings import Color
from ocelli.media.colors import extract
from ocelli.media.decode import MAX_SIDE, decode
from ocelli.media.files import MEGABYTE, read_regular

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ocelli.bulk.rows import Row
    from ocelli.bulk.tasks import Task
    from ocelli.domain.analysis import AnalysisAnswer, VerificationLevel
    from ocelli.domain.claims import Tokens
    from ocelli.domain.ports_backends import PictureLike
    from ocelli.domain.ports_fetch import Fetcher
    from ocelli.domain.questions import Question
    from ocelli.usecases.decoders import DecoderPool
    from ocelli.usecases.open_vocabulary import OpenVocabulary
    from ocelli.usecases.verification_engine import Engine

T = TypeVar("T")

log = logging.getLogger(__name__)

RUN = UUID(int=0)  # decoders are shared among tenants, and there is only this one
MAX_BACKOFF = 60  # seconds
WEB = ("http://", "https://")


class PictureWorker:
    """Describes pictures with the engine of a server's workers, many at a time."""

    def __init__(
        self,
        engine: Engine,
        decoders: DecoderPool,
        fetcher: Fetcher,
        question: Question,
        level: VerificationLevel,
        vocabulary: OpenVocabulary | None,
        *,
        token_cost: Callable[[str, Tokens], float | None],
        max_bytes: int,
        max_attempts: int,
        timeout: float,
    ) -> None:
        self._engine = engine
        self._decoders = decoders
        self._fetcher = fetcher
        self._question = question
        self._level = level
        self._vocabulary = vocabulary
        self._token_cost = token_cost
        self._max_bytes = max_bytes
        self._max_attempts = max_attempts
        self._timeout = timeout

    async def work(self, task: Task, claim: Callable[[Task, str], Awaitable[bool]]) -> Row:
        """Return the row of a task; it never raises what a picture or a backend can cause.

        ``claim`` is asked once the SHA-256 of its bytes is known, whether it is to be described:
        equal bytes of another source are described once.
        """
        try:
            data = await self._with_retries(partial(self._read, task))
        except AnalysisFailed as failed:
            return rows.failed(task, _failure(failed))
        content = Content(hashlib.sha256(data).hexdigest(), len(data))
        if not await claim(task, content.key):
            return rows.duplicate(task, content)
        try:
            return await self._with_retries(partial(self._describe, task, content, data))
        except AnalysisFailed as failed:
            return rows.failed(task, _failure(failed), content)

    async def _with_retries(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try as often as a server would. Raises AnalysisFailed."""
        for number in range(1, self._max_attempts + 1):
            try:
                return await attempt()
            except Exception as error:
                failed = _classify(error)
                if not failed.retryable or number == self._max_attempts:
                    raise failed from error
            await asyncio.sleep(min(MAX_BACKOFF, 2**number))
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _read(self, task: Task) -> bytes:
        if task.data is not None:
            if len(task.data) > self._max_bytes:
                raise TooLarge(
                    f"The file is larger than the limit of {self._max_bytes // MEGABYTE} MB."
                )
            return task.data
        location = task.location or ""
        if location.startswith(WEB):
            fetched = await self._fetcher.get(location, max_bytes=self._max_bytes)
            return fetched.data
        read = buckets.read if location.startswith(buckets.SCHEME) else read_regular
        return await asyncio.to_thread(read, location, self._max_bytes)

    async def _describe(self, task: Task, content: Content, data: bytes) -> Row:
        why_not = self._engine.why_not(self._question.backends)
        if why_not is not None:  # else the local models would answer in its place
            raise AnalysisFailed(FailureType.VLM_ERROR, why_not, retryable=True)
        started = time.perf_counter()
        async with asyncio.timeout(self._timeout):
            picture = await self._decoders.decode(
                RUN,
                data,
                partial(decode, data, max_pixels=self._decoders.max_pixels),
                side=MAX_SIDE,
            )
            answer = await self._engine.answer(
                picture, self._question, self._level, self._vocabulary
            )
            colors = await _colors(answer, picture)
        return rows.done(
            task,
            content,
            picture,
            answer,
            self._level,
            colors,
            seconds=time.perf_counter() - started,
            token_cost=self._token_cost,
        )


async def _colors(answer: AnalysisAnswer, picture: PictureLike) -> tuple[Color, ...]:
    """Return the colours that a backend found; chat models find none, so they are measured."""
    found = next((each.colors for each in answer.findings if each.colors), None)
    if found is not None:
        return found
    palette = await asyncio.to_thread(extract, picture.pixels)
    return tuple(Color(each.rgb.hex, each.name, each.percentage / 100) for each in palette.colors)


def _failure(failed: AnalysisFailed) -> Failure:
    return Failure(failed.type, failed.message, failed.retryable)


def _classify(error: Exception) -> AnalysisFailed:
    match error:
        case AnalysisFailed():
            return error
        case OcelliError():
            kind = FailureType.TIMEOUT if error.retryable else FailureType.VALIDATION
            return AnalysisFailed(kind, error.message, retryable=error.retryable)
        case TimeoutError():
            return AnalysisFailed(
                FailureType.TIMEOUT,
                "No answer came within the time an analysis may take.",
                retryable=True,
            )
        case FileNotFoundError() | IsADirectoryError() | PermissionError() | ValueError():
            reason = getattr(error, "strerror", None) or str(error)
            return AnalysisFailed(
                FailureType.VALIDATION, f"The file cannot be read: {reason}.", retryable=False
            )
        case OSError():
            return AnalysisFailed(FailureType.TIMEOUT, error.strerror or str(error), retryable=True)
        case MemoryError():
            return AnalysisFailed(
                FailureType.RESOURCE_LIMIT, "Not enough memory for this picture.", retryable=False
            )
        case _:
            log.error("a picture failed unexpectedly", exc_info=error)
            return AnalysisFailed(
                FailureType.UNKNOWN, "The analysis failed unexpectedly.", retryable=True
            )
