"""Sweep away what nobody needs any more. Each step may be cut off anywhere and run again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocelli.domain.ports import Database
    from ocelli.usecases.stores import Stores

HOUR = 3600.0
DAY = 24 * HOUR
ABANDONED_AFTER = DAY  # longer than any upload takes
RECOVERABLE_FOR = 30 * DAY
AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Swept:
    """How many were removed."""

    staged: int
    objects: int
    images: int


class Housekeeping:
    """Run once an hour by one worker."""

    def __init__(self, database: Database, stores: Stores) -> None:
        self._database = database
        self._stores = stores

    async def run(self) -> Swept:
        """Files of uploads that broke off, objects without a row, pictures deleted long ago."""
        return Swept(
            staged=await asyncio.to_thread(self._staged),
            objects=await self._orphans(),
            images=await self._deleted(),
        )

    def _staged(self) -> int:
        removed = 0
        for file in self._stores.staging.iterdir():
            if file.stat().st_mtime < time.time() - ABANDONED_AFTER:
                file.unlink(missing_ok=True)
                removed += 1
        return removed

    async def _orphans(self) -> int:
        """An upload stores its file before its row: after a day the row is not coming."""
        removed = 0
        async for keys in self._stores.default.keys(older_than=ABANDONED_AFTER):
            async with self._database.transaction() as tx:
                unknown = await tx.images.unknown(keys)
            for key in unknown:
                await self._stores.default.delete(key)
            removed += len(unknown)
        return removed

    async def _deleted(self) -> int:
        """Objects first: a row without objects is found again, objects without a row cost."""
        removed = 0
        while True:
            async with self._database.transaction() as tx:
                images = await tx.images.deleted(older_than=RECOVERABLE_FOR, limit=AT_ONCE)
            for image in images:
                for key in (image.object_key, *(each.object_key for each in image.variants)):
                    await self._stores.default.delete(key)
                async with self._database.transaction() as tx:
                    await tx.images.forget(image.id)
            removed += len(images)
            if len(images) < AT_ONCE:
                return removed
