"""What the owner of an installation sees of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ocelli.domain.installation import BackendRecord, DoctorCheck, Installation
    from ocelli.storage.postgres.database import PostgresDatabase


class InstallationView:
    """``inventory`` and ``checks`` read settings and disks; they block."""

    def __init__(
        self,
        database: PostgresDatabase,
        inventory: Callable[[], Installation],
        checks: Callable[[], Sequence[DoctorCheck]],
    ) -> None:
        self._database = database
        self._inventory = inventory
        self._checks = checks
        self._checking: asyncio.Task[Sequence[DoctorCheck]] | None = None

    async def checks(self, *, timeout: float) -> Sequence[DoctorCheck] | None:
        """Return the checks; None if they take longer than ``timeout`` seconds.

        One thread checks at a time: who asks meanwhile gets what it finds.
        """
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(asyncio.to_thread(self._checks))
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.shield(self._checking)
        except TimeoutError:
            return None

    async def parts(self) -> Installation:
        """Return the backends, the models on disk, and the room there is."""
        return await asyncio.to_thread(self._inventory)

    async def records(self, *, hours: int) -> Mapping[str, BackendRecord]:
        """Return how the backends answered in the last hours, by name."""
        start = datetime.now(UTC) - timedelta(hours=hours)
        async with self._database.autocommit() as tx:
            return await tx.usage.records(start)
