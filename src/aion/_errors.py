"""From an HTTP answer that is not a success to the exception that says so. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aion.exceptions import (
    AionvisionError,
    AionvisionPermissionError,
    AuthenticationError,
    DescriptionError,
    QuotaExceededError,
    RateLimitError,
    ResourceNotFoundError,
    ServerError,
    ValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aion.types.upload import UploadResult

NOT_OFFERED = frozenset({404, 405, 501})  # by servers that lack an endpoint
QUOTA_CODES = frozenset({"USAGE_LIMIT_EXCEEDED", "STORAGE_QUOTA_EXCEEDED", "QUOTA_EXCEEDED"})
INVALID_STATUSES = frozenset({400, 413, 415, 422})

# What a path talks about, for 404s that do not say it themselves.
_RESOURCES = (
    ("/user-files/", "file"),
    ("/uploads/sessions/", "session"),
    ("/uploads/batch/", "batch"),
    ("/uploads/status/", "image"),
    ("/batch/", "batch"),
    ("/colors/images/", "image"),
)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error answer says, whichever of the known forms it has."""

    message: str | None = None
    code: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    request_id: str | None = None


def error_from_answer(
    status: int, headers: Mapping[str, str], body: bytes, path: str
) -> AionvisionError:
    """The exception for an answer with this status (400 and above, or unexpected)."""
    said = parse_error_body(body)
    message = said.message or f"The server answered with status {status}"
    details = {**said.details, "status": status}
    if request_id := said.request_id or headers.get("x-request-id"):
        details["request_id"] = request_id
    wait = parse_retry_after(headers.get("retry-after"), datetime.now(UTC))
    if wait is not None:
        details["retry_after"] = wait
    given: dict[str, Any] = {"details": details}
    if said.code:
        given["code"] = said.code
    if said.code in QUOTA_CODES and status in (402, 403, 413, 429):
        available, limit = (_integer(details.get(key)) or 0 for key in ("available", "limit"))
        return QuotaExceededError(message, available=available, limit=limit, **given)
    if status == 401:
        return AuthenticationError(message, **given)
    if status == 403:
        return AionvisionPermissionError(message, **given)
    if status == 404:
        return _not_found(path, said, given)
    if status == 429:
        return _rate_limited(headers, message, given)
    if status in INVALID_STATUSES:
        return ValidationError(message, **given)
    if status >= 500:
        return ServerError(message, **given)
    return AionvisionError(said.code or f"HTTP_{status}", message, details=details)


def is_not_offered(error: AionvisionError) -> bool:
    """Whether the server does not have this endpoint (or what it is asked about)."""
    return error.details.get("status") in NOT_OFFERED


def parse_error_body(body: bytes) -> ErrorBody:
    """Reads the nested envelope, the flat one, FastAPI's ``detail``, or a page of HTML.

    >>> parse_error_body(b'{"error": {"code": "X", "message": "No."}}').message
    'No.'
    >>> parse_error_body(b'{"detail": [{"loc": ["body", "files"], "msg": "required"}]}').message
    'body.files: required'
    >>> parse_error_body(b"<html><title>502 Bad Gateway</title>").message
    'Not JSON but HTML: 502 Bad Gateway'
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return ErrorBody(_from_text(body))
    if not isinstance(data, dict):
        return ErrorBody(_text(data))
    if isinstance(data.get("error"), dict):
        inner = data["error"]
    elif "detail" in data:
        inner = _from_detail(data["detail"])
    else:
        inner = {**data, "code": data.get("error_code") or data.get("error") or data.get("code")}
    details = inner.get("details")
    return ErrorBody(
        message=_text(inner.get("message")) or _text(inner.get("code")),
        code=_text(inner.get("code")),
        details=dict(details) if isinstance(details, dict) else {},
        request_id=_text(data.get("request_id")),
    )


def _from_detail(detail: Any) -> dict[str, Any]:
    if isinstance(detail, dict):
        return detail
    if isinstance(detail, list):
        issues = [d for d in detail if isinstance(d, dict)]
        lines = [f"{_place(d.get('loc'))}: {d.get('msg', 'invalid')}" for d in issues]
        return {"message": "; ".join(lines), "details": {"issues": issues}}
    return {"message": _text(detail)}


def _place(loc: Any) -> str:
    return ".".join(map(str, loc)) if isinstance(loc, list) else str(loc)


def _from_text(body: bytes) -> str | None:
    text = body[:4096].decode("utf-8", "replace").strip()
    if not text.startswith("<"):
        return " ".join(text.split())[:200] or None
    title = re.search(r"<(title|h1|message)[^>]*>(.*?)</", text, re.IGNORECASE | re.DOTALL)
    return (
        f"Not JSON but HTML: {' '.join(title[2].split())[:200]}" if title else "Not JSON but HTML"
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _integer(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _not_found(path: str, said: ErrorBody, given: dict[str, Any]) -> ResourceNotFoundError:
    kind, identifier = next(
        ((kind, path.removeprefix(start)) for start, kind in _RESOURCES if path.startswith(start)),
        ("endpoint", path),
    )
    return ResourceNotFoundError(
        _text(said.details.get("resource")) or kind,
        _text(said.details.get("id")) or identifier.partition("/")[0] or path,
        message=said.message,
        **given,
    )


def _rate_limited(
    headers: Mapping[str, str], message: str, given: dict[str, Any]
) -> RateLimitError:
    return RateLimitError(
        message,
        retry_after=given["details"].get("retry_after"),
        limit=_integer(headers.get("x-ratelimit-limit")),
        remaining=0,
        reset=_integer(headers.get("x-ratelimit-reset")),
        **given,
    )


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait: from a number, or from a date; None if there is neither.

    >>> parse_retry_after("7", datetime.now(UTC))
    7.0
    """
    if value is None:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value.strip()):
        return float(value)
    from email.utils import parsedate_to_datetime  # rare, and slow to import

    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds())


def raise_if_failed(result: UploadResult) -> None:
    """Raise DescriptionError for a picture that could not be described."""
    if result.is_failed:
        raise DescriptionError(
            f"{result.filename} could not be described: {result.description_error}",
            image_id=result.image_id,
            status=result.description_status.value,
            details={
                "error_type": result.description_error_type,
                "is_retryable": result.description_is_retryable,
            },
        )
