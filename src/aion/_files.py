"""The files of a call: which ones they are, and reading them. Blocking; run it in threads."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from aion.exceptions import UploadError, ValidationError

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TypeAlias

    File: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO

MAX_BATCH_FILES = 10_000
BATCH_CHUNK_SIZE = 100
STREAM_LIMIT = 100 * 1024 * 1024  # bytes; larger files go straight to the store

PIECE = 1024 * 1024  # bytes read at a time

# Beside the usual extensions those that browsers, Windows and cameras give to the same formats.
_EXTENSIONS = {
    "image/jpeg": (".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".pjpeg", ".pjp", ".mpo"),
    "image/png": (".png", ".apng"),
    "image/webp": (".webp",),
    "image/gif": (".gif",),
    "image/heic": (".heic", ".heif", ".hif"),
    "image/avif": (".avif",),
    "image/tiff": (".tiff", ".tif"),
    "image/bmp": (".bmp", ".dib"),
}
SUPPORTED_CONTENT_TYPES = frozenset(_EXTENSIONS)
SUPPORTED_EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".gif", ".heic", ".heif", ".avif", ".tif", ".tiff", ".bmp"}
)
# Of HEIC and AVIF these are the bytes behind a length.
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"II", b"MM", b"BM")
_TYPES = {extension: kind for kind, several in _EXTENSIONS.items() for extension in several}


class FileFailed(Exception):
    """One file cannot be read as announced; the others can still be sent."""

    def __init__(self, source: Source, reason: str) -> None:
        super().__init__(reason)
        self.source = source
        self.reason = reason


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One file of a call: a path on disk, or bytes in memory."""

    filename: str
    path: Path | None = None
    content: bytes | None = None

    @property
    def content_type(self) -> str:
        """The MIME type that its name stands for."""
        return _TYPES["." + self.filename.rpartition(".")[2].lower()]

    def size(self) -> int:
        """Its bytes now. Raises FileFailed if it is gone, unreadable or empty.

        And if it is larger than pictures mostly are and begins like none of them: it would be
        read whole, and sent, before the server says so.
        """
        if self.content is not None:
            size = len(self.content)
        else:
            try:
                size = Path(self.path or "").stat().st_size
            except OSError as error:
                raise FileFailed(self, _reason(error)) from error
        if size == 0:
            raise FileFailed(self, "the file is empty")
        if size > STREAM_LIMIT and not self._begins_like_a_picture():
            raise FileFailed(self, f"the file of {size:,} bytes begins like no supported picture")
        return size

    def _begins_like_a_picture(self) -> bool:
        with self.open() as file:
            try:
                head = file.read(12)
            except OSError as error:
                raise FileFailed(self, _reason(error)) from error
        return head.startswith(_BEGINNINGS) or head[4:8] == b"ftyp"

    def open(self) -> BinaryIO:
        """The file, for reading. Raises FileFailed if it cannot be opened."""
        if self.content is not None:
            return BytesIO(self.content)
        try:
            return open(self.path or "", "rb", buffering=0)  # noqa: PTH123 - fast path
        except OSError as error:
            raise FileFailed(self, _reason(error)) from error

    def pieces(self, size: int) -> Iterator[bytes]:
        """Exactly ``size`` bytes. Raises FileFailed if the file holds others by now."""
        with self.open() as file:
            if self.path and os.fstat(file.fileno()).st_size != size:
                raise FileFailed(self, "the file changed while it was being uploaded")
            left = size
            while left:
                try:
                    piece = file.read(min(PIECE, left))
                except OSError as error:
                    raise FileFailed(self, _reason(error)) from error
                if not piece:
                    raise FileFailed(self, "the file shrank while it was being uploaded")
                left -= len(piece)
                yield piece


@dataclass(frozen=True, slots=True)
class Reading:
    """What a first look at a file found: its size in bytes and its SHA-256, or why not."""

    source: Source
    size: int = 0
    sha256: str = ""
    failure: str | None = None


def read(source: Source, abandoned: threading.Event | None = None) -> Reading:
    """Measure and hash one file; stops early once ``abandoned`` is set."""
    digest, size = hashlib.sha256(), 0
    try:
        size = source.size()
        for piece in source.pieces(size):
            digest.update(piece)
            if abandoned and abandoned.is_set():
                return Reading(source, failure="abandoned")
    except FileFailed as failed:
        return Reading(source, size=size, failure=failed.reason)
    return Reading(source, size, digest.hexdigest())


def read_all(sources: Sequence[Source], abandoned: threading.Event) -> list[Reading]:
    """Measure and hash several files, one after the other."""
    return [read(source, abandoned) for source in sources]


def _reason(error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return "the file does not exist any more"
        case PermissionError():
            return "no permission to read the file"
    return f"the file cannot be read: {error.strerror or error}"


# ---------------------------------------------------------------------------------------------
# Which files a call means


def one_source(file: File, filename: str | None = None) -> Source:
    """The file that ``upload_one`` is asked for.

    Raises:
        ValidationError: not a picture by its name, not there, or bytes without a name.
    """
    content = content_of(file)
    if content is not None:
        filename = filename or _name_of(file)
        if not filename:
            raise ValidationError(
                f"filename is needed for {_kind(file)}, e.g. filename='photo.jpg'"
            )
        return _supported(Source(_name(filename), content=content))
    path = _path(file)
    if path.is_dir():
        raise ValidationError(f"{path} is a folder: use upload() for folders")
    _check_is_file(path)
    return _supported(Source(_name(filename or path), path=path))


def content_of(file: object) -> bytes | None:
    """The bytes that are given as such or as an open file, which is read from where it is to its
    end; None for a path.

    Raises:
        ValidationError: the file is not open for reading bytes.
    """
    if isinstance(file, bytes | bytearray | memoryview):
        return bytes(file)
    if isinstance(file, str | os.PathLike) or not hasattr(file, "read"):
        return None
    try:
        content = file.read()
    except (OSError, ValueError) as error:  # closed, or open for writing
        raise ValidationError(f"the file object cannot be read: {error}") from error
    if not isinstance(content, bytes | bytearray | memoryview):
        if hasattr(content, "close"):
            content.close()  # a coroutine
        raise ValidationError(
            f"read() of the file object gives {type(content).__name__}, not bytes: open it with "
            "mode 'rb'"
        )
    return bytes(content)


def _name_of(file: object) -> str | None:
    """The name of the file that a file object was opened by."""
    name = getattr(file, "name", None)
    return os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else None


def _kind(file: object) -> str:
    return "bytes" if isinstance(file, bytes | bytearray | memoryview) else "this file object"


def expand(
    files: File | Sequence[File],
    *,
    filename: str | None = None,
    filenames: Sequence[str] | None = None,
    recursive: bool = True,
    include_hidden: bool = False,
    passed_over: Counter[str] | None = None,
) -> list[Source]:
    """All files of a call in order: folders opened, other types in folders left out.

    These are counted in ``passed_over``, by their extension.

    Raises:
        ValidationError: an explicit file that is missing or no picture, bytes without a name, or
            more than 10,000 files.
        UploadError: a folder that may not be read.
    """
    items, single = as_list(files)
    names = [filename] if filename is not None else list(filenames or [])
    _check_names(names, items, single=single, several=filename is None)
    found: list[Source] = []
    for index, item in enumerate(items):
        name = names[index] if names else None
        if isinstance(item, str | os.PathLike) and _path(item).is_dir():
            paths = walk(
                _path(item),
                recursive=recursive,
                include_hidden=include_hidden,
                passed_over=passed_over,
            )
            found += [Source(_name(path), path=path) for path in paths]
        else:
            found.append(one_source(item, name))
        if len(found) > MAX_BATCH_FILES:
            raise ValidationError(
                f"more than {MAX_BATCH_FILES:,} files; upload them in several calls",
                details={"field": "files", "limit": MAX_BATCH_FILES},
            )
    return found


def as_list(files: File | Sequence[File]) -> tuple[list[File], bool]:
    """The files of an argument that may be one, and whether it is one."""
    one = isinstance(files, str | os.PathLike | bytes | bytearray | memoryview)
    if one or hasattr(files, "read"):
        return [files], True  # type: ignore[list-item]
    return list(files), False  # type: ignore[arg-type]


def _check_names(names: list[str], items: Sequence[object], *, single: bool, several: bool) -> None:
    if not names:
        return
    if not several and not single:
        raise ValidationError("filename names one file: use filenames for a list")
    if len(names) != len(items):
        raise ValidationError(f"{len(names)} filenames for {len(items)} files")


def walk(
    folder: Path,
    *,
    recursive: bool,
    include_hidden: bool,
    passed_over: Counter[str] | None = None,
) -> Iterator[Path]:
    """The pictures of a folder in the order of their names; symlink loops end.

    Other files are counted in ``passed_over``, by their extension.
    """
    others = Counter() if passed_over is None else passed_over
    yield from _walk(str(folder), recursive, include_hidden, set(), others)


def passed_over_text(passed_over: Mapping[str, int]) -> str | None:
    """What to say of files that are no pictures; None if there were none.

    >>> passed_over_text({".psd": 1, ".cr2": 2})
    '3 files passed over: .cr2 2, .psd 1'
    """
    total = sum(passed_over.values())
    if not total:
        return None
    kinds = sorted(passed_over.items(), key=lambda kind: (-kind[1], kind[0]))
    files = "file" if total == 1 else "files"
    return f"{total} {files} passed over: {', '.join(f'{name} {n}' for name, n in kinds)}"


def _walk(
    folder: str,
    recursive: bool,
    hidden: bool,
    seen: set[tuple[int, int]],
    others: Counter[str],
) -> Iterator[Path]:
    try:
        found = Path(folder).stat()
        identity = (found.st_dev, found.st_ino)
        if identity in seen:
            return
        seen.add(identity)
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        raise UploadError(
            f"The folder {folder} cannot be read: {error.strerror or error}", filename=folder
        ) from error
    for entry in entries:
        if entry.name.startswith(".") and not hidden:
            continue
        try:
            is_folder, is_file = entry.is_dir(), entry.is_file()
        except OSError:  # a link in a circle
            continue
        if is_folder:
            if recursive:
                yield from _walk(entry.path, recursive, hidden, seen, others)
        elif not is_file:
            continue
        elif is_supported(entry.name):
            yield Path(entry.path)
        else:
            others[Path(entry.name).suffix.lower() or "without extension"] += 1


def is_supported(name: str) -> bool:
    """Whether a file of this name is a picture that can be uploaded.

    >>> is_supported("a/B.JPG"), is_supported("a.pdf"), is_supported(".jpg")
    (True, False, False)
    """
    return Path(name).suffix.lower() in _TYPES


def _supported(source: Source) -> Source:
    if not is_supported(source.filename):
        raise ValidationError(
            f"{source.filename} is not a supported picture: use "
            f"{', '.join(sorted(SUPPORTED_EXTENSIONS))}",
            details={"field": "file", "filename": source.filename},
        )
    if source.content is not None and not source.content:
        raise ValidationError(f"{source.filename} is empty", details={"field": "file"})
    return source


def _path(item: object) -> Path:
    if not isinstance(item, str | os.PathLike):
        raise ValidationError(
            f"a file is a path, bytes or an open file, not {type(item).__name__}",
            details={"field": "files"},
        )
    return Path(item)


def _name(path: str | Path) -> str:
    """The last part; names of files are bytes, and what is not UTF-8 in them becomes ``?``."""
    return Path(path).name.encode("utf-8", "replace").decode()


def _check_is_file(path: Path) -> None:
    """Opening a pipe would wait until something else opens it for writing."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        why = "does not exist" if isinstance(error, FileNotFoundError) else error.strerror
        raise ValidationError(
            f"{path} {why}", details={"field": "file", "path": str(path)}
        ) from error
    if not stat.S_ISREG(mode):
        raise ValidationError(
            f"{path} is not a regular file but a pipe, a socket or a device",
            details={"field": "file", "path": str(path)},
        )
