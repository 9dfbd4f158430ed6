"""Everything that can go wrong, as types.

::

    AionvisionError
    ├── AuthenticationError          401
    ├── AionvisionPermissionError    403
    ├── QuotaExceededError           403 USAGE_LIMIT_EXCEEDED, 413 STORAGE_QUOTA_EXCEEDED
    ├── ResourceNotFoundError        404
    ├── ValidationError              400, 413, 415, 422, and what the client itself refuses
    ├── RateLimitError               429
    ├── ServerError                  5xx, and answers that cannot be read
    ├── AionvisionTimeoutError       no answer, or no description, in time
    ├── AionvisionConnectionError    no connection
    ├── CircuitBreakerError          too many failures in a row: not even tried
    ├── UploadError                  some files could not be uploaded
    ├── DescriptionError             a picture could not be described
    └── BatchError                   a batch job failed
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aion.types.upload import BatchUploadResults


class AionvisionError(Exception):
    """Base of every error of this package.

    Attributes:
        code: a stable word for programs, e.g. ``RATE_LIMIT_ERROR``.
        message: a sentence for people.
        details: more, as the server sent it.
        status_code: the HTTP status; None if there was no answer.
        request_id: what the server's log knows the request by; None if none was sent.
    """

    def __init__(self, code: str, message: str, *, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details: dict[str, Any] = dict(details or {})

    @property
    def status_code(self) -> int | None:
        """The HTTP status; None if there was no answer."""
        return self.details.get("status")

    @property
    def request_id(self) -> str | None:
        """What the server's log knows the request by; None if none was sent."""
        return self.details.get("request_id")

    def __str__(self) -> str:
        return f"[{self.code}] {self.message}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(code={self.code!r}, message={self.message!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args), self.__dict__


def _rebuild(cls: type[AionvisionError], args: tuple[Any, ...]) -> AionvisionError:
    error = cls.__new__(cls)
    error.args = args
    return error


class AuthenticationError(AionvisionError):
    """The key is missing, unknown, expired or revoked (401)."""

    def __init__(
        self,
        message: str = "Authentication failed",
        *,
        code: str = "AUTH_ERROR",
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code, message, details=details)


class AionvisionPermissionError(AionvisionError):
    """The key is good but may not do this (403)."""

    def __init__(
        self,
        message: str = "Permission denied",
        *,
        code: str = "AUTHZ_ERROR",
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code, message, details=details)


class QuotaExceededError(AionvisionError):
    """The plan's limit is reached.

    Attributes:
        available: how many files may still be uploaded.
        limit: the plan's limit, in files.
        partial_results: what this call had finished before, if it was an upload.
    """

    def __init__(
        self,
        message: str = "Quota exceeded",
        *,
        available: int = 0,
        limit: int = 0,
        partial_results: BatchUploadResults | None = None,
        code: str = "USAGE_LIMIT_EXCEEDED",
        details: dict[str, Any] | None = None,
    ) -> None:
        known = {"available": available, "limit": limit}
        super().__init__(code, message, details={**(details or {}), **known})
        self.available = available
        self.limit = limit
        self.partial_results = partial_results


class ResourceNotFoundError(AionvisionError):
    """It does not exist, or belongs to another tenant (404).

    Attributes:
        resource_type: what was looked for, e.g. ``file``.
        resource_id: its id.
    """

    def __init__(
        self,
        resource_type: str,
        resource_id: str,
        *,
        message: str | None = None,
        code: str = "NOT_FOUND",
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            code, message or f"{resource_type} not found: {resource_id}", details=details
        )
        self.resource_type = resource_type
        self.resource_id = resource_id


class ValidationError(AionvisionError):
    """Something in the request cannot be accepted; it will not be later either."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "VALIDATION_ERROR",
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code, message, details=details)


class RateLimitError(AionvisionError):
    """Too many requests (429), and patience did not help.

    Attributes:
        retry_after: seconds to wait, if the server said so.
        limit: requests allowed per minute.
        remaining: requests left in this minute.
        reset: when the minute ends, Unix time in seconds.
    """

    def __init__(
        self,
        message: str = "Rate limit exceeded",
        *,
        retry_after: float | None = None,
        limit: int | None = None,
        remaining: int = 0,
        reset: int | None = None,
        code: str = "RATE_LIMIT_ERROR",
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code, message, details=details)
        self.retry_after = retry_after
        self.limit = limit
        self.remaining = remaining
        self.reset = reset


class ServerError(AionvisionError):
    """The server failed (5xx), or answered something that cannot be read."""

    def __init__(
        self,
        message: str = "Server error",
        *,
        code: str = "SERVER_ERROR",
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code, message, details=details)


class AionvisionTimeoutError(AionvisionError):
    """Nothing came in time.

    Attributes:
        last_result: what was known last, e.g. the pending results of an upload.
    """

    def __init__(
        self,
        message: str = "Operation timed out",
        *,
        last_result: Any = None,
        code: str = "TIMEOUT",
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code, message, details=details)
        self.last_result = last_result


class AionvisionConnectionError(AionvisionError):
    """The server cannot be reached, or hung up."""

    def __init__(
        self,
        message: str = "Connection failed",
        *,
        code: str = "CONNECTION_ERROR",
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code, message, details=details)


class CircuitBreakerError(AionvisionError):
    """An endpoint failed so often in a row that it is left alone for a while.

    Attributes:
        endpoint: which one, e.g. ``GET /user-files/{id}``.
        retry_after: seconds until it is tried again.
    """

    def __init__(
        self, endpoint: str, retry_after: float, *, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(
            "CIRCUIT_OPEN",
            f"{endpoint} failed repeatedly; it is tried again in {retry_after:.0f} s",
            details=details,
        )
        self.endpoint = endpoint
        self.retry_after = retry_after


class UploadError(AionvisionError):
    """Files could not be uploaded.

    Attributes:
        filename: the file it is about, if it is about one.
        stage: ``quota``, ``presigned``, ``upload``, ``confirm``, ``session_results`` or
            ``chunk_upload``.
        session_id: the last upload session; its results stay at
            ``GET /uploads/sessions/{session_id}/results``.
        partial_results: everything that had arrived, in the order of the files.
    """

    def __init__(
        self,
        message: str,
        *,
        filename: str | None = None,
        stage: str | None = None,
        session_id: str | None = None,
        partial_results: BatchUploadResults | None = None,
        code: str = "UPLOAD_ERROR",
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code, message, details={**(details or {}), "stage": stage})
        self.filename = filename
        self.stage = stage
        self.session_id = session_id
        self.partial_results = partial_results


class DescriptionError(AionvisionError):
    """A picture was uploaded but could not be described.

    Attributes:
        image_id: the picture.
        status: its description status.
        partial_results: all results of the call, if it was about several pictures.
    """

    def __init__(
        self,
        message: str,
        *,
        image_id: str | None = None,
        status: str | None = None,
        partial_results: BatchUploadResults | None = None,
        code: str = "DESCRIPTION_ERROR",
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code, message, details={**(details or {}), "image_id": image_id})
        self.image_id = image_id
        self.status = status
        self.partial_results = partial_results


class BatchError(AionvisionError):
    """A batch job failed.

    Attributes:
        batch_id: the job.
        failed_items: how many of its items failed.
    """

    def __init__(
        self,
        message: str,
        *,
        batch_id: str | None = None,
        failed_items: int = 0,
        code: str = "BATCH_ERROR",
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code, message, details=details)
        self.batch_id = batch_id
        self.failed_items = failed_items


class DocumentProcessingError(AionvisionError):
    """A document could not be processed (not offered by this server)."""


class CloudStorageError(AionvisionError):
    """A cloud drive could not be used (not offered by this server)."""


class ChatError(AionvisionError):
    """A chat failed (not offered by this server)."""


class SSEStreamError(AionvisionError):
    """A stream of events broke off."""
