"""Asking the server how far descriptions have come, without asking too often."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aion._paths import segment
from aion._retry import backoff
from aion._shape import list_of, object_of
from aion.exceptions import (
    AionvisionError,
    AionvisionTimeoutError,
    ResourceNotFoundError,
)
from aion.resources._base import pages
from aion.types.describe import DescriptionFailure
from aion.types.upload import UploadResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from aion._http import Http

log = logging.getLogger("aion")

FIRST_POLL = 0.05  # seconds; a fast server should feel fast
AFTER_EVENT = 1.0  # seconds between two looks at a session that sends events


async def fetch_result(http: Http, image_id: str, filename: str | None = None) -> UploadResult:
    """What is known about one picture now, reasons of a failure included."""
    data = await http.json("GET", f"/user-files/{segment(image_id)}")
    known = {"filename": filename} if filename else {}
    return await explain(http, UploadResult.from_api_response(data, **known))


async def explain(http: Http, result: UploadResult) -> UploadResult:
    """The same result; if it failed, with the reason."""
    if not result.is_failed or result.description_error_type:
        return result
    status: dict[str, Any] = {}
    with suppress(ResourceNotFoundError):
        status = await http.json("GET", f"/uploads/status/{segment(result.image_id)}") or {}
    message = status.get("error_message") or result.description_error or "no reason given"
    kind, retryable = DescriptionFailure.classify_error(message)
    said = status.get("is_retryable")
    return replace(
        result,
        description_error=message,
        description_error_type=status.get("error_type") or kind.value,
        description_is_retryable=retryable if said is None else said,
    )


async def wait_for_result(
    http: Http,
    image_id: str,
    *,
    timeout: float,
    interval: float,
    first: float = FIRST_POLL,
    filename: str | None = None,
) -> UploadResult:
    """Ask until the description has ended: quickly at first, then every ``interval`` seconds.

    Raises:
        AionvisionTimeoutError: it has not within ``timeout`` seconds.
    """
    deadline, delay = time.monotonic() + timeout, min(first, interval)
    while True:
        try:
            result = await fetch_result(http, image_id, filename)
        except AionvisionError as error:
            error.details.setdefault("image_id", image_id)
            raise
        left = deadline - time.monotonic()
        if not result.is_pending:
            return result
        if left <= 0:
            raise AionvisionTimeoutError(
                f"{result.filename} is stored as {image_id} but was not described within "
                f"{timeout:g} s",
                last_result=result,
                details={"image_id": image_id},
            )
        await asyncio.sleep(min(delay, left))
        delay = backoff(delay, interval)


async def fetch_rows(http: Http, image_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """One request for up to a hundred pictures: id → what is known about it."""
    params = {"ids": list(image_ids), "limit": len(image_ids)}
    answer = await http.json("GET", "/user-files", params=params)
    return {object_of(row, "id")["id"]: row for row in list_of(answer, "files")}


async def fetch_existing(http: Http, filenames: dict[str, str]) -> dict[str, UploadResult]:
    """What is known about pictures that were there before: id → result under a new file name."""
    if not filenames:
        return {}
    rows = await fetch_rows(http, list(filenames))
    results = {}
    for image_id, filename in filenames.items():
        if row := rows.get(image_id):
            known = {"filename": filename, "object_key": row.get("object_key") or ""}
            results[image_id] = await explain(http, UploadResult.from_api_response(row, **known))
            continue
        with suppress(ResourceNotFoundError):  # deleted meanwhile
            results[image_id] = await fetch_result(http, image_id, filename)
    return results


async def fetch_session_items(http: Http, session_id: str) -> list[dict[str, Any]]:
    """All results of an upload session."""
    path = f"/uploads/sessions/{segment(session_id)}/results"

    async def fetch(where: dict[str, Any]) -> tuple[list[dict[str, Any]], bool, str | None]:
        params = {"limit": 100, "include_failed": "true", **where}
        answer = object_of(await http.json("GET", path, params=params))
        return answer.get("results", []), answer.get("has_more", False), answer.get("next_cursor")

    return [item async for item in pages(fetch)]


def merge(row: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """A session's item over the file's row: the item wins where it says something."""
    return {**row, **{k: v for k, v in item.items() if v is not None and v != []}}


class Pulse:
    """When to look again: after a while, or soon after the server has sent an event.

    The while grows from ``first`` to ``interval`` seconds; events do not make it shorter than
    that, but for ``AFTER_EVENT`` at most, so that a busy session is not asked for every file.
    """

    def __init__(self, first: float, interval: float) -> None:
        self._delay = first
        self._interval = interval
        self._changed = asyncio.Event()
        self.listening = False

    def beat(self) -> None:
        """Something has changed."""
        self._changed.set()

    async def wait(self) -> None:
        """Sleep until it is time to look again."""
        delay, self._delay = self._delay, backoff(self._delay, self._interval)
        if not self.listening:
            await self._sleep(delay)
            return
        pause = min(delay, AFTER_EVENT)
        await asyncio.sleep(pause)
        await self._sleep(self._interval - pause)

    async def _sleep(self, delay: float) -> None:
        # Not wait_for: before Python 3.12 it can swallow a cancellation.
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._changed.wait()
        self._changed.clear()


@asynccontextmanager
async def session_pulse(
    http: Http, session_id: str, interval: float, *, unavailable: Callable[[], None] | None
) -> AsyncIterator[Pulse]:
    """A pulse that listens to the session's events.

    Args:
        unavailable: called if the server offers no events; None: do not even ask for them.
    """
    pulse = Pulse(min(0.1, interval), interval)
    if unavailable is None:
        yield pulse
        return
    listener = asyncio.create_task(_listen(http, session_id, pulse, unavailable))
    try:
        yield pulse
    finally:
        listener.cancel()
        await asyncio.wait([listener])


async def _listen(
    http: Http, session_id: str, pulse: Pulse, unavailable: Callable[[], None]
) -> None:
    try:
        async with http.events(f"/uploads/sessions/{segment(session_id)}/events") as events:
            pulse.listening = True
            async for _ in events:
                pulse.beat()
    except AionvisionError as error:
        if not pulse.listening:
            unavailable()
        log.debug("no events of session %s: %s", session_id, error)
    finally:
        pulse.listening = False
        pulse.beat()
