"""Refold the search words of pictures after an update changed the folding."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocelli.storage.postgres.database import PostgresDatabase

AT_ONCE = 100
MAX_SECONDS = 5.0  # seconds of one call: the sweep of a worker waits for it

log = logging.getLogger(__name__)


class SearchIndex:
    """Maintains the search words; safe to repeat, and to interrupt after any picture."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def refold(self) -> int:
        """Refold stale pictures for at most ``MAX_SECONDS``; return how many.

        Each has a transaction of its own, so that changes of a picture wait for one only.
        """
        deadline = time.monotonic() + MAX_SECONDS
        count = 0
        while time.monotonic() < deadline:
            async with self._database.transaction() as tx:
                ids = await tx.images.stale(AT_ONCE)
            for id in ids:
                async with self._database.transaction() as tx:
                    await tx.images.refold(id)
            count += len(ids)
            if len(ids) < AT_ONCE:
                break
        if count:
            log.info("folded the words of %d pictures again", count)
        return count
