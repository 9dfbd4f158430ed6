"""Errors of chat requests, in the vocabulary that OpenAI's clients branch on.

``param`` is the path of what is wrong: ``messages[0].content[1].image_url``. What a repetition
cannot help is a 4xx, since clients repeat every 5xx, and each repetition costs looks.
"""

from __future__ import annotations

from ocelli.domain.errors import OcelliError


class ChatError(OcelliError):
    """Base of all of them. ``type`` is the coarser vocabulary beside ``code``."""

    type = "invalid_request_error"
    status = 400

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message, details={"param": param})
        self.param = param


class MissingParameter(ChatError):
    """A field that must be there is not."""

    code = "missing_required_parameter"


class WrongType(ChatError):
    """A field has another type than it must have."""

    code = "invalid_type"


class InvalidValue(ChatError):
    """A field has the right type and an impossible value."""

    code = "invalid_value"


class InvalidJson(ChatError):
    """The body is no JSON, or JSON of absurd depth."""

    code = "invalid_json"


class UnsupportedParameter(ChatError):
    """The model that was asked for cannot do this."""

    code = "unsupported_parameter"


class InvalidSchema(ChatError):
    """``response_format`` holds what is no JSON Schema, or one that we cannot fill."""

    code = "invalid_json_schema"


class ContextTooLong(ChatError):
    """More text and pictures than fit."""

    code = "context_length_exceeded"


class TooManyImages(ChatError):
    """More pictures than a request may have."""

    code = "too_many_images"


class InvalidBase64Image(ChatError):
    """The data URL holds no base64."""

    code = "invalid_base64_image"


class InvalidImageFormat(ChatError):
    """The bytes are no JPEG, PNG, WebP or GIF, or a damaged one."""

    code = "invalid_image_format"


class EmptyImage(ChatError):
    """There are no bytes."""

    code = "empty_image_file"


class ImageTooLarge(ChatError):
    """One picture has too many bytes or pixels."""

    code = "image_too_large"


class ModelNotFound(ChatError):
    """No model has this name."""

    code = "model_not_found"
    status = 404


class ClientGone(ChatError):
    """The client has hung up and reads no answer."""

    code = "client_closed_request"
    status = 499


class UpstreamError(ChatError):
    """A backend gave no answer. Where it says a code or type itself, that is the one."""

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
    """The backend found something wrong with the request, and says what: no other is asked."""

    type = "invalid_request_error"
    code = "upstream_refused"


class UpstreamFailed(UpstreamError):
    """The backend is there and does not do its work, in a way that asking again will not heal."""

    code = "upstream_error"
    status = 502


class UpstreamUnavailable(UpstreamError):
    """The backend cannot be reached, is overloaded or took too long: later it may work."""

    code = "overloaded"
    status = 503
    retryable = True
    retry_after = 2
