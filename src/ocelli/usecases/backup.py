"""Copy the objects of an installation into a backup, and back."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from typing import TYPE_CHECKING

from ocelli.domain.backups import KeptObject, NamedObject, ObjectsReport, Problem
from ocelli.media.blob_writer import BlobWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping
    from typing import Any

    from ocelli.domain.ports_storage import Objects
    from ocelli.storage.backup.folder import BackupFolder
    from ocelli.storage.postgres.database import PostgresDatabase

AT_ONCE = 8


class ObjectsBackup:
    """Copies objects from ``store`` into ``folder``.

    ``known`` are those without a hash in their row that the backup before holds, by key. What is
    under a key never changes, so what the folder has is not read again.
    """

    def __init__(
        self,
        store: Objects,
        folder: BackupFolder,
        known: Mapping[str, KeptObject],
        write: Callable[[KeptObject], None],
        report: ObjectsReport,
    ) -> None:
        self._store = store
        self._folder = folder
        self._known = known
        self._write = write
        self.report = report
        self._missing: dict[str, Problem] = {}

    async def run(self, named: Iterable[NamedObject], database: PostgresDatabase) -> None:
        """Copy what is not in the folder. Raises OcelliError or OSError where neither store nor
        folder can be used.

        An object that the store does not have is told, unless the server has removed its row since.
        """
        await _all(self._copy(each) for each in named)
        missing = list(self._missing)
        for start in range(0, len(missing), 1000):
            async with database.transaction() as tx:
                gone = await tx.images.unknown(missing[start : start + 1000])
            self.report.gone += len(gone)
            for key in gone:
                del self._missing[key]
        self.report.problems.extend(self._missing.values())

    async def _copy(self, named: NamedObject) -> None:
        kept = self._kept(named)
        if kept is not None and await asyncio.to_thread(self._folder.holds, kept.sha256, kept.size):
            self._write(kept)
        else:
            try:
                self._write(await self._copied(named))
            except FileNotFoundError:
                if not named.optional:
                    self._missing[named.key] = Problem(named.key, "is not in the store")
        self.report.done += 1

    def _kept(self, named: NamedObject) -> KeptObject | None:
        if named.sha256 is not None and named.size is not None:
            return KeptObject(named.key, named.content_type, named.size, named.sha256)
        known = self._known.get(named.key)
        return known if known and named.size in (None, known.size) and not named.optional else None

    async def _copied(self, named: NamedObject) -> KeptObject:
        with self._folder.blob() as blob:
            await self._store.copy_to(named.key, blob.write)
            if named.sha256 not in (None, blob.sha256):
                self.report.problems.append(
                    Problem(named.key, "is in the store, but not the file that was uploaded")
                )
            kept = KeptObject(named.key, named.content_type, blob.size, blob.sha256)
            await asyncio.to_thread(self._folder.keep, blob)
        self.report.copied += 1
        self.report.copied_bytes += kept.size
        return kept


async def restore_objects(
    folder: BackupFolder, kept: Iterable[KeptObject], store: Objects, report: ObjectsReport
) -> None:
    """Put the objects of a backup into the store; those that are there already stay.

    Raises OcelliError or OSError where neither store nor folder can be used.
    """

    async def restore(each: KeptObject) -> None:
        if not await _is_there(store, each):
            with BlobWriter(store.staging) as blob:
                await asyncio.to_thread(_read, folder, each, blob)
                await store.put(each.key, blob, each.content_type)
            report.copied += 1
            report.copied_bytes += each.size
        report.done += 1

    await _all(restore(each) for each in kept)


async def _is_there(store: Objects, kept: KeptObject) -> bool:
    """Return whether the store has the object with the same bytes."""
    if await store.size(kept.key) != kept.size:
        return False
    digest = hashlib.sha256()
    with contextlib.suppress(FileNotFoundError):
        await store.copy_to(kept.key, digest.update)
    return digest.hexdigest() == kept.sha256


def _read(folder: BackupFolder, kept: KeptObject, blob: BlobWriter) -> None:
    with folder.path(kept.sha256).open("rb", buffering=0) as file:
        while chunk := file.read(1024 * 1024):
            blob.write(chunk)
    if blob.sha256 != kept.sha256:
        raise OSError(f"{folder.path(kept.sha256)} has changed since it was verified")


async def _all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all, ``AT_ONCE`` at a time; the first error ends it."""
    pending = iter(work)

    async def some() -> None:
        for each in pending:
            await each

    tasks = [asyncio.ensure_future(some()) for _ in range(AT_ONCE)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
