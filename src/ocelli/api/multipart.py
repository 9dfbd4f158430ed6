"""Multipart bodies whose files go to disk while they arrive; memory stays flat.

Searching boundaries, hashing and writing happen in a thread, one megabyte at a time, while the next
one is received.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Self

from ocelli.api.bodies import body_chunks, content_length
from ocelli.api.multipart_parser import BrokenForm, FormParser, boundary_of
from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.errors import MalformedRequest, TooLarge, Unavailable
from ocelli.media.blob_writer import BlobFactory, BlobWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from starlette.requests import Request

    from ocelli.api.multipart_parser import Part, Target
    from ocelli.api.services import Services
    from ocelli.domain.accounts import Tenant
    from ocelli.domain.errors import OcelliError

CHUNK_BYTES = MEGABYTE
MAX_FIELD = 64 * 1024
FRAMING = 2 * MEGABYTE  # headers of parts and small fields, beside the files


class FilePart:
    """A file that is being received, as sent; a Target of the parser.

    ``error`` says why it was rejected; the rest of the request may still be valid. ``inspect`` is
    called when the file is complete.
    """

    def __init__(
        self,
        staged: BlobWriter,
        filename: str | None = None,
        inspect: Callable[[BlobWriter], None] = BlobWriter.close,
    ) -> None:
        self.staged = staged
        self.filename = filename
        self.error: OcelliError | None = None
        self._inspect = inspect

    def write(self, data: bytes | memoryview) -> None:
        """Write ``data``; drop it once the file is too large."""
        if self.error is None:
            try:
                self.staged.write(data)
            except TooLarge as error:
                self.error = error

    def finish(self) -> None:
        """Inspect the complete file."""
        if self.error is None:
            self._inspect(self.staged)


class FormText:
    """A text field that is being received; a Target of the parser.

    ``grow`` is called with the number of new bytes, and may raise; ``take`` gets the value.
    """

    def __init__(self, grow: Callable[[int], None], take: Callable[[bytes], None]) -> None:
        self._grow = grow
        self._take = take
        self._value = bytearray()

    def write(self, data: memoryview) -> None:
        """Append ``data``. Raises what ``grow`` raises."""
        self._grow(len(data))
        self._value += data

    def finish(self) -> None:
        """Pass the complete value to ``take``. Raises what it raises."""
        self._take(bytes(self._value))


class Form:
    """A received form. Use as a context manager: files not taken over are removed."""

    def __init__(self) -> None:
        self.files: list[FilePart] = []
        self.too_many = False
        self.fields: dict[str, str] = {}
        self._sizes: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for part in self.files:
            part.staged.__exit__()

    def grow(self, name: str, size: int) -> None:
        """Count ``size`` bytes of a text field. Raises MalformedRequest above the limit."""
        self._sizes[name] += size
        if self._sizes[name] > MAX_FIELD:
            raise MalformedRequest(f"The field `{name}` is too long.", field=name)

    def add_field(self, name: str, value: bytes) -> None:
        """Set a text field; the last value wins. Raises MalformedRequest if it is not UTF-8."""
        try:
            self.fields[name] = value.decode()
        except UnicodeDecodeError:
            raise MalformedRequest(f"The field `{name}` is not UTF-8.", field=name) from None


@asynccontextmanager
async def received_form(
    request: Request,
    services: Services,
    tenant: Tenant,
    *,
    file_field: str,
    text_fields: Iterable[str],
    max_bytes: int | None = None,
    max_files: int = 1,
) -> AsyncIterator[Form]:
    """Give the form of a request, within what a tenant may upload at once.

    ``max_bytes`` of a file; by default those of the settings. Raises what ``receive`` raises, and
    what the slots for uploads raise.
    """
    async with services.slots.acquire(tenant):
        with Form() as form:
            await receive(
                request,
                form,
                services.new_blob,
                services.upload.inspect,
                file_field=file_field,
                text_fields=text_fields,
                max_bytes=max_bytes or services.max_upload_bytes,
                max_files=max_files,
            )
            yield form


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
    check_content_length(request, limit + max_bytes // 4)
    fields = frozenset(text_fields)

    def begin(part: Part) -> Target | None:
        if part.name in fields:
            return FormText(partial(form.grow, part.name), partial(form.add_field, part.name))
        if part.name != file_field:
            return None
        if len(form.files) >= max_files:
            form.too_many = (
                True  # raised once the body has been read, or the client would not see it
            )
            return None
        form.files.append(FilePart(new_blob(max_bytes=max_bytes), part.filename, inspect))
        return form.files[-1]

    try:
        parts = FormParser(boundary_of(request.headers.get("content-type", "")), begin)
    except BrokenForm:
        raise MalformedRequest(
            "The body must be multipart/form-data with a boundary.", field="body"
        ) from None
    try:
        await stream_body_to(request, parts.feed, limit + max_bytes // 4)
    except BrokenForm:
        raise MalformedRequest("The multipart body cannot be parsed.", field="body") from None
    except OSError as error:
        raise Unavailable("The file cannot be stored right now. Try again later.") from error
    if form.too_many:
        raise TooLarge(
            f"More than {max_files} file(s) in one request.", details={"max_files": max_files}
        )
    if parts.is_within_part:
        raise MalformedRequest("The body ended in the middle of a part.", field="body")


async def stream_body_to(
    request: Request, take: Callable[[bytes], None], limit: int, *, chunk_size: int = CHUNK_BYTES
) -> None:
    """Give the body to ``take`` in a thread, chunk by chunk, while the next ones are received.

    ``chunk_size`` bytes at least go into the thread together.

    Raises TooLarge for a body of more than ``limit`` bytes, MalformedRequest for one that breaks
    off, and whatever ``take`` raises.
    """
    writing: asyncio.Task[None] | None = None
    try:
        async for chunks in _chunks(request, limit, chunk_size):
            if writing is not None:
                await asyncio.shield(writing)
            writing = asyncio.create_task(asyncio.to_thread(_each, take, chunks))
        if writing is not None:
            await asyncio.shield(writing)
    except BaseException:
        if writing is not None:  # the thread still writes to the file
            await asyncio.gather(writing, return_exceptions=True)
        raise


def _each(take: Callable[[bytes], None], chunks: Iterable[bytes]) -> None:
    """Pass the chunks to ``take`` one by one: joining would copy on the event loop."""
    for chunk in chunks:
        take(chunk)


async def _chunks(request: Request, limit: int, chunk_size: int) -> AsyncIterator[Sequence[bytes]]:
    """Yield the body in lists of chunks, each of at least ``chunk_size`` bytes."""
    pending: list[bytes] = []
    size = total = 0
    async for chunk in body_chunks(request):
        total += len(chunk)
        if total > limit:
            raise TooLarge("The request is larger than its limit.", details={"max_bytes": limit})
        pending.append(chunk)
        size += len(chunk)
        if size >= chunk_size:
            yield pending
            pending, size = [], 0
    if pending:
        yield pending


def check_content_length(request: Request, limit: int) -> None:
    """Raise TooLarge if the body announces more than ``limit`` bytes."""
    size = content_length(request)
    if size is not None and size > limit:
        raise TooLarge(
            f"The request announces {size} bytes; the limit is {limit}.",
            details={"max_bytes": limit},
        )
