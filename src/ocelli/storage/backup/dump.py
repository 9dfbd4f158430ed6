"""Dump and load the database with Postgres's own programs."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ocelli.domain.backups import BackupFailed, NamedObject
from ocelli.storage.embedded import binary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

CONNECT_TIMEOUT = 10
LOCK_TIMEOUT = "60s"  # of tables that a migration is changing
ROWS_AT_ONCE = 1000
# Settings that pg_restore makes and that an older server does not know.
UNKNOWN_TO_OLDER = (b"SET transaction_timeout = 0;\n",)

_OBJECTS: LiteralString = """
SELECT object_key, content_type, size_bytes, encode(sha256, 'hex'), false
    FROM images WHERE storage_target = 'default'
UNION ALL
SELECT v.object_key, 'image/webp', v.size_bytes, NULL, false
    FROM variants v JOIN images i ON i.id = v.image_id WHERE i.storage_target = 'default'
UNION ALL
SELECT object_key, %(unknown)s, NULL, NULL, false FROM exports WHERE object_key IS NOT NULL
UNION ALL
SELECT DISTINCT a.object_key, %(unknown)s, NULL::bigint, NULL, false FROM analyses a
    WHERE a.image_id IS NULL AND a.object_key <> '' AND a.storage_target = 'default'
    AND NOT EXISTS (SELECT FROM images i WHERE i.object_key = a.object_key)
UNION ALL
SELECT object_key, coalesce(content_type, %(unknown)s), NULL, NULL, true FROM items
    WHERE state IN ('uploading', 'confirming') AND object_key IS NOT NULL
    AND storage_target = 'default'
"""

_SERVICE = "[ocelli]"  # the section of a service file

# Drop everything of the schema but what belongs to extensions. All names come first: what is
# dropped takes others with it.
_CLEAR = """
DO $clear$
DECLARE
    commands text[] := array(
        SELECT format('DROP TABLE IF EXISTS %s CASCADE', oid::regclass) FROM pg_class c
            WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
        UNION ALL
        SELECT format('DROP SEQUENCE IF EXISTS %s CASCADE', oid::regclass) FROM pg_class c
            WHERE relnamespace = current_schema()::regnamespace AND relkind = 'S'
            AND NOT EXISTS
                (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('e', 'i', 'a'))
        UNION ALL
        SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', oid::regprocedure) FROM pg_proc p
            WHERE pronamespace = current_schema()::regnamespace
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
        UNION ALL
        SELECT format('DROP TYPE IF EXISTS %s CASCADE', oid::regtype) FROM pg_type t
            WHERE typnamespace = current_schema()::regnamespace
            AND (typtype IN ('e', 'd') OR typtype = 'c' AND EXISTS
                (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')
    );
    command text;
BEGIN
    FOREACH command IN ARRAY commands LOOP
        EXECUTE command;
    END LOOP;
END
$clear$;
"""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """A database at one moment. ``extension_schema`` is where pgvector is; None without it."""

    postgres: int
    schema: str
    extension_schema: str | None
    migrations: Sequence[str]
    rows: Mapping[str, int]


class Snapshot:
    """The database as it is at one moment: its dump and its rows agree."""

    def __init__(self, dsn: str, connection: psycopg.Connection[Any]) -> None:
        self._dsn = dsn
        self._connection = connection

    def facts(self) -> DatabaseFacts:
        """Return what there is."""
        return DatabaseFacts(
            postgres=self._connection.info.server_version // 10_000,
            schema=_one(self._connection, "SELECT current_schema()"),
            extension_schema=_one(
                self._connection,
                "SELECT extnamespace::regnamespace::text FROM pg_extension"
                " WHERE extname = 'vector'",
            ),
            migrations=[
                name
                for (name,) in self._connection.execute(
                    "SELECT name FROM schema_migrations ORDER BY name"
                )
            ],
            rows={
                name: _one(self._connection, query)
                for name, query in {
                    "tenants": "SELECT count(*) FROM tenants",
                    "keys": "SELECT count(*) FROM api_keys",
                    "pictures": "SELECT count(*) FROM images",
                    "analyses": "SELECT count(*) FROM analyses",
                }.items()
            },
        )

    def objects(self) -> Iterator[NamedObject]:
        """Yield the objects in the installation's store that rows name."""
        with self._connection.cursor("objects") as cursor:
            cursor.itersize = ROWS_AT_ONCE
            cursor.execute(_OBJECTS, {"unknown": NamedObject(key="").content_type})
            for key, content_type, size, sha256, optional in cursor:
                yield NamedObject(
                    key=key,
                    content_type=content_type,
                    size=size,
                    sha256=sha256,
                    optional=optional,
                )

    def dump(self, path: Path) -> None:
        """Write the dump, in the format that pg_restore reads. Raises BackupFailed."""
        version = self._connection.info.server_version // 10_000
        command = [
            *(_program("pg_dump", version), "--format=custom", f"--file={path}", "--no-password"),
            *("--no-owner", "--no-privileges", f"--lock-wait-timeout={LOCK_TIMEOUT}"),
            f"--snapshot={_one(self._connection, 'SELECT pg_export_snapshot()')}",
            f"--schema={_one(self._connection, 'SELECT quote_ident(current_schema())')}",
        ]
        with _access(self._dsn) as (address, environment):
            done = subprocess.run(
                [*command, f"--dbname={address}"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                check=False,
            )
        if done.returncode != 0:
            raise BackupFailed(f"The database cannot be dumped: {_said(done.stderr)}")


@contextlib.contextmanager
def snapshot(dsn: str) -> Iterator[Snapshot]:
    """Give the database as it is now, for the block."""
    with psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield Snapshot(dsn, connection)


def tables(dsn: str) -> Sequence[str]:
    """Return the names of the tables in the schema."""
    with psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT) as connection:
        return [
            name
            for (name,) in connection.execute(
                "SELECT c.relname FROM pg_class c"
                " WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')"
                " AND NOT EXISTS"
                " (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')"
            )
        ]


def schema_of(dsn: str) -> str | None:
    """Return the schema that tables are made in; None if there is none."""
    with psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT) as connection:
        return _one(connection, "SELECT current_schema()")  # type: ignore[no-any-return]


def receipts(dsn: str) -> Sequence[str]:
    """Return the receipts of erasures, each as JSON; none of a database that has no such table."""
    with psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT) as connection:
        if _one(connection, "SELECT to_regclass('erasures')") is None:
            return []
        rows = connection.execute("SELECT to_jsonb(e)::text FROM erasures e ORDER BY requested_at")
        return [text for (text,) in rows]


def connections_of_servers(dsn: str) -> int:
    """Return how many connections servers and workers have to the database."""
    with psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT) as connection:
        found: int = _one(
            connection,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name LIKE 'ocelli%'",
        )
        return found


def load(dsn: str, path: Path, *, extension_schema: str | None) -> None:
    """Replace the schema's tables by those of a dump, in one transaction. Raises BackupFailed.

    Killed at any moment, it leaves what was there: only the last line commits.
    """
    with psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT) as connection:
        version = connection.info.server_version // 10_000
        schema = _one(connection, "SELECT current_schema()")
    restoring = [
        *(_program("pg_restore", version), "--file=-", "--no-owner", "--no-privileges"),
        *(f"--schema={schema}", str(path)),
    ]
    with (
        _access(dsn) as (address, environment),
        tempfile.TemporaryFile() as said,
        tempfile.TemporaryFile() as said_by_reader,
    ):
        psql = subprocess.Popen(
            [
                *(_program("psql", version), "--no-psqlrc", "--quiet", "--no-password"),
                *("--set=ON_ERROR_STOP=1", f"--dbname={address}"),
            ],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        reader = subprocess.Popen(
            restoring, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said_by_reader
        )
        assert psql.stdin is not None
        assert reader.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # psql says why it ended
                psql.stdin.write(_opening(extension_schema))
                _pass_on(reader.stdout, psql.stdin)
                if reader.wait() != 0:
                    said_by_reader.seek(0)
                    raise BackupFailed(f"The dump cannot be read: {_said(said_by_reader.read())}")
                psql.stdin.write(b"\nCOMMIT;\n")
            with contextlib.suppress(BrokenPipeError):
                psql.stdin.close()
            if psql.wait() != 0:
                said.seek(0)
                raise BackupFailed(f"The database cannot be restored: {_said(said.read())}")
        finally:
            for process in (psql, reader):
                process.kill()
                process.wait()
            reader.stdout.close()
            with contextlib.suppress(BrokenPipeError):
                psql.stdin.close()
    with psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT, autocommit=True) as connection:
        connection.execute("ANALYZE")


def _opening(extension_schema: str | None) -> bytes:
    extension = ""
    if extension_schema is not None:
        extension = f"CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA {extension_schema};\n"
    return f"BEGIN;\nSET client_min_messages = warning;\n{_CLEAR}{extension}".encode()


def _pass_on(source: IO[bytes], target: IO[bytes]) -> None:
    """Pass a script on, without the settings at its head that older servers do not know."""
    for line in source:
        if line not in UNKNOWN_TO_OLDER:
            target.write(line)
        if line.startswith(b"CREATE "):
            break
    shutil.copyfileobj(source, target)


def _program(name: str, server: int) -> str:
    """Return the path of a program of Postgres that is not older than the server.

    Ours is taken, or that of the system if the server is newer. Raises BackupFailed.
    """
    own = binary(name)
    if _version_of(own) >= server:
        return own
    found = shutil.which(name)
    if found is not None and _version_of(found) >= server:
        return found
    raise BackupFailed(
        f"The database is Postgres {server}, which needs its own {name}.",
        f"install the clients of Postgres {server}, so that `{name}` is in PATH",
    )


def _version_of(program: str) -> int:
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    match = re.search(r"(\d+)", told.stdout)
    return int(match[1]) if match else 0


@contextlib.contextmanager
def _access(dsn: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Give address and environment for Postgres's programs: no secret is in the list of processes.

    The password has a variable; other secrets, such as that of a client's key, are read from a
    service file that is there for the block. Raises BackupFailed.
    """
    parts = conninfo_to_dict(dsn)
    environment = {**os.environ, "PGAPPNAME": "backup"}
    if (password := parts.pop("password", None)) is not None:
        environment["PGPASSWORD"] = str(password)
    secrets = {name: str(parts.pop(name)) for name in _secret_parameters() & parts.keys()}
    if not secrets:
        yield make_conninfo("", **parts), environment
        return
    if "service" in parts:
        raise BackupFailed(
            f"The address of the database names a service, and {' and '.join(sorted(secrets))}.",
            "put that into the service file",
        )
    lines = [_SERVICE, *(f"{name}={value}" for name, value in secrets.items())]
    if any(line != line.strip() or not line.isprintable() for line in lines):
        raise BackupFailed("A secret of the database's address has white space at its end.")
    with tempfile.NamedTemporaryFile("w", prefix="ocelli-", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        environment["PGSERVICEFILE"] = file.name
        yield make_conninfo("", **parts, service=_SERVICE.strip("[]")), environment


def _secret_parameters() -> set[str]:
    """Return the parameters that libpq shows as passwords, and those that stand for one."""
    told = psycopg.pq.Conninfo.get_defaults()
    hidden = {each.keyword.decode() for each in told if each.dispchar == b"*"}
    return hidden | {"scram_client_key", "scram_server_key"}


def _one(connection: psycopg.Connection[Any], query: LiteralString) -> Any:
    row = connection.execute(query).fetchone()
    return row[0] if row else None


def _said(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines()
    return " ".join(lines[:5]) or "no reason was given"
