"""Connections that close themselves if the server does not answer in time.

A frozen server, or one behind a broken network, never ends a statement: only the client's clock
can end the wait.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

if TYPE_CHECKING:
    from psycopg.abc import PQGen

T = TypeVar("T")

CANCEL_TIMEOUT = 1.0
CONNECT_TIMEOUT = 5
# Beyond the server's own limit for a statement, so that a server that is only slow says so itself.
MARGIN = 1.0


class DeadlineConnection(psycopg.AsyncConnection[Any]):
    """Each exchange with the server must end within ``statement_timeout`` + ``MARGIN`` seconds.

    Else the connection is closed, and the caller gets an OperationalError. Waiting for
    notifications is no exchange.
    """

    statement_timeout: ClassVar[float] = 30.0
    last_answer_at = 0.0

    async def wait(self, gen: PQGen[T], *args: Any, **options: Any) -> T:
        """See psycopg: each exchange with the server after connecting passes here."""
        loop = asyncio.get_running_loop()
        deadline = loop.call_later(self.statement_timeout + MARGIN, self._hang_up)
        try:
            result = await super().wait(gen, *args, **options)
        finally:
            deadline.cancel()
        self.last_answer_at = time.monotonic()
        return result

    async def cancel_safe(self, *, timeout: float = CANCEL_TIMEOUT) -> None:
        """See psycopg; waits at most ``CANCEL_TIMEOUT`` seconds."""
        await super().cancel_safe(timeout=min(timeout, CANCEL_TIMEOUT))

    def _hang_up(self) -> None:
        """Shut the socket down, so that the waiting side sees the end of the connection."""
        if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
            with suppress(OSError), socket.socket(fileno=os.dup(self.pgconn.socket)) as shared:
                shared.shutdown(socket.SHUT_RDWR)


class ApiConnection(DeadlineConnection):
    """A connection of the API, where clients wait: a statement of over 4 s ends with 503."""

    statement_timeout = 4.0


def parameters(kind: type[DeadlineConnection]) -> dict[str, Any]:
    """Return the parameters of ``connect`` for connections of this class."""
    limit = int(kind.statement_timeout * 1000)
    return {
        "connect_timeout": CONNECT_TIMEOUT,
        "client_encoding": "utf8",  # whatever the environment or the database prefers
        "options": f"-c statement_timeout={limit} -c idle_in_transaction_session_timeout=60s",
    }
