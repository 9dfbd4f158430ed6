"""What becomes of a picture when a job on it raises an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.domain.errors import StorageFull
from ocelli.domain.jobs import report

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def is_settled(
    error: Exception,
    give_up: Callable[[str], Awaitable[None]],
    message: str,
    *,
    last_attempt: bool,
) -> bool:
    """Fail a broken picture, and any at the last attempt; return whether the job has ended.

    If it has not, raise ``error``: the queue tries again or writes it down. ``message`` is told of
    errors that have none. A full disk says nothing about the picture.
    """
    if isinstance(error, StorageFull):
        return False
    broken = getattr(error, "retryable", True) is False
    if broken or last_attempt:
        await give_up(getattr(error, "message", message))
    if broken:
        report(status="failed", error_type=type(error).__name__)
    return broken
