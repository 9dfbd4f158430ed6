"""Errors that clients may see.

Each is a type with a ``code`` (the API's vocabulary), an HTTP ``status``, a message for a person
and ``retryable``: whether the same request can succeed later. API surfaces render them, each in
its own shape; no code classifies an error by searching its text.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocelli.domain.accounts import ApiKey


class OcelliError(Exception):
    """Base of every error that a caller may see."""

    code: str = "INTERNAL_ERROR"
    status: int = 500
    retryable: bool = False
    retry_after: int | None = None

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = dict(details or {})

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without ``__init__``, which Exception would call with the message alone."""
        return _unpickled, (type(self), self.args), vars(self)


def _unpickled(kind: type[Exception], arguments: tuple[Any, ...]) -> Exception:
    return kind.__new__(kind, *arguments)


class ValidationFailed(OcelliError):
    """The request is readable, but a field has a value that is not allowed."""

    code = "VALIDATION_ERROR"
    status = 422

    def __init__(self, message: str, *, field: str, issue: str | None = None) -> None:
        super().__init__(message, details={"field": field, "issue": issue or message})


class MalformedRequest(ValidationFailed):
    """The request cannot be read at all (syntax, framing, encoding)."""

    status = 400


class InvalidKey(OcelliError):
    """No key, a malformed one, or one that was never issued."""

    code = "INVALID_API_KEY"
    status = 401


class EndedKey(OcelliError):
    """The key was valid once. ``key`` is its record, so that its tenant can be told."""

    status = 401

    def __init__(self, message: str, key: ApiKey) -> None:
        super().__init__(message)
        self.key = key


class ExpiredKey(EndedKey):
    """The key was valid until its ``expires_at``."""

    code = "EXPIRED_API_KEY"


class DeactivatedKey(EndedKey):
    """The key was revoked."""

    code = "DEACTIVATED_API_KEY"


class NotFound(OcelliError):
    """The object does not exist, or belongs to another tenant: clients cannot tell which."""

    code = "NOT_FOUND"
    status = 404

    def __init__(self, what: str, id: str) -> None:
        super().__init__(f"{what} not found: {id}", details={"resource": what, "id": id})


class UsageLimitExceeded(OcelliError):
    """The monthly limit of the tier is reached."""

    code = "USAGE_LIMIT_EXCEEDED"
    status = 403


class StorageQuotaExceeded(OcelliError):
    """The tenant's storage is full."""

    code = "STORAGE_QUOTA_EXCEEDED"
    status = 413


class Conflict(OcelliError):
    """The object is in a state that forbids this, or another request is changing it."""

    code = "CONFLICT"
    status = 409


class StillRunning(Conflict):
    """A request with the same idempotency key is running; ``retry_after`` is in whole seconds."""

    retryable = True
    retry_after = 1


class AnswerNotKept(Conflict):
    """A request with the same idempotency key has ended, and its answer was not stored."""


class NotCancellable(OcelliError):
    """The job has ended already."""

    code = "NOT_CANCELLABLE"
    status = 400


class TooLarge(OcelliError):
    """The body or a file has more bytes than the limit."""

    code = "HTTP_413"
    status = 413


class RateLimited(OcelliError):
    """Too many requests in this minute; ``retry_after`` is in whole seconds."""

    code = "RATE_LIMIT_ERROR"
    status = 429
    retryable = True

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message, details={"retry_after": retry_after})
        self.retry_after = retry_after


class Unavailable(OcelliError):
    """The database or a store does not answer right now."""

    code = "SERVICE_UNAVAILABLE"
    status = 503
    retryable = True
    retry_after = 2


class StorageFull(Unavailable):
    """The server's disk has no room for new files; stored ones can be read."""

    retry_after = 30


class NotAllowed(OcelliError):
    """The client is known but not allowed: a scope is missing, a signature wrong or expired."""

    code = "AUTHZ_ERROR"
    status = 403


class StorageAccessDenied(OcelliError):
    """A bucket denies access: credentials revoked, permissions missing, or no such bucket."""

    code = "STORAGE_ACCESS_DENIED"
    status = 502
    retryable = True


class CustomStorageMissing(ValidationFailed):
    """The request says ``storage_target=custom``, but the tenant has configured no bucket."""

    def __init__(self) -> None:
        super().__init__(
            "No custom storage is configured for this tenant: POST /tenant/s3-config comes first.",
            field="storage_target",
        )


class InvalidUrl(ValidationFailed):
    """The address cannot be fetched: it must be ``http`` or ``https``, with a host and without
    credentials.
    """

    status = 400

    def __init__(self, issue: str) -> None:
        super().__init__(issue, field="url")


class FetchFailed(OcelliError):
    """An address could not be fetched.

    The message tells nothing about hosts that are not public.
    """

    code = "FETCH_FAILED"
    status = 422


class FetchUnavailable(FetchFailed):
    """An address could not be fetched now; a retry may succeed."""

    retryable = True


class ImageProcessingFailed(OcelliError):
    """No backend could answer; ``retryable`` says whether a retry may succeed."""

    code = "IMAGE_PROCESSING_ERROR"
    status = 502

    def __init__(self, message: str, *, type: FailureType, retryable: bool) -> None:
        super().__init__(message, details={"error_type": type, "retryable": retryable})
        self.retryable = retryable


class InvalidImageUrl(OcelliError):
    """The address of a picture is malformed, not allowed, or its fetch failed.

    ``field`` names the field of the request, if several hold addresses.
    """

    code = "INVALID_IMAGE_URL"
    status = 400

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message, details=None if field is None else {"field": field})


class NotInTime(OcelliError):
    """The analysis is still running at the timeout; repeating the request joins it."""

    code = "TIMEOUT"
    status = 504
    retryable = True
    retry_after = 5


class FailureType(StrEnum):
    """Why an analysis failed: the vocabulary of ``description_error_type``."""

    TIMEOUT = "timeout"
    RATE_LIMIT = "rate_limit"
    VLM_ERROR = "vlm_error"
    VALIDATION = "validation"
    RESOURCE_LIMIT = "resource_limit"
    UNKNOWN = "unknown"


class AnalysisFailed(Exception):
    """One attempt to analyse a picture failed.

    ``retryable`` says whether another attempt can help: a broken picture stays broken, a backend
    that did not answer may answer next time.
    """

    def __init__(self, type: FailureType, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.type = type
        self.message = message
        self.retryable = retryable

    def __reduce__(self) -> tuple[Any, ...]:
        """See OcelliError."""
        return _unpickled, (type(self), self.args), vars(self)


def error_type(error: BaseException) -> str:
    """Return what logs and spans call an error, as one of few words."""
    if isinstance(error, StorageFull):
        return "storage_full"
    if isinstance(error, AnalysisFailed):
        return error.type.value
    return error.code if isinstance(error, OcelliError) else type(error).__name__
