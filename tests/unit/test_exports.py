"""What stands in exported files."""

from __future__ import annotations

import csv
import io
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        "title": None,
        "description": "A cat.",
        "visible_text": None,
        "tags": ("cat",),
        "confidence": 0.5,
        "level": "quick",
        "content_type": "image/png",
        "size_bytes": 9,
        "width": 3,
        "height": 2,
    }
    return HistoryRecord(**{**defaults, **values})


def written(records: list[HistoryRecord], format: ExportFormat, fields: list[str]) -> str:
    file = io.StringIO(newline="")
    writer = ExportWriter(file, format, fields)
    for record in records:
        writer.write([record])
    writer.close()
    assert writer.count == len(records)
    return file.getvalue()


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert str(cell(text)) == f"'{text}"
    assert str(cell([text, "x"])).startswith("'")


@given(TEXT)
def test_cells_keep_their_text(text: str) -> None:
    made = str(cell(text))
    assert made in (text, f"'{text}")
    assert not made.lstrip(" ").startswith(("=", "+", "-", "@"))


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
