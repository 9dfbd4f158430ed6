"""Who has arrived, who is described, who failed: every file of a call exactly once."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aion._batch import Slot
from aion.exceptions import (
    AionvisionError,
    AionvisionTimeoutError,
    QuotaExceededError,
    UploadError,
)
from aion.types.common import DescriptionStatus
from aion.types.describe import DescriptionErrorType
from aion.types.upload import BatchUploadResults, UploadResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aion._callbacks import Callbacks
    from aion._files import Source


class Ledger:
    """The state of one call, and the only place that tells the caller about it.

    Every file is told as ``complete`` or ``failed``; with descriptions awaited, every file ends
    with exactly one ``described``.
    """

    def __init__(self, sources: Sequence[Source], callbacks: Callbacks, *, wait: bool) -> None:
        self.slots = [Slot(index, source) for index, source in enumerate(sources)]
        self.session_id: str | None = None
        self._callbacks = callbacks
        self._wait = wait
        self._ended = 0
        self._last_progress = time.monotonic()

    async def read(self, slot: Slot, size: int, sha256: str) -> None:
        """A file's bytes have been seen."""
        slot.size, slot.sha256 = size, sha256
        await self._callbacks.read(slot.index, size, slot.source.filename)

    async def arrived(self, slot: Slot, result: UploadResult) -> None:
        """The server has this file, and those with the same content."""
        for each in (slot, *slot.twins):
            await self._arrived(each, result)

    async def twin(self, slot: Slot, first: Slot) -> None:
        """This file has the content of another one of the call."""
        first.twins.append(slot)
        if first.cause is not None:
            await self._rejected(slot, first.cause, first.result)
        elif first.result is not None:
            await self._arrived(slot, first.result)

    async def _arrived(self, slot: Slot, result: UploadResult) -> None:
        slot.result = replace(result, filename=slot.source.filename)
        slot.arrived = True
        self._last_progress = time.monotonic()
        await self._callbacks.complete(slot.index, slot.result)
        if not slot.result.is_pending:
            await self._end(slot)

    async def described(self, slot: Slot, result: UploadResult) -> None:
        """The description of this file has ended, and of those with the same content."""
        for each in (slot, *slot.twins):
            each.result = replace(result, filename=each.source.filename)
            await self._end(each)

    async def rejected(
        self,
        slot: Slot,
        cause: AionvisionError,
        *,
        kind: DescriptionErrorType = DescriptionErrorType.VALIDATION_ERROR,
        retryable: bool = False,
    ) -> None:
        """This file cannot be uploaded, nor those with the same content."""
        result = UploadResult(
            image_id="",
            filename=slot.source.filename,
            object_key="",
            description_status=DescriptionStatus.FAILED,
            description_error=cause.message,
            description_error_type=kind.value,
            description_is_retryable=retryable,
        )
        for each in (slot, *slot.twins):
            await self._rejected(each, cause, result)

    async def _rejected(
        self, slot: Slot, cause: AionvisionError, result: UploadResult | None
    ) -> None:
        assert result is not None
        slot.cause = cause
        slot.result = replace(result, filename=slot.source.filename)
        await self._end(slot)

    async def _end(self, slot: Slot) -> None:
        if slot.described:
            return
        slot.described = True
        self._ended += 1
        self._last_progress = time.monotonic()
        assert slot.result is not None
        if slot.result.is_failed:
            await self._callbacks.failed(slot.index, slot.result)
        if self._wait:
            await self._callbacks.described(self._ended, len(self.slots), slot.result)

    # -----------------------------------------------------------------------------------------

    def check_time(self, timeout: float) -> None:
        """Raise if nothing has arrived and nothing was described for ``timeout`` seconds."""
        if time.monotonic() - self._last_progress > timeout:
            results = self.arrivals()
            raise AionvisionTimeoutError(
                f"{results.pending_count} of {len(self.slots)} pictures are not described, and "
                f"none was within {timeout:g} s",
                last_result=results,
                details={"session_id": self.session_id},
            )

    def arrivals(self) -> BatchUploadResults:
        """The results of all files that the server has, in order."""
        return BatchUploadResults(s.result for s in self.slots if s.arrived and s.result)

    def conclude(self, *, raise_on_failure: bool) -> BatchUploadResults:
        """All results in order; or the exception that they call for."""
        results = BatchUploadResults(s.result for s in self.slots if s.result)
        if raise_on_failure:
            self._raise_for_rejected(results)
            results.raise_on_failures()
        return results

    def _raise_for_rejected(self, results: BatchUploadResults) -> None:
        rejected = [s for s in self.slots if s.cause is not None]
        if not rejected:
            return
        first = rejected[0]
        assert first.cause is not None
        name = first.source.path or first.source.filename
        raise UploadError(
            f"{len(rejected)} of {len(self.slots)} files could not be uploaded, first {name}: "
            f"{first.cause.message}",
            filename=str(name),
            stage=getattr(first.cause, "stage", None) or "upload",
            session_id=self.session_id,
            partial_results=results,
            details=answer_details(first.cause),
        ) from first.cause

    def broken_off(self, error: AionvisionError) -> AionvisionError:
        """The exception for a call that had to stop, with what was finished before."""
        partial = self.arrivals()
        if isinstance(error, QuotaExceededError):
            error.partial_results = partial
            return error
        if not partial:
            return error
        stopped = UploadError(
            f"Stopped after {len(partial)} of {len(self.slots)} files: {error.message}",
            stage=getattr(error, "stage", None) or "chunk_upload",
            session_id=self.session_id,
            partial_results=partial,
            details={**answer_details(error), "cause": error.code},
        )
        stopped.__cause__ = error
        return stopped


def answer_details(error: AionvisionError) -> dict[str, Any]:
    """Which answer an error is about: what an error that is raised from it says too."""
    return {k: v for k, v in error.details.items() if k in ("status", "request_id")}
