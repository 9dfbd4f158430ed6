"""What an upgrade to this version would change, and whether anything is in its way."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import psycopg

from ocelli.domain.installation import DoctorCheck
from ocelli.storage.postgres.schema import applied, newer_than_known, open_steps
from ocelli.wiring.checks import MIN_FREE_BYTES, disk
from ocelli.wiring.data_folder import NoInstallation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ocelli.settings import Settings

OLDEST_PGVECTOR = (0, 8)


def upgrade_checks(settings: Settings, dsn: str) -> Iterator[DoctorCheck]:
    """Yield what is found; nothing is changed. Raises NoInstallation without our schema."""
    done = applied(dsn)
    if done is None:
        raise NoInstallation("There is no installation in the database.")
    steps = open_steps(done)
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        yield _postgres(connection, is_embedded=settings.database_url is None)
        yield _pgvector(connection)
        yield _migrations(newer_than_known(done), [name for name, _ in steps])
        yield _workers([name for name, only_adds in steps if not only_adds], bool(steps))
        yield _room(settings, connection, is_needed=bool(steps))


def _postgres(connection: psycopg.Connection[Any], *, is_embedded: bool) -> DoctorCheck:
    version = connection.info.server_version // 10_000  # one too old is refused before
    kind = "embedded" if is_embedded else "configured"
    return DoctorCheck("database", f"Postgres {version}, {kind}")


def _pgvector(connection: psycopg.Connection[Any]) -> DoctorCheck:
    found = connection.execute(
        "SELECT installed_version, default_version FROM pg_available_extensions"
        " WHERE name = 'vector'"
    ).fetchone()
    if found is None:
        return DoctorCheck("pgvector", "not to be had: searches find words, not meaning")
    installed, available = found
    version: str = installed or available
    told = version if installed else f"{version}, not created yet"
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_PGVECTOR:
        return DoctorCheck(
            "pgvector", f"{told}: too old", "install 0.8 or newer; ALTER EXTENSION vector UPDATE"
        )
    return DoctorCheck("pgvector", told)


def _migrations(newer: Sequence[str], missing: Sequence[str]) -> DoctorCheck:
    if newer:
        return DoctorCheck(
            "migrations",
            f"the database is of a newer version: it has {', '.join(newer)}",
            "install the newer version again, or restore a backup of before",
        )
    if missing:
        return DoctorCheck("migrations", f"{len(missing)} open: {', '.join(missing)}")
    return DoctorCheck("migrations", "none is open")


def _workers(takes_away: Sequence[str], is_any_open: bool) -> DoctorCheck:
    name = "servers and workers of before"
    if takes_away:
        return DoctorCheck(
            name,
            f"{', '.join(takes_away)} may take away what they use",
            "stop them before `ocelli serve` or `ocelli migrate` of this version",
        )
    return DoctorCheck(name, "may go on: migrations only add" if is_any_open else "may go on")


def _room(
    settings: Settings, connection: psycopg.Connection[Any], *, is_needed: bool
) -> DoctorCheck:
    """Check the disk: a migration may write every row of the embedded database anew."""
    if settings.database_url is not None or not is_needed:
        return disk(settings)
    row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    size: int = row[0] if row else 0
    free = shutil.disk_usage(settings.data).free
    told = f"{free / 1024**3:.1f} GB free, the database has {size / 1024**3:.1f} GB"
    if free > size + MIN_FREE_BYTES:
        return DoctorCheck("disk", told)
    return DoctorCheck("disk", told, "free as much as the database has, and 1 GB")
