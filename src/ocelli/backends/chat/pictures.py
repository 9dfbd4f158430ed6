"""Pictures as chat servers want them: a data URL, made once however many looks it is for."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import pybase64

from ocelli.media.encode import jpeg

if TYPE_CHECKING:
    from ocelli.domain.ports_backends import PictureLike

_Key = tuple[int, int, bool]


class DataUrls:
    """Of all backends of a process. A picture that is no longer held takes its URLs along."""

    def __init__(self) -> None:
        self._made: WeakKeyDictionary[PictureLike, dict[_Key, asyncio.Task[str]]] = (
            WeakKeyDictionary()
        )
        self.encoded = 0

    async def get(self, picture: PictureLike, *, side: int, quality: int, full: bool) -> str:
        """``data:image/jpeg;base64,...``. Raises AnalysisFailed if the file cannot be read again.

        Who asks while it is being made waits for the same one.
        """
        tasks = self._made.setdefault(picture, {})
        key = (side, quality, full)
        task = tasks.get(key)
        if task is None or task.cancelled():
            task = asyncio.create_task(self._make(picture, side, quality, full))
            tasks[key] = task
        return await asyncio.shield(
            task
        )  # a caller that is cancelled does not cancel it for the others

    async def _make(self, picture: PictureLike, side: int, quality: int, full: bool) -> str:
        self.encoded += 1
        work = partial(jpeg, picture, side=side, quality=quality, full=full)
        data = await asyncio.to_thread(work)
        return "data:image/jpeg;base64," + pybase64.b64encode(data).decode("ascii")
