"""Errors of chat requests, in the vocabulary that OpenAI's clients branch on.

``param`` is the path of the field at fault: ``messages[0].content[1].image_url``. Clients repeat
every 5xx, and each repetition costs looks; so an error that a repetition cannot heal is a 4xx.
"""

from __future__ import annotations

from ocelli.domain.errors import OcelliError


class ChatError(OcelliError):
    """Base of the errors of chat requests. ``type`` is a coarser classification than ``code``."""

    type = "invalid_request_error"
    status = 400

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message, details={"param": param})
        self.param = param


class MissingParameter(ChatError):
    """A required field is missing."""

    code = "missing_required_parameter"


class WrongType(ChatError):
    """A field has the wrong type."""

    code = "invalid_type"


class InvalidValue(ChatError):
    """A field has the right type and a value that is not allowed."""

    code = "invalid_value"


class InvalidJson(ChatError):
    """The body is not JSON, or nested too deeply."""

    code = "invalid_json"


class UnsupportedParameter(ChatError):
    """The requested model does not support a field."""

    code = "unsupported_parameter"


class InvalidSchema(ChatError):
    """``response_format`` holds no valid JSON Schema, or one that the local model cannot fill."""

    code = "invalid_json_schema"


class ContextTooLong(ChatError):
    """Text and pictures exceed the context of the model."""

    code = "context_length_exceeded"


class TooManyImages(ChatError):
    """The request has more pictures than allowed."""

    code = "too_many_images"


class InvalidBase64Image(ChatError):
    """The data URL is not valid base64."""

    code = "invalid_base64_image"


class InvalidImageFormat(ChatError):
    """The bytes are not a valid picture of a supported format."""

    code = "invalid_image_format"


class EmptyImage(ChatError):
    """The picture has no bytes."""

    code = "empty_image_file"


class ImageTooLarge(ChatError):
    """One picture has too many bytes or pixels."""

    code = "image_too_large"


class ModelNotFound(ChatError):
    """No model has this name."""

    code = "model_not_found"
    status = 404


class ResponseNotFound(ChatError):
    """No answer is kept under this id."""

    code = "response_not_found"
    status = 404


class ClientGone(ChatError):
    """The client closed the connection before the answer."""

    code = "client_closed_request"
    status = 499


class UpstreamError(ChatError):
    """A backend gave no answer. The backend's own ``code`` and ``type`` win, if it sent any."""

    type = "server_error"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        type: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message, param=param)
        self.status = status or self.status
        self.code = code or self.code
        self.type = type or self.type
        self.retry_after = retry_after or self.retry_after


class UpstreamRefused(UpstreamError):
    """The backend rejected the request itself, with a reason: other backends are not asked."""

    type = "invalid_request_error"
    code = "upstream_refused"


class UpstreamFailed(UpstreamError):
    """The backend answered with an error that a retry cannot heal."""

    code = "upstream_error"
    status = 502


class UpstreamUnavailable(UpstreamError):
    """The backend cannot be reached, is overloaded, or timed out; a retry may succeed."""

    code = "overloaded"
    status = 503
    retryable = True
    retry_after = 2
