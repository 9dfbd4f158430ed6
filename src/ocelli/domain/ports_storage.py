"""Protocols of stores of objects, and of the encryption of secrets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from ocelli.media.blob_writer import BlobWriter


@dataclass(frozen=True, slots=True)
class SignedUpload:
    """A request with which a client uploads one object, without an API key.

    ``headers`` must be sent exactly as given.
    """

    url: str
    headers: Mapping[str, str]
    method: str = "PUT"


class Objects(Protocol):
    """A store of objects by key: a folder or a bucket.

    Every call may raise Unavailable or OSError if the store does not answer, and
    StorageAccessDenied if it denies access.
    """

    @property
    def staging(self) -> Path:
        """A folder for files that are being received; housekeeping removes old ones."""
        ...

    async def put(self, key: str, blob: BlobWriter, content_type: str) -> None:
        """Store ``blob`` as ``key`` and take it over; it is durable when this returns."""
        ...

    async def read(self, key: str) -> bytes:
        """Return the bytes of ``key``. Raises FileNotFoundError if there is none."""
        ...

    async def copy_to(self, key: str, write: Callable[[bytes], object]) -> None:
        """Pass the bytes of ``key`` to ``write`` in chunks of a megabyte, in a thread.

        Raises FileNotFoundError if there is none, and what ``write`` raises.
        """
        ...

    async def size(self, key: str) -> int | None:
        """Return the size of ``key`` in bytes; None if there is none."""
        ...

    async def delete(self, key: str) -> None:
        """Remove ``key``; no error if there is none."""
        ...

    def url(
        self, key: str, *, expires_in: int, content_type: str, filename: str | None = None
    ) -> str:
        """Return a signed URL that needs no API key and expires after ``expires_in`` seconds.

        With ``filename`` the URL is a download under that name.
        """
        ...

    def upload_url(
        self, key: str, *, expires_in: int, content_type: str, max_bytes: int
    ) -> SignedUpload:
        """Return the request with which a client may upload ``key`` within ``expires_in`` seconds.

        The store enforces the type, and ``max_bytes`` and a single use if it can (the folder can,
        S3 cannot): the use case that takes the object over checks again.
        """
        ...

    def keys(self, *, under: str, older_than: float) -> AsyncIterator[Sequence[str]]:
        """Yield the keys in the folder ``under`` that were written more than ``older_than`` seconds
        ago, some hundreds at a time.
        """
        ...

    async def check(self) -> None:
        """Raise OSError if the store cannot be used right now."""
        ...


class Sealing(Protocol):
    """Encryption of secrets at rest; ``context`` names their purpose and is not secret."""

    def seal(self, plain: bytes, *, context: str) -> bytes:
        """Encrypt; the same input gives another output each time."""
        ...

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """Decrypt. Raises ValueError if it was sealed with another secret or context."""
        ...
