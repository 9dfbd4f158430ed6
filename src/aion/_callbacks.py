"""Calls the caller's functions: plain or async ones; one that raises harms nothing but itself."""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aion.types.callbacks import (
    DescriptionFailedEvent,
    DescriptionProgressEvent,
    FileCompleteEvent,
    UploadProgressEvent,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from aion.types.callbacks import (
        DescriptionFailedCallback,
        DescriptionProgressCallback,
        FileCompleteCallback,
        ProgressCallback,
    )
    from aion.types.upload import UploadResult

    Event = TypeVar("Event")

log = logging.getLogger("aion")


@dataclass
class Callbacks:
    """The callbacks of one call."""

    on_progress: ProgressCallback | None = None
    on_file_complete: FileCompleteCallback | None = None
    on_description_progress: DescriptionProgressCallback | None = None
    on_description_failed: DescriptionFailedCallback | None = None
    _reported: set[int] = field(default_factory=set, init=False)

    async def read(self, index: int, size: int, filename: str) -> None:
        """A file has been read."""
        await self._call(self.on_progress, UploadProgressEvent(index, size, size, filename))

    async def complete(self, index: int, result: UploadResult) -> None:
        """A file has arrived."""
        await self._call(self.on_file_complete, FileCompleteEvent(index, result))

    async def described(self, done: int, total: int, result: UploadResult) -> None:
        """A description has ended."""
        event = DescriptionProgressEvent(done, total, result)
        await self._call(self.on_description_progress, event)

    async def failed(self, index: int, result: UploadResult) -> None:
        """A file has no description and will get none."""
        await self._call(self.on_description_failed, DescriptionFailedEvent(index, result))

    async def _call(
        self, callback: Callable[[Event], Awaitable[None] | None] | None, event: Event
    ) -> None:
        if callback is None:
            return
        try:
            answer = callback(event)
            if inspect.isawaitable(answer):
                await answer
        except Exception:
            if id(callback) not in self._reported:
                self._reported.add(id(callback))
                log.exception("The callback %r raised; this is reported once", callback)
