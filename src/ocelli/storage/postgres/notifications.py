"""Notifications of changed sessions and answers, on one connection per process."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg

from ocelli.storage.postgres.analyses import ANSWERS
from ocelli.storage.postgres.connection import ApiConnection, parameters
from ocelli.storage.postgres.upload_sessions import CHANNEL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = logging.getLogger(__name__)

RECONNECT_INTERVAL = 0.5
PROBE_INTERVAL = 10.0  # seconds, then the server is asked whether it is there


class ChangeListener:
    """Wakes the tasks that wait for a session or an answer.

    A lost connection wakes all waiters, to look again.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._waiting: dict[UUID, set[asyncio.Event]] = {}
        self._is_disconnected = False

    @asynccontextmanager
    async def listen(self, id: UUID) -> AsyncIterator[asyncio.Event]:
        """Give an event that is set whenever the row of this id has, or may have, changed."""
        event = asyncio.Event()
        self._waiting.setdefault(id, set()).add(event)
        try:
            yield event
        finally:
            others = self._waiting[id]
            others.discard(event)
            if not others:
                del self._waiting[id]

    async def run(self) -> None:
        """Receive notifications until cancelled; reconnect after errors."""
        while True:
            try:
                await self._receive()
            except psycopg.Error as error:
                if not self._is_disconnected:  # once, not with each attempt
                    log.warning("changes: %s", type(error).__name__)
                self._is_disconnected = True
            self._wake_all()
            await asyncio.sleep(RECONNECT_INTERVAL)

    async def _receive(self) -> None:
        connection = await ApiConnection.connect(
            self._dsn,
            autocommit=True,
            application_name="ocelli events",
            **parameters(ApiConnection),
        )
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}; LISTEN {ANSWERS}")
            self._is_disconnected = False
            self._wake_all()  # rows may have changed before LISTEN
            while True:
                async for notification in connection.notifies(timeout=PROBE_INTERVAL):
                    self._wake(UUID(notification.payload))
                await connection.execute("SELECT 1")

    def _wake_all(self) -> None:
        for id in list(self._waiting):
            self._wake(id)

    def _wake(self, id: UUID) -> None:
        for event in self._waiting.get(id, ()):
            event.set()
