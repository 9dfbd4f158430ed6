"""Tables that name or hold pictures: Parquet, CSV, and JSON with an object a line."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

from ocelli.bulk.tasks import Entry, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

# The usual names of such a column, in the order in which they are tried.
USUAL = ("image", "path", "url", "uri", "file", "filename", "file_name", "image_url", "bytes")
ROWS_AT_ONCE = 64  # of a Parquet file: each may hold a picture
# Of the column of pictures in a row group: one that unpacks to more, and to so many times of what
# is stored, holds no pictures, which hardly get smaller. A page of it would be held whole.
MAX_UNPACKED = 512 * 1024 * 1024  # bytes
MAX_RATIO = 50
MAX_LINE = 1024 * 1024  # characters
BLOCK = 1024 * 1024  # bytes
NOTHING = "There is nothing in the column of pictures."


class MissingColumn(Exception):
    """The column is not there, or none was named and none has a usual name."""

    def __init__(self, message: str, columns: Sequence[str]) -> None:
        super().__init__(message)
        self.columns = [*columns]


class UnreadableTable(Exception):
    """The file is no such table, or damaged."""


def entries(
    path: Path, name: str, kind: str, column: str | None, resolve: Callable[[str], str]
) -> Iterator[Entry]:
    """Yield an entry for each row. ``name`` is that of the table in the output; ``resolve`` returns
    where a picture is that is called so in the table.

    Raises MissingColumn, UnreadableTable.
    """
    match kind:
        case "parquet":
            values = _of_parquet(path, column)
        case "csv":
            values = _of_csv(path, column)
        case _:
            values = _of_jsonl(path, column)
    for number, value in enumerate(values):
        if isinstance(value, dict):  # as the data sets of Hugging Face hold pictures
            value = value.get("bytes") or value.get("path")
        if isinstance(value, str) and (text := value.strip()):
            yield Entry(printable(text), resolve(text))
        elif isinstance(value, Entry):
            yield value
        elif isinstance(value, bytes) and value:
            yield Entry(f"{name}#{number}", data=value)
        else:
            yield Entry(f"{name}#{number}", problem=NOTHING)


def count(path: Path, kind: str) -> int:
    """Return about how many rows a table has, quickly: lines may be empty, and cells have several.

    Raises OSError, and what pyarrow raises.
    """
    if kind == "parquet":
        import pyarrow.parquet as pq

        rows: int = pq.read_metadata(path).num_rows
        return rows
    with path.open("rb") as file:
        lines = sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK), b""))
    return lines - (kind == "csv")


def _of_parquet(path: Path, column: str | None) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            wanted = _chosen(file.schema_arrow.names, column)
            leaves = [file.schema.column(each) for each in range(len(file.schema))]
            binary = [
                each.path
                for each in leaves
                if _is_of(each.path, wanted) and each.physical_type == "BYTE_ARRAY"
            ]
        # What is stored once, for many rows, is held once; and what is packed, a block at a time.
        with pq.ParquetFile(path, read_dictionary=binary, buffer_size=BLOCK) as file:
            for number in range(file.num_row_groups):
                _check_unpacked(file.metadata.row_group(number), number, wanted)
                for batch in file.iter_batches(ROWS_AT_ONCE, [number], columns=[wanted]):
                    yield from (each.as_py() for each in batch.column(0))
    except pa.ArrowException as error:
        raise UnreadableTable(str(error).splitlines()[0]) from error


def _is_of(path: str, column: str) -> bool:
    """Whether a path in the schema is a column, or a part of it."""
    return path == column or path.startswith(f"{column}.")


def _check_unpacked(group: Any, number: int, column: str) -> None:
    """Raise UnreadableTable if a row group would unpack to far more than it is."""
    chunks = [group.column(each) for each in range(group.num_columns)]
    ours = [each for each in chunks if _is_of(each.path_in_schema, column)]
    unpacked = sum(each.total_uncompressed_size for each in ours)
    packed = sum(each.total_compressed_size for each in ours)
    if unpacked > max(MAX_UNPACKED, MAX_RATIO * packed):
        raise UnreadableTable(
            f"row group {number} unpacks from {packed:,} to {unpacked:,} bytes: these are no "
            "pictures; write the table with smaller row groups"
        )


def _of_csv(path: Path, column: str | None) -> Iterator[Any]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(_bounded(file))
        try:
            header = next(rows, [])
            position = header.index(_chosen(header, column))
            for row in rows:
                if row:  # an empty line is none
                    yield row[position] if position < len(row) else None
        except csv.Error as error:
            raise UnreadableTable(f"line {rows.line_num}: {error}") from error


def _of_jsonl(path: Path, column: str | None) -> Iterator[Any]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(_bounded(file), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                yield Entry(f"{path.name}, line {number}", problem="The line is no JSON object.")
                continue
            if column is None:
                column = _chosen(list(row), None)
            elif number == 1:
                _chosen(list(row), column)
            yield row.get(column)


def _bounded(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a text. Raises UnreadableTable for one that would fill the memory."""
    read = getattr(lines, "readline")  # noqa: B009 - of any text file
    number = 0
    while line := read(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE and not line.endswith("\n"):
            raise UnreadableTable(f"line {number} has more than {MAX_LINE:,} characters")
        yield line


def _chosen(columns: Sequence[str], column: str | None) -> str:
    if column is not None:
        if column in columns:
            return column
        raise MissingColumn(f"there is no column {column!r}", columns)
    usual = [each for each in USUAL if each in columns]
    if usual:
        return usual[0]
    if len(columns) == 1:
        return columns[0]
    raise MissingColumn("which column has the pictures?", columns)
