"""The words that pictures are found by, once an update folds words otherwise."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocelli.storage.postgres.database import PostgresDatabase

AT_ONCE = 100
LONGEST = 5.0  # seconds of one call: the sweep of a worker waits for it

log = logging.getLogger(__name__)


class SearchIndex:
    """Must be safe to repeat, and to be cut off after any picture."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def fold_again(self) -> int:
        """Fold the words of pictures anew that are stale, as many as ``LONGEST`` allows; how many.

        Each in a transaction of its own, so that what changes a picture meanwhile waits for one.
        """
        ends_at = time.monotonic() + LONGEST
        count = 0
        while time.monotonic() < ends_at:
            async with self._database.transaction() as tx:
                ids = await tx.images.stale(AT_ONCE)
            for id in ids:
                async with self._database.transaction() as tx:
                    await tx.images.fold_again(id)
            count += len(ids)
            if len(ids) < AT_ONCE:
                break
        if count:
            log.info("folded the words of %d pictures again", count)
        return count
