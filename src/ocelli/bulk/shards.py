"""The Parquet shards of a run: written so that a kill loses seconds, and never half a file."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ocelli.bulk import schema
from ocelli.bulk.rows import RowStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ocelli.bulk.rows import Row

PATTERN = "shard-*.parquet"
UNFINISHED = ".tmp"


class UnreadableShard(Exception):
    """A file of the output is none of ours, or damaged; the message says which."""


class ShardWriter:
    """Writes rows into ``folder``, ``rows`` a shard.

    Every ``seconds`` what there is of the current shard is written in the place of what was written
    of it before: to a temporary name, then to the disk, then renamed.
    """

    def __init__(self, folder: Path, fingerprint: str, *, rows: int, seconds: float) -> None:
        self._folder = folder
        self._fingerprint = fingerprint
        self._rows = rows
        self._seconds = seconds
        numbers = [int(path.stem.rpartition("-")[2]) for path in shards(folder)]
        self._number = max(numbers, default=-1) + 1
        self._tables: list[pa.Table] = []
        self._fresh: list[Row] = []
        self._flushed_at = time.monotonic()
        self.written = 0

    def add(self, row: Row) -> None:
        """Take a row; it is on the disk after the next ``flush``."""
        self._fresh.append(row)
        if self._count() >= self._rows:
            self.flush()

    def tick(self) -> None:
        """Write what has waited for its time."""
        if self._fresh and time.monotonic() - self._flushed_at >= self._seconds:
            self.flush()

    def flush(self) -> None:
        """Write all rows that were taken; one that is interrupted can be called again."""
        self._flushed_at = time.monotonic()
        if not self._fresh:
            return
        tables = [*self._tables, schema.to_table(self._fresh, self._fingerprint)]
        written = self.written + len(self._fresh)
        path = self._folder / f"shard-{self._number:06d}.parquet"
        write_durably(path, pa.concat_tables(tables))
        self._tables, self._fresh, self.written = tables, [], written
        if self._count() >= self._rows:
            self._tables.clear()
            self._number += 1

    def _count(self) -> int:
        return sum(map(len, self._tables)) + len(self._fresh)


def write_durably(path: Path, table: pa.Table) -> None:
    """Write a Parquet file; after a kill it is the old one or the new one."""
    unfinished = unfinished_name(path)
    with unfinished.open("wb") as file:
        pq.write_table(table, file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Let names of files in it survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def shards(folder: Path) -> list[Path]:
    """Return the shards of a folder, in the order in which they were written."""
    return sorted(each for each in folder.glob(PATTERN) if each.stem[6:].isdecimal())


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed run left half written."""
    for path in folder.glob(f".*{UNFINISHED}"):
        path.unlink()


def unfinished_name(path: Path) -> Path:
    """Return the name of a file that is being written; who reads the folder passes over it."""
    return path.with_name(f".{path.name}{UNFINISHED}")


def read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a shard. Raises UnreadableShard."""
    with _readable(path), pq.ParquetFile(path) as file:
        _check(path, file.schema_arrow)
        return file.read(columns=None if columns is None else list(columns))


def row_count(folder: Path) -> int:
    """Return the number of rows in all shards, by their footers. Raises UnreadableShard."""
    total = 0
    for path in shards(folder):
        with _readable(path):
            total += pq.read_metadata(path).num_rows
    return total


def drop_failed(folder: Path, *, retryable_only: bool) -> int:
    """Take rows of failures out of the shards, so that they are done again; return how many.

    Safe to be killed at any line: what was taken out is a source without a row, which any run does.
    """
    dropped = 0
    for path in shards(folder):
        status = read(path, ["status", "retryable"])
        goes = pc.equal(status["status"], RowStatus.FAILED.value)
        if retryable_only:
            goes = pc.and_(goes, pc.fill_null(status["retryable"], False))
        if not pc.any(goes).as_py():
            continue
        table = read(path)
        stays = table.filter(pc.invert(goes))
        dropped += len(table) - len(stays)
        if len(stays):
            write_durably(path, stays)
        else:
            path.unlink()
    sync_folder(folder)
    return dropped


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise UnreadableShard(
            f"{path} cannot be read ({str(error).splitlines()[0]}). Move it away: "
            "what it held is described again."
        ) from error


def _check(path: Path, found: pa.Schema) -> None:
    version = (found.metadata or {}).get(schema.VERSION_KEY)
    if version is None:
        raise UnreadableShard(f"{path} was not written by `ocelli bulk`. Move it away.")
    if version != str(schema.VERSION).encode():
        raise UnreadableShard(
            f"{path} has version {version.decode(errors='replace')} of the schema, "
            f"and this Ocelli writes version {schema.VERSION}. --new starts anew."
        )
