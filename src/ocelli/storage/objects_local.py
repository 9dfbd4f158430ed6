"""The object store in a folder."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
import uuid
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from ocelli.domain.errors import Unavailable
from ocelli.domain.ports_storage import SignedUpload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from ocelli.media.blob_writer import BlobWriter

STAGING = ".staging"
BATCH = 500
CHUNK_BYTES = 1024 * 1024
FOLDER_LEVELS = 2  # folders: for what, and of which tenant
NAME_SEPARATOR = "+"


class LocalObjects:
    """A folder as an object store; implements ports_storage.Objects.

    A file arrives in ``staging`` (same file system), is made durable, and appears under its key by
    one rename. ``uploads/{tenant}/{id}/{name}`` is the file ``{id}+{name}`` of ``uploads/{tenant}``
    since a folder for each picture is more work, and stays when that is deleted. URLs are signed
    by us and served by the API at ``/objects/{key}``.
    """

    def __init__(self, root: Path, secret: bytes) -> None:
        self.root = root.absolute()
        self.staging = self.root / STAGING
        self.staging.mkdir(parents=True, exist_ok=True)
        self._inode = self.staging.stat().st_ino
        self._secret = secret

    def __str__(self) -> str:
        return str(self.root)

    async def put(self, key: str, blob: BlobWriter, content_type: str) -> None:
        """See ports_storage.Objects."""
        del content_type  # a folder keeps no metadata; the row does
        try:
            await asyncio.to_thread(self._put, key, blob)
        except OSError as error:
            raise Unavailable("The file cannot be stored right now. Try again later.") from error

    async def read(self, key: str) -> bytes:
        """See ports_storage.Objects."""
        with self._mount_checked():
            return await asyncio.to_thread(self.path(key).read_bytes)

    async def put_once(self, key: str, blob: BlobWriter) -> None:
        """Store ``blob`` as ``key``. Raises FileExistsError if there is such an object.

        Of concurrent calls exactly one succeeds.
        """
        await asyncio.to_thread(self._put, key, blob, once=True)

    async def copy_to(self, key: str, write: Callable[[bytes], object]) -> None:
        """See ports_storage.Objects."""
        with self._mount_checked():
            await asyncio.to_thread(self._copy_to, self.path(key), write)

    async def size(self, key: str) -> int | None:
        """See ports_storage.Objects."""
        try:
            return (await asyncio.to_thread(self.path(key).stat)).st_size
        except FileNotFoundError:
            return None

    async def delete(self, key: str) -> None:
        """See ports_storage.Objects."""
        await asyncio.to_thread(self.path(key).unlink, missing_ok=True)

    async def keys(self, *, under: str, older_than: float) -> AsyncIterator[Sequence[str]]:
        """See ports_storage.Objects."""
        found = self._found(self.path(under), time.time() - older_than)
        while batch := await asyncio.to_thread(lambda: list(islice(found, BATCH))):
            yield batch

    async def check(self) -> None:
        """Raise OSError if the folder is not writable."""
        await asyncio.to_thread(self._check)

    def path(self, key: str) -> Path:
        """Return the path of ``key``. Raises FileNotFoundError for a key outside the folder."""
        parts = key.split("/")
        names = parts[FOLDER_LEVELS:]
        if (
            "\0" in key
            or any(part in {"", ".", ".."} for part in parts)
            or NAME_SEPARATOR in "".join(names)
        ):
            raise FileNotFoundError(key)
        return self.root.joinpath(
            *parts[:FOLDER_LEVELS], *([NAME_SEPARATOR.join(names)] if names else [])
        )

    def _key(self, path: Path) -> str | None:
        """Return the key of a path; None for a file that is not of this store."""
        key = path.relative_to(self.root).as_posix().replace(NAME_SEPARATOR, "/")
        with suppress(FileNotFoundError):
            if self.path(key) == path:
                return key
        return None

    def url(
        self, key: str, *, expires_in: int, content_type: str, filename: str | None = None
    ) -> str:
        """See ports_storage.Objects; relative to the server's address."""
        query = {"expires": str(int(time.time()) + expires_in), "type": content_type}
        if filename is not None:
            query["name"] = filename
        query["signature"] = self._sign("GET", key, query)
        return f"/objects/{quote(key)}?{urlencode(query)}"

    def upload_url(
        self, key: str, *, expires_in: int, content_type: str, max_bytes: int
    ) -> SignedUpload:
        """See ports_storage.Objects; relative to the server's address."""
        query = {
            "expires": str(int(time.time()) + expires_in),
            "type": content_type,
            "size": str(max_bytes),
        }
        query["signature"] = self._sign("PUT", key, query)
        url = f"/objects/{quote(key)}?{urlencode(query)}"
        return SignedUpload(url, headers={"Content-Type": content_type})

    def allows(self, method: str, key: str, query: dict[str, str]) -> bool:
        """Return whether ``query`` has a valid signature for this request that is not expired."""
        signed = {name: value for name, value in query.items() if name != "signature"}
        expected = self._sign(method, key, signed)
        signature = query.get("signature", "")
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            return False
        return int(signed["expires"]) >= time.time()

    @contextmanager
    def _mount_checked(self) -> Iterator[None]:
        """Raise Unavailable for a missing file if the disk of the store is not mounted."""
        try:
            yield
        except FileNotFoundError:
            self._check_mounted()
            raise

    def _check_mounted(self) -> None:
        """Raise Unavailable if the folder is not that of the start: its disk is not mounted.

        The mount point may hold a folder of the same name, so inodes are compared.
        """
        if not self.staging.is_dir() or self.staging.stat().st_ino != self._inode:
            raise Unavailable(f"The store is not there: {self.root}")

    def _found(self, folder: Path, before: float) -> Iterator[str]:
        for path in folder.rglob("*"):
            with suppress(FileNotFoundError):
                key = self._key(path)
                if key is not None and path.is_file() and path.stat().st_mtime < before:
                    yield key

    def _sign(self, method: str, key: str, query: dict[str, str]) -> str:
        message = "\n".join([method, key, urlencode(sorted(query.items()))])
        return hmac.new(self._secret, message.encode(), hashlib.sha256).hexdigest()

    def _copy_to(self, path: Path, write: Callable[[bytes], object]) -> None:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK_BYTES):
                write(chunk)

    def _put(self, key: str, blob: BlobWriter, *, once: bool = False) -> None:
        self._check_mounted()
        blob.commit(self.path(key), once=once)

    def _check(self) -> None:
        probe = self.staging / f"probe-{uuid.uuid4().hex}"  # pids repeat on other machines
        probe.write_bytes(b"")
        probe.unlink()
