"""The events that upload callbacks receive."""

from collections.abc import Awaitable, Callable

from aion.types._model import Model, record
from aion.types.upload import UploadResult


@record
class UploadProgressEvent(Model):
    """A file has been read and is about to be sent: once per file; sizes in bytes."""

    file_index: int
    uploaded_bytes: int
    total_bytes: int
    filename: str | None = None

    @property
    def progress_percent(self) -> float:
        """Always 100.0: files travel together, so there is no progress within one."""
        return 100.0


@record
class FileCompleteEvent(Model):
    """A file has arrived; its description may still be to come."""

    file_index: int
    result: UploadResult


@record
class DescriptionProgressEvent(Model):
    """One more description has ended, well or badly."""

    completed_count: int
    total_count: int
    latest_result: UploadResult | None = None

    @property
    def progress_percent(self) -> float:
        """How many have ended, of 100."""
        return 100.0 * self.completed_count / self.total_count if self.total_count else 100.0

    @property
    def remaining_count(self) -> int:
        """How many are still to come."""
        return self.total_count - self.completed_count


@record
class DescriptionFailedEvent(Model):
    """A file has no description and will get none: ``result`` says why."""

    file_index: int
    result: UploadResult

    @property
    def error_message(self) -> str | None:
        """Why, for people."""
        return self.result.description_error

    @property
    def is_retryable(self) -> bool:
        """Whether asking again can help."""
        return bool(self.result.description_is_retryable)


ProgressCallback = Callable[[UploadProgressEvent], Awaitable[None] | None]
FileCompleteCallback = Callable[[FileCompleteEvent], Awaitable[None] | None]
DescriptionProgressCallback = Callable[[DescriptionProgressEvent], Awaitable[None] | None]
DescriptionFailedCallback = Callable[[DescriptionFailedEvent], Awaitable[None] | None]
