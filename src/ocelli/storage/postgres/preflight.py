"""Whether a database lets us in, asked before anything is started that needs it."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from ocelli.domain.errors import Unavailable

ANSWERS_WITHIN = 5
OLDEST = 14


class DatabaseRefuses(RuntimeError):
    """It never will as things are; the message says why, and holds no password."""


def check_connection(dsn: str) -> None:
    """Connect. Raises Unavailable where no server answers (yet), else DatabaseRefuses."""
    try:
        conninfo = make_conninfo(dsn, connect_timeout=ANSWERS_WITHIN)
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
    if version < OLDEST:
        raise DatabaseRefuses(f"Postgres {version} is too old; {OLDEST} is the oldest that works.")


def _version_or_refusal(conninfo: str) -> int:
    """Once more, now that it answers: it may have come up between the two questions."""
    try:
        return _version(conninfo)
    except psycopg.OperationalError as error:
        raise DatabaseRefuses(f"The database refuses: {_reason(error)}") from None


def _version(conninfo: str) -> int:
    with psycopg.connect(conninfo) as connection:
        return connection.info.server_version // 10_000


def _reason(error: psycopg.OperationalError) -> str:
    return " ".join(str(error).split())
