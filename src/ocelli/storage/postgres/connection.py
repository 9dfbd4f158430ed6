"""A connection that hangs up on a server which owes an answer for too long.

A frozen server, or one behind a broken network, acknowledges nothing and ends nothing: only the
client's own clock ends the wait.
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

CANCELS_WITHIN = 1.0
CONNECTS_WITHIN = 5
# Beyond the server's own limit for a statement, so that a server that is only slow says so itself.
MARGIN = 1.0


class DeadlineConnection(psycopg.AsyncConnection[Any]):
    """Each exchange with the server ends within ``statement_timeout`` and a second.

    Then the connection is closed, with an OperationalError for the caller. Waiting for
    notifications is no exchange: the server owes nothing.
    """

    statement_timeout: ClassVar[float] = 30.0
    heard_at = 0.0

    async def wait(self, gen: PQGen[T], *args: Any, **options: Any) -> T:
        """See psycopg: all that is said to the server after the connection is made passes here."""
        loop = asyncio.get_running_loop()
        deadline = loop.call_later(self.statement_timeout + MARGIN, self._hang_up)
        try:
            said = await super().wait(gen, *args, **options)
        finally:
            deadline.cancel()
        self.heard_at = time.monotonic()
        return said

    async def cancel_safe(self, *, timeout: float = CANCELS_WITHIN) -> None:
        """See psycopg; a server that does not answer is not asked for long."""
        await super().cancel_safe(timeout=min(timeout, CANCELS_WITHIN))

    def _hang_up(self) -> None:
        """The waiting end of the socket sees its end, as if the server had gone."""
        if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
            with suppress(OSError), socket.socket(fileno=os.dup(self.pgconn.socket)) as shared:
                shared.shutdown(socket.SHUT_RDWR)


class HastyConnection(DeadlineConnection):
    """For the API, where a client waits: a statement that takes longer is refused with 503."""

    statement_timeout = 4.0


def parameters(kind: type[DeadlineConnection]) -> dict[str, Any]:
    """What the server has to know of it, for ``connect``."""
    limit = int(kind.statement_timeout * 1000)
    return {
        "connect_timeout": CONNECTS_WITHIN,
        "client_encoding": "utf8",  # whatever the environment or the database prefers
        "options": f"-c statement_timeout={limit} -c idle_in_transaction_session_timeout=60s",
    }
