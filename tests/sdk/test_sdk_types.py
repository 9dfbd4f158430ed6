"""Answers become dataclasses; whatever else the server sends is ignored."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import examples

from aion import (
    BatchImageInput,
    BatchUploadResults,
    DescriptionError,
    DescriptionErrorType,
    DescriptionFailure,
    DescriptionProgressEvent,
    DescriptionStatus,
    QuotaInfo,
    ServerError,
    TenantLimits,
    UploadBatchStatusResult,
    UploadError,
    UploadProgressEvent,
    UploadResult,
    ValidationError,
    types,
)
from aion.types._model import Model, parse_time

MODELS = [
    value
    for value in (getattr(types, name) for name in types.__all__)
    if isinstance(value, type) and issubclass(value, Model)
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def result(status: DescriptionStatus, *, retryable: bool | None = None) -> UploadResult:
    return UploadResult(
        "id", "a.jpg", "key", description_status=status, description_is_retryable=retryable
    )


@pytest.mark.parametrize("model", MODELS)
@examples(25)
@given(data=st.data())
def test_any_json_is_read_or_refused_clearly(model: type[Model], data: st.DataObject) -> None:
    names = st.sampled_from([f.name for f in model.__dataclass_fields__.values()])  # type: ignore[attr-defined]
    answer = data.draw(st.dictionaries(names, JSON, max_size=6))
    try:
        json.dumps(model.from_api_response(answer).to_dict())
    except (ServerError, ValidationError) as error:
        assert error.code == "INVALID_RESPONSE" or "exactly one" in error.message


@given(st.dictionaries(st.text(min_size=1), JSON, max_size=4))
def test_unknown_fields_are_ignored(extra: dict[str, Any]) -> None:
    known = {"image_id": "1", "filename": "a.jpg", "object_key": "k", "description": "A cat."}
    read = UploadResult.from_api_response({**extra, **known, "zz": 1})
    assert (read.image_id, read.filename) == ("1", "a.jpg")


@given(
    st.builds(
        UploadResult,
        image_id=st.text(min_size=1),
        filename=st.text(min_size=1),
        object_key=st.text(min_size=1),
        description=st.none() | st.text(min_size=1),
        tags=st.none() | st.lists(st.text(), min_size=1),
        confidence_score=st.none() | st.floats(0, 1),
        description_status=st.sampled_from(DescriptionStatus),
        created_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    )
)
def test_what_is_written_can_be_read_again(original: UploadResult) -> None:
    plain = json.loads(json.dumps(original.to_dict(exclude_none=False)))
    assert UploadResult.from_api_response(plain) == original


def test_exclude_none() -> None:
    pending = result(DescriptionStatus.PENDING)
    assert set(pending.to_dict()) == {"image_id", "filename", "object_key", "description_status"}
    assert pending.to_dict(exclude_none=False)["description"] is None


def test_paths_of_an_answer() -> None:
    detail = {
        "id": "1",
        "original_filename": "a.jpg",
        "object_key": "k",
        "upload_description": "A cat.",
        "tags": ["mine"],
        "full_descriptions": [{"tags": ["old"]}, {"tags": ["cat"], "confidence_score": 0.8}],
        "description_status": "completed",
    }
    read = UploadResult.from_api_response(detail)
    assert (read.tags, read.confidence_score, read.description) == (["mine"], 0.8, "A cat.")
    detail["tags"] = []
    assert UploadResult.from_api_response(detail).tags == ["cat"]
    status = UploadBatchStatusResult.from_api_response(
        {"batch_id": "b", "overall_status": "processing", "counts": {"total": 3, "failed": 1}}
    )
    assert (status.total, status.failed, status.is_terminal) == (3, 1, False)


@pytest.mark.parametrize("answer", [None, [], "text", {"filename": "a.jpg"}, {"image_id": {}}])
def test_an_answer_without_the_required_fields(answer: Any) -> None:
    with pytest.raises(ServerError, match="UploadResult") as caught:
        UploadResult.from_api_response(answer)
    assert caught.value.code == "INVALID_RESPONSE"


def test_times_have_a_zone() -> None:
    assert parse_time("2026-01-31T12:00:00Z") == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert parse_time("2026-01-31T12:00:00").tzinfo is UTC


@given(st.lists(st.builds(result, st.sampled_from(DescriptionStatus), retryable=st.booleans())))
def test_counts_add_up(items: list[UploadResult]) -> None:
    results = BatchUploadResults(items)
    skipped = sum(r.description_status is DescriptionStatus.SKIPPED for r in results)
    counted = results.succeeded_count + results.failed_count + results.pending_count + skipped
    assert counted == len(results)
    assert results.has_failures == bool(results.failed())
    assert set(map(id, results.retryable())) <= set(map(id, results.failed()))
    assert results.summary().startswith(f"{results.succeeded_count} succeeded")


def test_summary() -> None:
    ok, late = result(DescriptionStatus.COMPLETED), result(DescriptionStatus.QUEUED)
    bad, worse = result(DescriptionStatus.FAILED, retryable=True), result(DescriptionStatus.FAILED)
    results = BatchUploadResults([ok, ok, ok, bad])
    assert results.summary() == "3 succeeded, 1 failed (1 retryable)"
    assert BatchUploadResults([ok, bad, worse, late]).summary() == (
        "1 succeeded, 2 failed (1 retryable), 1 pending"
    )
    with pytest.raises(DescriptionError, match="1 of 4") as caught:
        results.raise_on_failures()
    assert caught.value.image_id == "id"
    assert BatchUploadResults([ok]).raise_on_failures().raise_on_failures().succeeded_count == 1
    assert isinstance(results, list)


@pytest.mark.parametrize(
    ("text", "kind", "retryable"),
    [
        ("Request timed out after 30 s", "timeout", True),
        ("HTTP 429: slow down", "rate_limit", True),
        ("Rate limit exceeded", "rate_limit", True),
        ("502 from the provider", "vlm_error", True),
        ("image too large: 500 megapixels", "resource_limit", False),
        ("Unsupported format", "validation", False),
        ("something else", "unknown", False),
        ("14290 things", "unknown", False),
    ],
)
def test_error_texts(text: str, kind: str, retryable: bool) -> None:
    assert DescriptionFailure.classify_error(text) == (kind, retryable)
    failure = DescriptionFailure.from_error_message("1", text, "a.jpg")
    assert failure.error_type is DescriptionErrorType(kind)
    assert failure.to_dict()["error_type"] == kind


@given(st.text())
def test_every_error_text_has_a_kind(text: str) -> None:
    kind, retryable = DescriptionFailure.classify_error(text)
    assert kind.is_retryable == retryable


def test_events() -> None:
    read = UploadProgressEvent(0, 10, 10, "a.jpg")
    assert read.progress_percent == 100.0
    assert read.to_dict() == {
        "file_index": 0,
        "uploaded_bytes": 10,
        "total_bytes": 10,
        "filename": "a.jpg",
    }
    progress = DescriptionProgressEvent(1, 4, result(DescriptionStatus.COMPLETED))
    assert (progress.progress_percent, progress.remaining_count) == (25.0, 3)
    assert progress.to_dict()["latest_result"]["description_status"] == "completed"


def test_inputs_and_limits() -> None:
    with pytest.raises(ValidationError):
        BatchImageInput()
    with pytest.raises(ValidationError):
        BatchImageInput(image_url="u", object_key="k")
    limits = TenantLimits({"a": 10}, {"a": 4}, {"b": 2})
    assert (limits.get_remaining("a"), limits.get_remaining("b")) == (6, 2)
    assert limits.get_remaining("c") is None
    assert limits.get_usage("c") is None


def test_frozen() -> None:
    with pytest.raises(AttributeError):
        QuotaInfo(can_proceed=True).available = 3  # type: ignore[misc]


def test_errors_can_be_pickled() -> None:
    error = UploadError("no", filename="a.jpg", stage="upload", session_id="s")
    again = pickle.loads(pickle.dumps(error))
    assert (again.filename, again.stage, again.session_id, str(again)) == (
        "a.jpg",
        "upload",
        "s",
        "[UPLOAD_ERROR] no",
    )
    assert again.details["stage"] == "upload"
