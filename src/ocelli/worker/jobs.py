"""What a worker can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Mapping


REQUEST = "request_id"


class Job(Protocol):
    """A use case of the queue. It may run twice: its worker can die after any line."""

    async def run(self, id: UUID, *, last_attempt: bool) -> None:
        """Do it. Raises to be tried again, and never leaves it unfinished on the last attempt.

        Raises StorageFull to be tried later, with as many attempts as now.
        """
        ...

    async def give_up(self, id: UUID, reason: str) -> None:
        """Its workers died over and over: end it."""
        ...


def subject(arguments: Mapping[str, Any]) -> UUID:
    """What a job is about: its only argument but for the request that it is done for."""
    (id,) = (value for name, value in arguments.items() if name != REQUEST)
    return UUID(str(id))
