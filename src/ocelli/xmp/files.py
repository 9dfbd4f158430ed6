"""Files of a folder: its pictures, one after the other, and writing beside them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import stat
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ocelli.domain.errors import ValidationFailed
from ocelli.media.sniff import HEAD_BYTES, sniff
from ocelli.xmp.errors import ChangedMeanwhile, XmpError, reason
from ocelli.xmp.packet import MAX_BYTES, NotXmp, Packet
from ocelli.xmp.record import PictureState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SUFFIX = ".xmp"
OUTSIDE = "a symbolic link out of the folder, or in a circle: left alone"
_TEMPORARY = (".ocelli-", ".tmp")  # how the names of unfinished files begin and end
_UNFINISHED = re.compile(r"\.ocelli-[a-z0-9_]{8}\.tmp")  # as `mkstemp` makes them of these
_PIECE = 1024 * 1024  # bytes read at a time
_LARGE = 100 * _PIECE  # bytes; few pictures have more
_PACKET = (b"<x:xmpmeta", b"</x:xmpmeta>")


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it is on the disk: another one of the same name differs in one of these."""

    device: int
    inode: int
    size: int
    modified: int
    mode: int

    @classmethod
    def of(cls, path: Path, *, follow: bool = True) -> FileState | None:
        """Look at a file; None if there is none. Raises XmpError."""
        try:
            found = path.stat() if follow else path.lstat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise XmpError(f"{path.name}: {reason(error)}") from error
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode)


class FolderNames:
    """The names in one folder, and which sidecars belong to which pictures."""

    def __init__(self, names: list[str]) -> None:
        self._sidecars = {name.casefold(): name for name in names if is_sidecar(name)}
        pictures = [name.casefold() for name in names if not is_sidecar(name)]
        self._names = Counter(pictures)
        self._stems = Counter(_stem(name) for name in pictures)
        whole = sum(f"{name}{SUFFIX}" in self._sidecars for name in pictures)
        short = sum(f"{stem}{SUFFIX}" in self._sidecars for stem in self._stems)
        self._is_short_usual = short > whole

    @classmethod
    def of(cls, folder: Path) -> FolderNames:
        """Read the names of a folder, without hidden ones. Raises XmpError."""
        try:
            return cls([name for name in os.listdir(folder) if not name.startswith(".")])  # noqa: PTH208
        except OSError as error:
            raise XmpError(f"{folder.name}: {reason(error)}") from error

    def sidecars(self, name: str) -> tuple[str, ...]:
        """Return the names that the sidecar of a picture may have, the first choice first.

        Existing ones, ``IMG.jpg.xmp`` before ``IMG.xmp``, else as others in the folder are called.
        ``IMG.xmp`` is of the picture only if no other file has the name ``IMG``. Capitals make a
        difference only between pictures that differ in nothing else.
        """
        whole, short = f"{name}{SUFFIX}", f"{_stem(name)}{SUFFIX}"
        existing_whole = self._sidecars.get(whole.casefold())
        if existing_whole and self._names[name.casefold()] == 1:
            return (existing_whole,)
        if self._stems[_stem(name.casefold())] > 1:
            return (whole,)
        if existing := self._sidecars.get(short.casefold()):
            return existing, whole
        return (short,) if self._is_short_usual else (whole,)


def is_sidecar(name: str) -> bool:
    """Whether a file is an XMP sidecar by its name."""
    return name.casefold().endswith(SUFFIX)


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def pictures(
    root: Path,
    is_picture: Callable[[str], bool],
    tell: Callable[[Path, str], None],
    others: Counter[str] | None = None,
) -> Iterator[tuple[Path, FolderNames]]:
    """Yield the pictures of a folder in the order of their names, one folder in memory at a time.

    Without hidden ones. ``tell`` hears of folders that cannot be read and of links out of the
    folder; other files are counted in ``others``, by their extension.
    """
    real = root.resolve()
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            tell(folder, reason(error))
            continue
        names = FolderNames([each.name for each in entries if not each.name.startswith(".")])
        below = []
        for entry in entries:
            path = Path(entry.path)
            if entry.name.startswith("."):
                if _UNFINISHED.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    _remove_if_abandoned(path)
            elif entry.is_dir(follow_symlinks=False):
                below.append(path)
            elif entry.is_symlink() and not leads_into(path, real):
                if is_picture(entry.name) or path.is_dir():
                    tell(path, OUTSIDE)
            elif not entry.is_file():  # links to folders lead to what is visited anyway
                continue
            elif is_picture(entry.name):
                yield path, names
            elif others is not None and not is_sidecar(entry.name):
                others[path.suffix.lower() or "without extension"] += 1
        waiting += reversed(below)


def leads_into(path: Path, folder: Path) -> bool:
    """Whether a symbolic link leads to what lies in a folder, whose own path has no links."""
    try:
        return path.resolve().is_relative_to(folder)
    except (OSError, RuntimeError):  # in a circle
        return False


def _remove_if_abandoned(path: Path) -> None:
    """Remove what a killed process left unfinished: a process that lives holds a lock on it."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()


def check_size(path: Path, file: FileState, max_bytes: int | None) -> None:
    """Raise XmpError for a file that is not worth reading: it would be read whole, and refused.

    That is one of more than ``max_bytes``, or one that is larger than pictures mostly are and
    begins like none of them.
    """
    if max_bytes is not None and file.size > max_bytes:
        raise XmpError(f"the file is larger than the limit of {max_bytes // _PIECE} MB")
    if file.size <= _LARGE:
        return
    try:
        with path.open("rb") as opened:
            sniff(opened.read(HEAD_BYTES))
    except OSError as error:
        raise XmpError(reason(error)) from error
    except ValidationFailed as error:
        raise XmpError(error.message) from error


def look_at_picture(path: Path, file: FileState) -> tuple[PictureState, Packet | None]:
    """Return the state of a picture, and the XMP that it holds itself, as far as it is readable.

    Raises XmpError.
    """
    digest, embedded = _read(path)
    try:
        packet = None if embedded is None else Packet(embedded)
    except NotXmp:
        packet = None
    return PictureState(digest, file.size, file.modified), packet


def holds_xmp(path: Path) -> bool:
    """Whether there is XMP somewhere in a picture. Raises XmpError."""
    return _read(path)[1] is not None


def _read(path: Path) -> tuple[str, bytes | None]:
    """Return the hash of a file, and the XMP in it.

    That is found by its first and last tag, in a file of any format. The file is not mapped into
    memory: it may shrink meanwhile.
    """
    digest, scan = hashlib.sha256(), _Scan()
    try:
        with path.open("rb") as opened:
            while piece := opened.read(_PIECE):
                digest.update(piece)
                scan.feed(piece)
    except OSError as error:
        raise XmpError(reason(error)) from error
    return digest.hexdigest(), scan.found


class _Scan:
    """Looks for XMP in pieces of a file."""

    def __init__(self) -> None:
        self.found: bytes | None = None
        self._held = bytearray()  # what may be its beginning, or all of it since its beginning
        self._has_begun = False
        self._has_ended = False

    def feed(self, piece: bytes) -> None:
        if self._has_ended:
            return
        begin, end = _PACKET
        self._held += piece
        if not self._has_begun:
            at = self._held.find(begin)
            self._has_begun = at >= 0
            del self._held[: at if at >= 0 else max(0, len(self._held) - len(begin))]
        if self._has_begun:
            stop = self._held.find(end, max(0, len(self._held) - len(piece) - len(end)))
            if stop >= 0:
                self.found = bytes(self._held[: stop + len(end)])
            if stop >= 0 or len(self._held) > MAX_BYTES:
                self._has_ended = True
                self._held.clear()


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A sidecar as it was read; ``packet`` is None if there is none yet."""

    path: Path
    file: FileState | None
    packet: Packet | None


def read_sidecar(path: Path) -> Sidecar:
    """Read a sidecar. Raises XmpError if it is none, or not for us to write."""
    file = FileState.of(path, follow=False)
    if file is None:
        return Sidecar(path, None, None)
    if stat.S_ISLNK(file.mode):
        raise XmpError(f"{path.name} is a symbolic link: left alone")
    if not stat.S_ISREG(file.mode):
        raise XmpError(f"{path.name} is no file: left alone")
    if not file.mode & 0o222 or not os.access(path, os.W_OK):
        raise XmpError(f"{path.name} is read-only: left alone")
    if file.size == 0:
        return Sidecar(path, file, None)
    try:
        with path.open("rb") as opened:
            return Sidecar(path, file, Packet(opened.read(MAX_BYTES + 1)))
    except OSError as error:
        raise XmpError(f"{path.name}: {reason(error)}") from error
    except NotXmp as error:
        raise XmpError(f"{path.name} is not XMP, {error}: left alone") from error


def write_sidecar(sidecar: Sidecar, data: bytes, mode: int) -> None:
    """Write a sidecar: whole and on the disk, or not at all. A new one gets ``mode``.

    Raises ChangedMeanwhile if it is not as it was read, and XmpError.
    """
    path = sidecar.path
    try:
        descriptor, name = tempfile.mkstemp(_TEMPORARY[1], _TEMPORARY[0], path.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            try:
                with contextlib.suppress(OSError):  # a file system without locks
                    fcntl.flock(file, fcntl.LOCK_EX)
                file.write(data)
                file.flush()
                _give_rights(file.fileno(), sidecar, mode)
                os.fsync(file.fileno())
                _put(temporary, sidecar)
            finally:
                temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise XmpError(f"{path.name} cannot be written: {reason(error)}") from error


def _give_rights(descriptor: int, sidecar: Sidecar, mode: int) -> None:
    old = sidecar.file
    # Who may see the picture may see what is said of it; its owner may write even if not there.
    os.fchmod(descriptor, stat.S_IMODE(old.mode if old else mode & 0o666 | stat.S_IWUSR))
    if old is not None:
        with contextlib.suppress(OSError):
            found = sidecar.path.lstat()
            os.fchown(descriptor, found.st_uid, found.st_gid)


def _put(temporary: Path, sidecar: Sidecar) -> None:
    path = sidecar.path
    if sidecar.file is None:
        try:
            os.link(temporary, path)  # unlike a rename it never replaces what came meanwhile
        except FileExistsError as error:
            raise ChangedMeanwhile(f"{path.name} was made meanwhile") from error
        except OSError:  # a file system without hard links
            if os.path.lexists(path):
                raise ChangedMeanwhile(f"{path.name} was made meanwhile") from None
            temporary.rename(path)
        return
    if FileState.of(path, follow=False) != sidecar.file:
        raise ChangedMeanwhile(f"{path.name} was changed meanwhile")
    temporary.rename(path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # a file system that cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
