"""What stands in exported files."""

from __future__ import annotations

import csv
import io
import json
import re
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.domain.effective import Effective, MachineWords, Source
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.history import ExportFormat, HistoryRecord
from ocelli.usecases.history import ALL_FIELDS, FIELDS, ExportWriter, cell, checked_fields

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def a_record(**values: Any) -> HistoryRecord:
    defaults: dict[str, Any] = {
        "id": uuid.uuid4(),
        "image_id": uuid.uuid4(),
        "session_id": None,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "filename": "a.png",
        "confidence": 0.5,
        "level": "quick",
        "backends": "ocelli-local",
        "content_type": "image/png",
        "size_bytes": 9,
        "width": 3,
        "height": 2,
    }
    words: dict[str, Any] = {
        "title": None,
        "description": "A cat.",
        "visible_text": None,
        "tags": ("cat",),
        "description_source": Source.MACHINE,
        "tags_source": Source.MACHINE,
    }
    words |= {name: values.pop(name) for name in list(values) if name in words}
    machine = MachineWords(uuid.uuid4(), words["description"], None, tuple(words["tags"]))
    return HistoryRecord(shown=Effective(**words), machine=machine, **{**defaults, **values})


def written(records: list[HistoryRecord], format: ExportFormat, fields: list[str]) -> str:
    file = io.StringIO(newline="")
    writer = ExportWriter(file, format, fields)
    for record in records:
        writer.write([record])
    writer.close()
    assert writer.count == len(records)
    return file.getvalue()


SIGNS = ["=", "+", "-", "@", "＝", "＋", "－", "＠"]
BEFORE = ["", " ", "\u3000", "\xa0", "\ufeff", "\u200b", '"', "\x01", "\t", "\r", "\n", "\r\n "]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("sign", SIGNS)
def test_no_cell_is_a_formula(sign: str, delimiter: str) -> None:
    """By whatever sign a spreadsheet parts cells and lines, and whatever it overlooks."""
    texts = [f"{before}{sign}1+1" for before in BEFORE]
    texts += [f"x{part}{text}" for part in ";|\t\r\n" for text in texts]
    for text in texts:
        for value in (text, ["cat", text]):
            row = written([a_record(description=cell(value))], ExportFormat.CSV, ["description"])
            shown = row.partition("\r\n")[2]
            for line in re.split(r"[\r\n]+", shown):  # quotes may not hold where lines are parted
                for each in line.split(delimiter):
                    assert not each.strip(' "\u3000\xa0\ufeff\u200b\x01').startswith(tuple(SIGNS))


@pytest.mark.parametrize("text", ["\tx", "\rx", "\nx"])
def test_no_cell_begins_with_a_sign_that_parts(text: str) -> None:
    assert cell(text) == f"'{text}"


@given(TEXT)
def test_cells_keep_their_text(text: str) -> None:
    made = str(cell(text))
    assert made.replace("'", "") == text.replace("'", "")
    if not set(text) & set("=+-@＝＋－＠﹦﹢﹣﹫⁼⁺⁻₌₊₋\t\r\n"):
        assert made == text


def test_a_long_cell_takes_no_time() -> None:
    started = time.process_time()
    for piece in ("\n", "; ", " ", ";=", '"'):
        cell(piece * 100_000)
    assert time.process_time() - started < 1


@given(st.lists(TEXT, max_size=3), TEXT)
def test_files_read_back(texts: list[str], title: str) -> None:
    records = [a_record(description=text, title=title) for text in texts]
    fields = ["description", "title", "tags"]
    rows = list(csv.reader(io.StringIO(written(records, ExportFormat.CSV, fields), newline="")))
    assert rows[0] == fields
    assert [row[0] for row in rows[1:]] == [str(cell(text)) for text in texts]
    expected = [{"description": text, "title": title, "tags": ["cat"]} for text in texts]
    assert json.loads(written(records, ExportFormat.JSON, fields)) == expected
    lines = written(records, ExportFormat.JSONL, fields).split("\n")[:-1]
    assert [json.loads(line) for line in lines] == expected


def test_fields() -> None:
    assert checked_fields([], metadata=True) == tuple(ALL_FIELDS)
    assert checked_fields([], metadata=False) == tuple(FIELDS)
    assert checked_fields(["title", "id", "title"], metadata=False) == ("title", "id")
    with pytest.raises(ValidationFailed):
        checked_fields(["password"], metadata=True)
