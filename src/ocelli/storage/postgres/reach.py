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


def reach(dsn: str) -> None:
    """Connect once. Raises Unavailable where nobody answers (yet), else DatabaseRefuses."""
    try:
        conninfo = make_conninfo(dsn, connect_timeout=ANSWERS_WITHIN)
    except psycopg.ProgrammingError:
        raise DatabaseRefuses(
            "The database's address cannot be read: postgresql://user:password@host/name is one."
        ) from None
    try:
        with psycopg.connect(conninfo) as connection:
            version = connection.info.server_version // 10_000
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        # Whether it takes connections is known without a name and a password that are right.
        if PGconn.ping(conninfo.encode()) == Ping.OK:
            raise DatabaseRefuses(f"The database refuses: {reason}") from None
        raise Unavailable(f"The database does not answer: {reason}") from None
    if version < OLDEST:
        raise DatabaseRefuses(f"Postgres {version} is too old; {OLDEST} is the oldest that works.")
