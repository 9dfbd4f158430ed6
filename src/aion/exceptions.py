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
    ├── BatchError                   a batch job failed
    ├── ChatError                    a chat failed
    ├── SSEStreamError               a stream of events broke off
    └── DocumentProcessingError, CloudStorageError, VideoUploadError, VideoAnalysisError:
        of other servers; this one has pictures only

What an error is about is an attribute and an entry of ``details`` alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aion.types.upload import BatchUploadResults


class AionvisionError(Exception):
    """Base of every error of this package.

    Attributes:
        code: a stable word for programs: the server's, or the default of the class.
        message: a sentence for people.
        details: what the error is about, and what else the server sent.
        status_code: the HTTP status; None if there was no answer.
        request_id: what the server's log knows the request by; None if none was sent.
    """

    def __init__(self, code: str, message: str, *, details: dict[str, Any] | None = None) -> None:
        super().__init__(f"[{code}] {message}")
        self.code = code
        self.message = message
        self.details: dict[str, Any] = details or {}

    @property
    def status_code(self) -> int | None:
        """The HTTP status; None if there was no answer."""
        status = self.details.get("status")  # of a description, it is a word
        return status if isinstance(status, int) else None

    @property
    def request_id(self) -> str | None:
        """What the server's log knows the request by; None if none was sent."""
        return self.details.get("request_id")

    def __str__(self) -> str:
        return f"[{self.code}] {self.message}"

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
        code: str = "PERMISSION_DENIED",
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
        message: str,
        *,
        available: int = 0,
        limit: int = 0,
        partial_results: BatchUploadResults | None = None,
        code: str = "QUOTA_EXCEEDED",
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
        known = {"resource_type": resource_type, "resource_id": resource_id}
        super().__init__(
            code,
            message or f"{resource_type} not found: {resource_id}",
            details={**known, **(details or {})},
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
        remaining: int | None = None,
        reset: int | None = None,
        code: str = "RATE_LIMIT",
        details: dict[str, Any] | None = None,
    ) -> None:
        known = {"retry_after": retry_after, "limit": limit, "remaining": remaining, "reset": reset}
        super().__init__(code, message, details={**(details or {}), **known})
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
        known = {} if last_result is None else {"last_result": last_result}
        super().__init__(code, message, details={**(details or {}), **known})
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
            f"'{endpoint}' failed repeatedly; it is tried again in {retry_after:.1f} s",
            details={**(details or {}), "endpoint": endpoint, "retry_after": retry_after},
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
        known = {"filename": filename, "stage": stage, "session_id": session_id}
        super().__init__(code, message, details={**(details or {}), **known})
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
        known = {"image_id": image_id, "status": status}
        super().__init__(code, message, details={**(details or {}), **known})
        self.image_id = image_id
        self.status = status
        self.partial_results = partial_results


class BatchError(AionvisionError):
    """A batch job failed.

    Attributes:
        batch_id: the job.
        failed_items: the ids of items that failed, as far as they are known;
            ``batch.get_all_results`` has all of them.
    """

    def __init__(
        self,
        message: str,
        *,
        batch_id: str | None = None,
        failed_items: list[str] | None = None,
        code: str = "BATCH_ERROR",
        details: dict[str, Any] | None = None,
    ) -> None:
        self.batch_id = batch_id
        self.failed_items = failed_items or []
        known = {"batch_id": batch_id, "failed_items": self.failed_items}
        super().__init__(code, message, details={**(details or {}), **known})


class ChatError(AionvisionError):
    """A chat failed.

    Attributes:
        session_id: the chat session.
        plan_data: the plan that waits for approval, if the chat has made one.
    """

    def __init__(
        self,
        message: str,
        *,
        session_id: str | None = None,
        error_code: str | None = None,
        plan_data: dict[str, Any] | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        known = {"session_id": session_id, **({"plan_data": plan_data} if plan_data else {})}
        super().__init__(error_code or "CHAT_ERROR", message, details={**(details or {}), **known})
        self.session_id = session_id
        self.plan_data = plan_data


class SSEStreamError(AionvisionError):
    """A stream of events broke off, and could not be taken up again.

    Attributes:
        last_event_id: the id of the last event that arrived.
        events_received: how many events arrived.
        reconnect_attempts: how often the stream was taken up again.
    """

    def __init__(
        self,
        message: str,
        *,
        last_event_id: str | None = None,
        events_received: int = 0,
        reconnect_attempts: int = 0,
    ) -> None:
        known = {
            "last_event_id": last_event_id,
            "events_received": events_received,
            "reconnect_attempts": reconnect_attempts,
        }
        super().__init__("SSE_STREAM_ERROR", message, details=known)
        self.last_event_id = last_event_id
        self.events_received = events_received
        self.reconnect_attempts = reconnect_attempts


class DocumentProcessingError(AionvisionError):
    """A document could not be processed (not offered by this server).

    Attributes:
        document_id: the document.
        status: how far it had come.
    """

    def __init__(
        self, message: str, *, document_id: str | None = None, status: str | None = None
    ) -> None:
        known = {"document_id": document_id, "status": status}
        super().__init__("DOCUMENT_PROCESSING_ERROR", message, details=known)
        self.document_id = document_id
        self.status = status


class CloudStorageError(AionvisionError):
    """A cloud drive could not be used (not offered by this server).

    Attributes:
        job_id: the transfer.
        job_status: how far it had come.
    """

    def __init__(
        self, message: str, *, job_id: str | None = None, job_status: str | None = None
    ) -> None:
        known = {"job_id": job_id, "job_status": job_status}
        super().__init__("CLOUD_STORAGE_ERROR", message, details=known)
        self.job_id = job_id
        self.job_status = job_status


class VideoUploadError(AionvisionError):
    """A video could not be uploaded (not offered by this server).

    Attributes:
        media_id: the video.
        stage: what the upload was doing.
        partial_chunks: how many pieces had arrived.
    """

    def __init__(
        self,
        message: str,
        *,
        media_id: str | None = None,
        stage: str | None = None,
        partial_chunks: int = 0,
    ) -> None:
        known = {"media_id": media_id, "stage": stage, "partial_chunks": partial_chunks}
        super().__init__("VIDEO_UPLOAD_ERROR", message, details=known)
        self.media_id = media_id
        self.stage = stage
        self.partial_chunks = partial_chunks


class VideoAnalysisError(AionvisionError):
    """A video could not be analysed (not offered by this server).

    Attributes:
        media_id: the video.
        analysis_job_id: the analysis.
        status: how far it had come.
    """

    def __init__(
        self,
        message: str,
        *,
        media_id: str | None = None,
        analysis_job_id: str | None = None,
        status: str | None = None,
    ) -> None:
        known = {"media_id": media_id, "analysis_job_id": analysis_job_id, "status": status}
        super().__init__("VIDEO_ANALYSIS_ERROR", message, details=known)
        self.media_id = media_id
        self.analysis_job_id = analysis_job_id
        self.status = status
