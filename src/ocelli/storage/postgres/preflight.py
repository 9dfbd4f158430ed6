"""Check the connection to the database before processes are started that need it."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from ocelli.domain.errors import Unavailable

CONNECT_TIMEOUT = 5
MIN_POSTGRES_VERSION = 14


class DatabaseRefuses(RuntimeError):
    """The database cannot be used with these settings; the message holds no password."""


def check_connection(dsn: str) -> None:
    """Connect. Raises Unavailable if no server answers, DatabaseRefuses for other failures."""
    try:
        conninfo = make_conninfo(dsn, connect_timeout=CONNECT_TIMEOUT)
    except psycopg.ProgrammingError:
        raise DatabaseRefuses(
            "The database's address cannot be read: postgresql://user:password@host/name is one."
        ) from None
    try:
        version = _version(conninfo)
    except psycopg.OperationalError as error:
        # Whether it takes connections is known without a name and a password that are right.
        if PGconn.ping(conninfo.encode()) != Ping.OK:
            raise Unavailable(f"The database does not answer: {_reason(error)}") from None
        version = _version_or_refusal(conninfo)
    if version < MIN_POSTGRES_VERSION:
        raise DatabaseRefuses(
            f"Postgres {version} is too old; {MIN_POSTGRES_VERSION} is the oldest that works."
        )


def _version_or_refusal(conninfo: str) -> int:
    """Connect again, as the server may have started between the connection and the ping."""
    try:
        return _version(conninfo)
    except psycopg.OperationalError as error:
        raise DatabaseRefuses(f"The database refuses: {_reason(error)}") from None


def _version(conninfo: str) -> int:
    with psycopg.connect(conninfo) as connection:
        return connection.info.server_version // 10_000


def _reason(error: psycopg.OperationalError) -> str:
    return " ".join(str(error).split())
