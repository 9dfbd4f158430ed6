"""The folder of the backups of one installation.

``backups/NAME`` holds what is of one backup: ``database.dump``, ``objects.jsonl.gz`` with a line
for each object, ``secret``, ``manifest.json``, and ``SHA256SUMS`` of these. The bytes of objects
are in ``objects/ab/abcd...``, named by their SHA-256 and shared by all backups. A backup is written
in ``unfinished``, and appears by one rename when all of it is on the disk. ``erasures.jsonl`` has
the receipts of what was erased, for all backups.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gzip
import hashlib
import json
import re
import shutil
import zlib
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any

from ocelli.domain.backups import BackupFailed, KeptObject, Manifest, Problem
from ocelli.domain.errors import StorageFull
from ocelli.media.blob_writer import BlobWriter, make_folder, sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

FORMAT = 1
_NAME = re.compile(r"[0-9]{6}-[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9]{2}-[0-9]{2}Z")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# As Postgres quotes names: this one becomes a part of a script.
_IDENTIFIER = re.compile(r'[a-z_][a-z0-9_$]*|"(?:[^"\x00-\x1f\\]|"")+"')
BACKUPS, OBJECTS, UNFINISHED, LOCK = "backups", "objects", "unfinished", "lock"
RECEIPTS = "erasures.jsonl"
DUMP, LISTING, SECRET, MANIFEST, SUMS = (
    "database.dump",
    "objects.jsonl.gz",
    "secret",
    "manifest.json",
    "SHA256SUMS",
)


class BackupFolder:
    """The backups in the folder ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.unfinished = self.root / UNFINISHED

    @contextlib.contextmanager
    def locked(self, *, create: bool = False) -> Iterator[None]:
        """Keep writers out for the block; with ``create`` write, and keep readers out, too.

        Raises BackupFailed for a folder of another kind, or one that is locked. What only reads
        needs no right to write, and no lock where there is no file for it.
        """
        if create:
            self._create()
        if not (self.root / BACKUPS).is_dir():
            raise BackupFailed(f"There is no backup in {self.root}.", "ocelli backup FOLDER")
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(*([] if create else [FileNotFoundError])):
                file = stack.enter_context((self.root / LOCK).open("ab" if create else "rb"))
                self._lock(file, fcntl.LOCK_EX if create else fcntl.LOCK_SH)
            yield

    def _lock(self, file: IO[bytes], kind: int) -> None:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupFailed(f"Another command works on {self.root}.", "wait for it") from None

    def names(self) -> Sequence[str]:
        """Return the names of the backups, the oldest first; other folders are none of ours."""
        found = (self.root / BACKUPS).iterdir()
        return sorted(each.name for each in found if _NAME.fullmatch(each.name) and each.is_dir())

    def backup(self, name: str | None = None) -> Backup:
        """Return the backup of this name, or the newest. Raises BackupFailed if there is none."""
        names = self.names()
        if not names:
            raise BackupFailed(f"There is no finished backup in {self.root}.")
        if name is not None and name not in names:
            raise BackupFailed(f"There is no backup {name} in {self.root}.", ", ".join(names[-10:]))
        return Backup(self.root / BACKUPS / (name or names[-1]))

    def start(self) -> Path:
        """Remove what an interrupted backup has left, and return the folder of a new one."""
        shutil.rmtree(self.unfinished, ignore_errors=True)
        make_folder(self.unfinished)
        return self.unfinished

    def finish(self, name: str, manifest: Manifest) -> None:
        """Write manifest and sums of what ``start`` began, and let it appear under its name."""
        text = json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1, ensure_ascii=False)
        (self.unfinished / MANIFEST).write_text(text + "\n", encoding="utf-8")
        files = [each for each in (DUMP, LISTING, SECRET, MANIFEST) if self._has(each)]
        sums = "".join(f"{_digest(self.unfinished / each)}  {each}\n" for each in files)
        (self.unfinished / SUMS).write_text(sums, encoding="utf-8")
        for each in (*files, SUMS):
            sync(self.unfinished / each)
        sync(self.unfinished)
        target = self.root / BACKUPS / name
        self.unfinished.rename(target)
        sync(target.parent)

    def receipts(self) -> Sequence[str]:
        """Return the receipts of erasures that any backup knew of, each as JSON."""
        with contextlib.suppress(FileNotFoundError):
            return (self.root / RECEIPTS).read_text(encoding="utf-8").splitlines()
        return []

    def keep_receipts(self, receipts: Iterable[str]) -> None:
        """Keep receipts beside the backups, so that older ones are restored without what they name.

        To be called while a backup is being made.
        """
        with self.blob() as blob:
            blob.write("".join(f"{each}\n" for each in receipts).encode())
            blob.commit(self.root / RECEIPTS)

    def blob(self) -> BlobWriter:
        """Return a new file for the bytes of an object."""
        return BlobWriter(self.unfinished)

    def holds(self, sha256: str, size: int) -> bool:
        """Return whether the object with this hash is here, as long as it has to be."""
        with contextlib.suppress(FileNotFoundError):
            return self.path(sha256).stat().st_size == size
        return False

    def keep(self, blob: BlobWriter) -> None:
        """Take over the bytes of an object; they are durable when this returns."""
        blob.commit(self.path(blob.sha256))

    def path(self, sha256: str) -> Path:
        """Return the path of the object with this hash."""
        return self.root / OBJECTS / sha256[:2] / sha256

    def prune(self, keep: int) -> tuple[int, int]:
        """Remove all but the newest ``keep`` backups, and objects that no backup names.

        Return how many of each. Backups go first: without one its objects are unknown.
        """
        names = self.names()[:-keep]
        for name in names:
            shutil.rmtree(self.root / BACKUPS / name)
        sync(self.root / BACKUPS)
        removed = 0
        try:
            named = {
                bytes.fromhex(each.sha256)
                for name in self.names()
                for each in self.backup(name).objects()
            }
        except BackupFailed:  # `verify` tells it; what the backup names is not known
            return len(names), removed
        for path in (self.root / OBJECTS).glob("??/*"):
            if _SHA256.fullmatch(path.name) and bytes.fromhex(path.name) not in named:
                path.unlink()
                removed += 1
        return len(names), removed

    def damage(self, backup: Backup, told: Callable[[int], None]) -> Iterator[Problem]:
        """Read all of a backup, and yield what is not as it was written.

        ``told`` is called with the number of objects that have been read.
        """
        yield from backup.damage()
        done = 0
        with contextlib.suppress(BackupFailed):  # told with the sums
            for each in backup.objects():
                path = self.path(each.sha256)
                try:
                    is_whole = path.stat().st_size == each.size and _digest(path) == each.sha256
                    reason = "is damaged"
                except FileNotFoundError:
                    is_whole, reason = False, "is missing"
                if not is_whole:
                    yield Problem(each.key, f"{path} {reason}")
                done += 1
                told(done)

    def _has(self, name: str) -> bool:
        return (self.unfinished / name).exists()

    def _create(self) -> None:
        if self.root.is_dir() and not (self.root / BACKUPS).is_dir():
            others = {each.name for each in self.root.iterdir()} - {LOCK, OBJECTS, UNFINISHED}
            if others:
                raise BackupFailed(
                    f"{self.root} holds other files, such as {min(others)}, and no backup.",
                    "name an empty folder, or one that is not there",
                )
        make_folder(self.root / OBJECTS)
        make_folder(self.root / BACKUPS)


class Backup:
    """One backup, in its ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dump = folder / DUMP

    @property
    def name(self) -> str:
        """The time it was made at, as in the name of its folder."""
        return self.folder.name

    @property
    def secret(self) -> bytes | None:
        """The installation's secret, if that was kept in its data folder."""
        path = self.folder / SECRET
        return path.read_bytes() if path.exists() else None

    def manifest(self) -> Manifest:
        """Return the manifest. Raises BackupFailed if it cannot be read."""
        try:
            found = json.loads((self.folder / MANIFEST).read_bytes())
            if found.pop("format") != FORMAT:
                raise BackupFailed(
                    f"The backup {self.name} was made by another version of Ocelli.",
                    "restore it with that version",
                )
            missing = [Problem(**each) for each in found.pop("missing")]
            schema = found["extension_schema"]
            if schema is not None and not _IDENTIFIER.fullmatch(schema):
                raise ValueError(f"{schema!r} is no name of a schema")
            return Manifest(**found, missing=missing)
        except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise BackupFailed(f"The manifest of {self.name} cannot be read: {error}") from error

    def objects(self) -> Iterator[KeptObject]:
        """Yield the objects that it names. Raises BackupFailed if the listing is damaged."""
        try:
            with gzip.open(self.folder / LISTING, "rt", encoding="utf-8") as lines:
                for line in lines:
                    yield _kept(json.loads(line))
        except (OSError, EOFError, ValueError, TypeError, zlib.error) as error:
            raise BackupFailed(f"The listing of {self.name} is damaged: {error}") from error

    def damage(self) -> Iterator[Problem]:
        """Yield which of its own files are not as they were written."""
        try:
            sums = self._sums()
        except (OSError, ValueError):
            sums = {}
        for name in (DUMP, LISTING, MANIFEST):
            if name not in sums:
                yield Problem(name, f"{SUMS} of the backup {self.name} says nothing about {name}")
        for name, expected in sums.items():
            if name not in (DUMP, LISTING, SECRET, MANIFEST):
                yield Problem(name, f"{SUMS} of the backup {self.name} names another file: {name}")
                continue
            path = self.folder / name
            try:
                if _digest(path) != expected:
                    yield Problem(name, f"{path} is damaged")
            except OSError:
                yield Problem(name, f"{path} is missing")

    def _sums(self) -> Mapping[str, str]:
        lines = (self.folder / SUMS).read_text(encoding="utf-8").splitlines()
        return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def _kept(fields: Sequence[Any]) -> KeptObject:
    """Return the object of a line of the listing. Raises ValueError or TypeError."""
    kept = KeptObject(*fields)
    if not isinstance(kept.size, int) or not _SHA256.fullmatch(kept.sha256):
        raise ValueError(f"{kept.key!r} has no size and hash")
    return kept


@contextlib.contextmanager
def listing(folder: Path) -> Iterator[Callable[[KeptObject], None]]:
    """Give what writes a line of the listing of a backup that is being made."""
    with gzip.open(folder / LISTING, "wt", encoding="utf-8", compresslevel=6) as lines:

        def write(kept: KeptObject) -> None:
            fields = (kept.key, kept.content_type, kept.size, kept.sha256)
            lines.write(json.dumps(fields, ensure_ascii=False) + "\n")

        yield write


@contextlib.contextmanager
def full_disk_told() -> Iterator[None]:
    """Translate the error of a disk without room."""
    try:
        yield
    except (OSError, StorageFull) as error:
        if isinstance(error, OSError) and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise BackupFailed(
            "The disk is full; what was copied stays, and the older backups are whole.",
            "make room, and run the command again",
        ) from error


def _digest(path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
