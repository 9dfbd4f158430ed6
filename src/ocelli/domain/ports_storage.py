"""What the use cases need of stores, their own and those of tenants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from ocelli.media.blobs import BlobWriter


Checked = TypeVar("Checked")


@dataclass(frozen=True, slots=True)
class SignedUpload:
    """How a client sends one object by itself, without a key.

    ``headers`` must be sent exactly so; with None, none are needed.
    """

    url: str
    method: str = "PUT"
    headers: Mapping[str, str] | None = None


class Objects(Protocol):
    """Where bytes live, by key.

    Every call may raise Unavailable or OSError where the store does not answer, and
    StorageAccessDenied where it refuses us.
    """

    @property
    def staging(self) -> Path:
        """A folder for files that are still arriving; old ones in it are swept away."""
        ...

    async def put(self, key: str, blob: BlobWriter, content_type: str) -> None:
        """Take over ``blob`` as ``key``; durable when this returns."""
        ...

    async def read(self, key: str) -> bytes:
        """All bytes of ``key``; FileNotFoundError if there is none."""
        ...

    async def copy_to(self, key: str, write: Callable[[bytes], object]) -> None:
        """Give all bytes of ``key`` to ``write``, in pieces of a megabyte, in a thread.

        FileNotFoundError if there is none; whatever ``write`` raises ends it and is raised.
        """
        ...

    async def size(self, key: str) -> int | None:
        """Bytes of ``key``; None if there is none."""
        ...

    async def delete(self, key: str) -> None:
        """Remove ``key``; no error if it is gone already."""
        ...

    def url(
        self, key: str, *, expires_in: int, content_type: str, filename: str | None = None
    ) -> str:
        """A signed URL that needs no key and dies after ``expires_in`` seconds.

        With ``filename`` the answer is a download under that name.
        """
        ...

    def upload_url(
        self, key: str, *, expires_in: int, content_type: str, max_bytes: int
    ) -> SignedUpload:
        """How a client may send ``key`` itself within ``expires_in`` seconds.

        The store holds it to the type, and to ``max_bytes`` and one single time if it can (ours
        can; S3 cannot): the use case that takes the object over checks again.
        """
        ...

    def keys(self, *, under: str, older_than: float) -> AsyncIterator[Sequence[str]]:
        """Every key that begins with the folder ``under`` and was written more than so many
        seconds ago, some hundreds at a time."""
        ...

    async def check(self) -> None:
        """Raise OSError if the store cannot be used right now."""
        ...


class Sealing(Protocol):
    """Encryption of secrets at rest; ``context`` says what they are for, and is not secret."""

    def seal(self, plain: bytes, *, context: str) -> bytes:
        """Not the same twice."""
        ...

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """Raises ValueError if it was sealed with another secret or for another context."""
        ...
