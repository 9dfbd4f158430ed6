"""Migrate a database to the present schema.

Numbered SQL files, each applied once, in order, in one transaction with its own record. Several
processes may call this at the same time: an advisory lock lets one through.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from procrastinate.schema import SchemaManager

from ocelli.storage.postgres import text_vectors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LOCK = 0x0CE111  # any constant; it names "the schema is being changed"

_COMMENT = re.compile(r"--.*")
_TAKES_AWAY = re.compile(
    r"\bDROP\s+(TABLE|COLUMN|CONSTRAINT|DEFAULT|FUNCTION|PROCEDURE|TRIGGER|TYPE|VIEW)\b"
    r"|\bRENAME\b|\bSET\s+NOT\s+NULL\b"
    r"|\bALTER\s+(COLUMN\s+)?\w+\s+(SET\s+DATA\s+)?TYPE\b",
    re.IGNORECASE,
)
_TABLE_MADE = re.compile(r"\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)", re.IGNORECASE)
_MADE_UNIQUE = re.compile(r"\bCREATE\s+UNIQUE\s+INDEX\s+\w+\s+ON\s+(\w+)", re.IGNORECASE)


def migrate(dsn: str) -> list[str]:
    """Apply the missing migrations; return their names. Raises psycopg.Error.

    What needs an extension that cannot be had is left out, until a later call. Raises NewerSchema
    for a database that a newer version has migrated.
    """
    with psycopg.connect(dsn, connect_timeout=10) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        rows = connection.execute("SELECT name FROM schema_migrations").fetchall()
        done = {name for (name,) in rows}
        if newer := newer_than_known(done):
            raise NewerSchema(newer)
        now = []
        for name, sql in _steps(fresh=not done):
            if name in done:
                continue
            connection.execute(sql.encode())
            connection.execute("INSERT INTO schema_migrations (name) VALUES (%s)", (name,))
            now.append(name)
        text_vectors.prepare(connection)
        return now


class NewerSchema(RuntimeError):
    """The database has ``migrations`` of a version that is newer than this one."""

    def __init__(self, migrations: list[str]) -> None:
        super().__init__(
            f"The database is of a newer version of Ocelli (it has {migrations[-1]}). Install that "
            "version again, or restore a backup of before: `ocelli docs backup`."
        )
        self.migrations = migrations


def newer_than_known(done: Iterable[str]) -> list[str]:
    """Return which of the migrations are of a newer version: later than the last known one, of the
    queue or of ours.
    """
    known = [name for name, _ in _steps(fresh=False)]
    last = {_is_of_queue(name): name for name in sorted(known)}
    return [name for name in sorted(done) if name > last[_is_of_queue(name)]]


def takes_away(sql: str) -> bool:
    """Return whether a migration takes away or narrows what the version before may use, by its
    text; else it only adds.
    """
    sql = _COMMENT.sub("", sql)
    made_here = set(_TABLE_MADE.findall(sql))
    return bool(_TAKES_AWAY.search(sql)) or not made_here.issuperset(_MADE_UNIQUE.findall(sql))


def open_steps(done: Iterable[str]) -> list[tuple[str, bool]]:
    """Return the names of the migrations that are not in ``done``, and whether each only adds."""
    found = set(done)
    return [
        (name, not takes_away(sql)) for name, sql in _steps(fresh=not found) if name not in found
    ]


def _is_of_queue(name: str) -> bool:
    return name.startswith("procrastinate")


def applied(dsn: str) -> list[str] | None:
    """Return the names of the migrations that a database has; None without our schema."""
    with psycopg.connect(dsn, connect_timeout=10) as connection:
        found = connection.execute("SELECT to_regclass('schema_migrations')").fetchone()
        if found is None or found[0] is None:
            return None
        rows = connection.execute("SELECT name FROM schema_migrations ORDER BY name").fetchall()
    return [name for (name,) in rows]


def missing(dsn: str) -> list[str] | None:
    """Return the names of the missing migrations; None for a database without our schema."""
    done = applied(dsn)
    if done is None:
        return None
    return [name for name, _ in _steps(fresh=not done) if name not in done]


def _steps(*, fresh: bool) -> Iterator[tuple[str, str]]:
    """Yield name and SQL of the migrations: those of the queue, then ours.

    procrastinate ships its schema whole for a fresh database, and as migrations for an older one;
    a fresh database has them all and only takes note of their names.
    """
    if fresh:
        yield "procrastinate", SchemaManager.get_schema()
    for name, sql in _files(Path(SchemaManager.get_migrations_path())):
        yield f"procrastinate/{name}", "" if fresh else sql
    yield from _files(Path(__file__).parent / "migrations")


def _files(folder: Path) -> list[tuple[str, str]]:
    return [(file.stem, file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.sql"))]
