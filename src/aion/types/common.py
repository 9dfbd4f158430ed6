"""The words that the server and the client share."""

import re
from enum import StrEnum
from typing import Self

from aion.types._model import Model, record


class DescriptionStatus(StrEnum):
    """How far the description of a picture has come."""

    PENDING = "pending"
    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more: completed, failed or skipped."""
        return self in (self.COMPLETED, self.FAILED, self.SKIPPED)


class StorageTarget(StrEnum):
    """Where a picture is stored: with the server, or in your own S3 bucket."""

    DEFAULT = "default"
    CUSTOM = "custom"


class VerificationLevel(StrEnum):
    """How thoroughly a description is checked: 1, 2, 2 and 3 looks at the picture."""

    QUICK = "quick"
    STANDARD = "standard"
    THOROUGH = "thorough"
    CRITICAL = "critical"


class MessageRole(StrEnum):
    """Who speaks in a chat."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


class ChatTokenType(StrEnum):
    """What a piece of a streamed chat answer is."""

    TOKEN = "token"  # noqa: S105 - a word of the contract, not a password
    COMPLETE = "complete"
    ERROR = "error"


class DescriptionErrorType(StrEnum):
    """Why a description failed."""

    TIMEOUT = "timeout"
    RATE_LIMIT = "rate_limit"
    VLM_ERROR = "vlm_error"
    VALIDATION = "validation"
    RESOURCE_LIMIT = "resource_limit"
    UNKNOWN = "unknown"

    @property
    def is_retryable(self) -> bool:
        """Whether asking again can help."""
        return self in (self.TIMEOUT, self.RATE_LIMIT, self.VLM_ERROR)


# For servers that send only a text; ours sends the type. The first pattern that is found decides.
_PATTERNS = (
    (DescriptionErrorType.RATE_LIMIT, r"\b429\b|rate.?limit|too many requests"),
    (DescriptionErrorType.TIMEOUT, r"time.?out|timed out|deadline|\b504\b"),
    (
        DescriptionErrorType.RESOURCE_LIMIT,
        r"resource|memory|quota|too (large|big|many pixels)|limit exceeded",
    ),
    (
        DescriptionErrorType.VALIDATION,
        r"validation|invalid|unsupported|corrupt|truncated|not an image|cannot be (read|decoded)",
    ),
    (
        DescriptionErrorType.VLM_ERROR,
        r"\bvlm\b|\bmodel\b|provider|backend|unavailable|overloaded|internal.*error|\b50[0-3]\b",
    ),
)


@record
class DescriptionFailure(Model):
    """One description that failed, with what can be done about it."""

    image_id: str
    error_message: str
    error_type: DescriptionErrorType
    is_retryable: bool
    filename: str | None = None
    raw_error: str | None = None

    @staticmethod
    def classify_error(error_message: str | None) -> tuple[DescriptionErrorType, bool]:
        """The kind of an error text, and whether asking again can help.

        >>> DescriptionFailure.classify_error("The model timed out after 30 s")
        (<DescriptionErrorType.TIMEOUT: 'timeout'>, True)
        >>> DescriptionFailure.classify_error("Unsupported image")
        (<DescriptionErrorType.VALIDATION: 'validation'>, False)
        """
        for kind, pattern in _PATTERNS:
            if re.search(pattern, error_message or "", re.IGNORECASE):
                return kind, kind.is_retryable
        return DescriptionErrorType.UNKNOWN, False

    @classmethod
    def from_error_message(
        cls, image_id: str, error_message: str, filename: str | None = None
    ) -> Self:
        """A failure whose kind is read from its text."""
        kind, retryable = cls.classify_error(error_message)
        return cls(image_id, error_message, kind, retryable, filename, error_message)
