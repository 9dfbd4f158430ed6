"""Where pictures come from: folders, globs, buckets, and the tables and archives that name them.

Listings are lazy: of a table of a million lines a few are in memory at a time.
"""

from __future__ import annotations

import glob
import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ocelli.bulk import buckets, tables, tars
from ocelli.bulk.tasks import Entry, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REMOTE = ("http://", "https://", buckets.SCHEME)
_MAGIC = re.compile(r"[*?[]")


class BadSource(Exception):
    """The source of a run cannot be used; ``hint`` says what can."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Source:
    """The pictures of one ``SOURCE`` of the command line. ``walk`` yields those of a folder.

    ``column`` is that of a table. ``extensions`` are those of pictures. ``max_bytes`` bounds the
    members of archives.
    """

    text: str
    walk: Callable[[Path], Iterator[Path]]
    extensions: frozenset[str]
    column: str | None = None
    max_bytes: int = 100 * 1024 * 1024

    def check(self) -> None:
        """Raise BadSource where nothing of this name can be: before anything is written."""
        elsewhere = self.text.startswith(("http://", "https://", buckets.SCHEME))
        if not (elsewhere or _MAGIC.search(self.text) or Path(self.text).exists()):
            raise BadSource(
                f"There is no {printable(self.text)}.",
                "a folder, a table, an archive, a glob in quotes, s3://… or an address",
            )

    def count(self) -> int | None:
        """Return about how many entries there are; None where finding out reads all pictures.

        Raises what ``entries`` raises.
        """
        path, kind = Path(self.text), _kind(self.text)
        if kind in ("csv", "jsonl", "parquet") and path.is_file():
            return tables.count(path, kind)
        return None if self.holds_bytes else sum(1 for _ in self.entries())

    @property
    def holds_bytes(self) -> bool:
        """Whether entries may hold pictures rather than name them."""
        return any(each in self.text.lower() for each in (*tars.EXTENSIONS, ".parquet"))

    def entries(self) -> Iterator[Entry]:
        """Yield an entry for each picture. Raises BadSource."""
        text = self.text
        if text.startswith(("http://", "https://")):
            if _kind(text.partition("?")[0]) is not None:
                raise BadSource("Tables and archives are not fetched from the web.", "download it")
            yield Entry(text, text)
        elif text.startswith(buckets.SCHEME):
            yield from self._of_bucket()
        elif Path(text).is_dir():
            for path in self.walk(Path(text)):
                yield _file(path)
        elif Path(text).exists():
            yield from self._of_file(Path(text), text, explicit=True)
        elif _MAGIC.search(text):
            yield from self._of_glob()
        else:
            self.check()

    def _of_glob(self) -> Iterator[Entry]:
        found = False
        for name in glob.iglob(self.text, recursive=True):  # noqa: PTH207
            path = Path(name)
            if path.is_file() and (_kind(name) or path.suffix.lower() in self.extensions):
                found = True
                yield from self._of_file(path, name)
        if not found:
            raise BadSource(f"No picture and no table matches {printable(self.text)}.")

    def _of_bucket(self) -> Iterator[Entry]:
        found = False
        for address in buckets.listed(self.text):
            if _kind(address):
                found = True
                with buckets.downloaded(address) as file:
                    yield from self._of_file(file, address)
            elif Path(address).suffix.lower() in self.extensions:
                found = True
                yield Entry(address, address)
        if not found:
            raise BadSource(f"No picture and no table matches {self.text}.")

    def _of_file(self, path: Path, name: str, *, explicit: bool = False) -> Iterator[Entry]:
        """Yield the entries of a file; ``name`` is what it is called in the output."""
        kind = _kind(name)
        if kind is None:
            if explicit and path.suffix.lower() not in self.extensions:
                raise BadSource(
                    f"{printable(name)} is no picture, no table and no archive.",
                    f"files that end in {', '.join(sorted((*self.extensions, *_KINDS)))}",
                )
            yield _file(path)
            return
        with _failing(name):
            if kind == "tar":
                yield from tars.entries(path, printable(name), self.extensions, self.max_bytes)
                return
            resolve = partial(_resolved, name.rpartition("/")[0])
            yield from tables.entries(path, printable(name), kind, self.column, resolve)


_KINDS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    **dict.fromkeys(tars.EXTENSIONS, "tar"),
}


def _kind(name: str) -> str | None:
    return next((kind for end, kind in _KINDS.items() if name.lower().endswith(end)), None)


@contextmanager
def _failing(name: str) -> Iterator[None]:
    try:
        yield
    except tables.MissingColumn as error:
        hint = f"--column, one of: {', '.join(map(printable, error.columns))}"
        raise BadSource(
            f"{printable(name)}: {error}",
            hint if error.columns else "the first line names the columns, and it is empty",
        ) from error
    except (tables.UnreadableTable, tars.UnreadableTar, OSError) as error:
        raise BadSource(f"{printable(name)} cannot be read: {error}") from error


def _resolved(base: str, location: str) -> str:
    """Return a location as seen from the folder of its table."""
    if location.startswith(REMOTE):
        return location
    location = location.removeprefix("file://")
    if base.startswith(buckets.SCHEME):
        return f"{base}/{location.lstrip('/')}"
    return location if location.startswith("/") or not base else f"{base}/{location}"


def _file(path: Path) -> Entry:
    return Entry(printable(str(path)), str(path))
