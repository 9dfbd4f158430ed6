"""How a program of one's own gives agents the contents of files."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aion.types.file_collection import FileRef


class FileResolutionError(Exception):
    """A file cannot be found, or not be read. No error of the server."""


class FileResolver(Protocol):
    """Gives the contents of files, and stores new ones. To be implemented by programs."""

    async def resolve(self, ref: FileRef, hints: Mapping[str, Any] | None = None) -> Any:
        """Return the content of a file. Raises FileResolutionError if it cannot be had."""

    async def resolve_batch(self, refs: Sequence[FileRef], batch_size: int = 100) -> Any:
        """Return the contents of files, ``batch_size`` at a time."""

    async def resolve_metadata(self, ref: FileRef) -> Any:
        """Return what is known of a file without its content."""

    async def store(
        self, content: bytes, media_type: str, metadata: Mapping[str, Any] | None = None
    ) -> FileRef:
        """Store a file and return its reference."""
