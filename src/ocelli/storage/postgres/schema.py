"""Migrate a database to the present schema.

Numbered SQL files, each applied once, in order, in one transaction with its own record. Several
processes may call this at the same time: an advisory lock lets one through.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from procrastinate.schema import SchemaManager

from ocelli.storage.postgres import text_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = 0x0CE111  # any constant; it names "the schema is being changed"


def migrate(dsn: str) -> list[str]:
    """Apply the missing migrations; return their names. Raises psycopg.Error.

    What needs an extension that cannot be had is left out, until a later call.
    """
    with psycopg.connect(dsn, connect_timeout=10) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        rows = connection.execute("SELECT name FROM schema_migrations").fetchall()
        done = {name for (name,) in rows}
        applied = []
        for name, sql in _steps(fresh=not done):
            if name in done:
                continue
            connection.execute(sql.encode())
            connection.execute("INSERT INTO schema_migrations (name) VALUES (%s)", (name,))
            applied.append(name)
        text_vectors.prepare(connection)
        return applied


def missing(dsn: str) -> list[str] | None:
    """Return the names of the missing migrations; None for a database without our schema."""
    with psycopg.connect(dsn, connect_timeout=10) as connection:
        found = connection.execute("SELECT to_regclass('schema_migrations')").fetchone()
        if found is None or found[0] is None:
            return None
        rows = connection.execute("SELECT name FROM schema_migrations").fetchall()
    done = {name for (name,) in rows}
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
