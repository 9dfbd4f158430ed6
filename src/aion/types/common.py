"""The words that the server and the client share."""

from enum import StrEnum


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
    STATUS = "status"
    IMAGE_RESULTS = "image_results"
    COMPLETE = "complete"
    ERROR = "error"
    RECONNECTING = "reconnecting"
    PLAN_PENDING_APPROVAL = "plan_pending_approval"
    THINKING = "thinking"
    THINKING_STEP = "thinking_step"
    TOOL_INVOCATION = "tool_invocation"
    TOOL_RESULT = "tool_result"
    CONNECTION = "connection"
    PING = "ping"
    CLOSE = "close"
    AUTH_ERROR = "auth_error"
