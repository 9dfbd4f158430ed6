"""Pure rules: errors from answers, retries, breaker, window, planning, matching."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aion import exceptions as e
from aion._batch import Slot, existing_ids, match_answers, plan_requests
from aion._errors import error_from_answer, parse_error_body, parse_retry_after
from aion._files import STREAM_LIMIT, Source
from aion._retry import CircuitBreaker, RetryPolicy, Window, endpoint_of, is_transient

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def envelope(code: str, message: str = "No.", **details: Any) -> bytes:
    error = {"code": code, "message": message, "details": details}
    return json.dumps({"error": error, "request_id": "r-1"}).encode()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "VALIDATION_ERROR", e.ValidationError),
        (401, "INVALID_API_KEY", e.AuthenticationError),
        (402, "HTTP_402", e.AionvisionError),
        (403, "AUTHZ_ERROR", e.AionvisionPermissionError),
        (403, "USAGE_LIMIT_EXCEEDED", e.QuotaExceededError),
        (404, "NOT_FOUND", e.ResourceNotFoundError),
        (409, "CONFLICT", e.AionvisionError),
        (413, "HTTP_413", e.ValidationError),
        (413, "STORAGE_QUOTA_EXCEEDED", e.QuotaExceededError),
        (422, "VALIDATION_ERROR", e.ValidationError),
        (429, "RATE_LIMIT_ERROR", e.RateLimitError),
        (429, "MEMORY_LIMIT_EXCEEDED", e.RateLimitError),
        (500, "INTERNAL_ERROR", e.ServerError),
        (503, "IMAGE_PROCESSING_ERROR", e.ServerError),
    ],
)
def test_statuses(status: int, code: str, kind: type) -> None:
    error = error_from_answer(status, {}, envelope(code, field="f"), "/user-files")
    assert type(error) is kind
    assert (error.code, error.message) == (code, "No.")
    assert error.details["field"] == "f"
    assert (error.details["status"], error.details["request_id"]) == (status, "r-1")


def test_attributes_of_errors() -> None:
    quota = error_from_answer(403, {}, envelope("USAGE_LIMIT_EXCEEDED", available=2, limit=9), "/")
    assert isinstance(quota, e.QuotaExceededError)
    assert (quota.available, quota.limit, quota.details["limit"]) == (2, 9, 9)
    headers = {"retry-after": "7", "x-ratelimit-limit": "30", "x-ratelimit-reset": "1800000000"}
    rate = error_from_answer(429, headers, b"", "/")
    assert isinstance(rate, e.RateLimitError)
    assert (rate.retry_after, rate.limit, rate.remaining, rate.reset) == (7.0, 30, 0, 1800000000)
    missing = error_from_answer(404, {}, b"{}", "/user-files/abc/download")
    assert isinstance(missing, e.ResourceNotFoundError)
    assert (missing.resource_type, missing.resource_id) == ("file", "abc")
    said = error_from_answer(404, {}, envelope("NOT_FOUND", resource="Session", id="s"), "/x")
    assert isinstance(said, e.ResourceNotFoundError)
    assert (said.resource_type, said.resource_id) == ("Session", "s")


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (envelope("X", "Nested."), "Nested.", "X"),
        (b'{"error": "X", "message": "Flat.", "details": {}}', "Flat.", "X"),
        (b'{"error_code": "X", "message": "Flat."}', "Flat.", "X"),
        (b'{"error": "Just a word."}', "Just a word.", "Just a word."),
        (b'{"detail": "Not Found"}', "Not Found", None),
        (b'{"detail": [{"loc": ["query", "n"], "msg": "required"}]}', "query.n: required", None),
        (b'{"detail": {"code": "X", "message": "Inner."}}', "Inner.", "X"),
        (b"<html><title>502 Bad\nGateway</title>", "Not JSON but HTML: 502 Bad Gateway", None),
        (b"<!doctype html>", "Not JSON but HTML", None),
        (b"upstream gone", "upstream gone", None),
        (b"", None, None),
        (b'"text"', "text", None),
    ],
)
def test_error_bodies(body: bytes, message: str | None, code: str | None) -> None:
    said = parse_error_body(body)
    assert (said.message, said.code) == (message, code)


@given(st.integers(400, 599), st.binary(max_size=200))
def test_any_error_body(status: int, body: bytes) -> None:
    error = error_from_answer(status, {}, body, "/user-files/1")
    assert error.message
    assert str(error)


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda x: (
            st.dictionaries(
                st.sampled_from(["error", "code", "message", "detail", "details", "loc"]), x
            )
            | st.lists(x)
        ),
    )
)
def test_any_json_error_body(body: Any) -> None:
    error = error_from_answer(422, {"retry-after": "x"}, json.dumps(body).encode(), "/")
    assert isinstance(error.code, str)


@given(st.integers(0, 10**6))
def test_retry_after_seconds(seconds: int) -> None:
    assert parse_retry_after(str(seconds), NOW) == seconds


@given(st.integers(-1000, 1000))
def test_retry_after_dates(seconds: int) -> None:
    when = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(when, NOW) == max(0, seconds)


@given(st.text())
def test_retry_after_nonsense(text: str) -> None:
    seconds = parse_retry_after(text, NOW)
    assert seconds is None or seconds >= 0


@given(st.integers(0, 10), st.integers(0, 10), st.floats(0, 1), st.floats(0, 5))
def test_backoff_is_bounded(attempt: int, retries: int, chance: float, base: float) -> None:
    policy = RetryPolicy(max_retries=retries, base_delay=base)
    wait = policy.delay(attempt, e.AionvisionConnectionError(), chance)
    if attempt >= retries:
        assert wait is None
    else:
        assert wait is not None
        assert 0 <= wait <= min(60.0, base * 2**attempt)


@given(st.floats(0, 300), st.floats(0, 1))
def test_retry_after_is_a_minimum(asked: float, chance: float) -> None:
    error = e.RateLimitError(retry_after=asked, details={"status": 429})
    wait = RetryPolicy().delay(0, error, chance)
    assert wait is not None
    assert asked <= wait <= asked + 1.0
    long = e.RateLimitError(retry_after=301.0, details={"status": 429})
    assert RetryPolicy().delay(0, long, chance) is None


def test_what_is_transient() -> None:
    def transient(status: int) -> bool:
        return is_transient(error_from_answer(status, {}, b"", "/"))

    again = [s for s in range(400, 600) if transient(s)]
    assert again == [408, 425, 429, 500, 502, 503, 504]
    assert is_transient(e.AionvisionTimeoutError())
    assert not is_transient(e.AionvisionConnectionError(details={"permanent": True}))
    assert not is_transient(e.UploadError("x"))


def test_breaker() -> None:
    breaker = CircuitBreaker(failure_threshold=3, success_threshold=2, timeout=30)
    breaker.failed(0)
    breaker.failed(0)
    breaker.succeeded()  # in a row, not in total
    for _ in range(2):
        breaker.failed(1)
    assert breaker.blocked_for(1) == 0
    breaker.failed(1)
    assert breaker.blocked_for(11) == 20
    assert breaker.blocked_for(31) == 0  # half open
    breaker.failed(31)
    assert breaker.blocked_for(32) == 29
    breaker.succeeded()
    still_open_since = breaker.opened_at
    assert still_open_since is not None
    breaker.succeeded()
    assert breaker.opened_at is None
    breaker.failed(99)
    assert breaker.blocked_for(99) == 0


@given(st.lists(st.booleans(), max_size=200), st.integers(1, 20))
def test_window_stays_within_bounds(events: list[bool], ceiling: int) -> None:
    window = Window(limit=1.0, ceiling=ceiling)
    for good in events:
        before = window.size
        window.adjust(overloaded=not good)
        assert 1 <= window.size <= max(1, ceiling)
        assert window.size <= before + 1


def test_window_grows_by_one_a_round_and_halves() -> None:
    window = Window(limit=4.0, ceiling=16)
    for _ in range(5):
        window.adjust(overloaded=False)
    assert window.size == 5
    window.adjust(overloaded=True)
    assert window.size == 2


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/user-files/550e8400-e29b-41d4-a716-446655440000", "GET /user-files/{id}"),
        ("/uploads/batch/batch_xyz/status", "GET /uploads/batch/{id}/status"),
        ("/uploads/quota-check", "GET /uploads/quota-check"),
        ("/tenant/s3-config", "GET /tenant/s3-config"),
        ("/user-files/upload/stream-batch", "GET /user-files/upload/stream-batch"),
    ],
)
def test_endpoints(path: str, endpoint: str) -> None:
    assert endpoint_of("GET", path) == endpoint


def slots(*sizes: int) -> list[Slot]:
    return [Slot(n, Source(f"{n}.jpg", content=b"x"), size) for n, size in enumerate(sizes)]


@given(
    st.lists(st.integers(1, STREAM_LIMIT + 1000), max_size=60),
    st.integers(1, 50),
    st.integers(1, 2 * STREAM_LIMIT),
)
def test_plans_carry_every_file_once(sizes: list[int], files: int, size: int) -> None:
    all_slots = slots(*sizes)
    groups = list(plan_requests(all_slots, files, size))
    assert Counter(s.index for g in groups for s in g) == Counter(range(len(sizes)))
    for group in groups:
        assert 1 <= len(group) <= files
        assert len(group) == 1 or sum(s.size for s in group) <= size
        assert len(group) == 1 or all(s.size <= STREAM_LIMIT for s in group)


@given(st.lists(st.sampled_from(["a.jpg", "b.jpg", "c.jpg"]), max_size=12), st.data())
def test_answers_find_their_files(names: list[str], data: st.DataObject) -> None:
    sent = [Slot(n + 100, Source(name, content=b"x")) for n, name in enumerate(names)]
    accepted = data.draw(
        st.lists(st.sampled_from(range(len(names))), unique=True) if names else st.just([])
    )
    items = [{"filename": names[i], "index": i, "image_id": str(i)} for i in accepted]
    pairs = match_answers(items, sent)
    assert {(s.index - 100, i["image_id"]) for s, i in pairs} == {(i, str(i)) for i in accepted}


@given(st.lists(st.sampled_from(["a.jpg", "b.jpg"]), max_size=12))
def test_names_match_in_the_order_of_the_files(names: list[str]) -> None:
    sent = [Slot(n, Source(name, content=b"x")) for n, name in enumerate(names)]
    by_name = sorted(sent, key=lambda s: s.source.filename)  # stable: only names change places
    items = [{"filename": s.source.filename, "image_id": str(s.index)} for s in by_name]
    assert all(item["image_id"] == str(slot.index) for slot, item in match_answers(items, sent))
    assert match_answers([{"filename": "z.jpg"}], sent) == []


def test_existing() -> None:
    assert existing_ids({"duplicates": ["ab"], "unique": []}) == {}
    assert existing_ids({"duplicates": [{"sha256": "ab", "existing_image_id": "1"}]}) == {"ab": "1"}
    assert existing_ids({"duplicates": None, "existing": {"ab": None}}) == {}
