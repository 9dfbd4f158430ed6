"""What a backend's failure means: to the worker, and to a client whose request is passed on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.backends.chat import failures
from ocelli.backends.chat.relay import to_client
from ocelli.domain.chat_errors import UpstreamError, UpstreamRefused, UpstreamUnavailable
from ocelli.domain.http_status import retry_after

KEY = "sk-very-secret"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def told(status: int, body: Any = b"", after: float | None = None) -> UpstreamError:
    said = failures.reported_error(
        body if isinstance(body, bytes) else json.dumps(body).encode(), (KEY,)
    )
    return to_client(failures.by_status("up", status, said, after=after))


@pytest.mark.parametrize(
    ("status", "again"),
    [
        *((status, True) for status in (408, 409, 425, 429, 500, 502, 503, 504, 520, 529)),
        *((status, False) for status in (301, 400, 401, 402, 403, 404, 410, 413, 415, 422, 451)),
        *((status, False) for status in (501, 505)),
    ],
)
def test_one_table_for_all(status: int, again: bool) -> None:
    refused = failures.by_status("up", status, failures.ReportedError())
    assert (refused.again, refused.retryable) == (again, again)
    assert isinstance(to_client(refused), UpstreamUnavailable) == again


@pytest.mark.parametrize(
    ("status", "ours", "code"),
    [
        (400, 400, "upstream_refused"),
        (413, 413, "upstream_refused"),
        (415, 415, "upstream_refused"),
        (422, 422, "upstream_refused"),
        (429, 429, "rate_limit_exceeded"),
        (401, 502, "upstream_error"),  # not the client's key
        (402, 502, "upstream_error"),
        (403, 502, "upstream_error"),
        (404, 502, "upstream_error"),
        (307, 502, "upstream_error"),
        (501, 502, "upstream_error"),
        (409, 503, "overloaded"),
        (500, 503, "overloaded"),
        (529, 503, "overloaded"),
    ],
)
def test_what_a_client_sees(status: int, ours: int, code: str) -> None:
    for body in (b"", b"[]", b"7", b"<p>", b'{"error": "no"}', b'{"error": {"message": 7}}',
                 b'{"detail": []}', b'{"error": {"code": %d}}' % status):  # fmt: skip
        error = told(status, body)
        assert (error.status, error.code) == (ours, code)


@pytest.mark.parametrize("status", [400, 413, 429, 500, 503])
def test_codes_are_kept(status: int) -> None:
    error = {"message": "So it is.", "code": "odd_code", "type": "odd_type", "param": "messages[3]"}
    for body in ({"error": error}, error, [{"error": error}]):
        got = told(status, body)
        assert (got.code, got.type, got.param) == ("odd_code", "odd_type", "messages[3]")
        assert "So it is." in got.message


@pytest.mark.parametrize("code", sorted(failures.OF_THE_REQUEST))
@pytest.mark.parametrize("status", [400, 403, 413, 429, 500, 503])
def test_the_request_is_at_fault(status: int, code: str) -> None:
    got = told(status, {"error": {"message": "Too long.", "code": code}})
    assert isinstance(got, UpstreamRefused)
    assert (got.status, got.code) == (status if status in (400, 413) else 400, code)


def test_no_money_is_no_reason_to_ask_again() -> None:
    got = told(429, {"error": {"code": "insufficient_quota", "type": "insufficient_quota"}})
    assert (got.status, got.code, got.retryable) == (429, "insufficient_quota", False)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ({"code": 429}, 429, "rate_limit_exceeded"),
        ({"code": "rate_limit_exceeded"}, 429, "rate_limit_exceeded"),
        ({"code": "503"}, 503, "overloaded"),
        ({"type": "overloaded_error"}, 503, "overloaded"),
        ({"code": "context_length_exceeded"}, 400, "context_length_exceeded"),
        ({"type": "invalid_request_error"}, 400, "upstream_refused"),
        ({"code": "invalid_api_key"}, 502, "upstream_error"),
        ({"message": "model is loading"}, 502, "upstream_error"),
        ("model is loading", 502, "upstream_error"),
        ({"code": "unheard_of"}, 502, "unheard_of"),
    ],
)
def test_errors_in_answers_that_say_200(error: Any, status: int, code: str) -> None:
    refused = failures.in_answer("up", {"error": error}, ())
    assert refused is not None
    got = to_client(refused)
    assert (got.status, got.code) == (status, code)
    assert not isinstance(got, UpstreamRefused)  # another backend is asked


def test_answers_without_an_error() -> None:
    fine: list[dict[str, Any]] = [{}, {"error": None}, {"error": {}}, {"object": "chat.completion"}]
    for answer in fine:
        assert failures.in_answer("up", answer, ()) is None
    for answer in ({"object": "error", "message": "no"}, {"type": "error", "detail": "no"}):
        assert failures.in_answer("up", answer, ()) is not None


def test_long_words_and_secrets() -> None:
    for name in ("message", "code", "type", "param"):
        got = told(400, {"error": {"message": "m", name: f"{KEY} {'x ' * 5000}"}})
        assert KEY not in f"{got.message}{got.code}{got.type}{got.param}"
        assert all(len(each or "") <= 1000 for each in (got.message, got.code, got.type, got.param))
    assert KEY not in told(401, {"error": {"message": f"Incorrect API key: {KEY[:7]}*"}}).message
    assert KEY[:7] not in told(401, {"error": {"message": f"Incorrect: {KEY[:7]}*"}}).message


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["error", "message", "code", "type", "param", "detail", "msg"]), inner
    ),
))  # fmt: skip
def test_whatever_is_said_can_be_read(body: Any) -> None:
    got = told(400, body)
    assert got.message
    assert isinstance(got.code, str)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"Retry-After": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, 90),
        ({"Retry-After": "Friday, 02-Jan-26 03:05:05 GMT"}, 60),
        ({"Retry-After": "Fri Jan  2 03:05:05 2026"}, 60),
        ({"Retry-After": format_datetime(NOW - timedelta(seconds=90), usegmt=True)}, 0),
        ({"Retry-After-Ms": "250", "Retry-After": "1"}, 0.25),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "٣"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


def test_a_client_is_told_when_to_come_again() -> None:
    assert told(429, after=7.2).retry_after == 8
    assert told(503, after=90).retry_after == 90
    assert told(503).retry_after == 2
