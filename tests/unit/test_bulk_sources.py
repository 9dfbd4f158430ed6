"""What a bulk run finds in folders, globs, tables and archives, hostile ones too."""

from __future__ import annotations

import io
import json
import os
import tarfile
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ocelli.bulk import feed, tables
from ocelli.bulk.sources import BadSource, Source
from ocelli.bulk.tables import UnreadableTable
from ocelli.bulk.tasks import Entry

EXTENSIONS = frozenset({".jpg", ".png"})


def source(text: Path | str, column: str | None = None) -> Source:
    return Source(str(text), lambda folder: iter(sorted(folder.rglob("*.jpg"))), EXTENSIONS, column)


def found(text: Path | str, column: str | None = None) -> list[Entry]:
    return list(source(text, column).entries())


def test_a_folder_and_globs(tmp_path: Path) -> None:
    for name in ("a.jpg", "b/c.jpg", "b/d.png", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.jpg").mkdir()
    assert [Path(each.source).name for each in found(tmp_path / "b")] == ["c.jpg"]
    names = {each.location for each in found(f"{tmp_path}/**/*")}
    assert names == {str(tmp_path / name) for name in ("a.jpg", "b/c.jpg", "b/d.png")}
    with pytest.raises(BadSource, match="matches"):
        found(f"{tmp_path}/*.gif")
    with pytest.raises(BadSource, match="There is no"):
        found(tmp_path / "nothing")
    with pytest.raises(BadSource, match="no picture, no table"):
        found(tmp_path / "b" / "notes.txt")


def test_a_glob_of_tables_takes_the_rows_of_each(tmp_path: Path) -> None:
    for name in ("1.csv", "2.csv"):
        (tmp_path / name).write_text(f"path\nof-{name}.jpg\n")
    sources = sorted(each.source for each in found(f"{tmp_path}/*.csv"))
    assert sources == ["of-1.csv.jpg", "of-2.csv.jpg"]


def test_a_csv_names_files_beside_it_and_addresses(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(
        b'\xef\xbb\xbfid,url\n1,a.jpg\n2,"https://example.com/a,b.jpg"\n\n3\n4,  \n'
        b"5,/abs.jpg\n6,s3://b/k.jpg\n7,caf\xe9.jpg\n"
    )
    entries = found(table)
    assert [each.location for each in entries[:2]] == [
        str(tmp_path / "a.jpg"),
        "https://example.com/a,b.jpg",
    ]
    assert [each.problem is None for each in entries[2:4]] == [False, False]
    assert [each.location for each in entries[4:6]] == ["/abs.jpg", "s3://b/k.jpg"]
    assert entries[6].location == f"{tmp_path}/caf\udce9.jpg"
    assert entries[6].source == "caf\\xe9.jpg", "as the output has it: else it is done each time"
    assert [each.source for each in entries[2:4]] == [f"{table}#2", f"{table}#3"]


def test_a_column_is_chosen_or_named_or_missing(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("left,right\na.jpg,b.jpg\n")
    assert found(table, "right")[0].source == "b.jpg"
    for column in (None, "middle"):
        with pytest.raises(BadSource) as error:
            found(table, column)
        assert error.value.hint == "--column, one of: left, right"
    table.write_text("")
    with pytest.raises(BadSource) as error:
        found(table)
    assert error.value.hint is not None
    assert "the first line" in error.value.hint


def test_a_csv_with_one_endless_line_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("path\n" + "a" * 3_000_000)
    with pytest.raises(BadSource, match="characters"):
        found(table)


def test_jsonl_lines_that_are_none_are_rows_without_a_picture(tmp_path: Path) -> None:
    table = tmp_path / "t.jsonl"
    lines = [
        '{"path": "a.jpg"}',
        "not json",
        "[1]",
        "",
        '{"path": 7}',
        "[" * 100_000,
        '{"path": "\\ud800"}',
    ]
    table.write_text("\n".join(lines))
    entries = found(table)
    assert [each.problem is None for each in entries] == [True, *[False] * 4, True]
    assert len({each.source for each in entries}) == 6
    assert entries[5].source == "\\ud800"


def test_parquet_that_unpacks_to_far_more_than_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_UNPACKED", 8 * 1024**2)
    name = tmp_path / "bomb.parquet"
    schema = pa.schema({"image": pa.binary()})
    with pq.ParquetWriter(name, schema, compression="zstd", use_dictionary=False) as writer:
        writer.write_table(pa.table({"image": [b"small"]}, schema))
        writer.write_table(pa.table({"image": [bytes(1024**2)] * 16}, schema))
    assert name.stat().st_size < 100_000
    read = tables.entries(name, "bomb", "parquet", None, str)
    assert next(read).data == b"small", "what comes before is read"
    with pytest.raises(UnreadableTable, match=r"row group 1 unpacks from .* to 16,7"):
        next(read)


def test_parquet_with_one_picture_in_many_rows_holds_it_once(tmp_path: Path) -> None:
    name, value = tmp_path / "same.parquet", os.urandom(4 * 1024**2)
    indices = pa.array([0] * 64, pa.int32())
    column = pa.DictionaryArray.from_arrays(indices, pa.array([value]))
    pq.write_table(pa.table({"image": column}), name)
    before = pa.default_memory_pool().bytes_allocated()
    held = set()
    for each in tables.entries(name, "same", "parquet", None, str):
        assert each.data == value
        held.add((pa.default_memory_pool().bytes_allocated() - before) // 1024**2)
    assert max(held) < 64, "MB, where 64 rows have 256"


def test_parquet_with_bytes_paths_and_pictures_of_a_data_set(tmp_path: Path) -> None:
    pictures = pa.array([{"bytes": b"1", "path": None}, {"bytes": None, "path": "p.jpg"}, None])
    table = pa.table({"raw": [b"1", None, b""], "image": pictures})
    pq.write_table(table, tmp_path / "t.parquet")
    entries = found(tmp_path / "t.parquet")
    assert entries[0].data == b"1"
    assert entries[0].source.endswith("t.parquet#0")
    assert entries[1].location == str(tmp_path / "p.jpg")
    assert entries[2].problem
    raw = found(tmp_path / "t.parquet", "raw")
    assert [each.data for each in raw] == [b"1", None, None]
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(BadSource, match="cannot be read"):
        found(tmp_path / "bad.parquet")


def member(archive: tarfile.TarFile, name: str, data: bytes = b"x", type: bytes = b"0") -> None:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data), type, "/etc/passwd"
    archive.addfile(info, io.BytesIO(data) if type == tarfile.REGTYPE else None)


def test_an_archive_with_links_and_absolute_names_writes_nothing(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "t.tar", "w") as archive:
        member(archive, "1.jpg", b"one")
        member(archive, "1.json", b"{}")
        member(archive, "/etc/evil.jpg", b"two")
        member(archive, "../up.jpg", b"three")
        member(archive, "link.jpg", b"", tarfile.SYMTYPE)
        member(archive, "hard.jpg", b"", tarfile.LNKTYPE)
        member(archive, "pipe.jpg", b"", tarfile.FIFOTYPE)
        member(archive, "1.jpg", b"again")
    before = sorted(tmp_path.rglob("*"))
    entries = found(tmp_path / "t.tar")
    assert [each.data for each in entries] == [
        b"one", b"two", b"three", None, None, None, b"again",
    ]  # fmt: skip
    assert [bool(each.problem) for each in entries[3:6]] == [True] * 3
    assert len({each.source for each in entries}) == 7
    assert sorted(tmp_path.rglob("*")) == before
    whole = (tmp_path / "t.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: 512 * 3 + 100])
    with pytest.raises(BadSource, match="cannot be read"):
        found(tmp_path / "cut.tar")


def test_members_that_are_too_large_are_not_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "t.tar.gz", "w:gz") as archive:
        member(archive, "large.jpg", bytes(11))
        member(archive, "small.jpg", bytes(10))
    it = replace(source(tmp_path / "t.tar.gz"), max_bytes=10)
    large, small = it.entries()
    assert large.data is None
    assert "11 bytes" in str(large.problem)
    assert small.data == bytes(10)


def test_a_long_table_is_read_in_little_memory(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    with table.open("w") as file:
        file.write("path\n")
        file.writelines(f"folder/of/many/pictures/{n:07}.jpg\n" for n in range(100_000))
    tracemalloc.start()
    try:
        assert sum(1 for _ in source(table).entries()) == 100_000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_sample_is_the_same_each_time_and_not_the_beginning() -> None:
    def listing() -> Iterator[Entry]:
        return (Entry(str(number)) for number in range(1000))

    first, second = (list(feed.sample(listing, 50)) for _ in range(2))
    assert first == second
    assert len(first) == 50
    assert first != list(listing())[:50]
    more = {each.source for each in feed.sample(listing, 100)}
    assert {each.source for each in first} < more


def test_tables_of_the_web_are_not_fetched_and_single_pictures_are_tasks() -> None:
    with pytest.raises(BadSource, match="web"):
        found("https://example.com/t.csv?x=1")
    (entry,) = found("https://example.com/a.jpg")
    assert json.dumps(entry.location) == '"https://example.com/a.jpg"'
