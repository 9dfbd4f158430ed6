"""Follows the descriptions of a call: by session where there is one, else by lists of ids."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Any

from aion._batch import SESSION_STATES_DONE
from aion._paths import segment
from aion._shape import object_of
from aion._waiting import (
    Pulse,
    explain,
    fetch_rows,
    fetch_session_items,
    merge,
    session_pulse,
)
from aion.exceptions import ResourceNotFoundError
from aion.types.upload import UploadResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aion._batch import Slot
    from aion._http import Http
    from aion._ledger import Ledger

MAX_WATCHED_AT_ONCE = 2  # the oldest: the server works in order, and counts our requests

MAX_ASKED_SINGLY = 20
DELETED = {
    "description_status": "failed",
    "description_error": "the picture was deleted before it was described",
    "error_type": "unknown",
    "is_retryable": False,
}


class Watch:
    """Asks about the oldest sessions of a call, once per interval each."""

    def __init__(self, http: Http, ledger: Ledger, *, timeout: float, interval: float) -> None:
        self._http = http
        self._ledger = ledger
        self._timeout = timeout
        self._interval = interval
        self._turn = asyncio.Semaphore(MAX_WATCHED_AT_ONCE)
        self._events_offered = True
        self._loose: dict[str, Slot] = {}
        self._polling = False

    async def session(self, session_id: str, slots: Iterable[Slot]) -> None:
        """Until every file of a session is described.

        Raises:
            AionvisionTimeoutError: nothing was described for too long.
        """
        left = _by_image(slots)
        async with self._turn:
            refused = self._no_events if self._events_offered else None
            async with session_pulse(
                self._http, session_id, self._interval, unavailable=refused
            ) as pulse:
                await self._follow(session_id, left, pulse)
            await self._rows(left)

    def _no_events(self) -> None:
        self._events_offered = False

    async def _follow(self, session_id: str, left: dict[str, Slot], pulse: Pulse) -> None:
        seen = -1
        while left:
            path = f"/uploads/sessions/{segment(session_id)}/status"
            status = object_of(await self._http.json("GET", path))
            keys = ("completed_files", "failed_files", "skipped_files")
            done = sum(status.get(key) or 0 for key in keys)
            over = status.get("status") in SESSION_STATES_DONE
            if done != seen or over:
                seen = done
                await self._take(left, await self._session_items(session_id, left))
            if over or not left:
                return
            self._ledger.check_time(self._timeout)
            await pulse.wait()

    async def _session_items(
        self, session_id: str, left: dict[str, Slot]
    ) -> dict[str, dict[str, Any]]:
        """What is new, with the confidence that a session's results may lack."""
        items = await fetch_session_items(self._http, session_id)
        fresh = {i["image_id"]: i for i in items if i.get("image_id") in left and _may_be_final(i)}
        lacking = [key for key, item in fresh.items() if _lacks_something(item)]
        rows = await self._rows_of(lacking)
        return {key: merge(rows.get(key, {}), item) for key, item in fresh.items()}

    def add(self, slots: Iterable[Slot]) -> bool:
        """Follow these too, which have no session; whether :meth:`files` has to be started."""
        self._loose |= _by_image(slots)
        if self._polling or not self._loose:
            return False
        self._polling = True
        return True

    async def files(self) -> None:
        """Until every file that was added is described: the oldest hundred in one request.

        Raises:
            AionvisionTimeoutError: nothing was described for too long.
        """
        await self._rows(self._loose)
        self._polling = False

    async def _rows(self, left: dict[str, Slot]) -> None:
        pulse = Pulse(min(0.1, self._interval), self._interval)
        while left:
            asked = [*islice(left, 100)]
            await self._take(left, await self._rows_of(asked))
            if any(image_id in left for image_id in asked):
                self._ledger.check_time(self._timeout)
                await pulse.wait()

    async def _rows_of(self, image_ids: list[str]) -> dict[str, dict[str, Any]]:
        """What the library says about these; the few that it does not list are asked for."""
        rows = await fetch_rows(self._http, image_ids) if image_ids else {}
        for image_id in [i for i in image_ids if i not in rows][:MAX_ASKED_SINGLY]:
            rows[image_id] = await self._row_of(image_id)
        return rows

    async def _row_of(self, image_id: str) -> dict[str, Any]:
        try:
            row = object_of(await self._http.json("GET", f"/user-files/{segment(image_id)}"))
        except ResourceNotFoundError:
            return DELETED
        return row

    async def _take(self, left: dict[str, Slot], items: dict[str, dict[str, Any]]) -> None:
        for image_id, item in items.items():
            slot = left.get(image_id)
            if slot is None or slot.result is None:
                continue
            known = {
                "image_id": image_id,
                "filename": slot.source.filename,
                "object_key": item.get("object_key") or slot.result.object_key,
                "redescribed": slot.result.redescribed,
            }
            result = UploadResult.from_api_response(item, **known)
            if not result.is_pending:
                del left[image_id]
                await self._ledger.described(slot, await explain(self._http, result))


def _by_image(slots: Iterable[Slot]) -> dict[str, Slot]:
    return {s.result.image_id: s for s in slots if s.result and s.result.is_pending}


def _may_be_final(item: dict[str, Any]) -> bool:
    return (item.get("description_status") or item.get("status")) not in (
        "pending",
        "queued",
        "processing",
        "uploading",
    )


def _lacks_something(item: dict[str, Any]) -> bool:
    """A skipped file has the description of the picture that was there before."""
    return "confidence_score" not in item or item.get("status") == "skipped"
