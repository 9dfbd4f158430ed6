"""The interface of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from ocelli.domain.correlation import ORIGIN_ARGUMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping


class Job(Protocol):
    """A job of the queue. It may run twice: its worker can die after any line."""

    async def run(self, id: UUID, *, last_attempt: bool) -> None:
        """Run the job. An error means a retry; the last attempt must bring it to a final state.

        StorageFull means a retry later that counts as no attempt.
        """
        ...

    async def give_up(self, id: UUID, reason: str) -> None:
        """Bring the job to a final state: its workers died at every attempt."""
        ...


def subject(arguments: Mapping[str, Any]) -> UUID:
    """Return the id that a job is about: its only argument with a name in ``_id``.

    Beside that of its origin. Arguments with other names, which a later version may add, are left
    alone: during an upgrade this version's workers run that one's jobs.
    """
    (id,) = (
        value
        for name, value in arguments.items()
        if name.endswith("_id") and name not in ORIGIN_ARGUMENTS
    )
    return UUID(str(id))
