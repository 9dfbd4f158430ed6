"""The pool, and one transaction per request or job."""

from __future__ import annotations

import select
import time
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from procrastinate.exceptions import ConnectorException
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from ocelli.domain.errors import Unavailable
from ocelli.storage.postgres.accounts import PostgresAccounts
from ocelli.storage.postgres.analyses import PostgresAnalyses
from ocelli.storage.postgres.answers import PostgresAnswers
from ocelli.storage.postgres.batches import PostgresBatches
from ocelli.storage.postgres.colors import PostgresColors
from ocelli.storage.postgres.connection import DeadlineConnection, HastyConnection, parameters
from ocelli.storage.postgres.fetch_jobs import PostgresCredits, PostgresFetchJobs
from ocelli.storage.postgres.history import PostgresExports, PostgresHistory
from ocelli.storage.postgres.idempotency import PostgresIdempotencyKeys
from ocelli.storage.postgres.images import PostgresImages
from ocelli.storage.postgres.jobs import PostgresJobs
from ocelli.storage.postgres.rates import PostgresRates
from ocelli.storage.postgres.s3_configs import PostgresS3Configs
from ocelli.storage.postgres.sessions import PostgresSessions
from ocelli.storage.postgres.usage import PostgresUsage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from ocelli.storage.postgres.rows import Connection

R = TypeVar("R")

TRUSTED_FOR = 0.05  # seconds since a connection was last heard


def _repository(make: Callable[[Connection], R]) -> cached_property[R]:
    """Declare a repository that is made when it is first used."""
    return cached_property(lambda transaction: make(transaction.connection))


class PostgresTransaction:
    """Everything that can be done before one commit: repositories over one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    images = _repository(PostgresImages)
    analyses = _repository(PostgresAnalyses)
    answers = _repository(PostgresAnswers)
    batches = _repository(PostgresBatches)
    s3_configs = _repository(PostgresS3Configs)
    accounts = _repository(PostgresAccounts)
    sessions = _repository(PostgresSessions)
    usage = _repository(PostgresUsage)
    colors = _repository(PostgresColors)
    history = _repository(PostgresHistory)
    exports = _repository(PostgresExports)
    rates = _repository(PostgresRates)
    idempotency = _repository(PostgresIdempotencyKeys)
    fetch_jobs = _repository(PostgresFetchJobs)
    credits = _repository(PostgresCredits)
    jobs = _repository(PostgresJobs)


class PostgresDatabase:
    """A pool of connections to Postgres. Use as an async context manager.

    Connections are checked when handed out, so that a restarted Postgres costs no caller an error.
    One that does not answer at all is Unavailable after 31 seconds; after 5 if ``hasty``, where a
    client waits.
    """

    def __init__(
        self, dsn: str, *, max_connections: int, wait: float = 5.0, hasty: bool = False
    ) -> None:
        kind = HastyConnection if hasty else DeadlineConnection
        self._pool: AsyncConnectionPool[DeadlineConnection] = AsyncConnectionPool(
            dsn,
            connection_class=kind,
            kwargs={
                **parameters(kind),
                "row_factory": dict_row,
                "autocommit": True,  # transactions are begun where they are wanted
                "application_name": "ocelli",
            },
            min_size=1,
            max_size=max_connections,
            timeout=wait,
            check=_check,
            reconnect_timeout=0.5,
            open=False,
        )

    async def __aenter__(self) -> PostgresDatabase:
        await self._pool.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close(timeout=2.0)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection in a transaction that ends with the block."""
        async with self._taken() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def _taken(self) -> AsyncIterator[DeadlineConnection]:
        """A connection of the pool, in no transaction."""
        try:
            async with self._pool.connection() as connection:
                yield connection
        except (PoolTimeout, psycopg.OperationalError, ConnectorException) as error:
            raise Unavailable("The database does not answer right now. Try again.") from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresTransaction]:
        """Commits when its block ends, rolls back if it raises; Unavailable if there is none."""
        async with self.connection() as connection:
            yield PostgresTransaction(connection)

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[PostgresTransaction]:
        """For statements each of which is a transaction by itself. Spares two round trips.

        A frozen server would carry one out when it thaws, long after the caller was told that it
        was not: so the first is not sent to a server of which nothing has just been heard.
        """
        async with self._taken() as connection:
            if time.monotonic() - connection.heard_at > TRUSTED_FOR:
                await connection.execute("SELECT 1")
            yield PostgresTransaction(connection)

    @asynccontextmanager
    async def try_lock(self, name: str) -> AsyncIterator[bool]:
        """Whether this block is the only one of that name right now, in any process."""
        async with self.connection() as connection:
            cursor = await connection.execute(
                "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0)) AS held", (name,)
            )
            row = await cursor.fetchone()
            yield bool(row and row["held"])

    async def checkpoint(self) -> None:
        """Let the server use the files of its log again, rather than make new ones."""
        async with self._taken() as connection:
            await connection.execute("CHECKPOINT")

    async def check(self) -> None:
        """Raise Unavailable if no query can be answered."""
        async with self.connection() as connection:
            await connection.execute("SELECT 1")


def queue_pool(**options: Any) -> AsyncConnectionPool[Any]:
    """The pool that procrastinate would make, without its three more round trips a statement: it
    begins and ends transactions around each, and asks for an answer before. Each statement has a
    deadline.
    """

    async def configure(connection: psycopg.AsyncConnection[Any]) -> None:
        await connection.set_autocommit(True)

    return AsyncConnectionPool(
        **{
            **options,
            "connection_class": DeadlineConnection,
            "kwargs": parameters(DeadlineConnection),
            "check": _check,
            "configure": configure,
        }
    )


async def _check(connection: psycopg.AsyncConnection[Any]) -> None:
    """Ask only a connection that has something to say: a server that went away has hung up."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        await AsyncConnectionPool.check_connection(connection)
