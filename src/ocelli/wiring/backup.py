"""Back an installation up into a folder, and restore it from there."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import ocelli
from ocelli.domain.backups import BackupFailed, Manifest, NamedObject, ObjectsReport
from ocelli.media.blob_writer import sync
from ocelli.storage.backup import dump
from ocelli.storage.backup.folder import (
    DUMP,
    RECEIPTS,
    SECRET,
    Backup,
    BackupFolder,
    full_disk_told,
    listing,
)
from ocelli.storage.embedded import EmbeddedPostgres, exclusive
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.storage.postgres.erasures import from_json
from ocelli.storage.postgres.preflight import check_connection
from ocelli.storage.postgres.schema import applied, migrate, newer_than_known
from ocelli.usecases.backup import ObjectsBackup, restore_objects
from ocelli.usecases.erasures import Erasures
from ocelli.usecases.store_resolver import StoreResolver
from ocelli.wiring.adapters import custom_storage, objects, secret, write_private
from ocelli.wiring.data_folder import NoInstallation, local_store, make_private
from ocelli.wiring.installation import database_for_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ocelli.domain.backups import KeptObject, Problem
    from ocelli.settings import Settings

    Tell = Callable[[str, int, int], None]

T = TypeVar("T")

WANTED = "wanted.jsonl"


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup has done; ``removed`` are older backups, and objects of these alone."""

    name: str
    manifest: Manifest
    objects: ObjectsReport
    removed: tuple[int, int]


def back_up(settings: Settings, target: Path, *, keep: int, tell: Tell) -> BackupReport:
    """Back the installation up, beside its server or without one.

    ``tell`` is called with what is done, how far it is, and of how many. Raises BackupFailed,
    NoInstallation, OcelliError, DatabaseRefuses, EmbeddedPostgresError or OSError; older backups
    are whole then.
    """
    folder = BackupFolder(target)
    _check_target(settings, folder.root)
    if settings.secret is None and not (settings.data / "secret").exists():
        raise BackupFailed(
            f"The secret of the installation is not in {settings.data}.",
            "back up where `ocelli serve` runs, or set OCELLI_SECRET",
        )
    with database_for_command(settings) as dsn:
        if applied(dsn) is None:
            raise NoInstallation("There is no installation in the database.")
        with folder.locked(create=True), full_disk_told():
            unfinished = folder.start()
            with dump.snapshot(dsn) as snapshot:
                facts = snapshot.facts()
                tell("database", 0, 1)
                snapshot.dump(unfinished / DUMP)
                report = ObjectsReport(total=_write_wanted(snapshot, unfinished))
            asyncio.run(_copy(settings, dsn, folder, report, tell))
            (unfinished / WANTED).unlink()
            if settings.secret is None:
                write_private(unfinished / SECRET, secret(settings).decode())
            sizes = [each.size for each in Backup(unfinished).objects()]
            manifest = Manifest(
                made_at=datetime.now(UTC).isoformat(timespec="seconds"),
                ocelli=ocelli.__version__,
                secret=_fingerprint(secret(settings)),
                missing=report.problems,
                objects=len(sizes),
                bytes=sum(sizes),
                **asdict(facts),
            )
            name = _new_name(folder)
            folder.keep_receipts(_union(folder.receipts(), dump.receipts(dsn)))
            folder.finish(name, manifest)
            return BackupReport(name, manifest, report, folder.prune(keep))


def verify(target: Path, name: str | None, *, tell: Tell) -> tuple[Backup, list[Problem]]:
    """Read all of a backup, the newest without ``name``; return what is damaged in it."""
    folder = BackupFolder(target)
    with folder.locked():
        backup = folder.backup(name)
        return backup, _damage(folder, backup, tell)


def restore(
    settings: Settings, target: Path, name: str | None, *, replace_all: bool, tell: Tell
) -> tuple[Backup, ObjectsReport]:
    """Restore an installation from a backup, the newest without ``name``.

    Verifies it first. Objects are restored before the rows that name them, and the database in one
    transaction: what was interrupted is done by doing it again. Raises what ``back_up`` does.
    """
    folder = BackupFolder(target)
    with folder.locked():
        backup = folder.backup(name)
        if problems := _damage(folder, backup, tell):
            raise BackupFailed(
                f"The backup {backup.name} is damaged: {problems[0].reason}"
                + (f", and {len(problems) - 1:,} more" if problems[1:] else "")
                + ". Nothing was changed.",
                f"ocelli backup --verify {target}, or another one with --at",
            )
        manifest = backup.manifest()
        _check_version(manifest)
        _check_secret(settings, backup, manifest)
        make_private(settings)
        with _database(settings) as dsn, full_disk_told():
            _check_database(dsn, manifest, replace_all=replace_all)
            receipts = _receipts_before(settings, dsn, folder)
            report = ObjectsReport(total=manifest.objects)
            asyncio.run(_put_back(settings, folder, backup, report, tell))
            with _secret_in_place(settings, backup):
                tell("database", 0, 1)
                dump.load(dsn, backup.dump, extension_schema=manifest.extension_schema)
            report.erased = _erase_again(settings, dsn, receipts)
    return backup, report


def _union(*lists: Sequence[str]) -> Sequence[str]:
    """Return the receipts of all lists, of each the last one."""
    found = {from_json(text).id: text for texts in lists for text in texts}
    return list(found.values())


def _receipts_before(settings: Settings, dsn: str, folder: BackupFolder) -> Sequence[str]:
    """Return the receipts that count after a restore: those that the folder knows, and those of the
    database that is replaced, which are kept in the data folder until all is done.
    """
    kept = settings.data / RECEIPTS
    before = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    found = _union(folder.receipts(), before, dump.receipts(dsn))
    if found:
        write_private(kept, "".join(f"{each}\n" for each in found))
        sync(kept)
    return found


def _erase_again(settings: Settings, dsn: str, receipts: Sequence[str]) -> int:
    """Erase what the restore has brought back, by receipts; return how many of these counted."""
    if not receipts:
        return 0
    migrate(dsn)  # the backup may be of a version without receipts

    async def run() -> int:
        store = objects(settings)
        async with PostgresDatabase(dsn, max_connections=2) as database:
            stores = StoreResolver(store, custom_storage(settings, database, store.staging))
            return await Erasures(database, stores).reapply(map(from_json, receipts))

    erased = asyncio.run(run())
    (settings.data / RECEIPTS).unlink(missing_ok=True)
    return erased


async def _copy(
    settings: Settings, dsn: str, folder: BackupFolder, report: ObjectsReport, tell: Tell
) -> None:
    store = objects(settings)
    async with PostgresDatabase(dsn, max_connections=2) as database:
        with listing(folder.unfinished) as write:
            backup = ObjectsBackup(store, folder, _known(folder), write, report)
            await backup.run(
                _told(_read_wanted(folder.unfinished), "objects", report, tell), database
            )


async def _put_back(
    settings: Settings, folder: BackupFolder, backup: Backup, report: ObjectsReport, tell: Tell
) -> None:
    told = _told(backup.objects(), "objects", report, tell)
    await restore_objects(folder, told, objects(settings), report)


def _told(each_of: Iterator[T], what: str, report: ObjectsReport, tell: Tell) -> Iterator[T]:
    """Yield all, and tell how far the copying is."""
    for each in each_of:
        yield each
        tell(what, report.done, report.total)


def _write_wanted(snapshot: dump.Snapshot, folder: Path) -> int:
    """Write down which objects rows name, so that the snapshot can end; return their number."""
    count = 0
    with (folder / WANTED).open("w", encoding="utf-8") as lines:
        for count, each in enumerate(snapshot.objects(), 1):  # noqa: B007
            lines.write(json.dumps(asdict(each)) + "\n")
    return count


def _read_wanted(folder: Path) -> Iterator[NamedObject]:
    with (folder / WANTED).open(encoding="utf-8") as lines:
        for line in lines:
            yield NamedObject(**json.loads(line))


def _known(folder: BackupFolder) -> Mapping[str, KeptObject]:
    """Return the objects of the newest backup whose hash no row has, by key."""
    known = {}
    with contextlib.suppress(BackupFailed):  # there is none, or it is damaged
        for each in folder.backup().objects():
            if not each.key.startswith("uploads/"):
                known[each.key] = each
    return known


def _new_name(folder: BackupFolder) -> str:
    """Return the next number, so that names are in order whatever the clock says, and the time."""
    newest = (folder.names() or ["000000"])[-1]
    return f"{int(newest[:6]) + 1:06}-{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}"


def _damage(folder: BackupFolder, backup: Backup, tell: Tell) -> list[Problem]:
    total = 0
    with contextlib.suppress(BackupFailed):
        total = backup.manifest().objects
    return list(folder.damage(backup, lambda done: tell("verified", done, total)))


def _check_target(settings: Settings, target: Path) -> None:
    for place in filter(None, (settings.data, local_store(settings))):
        if target.resolve().is_relative_to(place.resolve()):
            raise BackupFailed(
                f"{target} is in {place}, and would be lost with it.", "name a folder elsewhere"
            )


def _check_version(manifest: Manifest) -> None:
    if newer := newer_than_known(manifest.migrations):
        raise BackupFailed(
            f"The backup was made by a newer version of Ocelli, {manifest.ocelli}: it has "
            f"{newer[-1]}.",
            "restore it with that version",
        )


def _check_secret(settings: Settings, backup: Backup, manifest: Manifest) -> None:
    """Check that the secret of the settings, or of the backup, is that of the installation."""
    found = settings.secret.get_secret_value().encode() if settings.secret else backup.secret
    if found is None:
        raise BackupFailed(
            "The installation had its secret from OCELLI_SECRET, which is in no backup.",
            "set OCELLI_SECRET as it was",
        )
    if _fingerprint(found) != manifest.secret:
        raise BackupFailed(
            "OCELLI_SECRET is not the secret of this backup: credentials of buckets and webhooks "
            "could not be read.",
            "set it as it was" if backup.secret is None else "set it as it was, or leave it away",
        )


def _fingerprint(of: bytes) -> str:
    return hmac.digest(of, b"ocelli backup", "sha256").hex()


@contextlib.contextmanager
def _database(settings: Settings) -> Iterator[str]:
    """Give the database to restore into; the embedded one is made if there is none."""
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()
        check_connection(dsn)
        yield dsn
        return
    postgres = EmbeddedPostgres(settings.data / "postgres")
    with exclusive(settings.data, timeout=2.0):
        postgres.start()
        try:
            yield postgres.dsn
        finally:
            postgres.stop()


def _check_database(dsn: str, manifest: Manifest, *, replace_all: bool) -> None:
    """Check that the database may be replaced, before anything is changed."""
    if count := dump.connections_of_servers(dsn):
        raise BackupFailed(
            f"Servers or workers have {count} connections to the database.", "stop them first"
        )
    schema = dump.schema_of(dsn)
    if schema != manifest.schema:
        raise BackupFailed(
            f"The backup is of the schema {manifest.schema}; this database's is {schema}."
        )
    tables = dump.tables(dsn)
    if tables and "schema_migrations" not in tables:
        raise BackupFailed(
            f"The database holds tables of another program, such as {min(tables)}.",
            "give Ocelli a database of its own",
        )
    if tables and not replace_all:
        raise BackupFailed(
            "There is an installation already.",
            "--replace puts the backup in its place; what it holds is lost",
        )


@contextlib.contextmanager
def _secret_in_place(settings: Settings, backup: Backup) -> Iterator[None]:
    """Put the backup's secret in place for the block, and for good if the block succeeds."""
    restored = backup.secret
    if restored is None or settings.secret is not None:
        yield
        return
    path = settings.data / "secret"
    before = path.read_bytes() if path.exists() else None
    _replace(path, restored)
    try:
        yield
    except BaseException:
        if before is not None:
            _replace(path, before)
        raise


def _replace(path: Path, data: bytes) -> None:
    unfinished = path.with_name("secret.restored")
    write_private(unfinished, data.decode())
    sync(unfinished)
    unfinished.rename(path)
    sync(path.parent)
