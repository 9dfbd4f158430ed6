"""Live progress of a session as server-sent events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ocelli.api.aion.sessions import mapping
from ocelli.usecases.waiting import set_within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ocelli.api.services import Services
    from ocelli.domain.upload_sessions import Session

AT_MOST_EVERY = 0.1
ALIVE_EVERY = 15.0
LONGEST = 3600.0


def frame(event: str, data: str) -> str:
    r"""Return an event of a stream; ``data`` has no line breaks.

    >>> frame("done", "{}")
    'event: done\ndata: {}\n\n'
    """
    return f"event: {event}\ndata: {data}\n\n"


async def progress(services: Services, session: Session) -> AsyncIterator[str]:
    """Yield the state now and after each change, at most ten times a second.

    Ends with the session, or after an hour: clients come again.
    """
    ends_at = asyncio.get_running_loop().time() + LONGEST
    async with services.listen(session.id) as changed:
        while True:
            changed.clear()  # before reading, so that no change falls between
            found = await services.sessions.details(session.tenant_id, str(session.id))
            over = found.session.status.is_final and not found.session.pending
            yield frame("done" if over else "progress", mapping.details(found).model_dump_json())
            if over or asyncio.get_running_loop().time() > ends_at:
                return
            await asyncio.sleep(AT_MOST_EVERY)
            while not await set_within(changed, ALIVE_EVERY):
                yield ": still here\n\n"
