"""What the owner of an installation sees of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocelli.domain.installation import BackendRecord, Installation
    from ocelli.storage.postgres.database import PostgresDatabase


class InstallationView:
    """``inventory`` reads settings and disks; it blocks."""

    def __init__(self, database: PostgresDatabase, inventory: Callable[[], Installation]) -> None:
        self._database = database
        self._inventory = inventory

    async def parts(self) -> Installation:
        """Return the backends, the models on disk, and the room there is."""
        return await asyncio.to_thread(self._inventory)

    async def records(self, *, hours: int) -> Mapping[str, BackendRecord]:
        """Return how the backends answered in the last hours, by name."""
        start = datetime.now(UTC) - timedelta(hours=hours)
        async with self._database.autocommit() as tx:
            return await tx.usage.records(start)
