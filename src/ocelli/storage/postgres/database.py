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
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from pydantic_core import from_json

from ocelli.domain.errors import Unavailable, ValidationFailed
from ocelli.storage.postgres.accounts import PostgresAccounts
from ocelli.storage.postgres.activities import PostgresActivities
from ocelli.storage.postgres.analyses import PostgresAnalyses
from ocelli.storage.postgres.answers import PostgresAnswers
from ocelli.storage.postgres.audit import PostgresAudit
from ocelli.storage.postgres.batches import PostgresBatches
from ocelli.storage.postgres.chat_sessions import PostgresChatSessions
from ocelli.storage.postgres.colors import PostgresColors
from ocelli.storage.postgres.connection import ApiConnection, DeadlineConnection, parameters
from ocelli.storage.postgres.console import PostgresConsole
from ocelli.storage.postgres.edits import PostgresEdits
from ocelli.storage.postgres.erasing import PostgresErasing
from ocelli.storage.postgres.erasures import PostgresErasures
from ocelli.storage.postgres.fetch_jobs import PostgresCredits, PostgresFetchJobs
from ocelli.storage.postgres.folders import PostgresFolders
from ocelli.storage.postgres.history import PostgresExports, PostgresHistory
from ocelli.storage.postgres.idempotency import PostgresIdempotencyKeys
from ocelli.storage.postgres.images import PostgresImages
from ocelli.storage.postgres.jobs import PostgresJobs
from ocelli.storage.postgres.members import PostgresMembers
from ocelli.storage.postgres.organize_plans import PostgresOrganizePlans
from ocelli.storage.postgres.picture_facts import PostgresPictureFacts
from ocelli.storage.postgres.picture_vectors import PostgresPictureVectors
from ocelli.storage.postgres.policies import PostgresPolicies
from ocelli.storage.postgres.rates import PostgresRates
from ocelli.storage.postgres.request_log import PostgresRequestLog
from ocelli.storage.postgres.responses import PostgresResponses
from ocelli.storage.postgres.reviews import PostgresReviews
from ocelli.storage.postgres.s3_configs import PostgresS3Configs
from ocelli.storage.postgres.tenant_export import PostgresTenantExport
from ocelli.storage.postgres.tenant_settings import PostgresTenantSettings
from ocelli.storage.postgres.text_vectors import PostgresTextVectors
from ocelli.storage.postgres.upload_sessions import PostgresSessions
from ocelli.storage.postgres.usage import PostgresUsage
from ocelli.storage.postgres.usage_reports import PostgresUsageReports
from ocelli.storage.postgres.vocabularies import PostgresVocabularies
from ocelli.storage.postgres.webhooks import PostgresWebhooks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from ocelli.storage.postgres.rows import Connection

R = TypeVar("R")

# No text to Postgres: NUL as the driver finds it (None), in JSON, and bytes that are no UTF-8.
_NO_TEXT = (None, "22P05", "22021")
FRESH_SECONDS = 0.05  # seconds since a connection was last heard


def _repository(make: Callable[[Connection], R]) -> cached_property[R]:
    """Declare a repository that is created at its first use."""
    return cached_property(lambda transaction: make(transaction.connection))


class PostgresTransaction:
    """The repositories over one connection, usually within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    images = _repository(PostgresImages)
    analyses = _repository(PostgresAnalyses)
    answers = _repository(PostgresAnswers)
    batches = _repository(PostgresBatches)
    s3_configs = _repository(PostgresS3Configs)
    audit = _repository(PostgresAudit)
    members = _repository(PostgresMembers)
    tenant_settings = _repository(PostgresTenantSettings)
    accounts = _repository(PostgresAccounts)
    sessions = _repository(PostgresSessions)
    text_vectors = _repository(PostgresTextVectors)
    picture_vectors = _repository(PostgresPictureVectors)
    usage = _repository(PostgresUsage)
    usage_reports = _repository(PostgresUsageReports)
    chat_sessions = _repository(PostgresChatSessions)
    colors = _repository(PostgresColors)
    folders = _repository(PostgresFolders)
    organize_plans = _repository(PostgresOrganizePlans)
    picture_facts = _repository(PostgresPictureFacts)
    history = _repository(PostgresHistory)
    exports = _repository(PostgresExports)
    policies = _repository(PostgresPolicies)
    rates = _repository(PostgresRates)
    request_log = _repository(PostgresRequestLog)
    responses = _repository(PostgresResponses)
    idempotency = _repository(PostgresIdempotencyKeys)
    fetch_jobs = _repository(PostgresFetchJobs)
    credits = _repository(PostgresCredits)
    jobs = _repository(PostgresJobs)
    edits = _repository(PostgresEdits)
    reviews = _repository(PostgresReviews)
    vocabularies = _repository(PostgresVocabularies)
    console = _repository(PostgresConsole)
    activities = _repository(PostgresActivities)
    webhooks = _repository(PostgresWebhooks)
    tenant_export = _repository(PostgresTenantExport)
    erasures = _repository(PostgresErasures)
    erasing = _repository(PostgresErasing)


class PostgresDatabase:
    """A pool of connections to Postgres. Use as an async context manager.

    Connections are checked when handed out, so that a restart of Postgres causes no errors.
    A server that does not answer is Unavailable after 31 seconds; after 5 with ``short_timeouts``,
    for the API.
    """

    def __init__(
        self, dsn: str, *, max_connections: int, timeout: float = 5.0, short_timeouts: bool = False
    ) -> None:
        kind = ApiConnection if short_timeouts else DeadlineConnection
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
            timeout=timeout,
            check=_check,
            configure=_configure,
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
        """Give a connection in a transaction that ends with the block."""
        async with self._pooled() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def _pooled(self) -> AsyncIterator[DeadlineConnection]:
        """Give a connection of the pool, without a transaction.

        Raises Unavailable; ValidationFailed for text that Postgres cannot store or compare.
        """
        try:
            async with self._pool.connection() as connection:
                yield connection
        except psycopg.DataError as error:
            if error.sqlstate not in _NO_TEXT:
                raise
            raise ValidationFailed("A text holds a NUL character.", field="") from error
        except (PoolTimeout, psycopg.OperationalError, ConnectorException) as error:
            raise Unavailable("The database does not answer right now. Try again.") from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresTransaction]:
        """Give a transaction: it commits with the block, rolls back on an error.

        Raises Unavailable if the database does not answer.
        """
        async with self.connection() as connection:
            yield PostgresTransaction(connection)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[PostgresTransaction]:
        """Give a transaction that only reads, all of one moment. Raises Unavailable."""
        async with self.connection() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield PostgresTransaction(connection)

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[PostgresTransaction]:
        """Give repositories whose every statement is a transaction, which saves two round trips.

        A frozen server would carry a statement out when it resumes, long after the caller got an
        error. So the first one is sent only after the server has answered just now.
        """
        async with self._pooled() as connection:
            if time.monotonic() - connection.last_answer_at > FRESH_SECONDS:
                await connection.execute("SELECT 1")
            yield PostgresTransaction(connection)

    @asynccontextmanager
    async def try_lock(self, name: str) -> AsyncIterator[bool]:
        """Try to take a lock for the block; gives whether this block, in any process, holds it."""
        async with self.connection() as connection:
            cursor = await connection.execute(
                "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0)) AS held", (name,)
            )
            row = await cursor.fetchone()
            yield bool(row and row["held"])

    async def checkpoint(self) -> None:
        """Checkpoint, so that the server reuses files of its write-ahead log."""
        async with self._pooled() as connection:
            await connection.execute("CHECKPOINT")

    async def check(self) -> None:
        """Raise Unavailable if no query can be answered."""
        async with self.connection() as connection:
            await connection.execute("SELECT 1")


def queue_pool(**options: Any) -> AsyncConnectionPool[Any]:
    """Return a pool for procrastinate whose statements have deadlines.

    It saves three round trips for each statement: no transaction around it, no check before it.
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


async def _configure(connection: psycopg.AsyncConnection[Any]) -> None:
    """Parse JSON as pydantic does, twice as fast as json: findings are most of a list's time."""
    set_json_loads(from_json, context=connection)


async def _check(connection: psycopg.AsyncConnection[Any]) -> None:
    """Check a connection only if its socket is readable, as it is after the server closed it."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        await AsyncConnectionPool.check_connection(connection)
