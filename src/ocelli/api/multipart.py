"""Multipart bodies whose files go to disk while they arrive; memory stays flat.

Searching boundaries, hashing and writing happen in a thread, one megabyte at a time, while the next
one is received.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from ocelli.api.multipart_parser import BrokenForm, FormParser, boundary_of
from ocelli.api.raw import announced, arriving
from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.errors import MalformedRequest, TooLarge, Unavailable
from ocelli.media.blobs import BlobFactory, BlobWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from starlette.requests import Request

    from ocelli.api.multipart_parser import Part, Target

PIECE = MEGABYTE
MAX_FIELD = 64 * 1024
FRAMING = 2 * MEGABYTE  # headers of parts and small fields, beside the files


class FilePart:
    """One file of the form. ``error`` says why it was not kept; the rest may still be good."""

    def __init__(self, filename: str | None, staged: BlobWriter) -> None:
        self.filename = filename
        self.staged = staged
        self.error: TooLarge | None = None
        self.complete = False

    def write(self, data: bytes | memoryview) -> None:
        """Keep ``data``, or swallow it once the file has grown too large."""
        if self.error is None:
            try:
                self.staged.write(data)
            except TooLarge as error:
                self.error = error


class Form:
    """A received form. Use as a context manager: files not taken over are removed."""

    def __init__(self) -> None:
        self.files: list[FilePart] = []
        self.too_many = False
        self.fields: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for part in self.files:
            part.staged.__exit__()


class _File:
    """A file of the form. ``inspect`` looks at it when it is complete."""

    def __init__(self, part: FilePart, inspect: Callable[[BlobWriter], None]) -> None:
        self._part = part
        self._inspect = inspect

    def write(self, data: memoryview) -> None:
        self._part.write(data)

    def finish(self) -> None:
        self._part.complete = True
        if self._part.error is None:
            self._inspect(self._part.staged)


class _Field:
    """A text field; given twice, the last one counts."""

    def __init__(self, form: Form, name: str) -> None:
        self._form = form
        self._name = name
        self._value = b""

    def write(self, data: memoryview) -> None:
        self._value += data
        if len(self._value) > MAX_FIELD:
            raise MalformedRequest(f"The field `{self._name}` is too long.", field=self._name)

    def finish(self) -> None:
        try:
            self._form.fields[self._name] = self._value.decode()
        except UnicodeDecodeError:
            raise MalformedRequest(
                f"The field `{self._name}` is not UTF-8.", field=self._name
            ) from None


async def receive(
    request: Request,
    form: Form,
    new_blob: BlobFactory,
    inspect: Callable[[BlobWriter], None],
    *,
    file_field: str,
    text_fields: Iterable[str],
    max_bytes: int,
    max_files: int = 1,
) -> None:
    """Read the whole body into ``form``, and let ``inspect`` look at each file that is complete.

    Raises MalformedRequest for a body that is no complete multipart form, TooLarge for more files
    or bytes than allowed in total. A single file that is too large is marked, not raised, and its
    bytes are still read: a client that is cut off in mid-sending never sees the answer.
    """
    limit = max_files * max_bytes + FRAMING
    refuse_announced(request, limit + max_bytes // 4)
    fields = frozenset(text_fields)

    def begin(part: Part) -> Target | None:
        if part.name in fields:
            return _Field(form, part.name)
        if part.name != file_field:
            return None
        if len(form.files) >= max_files:
            form.too_many = True  # said once the body has been read, or nobody would hear it
            return None
        form.files.append(FilePart(part.filename, new_blob(max_bytes=max_bytes)))
        return _File(form.files[-1], inspect)

    try:
        parts = FormParser(boundary_of(request.headers.get("content-type", "")), begin)
    except BrokenForm:
        raise MalformedRequest(
            "The body must be multipart/form-data with a boundary.", field="body"
        ) from None
    try:
        await pump(request, parts.feed, limit + max_bytes // 4)
    except BrokenForm:
        raise MalformedRequest("The multipart body cannot be parsed.", field="body") from None
    except OSError as error:
        raise Unavailable("The file cannot be stored right now. Try again later.") from error
    if form.too_many:
        raise TooLarge(
            f"More than {max_files} file(s) in one request.", details={"max_files": max_files}
        )
    if form.files and not form.files[-1].complete:
        raise MalformedRequest("The body ended in the middle of the file.", field=file_field)


async def pump(
    request: Request, take: Callable[[bytes], None], limit: int, *, piece_size: int = PIECE
) -> None:
    """Give the body to ``take`` in a thread, chunk by chunk, while the next ones are received.

    ``piece_size`` bytes at least go into the thread together.

    Raises TooLarge for a body of more than ``limit`` bytes, MalformedRequest for one that breaks
    off, and whatever ``take`` raises.
    """
    working: asyncio.Task[None] | None = None
    try:
        async for piece in _pieces(request, limit, piece_size):
            if working is not None:
                await asyncio.shield(working)
            working = asyncio.create_task(asyncio.to_thread(_each, take, piece))
        if working is not None:
            await asyncio.shield(working)
    except BaseException:
        if working is not None:  # the thread still writes to the file
            await asyncio.gather(working, return_exceptions=True)
        raise


def _each(take: Callable[[bytes], None], chunks: Iterable[bytes]) -> None:
    """Not joined: that would be one more copy on the event loop."""
    for chunk in chunks:
        take(chunk)


async def _pieces(request: Request, limit: int, piece_size: int) -> AsyncIterator[Sequence[bytes]]:
    """The body in lists of so many bytes, or a little more."""
    waiting: list[bytes] = []
    size = total = 0
    async for chunk in arriving(request):
        total += len(chunk)
        if total > limit:
            raise TooLarge("The request is larger than its limit.", details={"max_bytes": limit})
        waiting.append(chunk)
        size += len(chunk)
        if size >= piece_size:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting


def refuse_announced(request: Request, limit: int) -> None:
    """Raise TooLarge if the body says that it has more bytes, before it is read."""
    size = announced(request)
    if size is not None and size > limit:
        raise TooLarge(
            f"The request announces {size} bytes; the limit is {limit}.",
            details={"max_bytes": limit},
        )
