"""Read the body of a request: JSON of any content type, forms; names with ``[]`` or without."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote_to_bytes

from ocelli.api import json_reader
from ocelli.api.bodies import COPIES, content_length
from ocelli.api.fetch.base64_files import Base64File, JsonText
from ocelli.api.multipart import FilePart, FormText, stream_body_to
from ocelli.api.multipart_parser import BrokenForm, FormParser, boundary_of
from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.errors import MalformedRequest, TooLarge
from ocelli.domain.fetch_jobs import MAX_FILE
from ocelli.media.blob_writer import BlobFactory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastapi import Request

    from ocelli.api.multipart_parser import Part, Target

MAX_BODY = 320 * MEGABYTE  # ten files of 20 MB in base64, and room for escapes
CHUNK_BYTES = MEGABYTE // 4  # parsing text holds Python's lock: no other request runs meanwhile
MAX_FIELDS = 1_000  # of any form, files included
MAX_TEXT = 8 * MEGABYTE  # of all fields that are no files
MAX_NAME_BYTES = 1024
FILE = "file"

Values = dict[str, Any]


def unreadable_body() -> MalformedRequest:
    """Return the error of a body in an unknown format."""
    return MalformedRequest("Invalid request format.", field="body")


class Received:
    """The parameters of a request, and its files. Use as a context manager."""

    def __init__(self, new_blob: BlobFactory, query: Iterable[tuple[str, str]] = ()) -> None:
        self.values: Values = {}
        self._new_blob = new_blob
        self._files: list[FilePart] = []
        self._tokens: dict[str, FilePart] = {}
        self._json: JsonText | None = None
        self._parts = self._text = 0
        for name, value in query:
            self._add(name, value)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.staged.__exit__()
        if self._json is not None:
            self._json.close()

    async def read(self, request: Request) -> None:
        """Read the body. Raises MalformedRequest, TooLarge."""
        reader = _Reader(self, request.headers.get("content-type", ""))
        if (content_length(request) or 0) > MAX_BODY:
            raise TooLarge("Max request length exceeded.")
        try:
            await stream_body_to(request, reader.feed, MAX_BODY, chunk_size=CHUNK_BYTES)
            await asyncio.to_thread(reader.finish)
        except (BrokenForm, UnicodeDecodeError):
            raise unreadable_body() from None

    def file(self, text: str) -> FilePart:
        """Return the file of a ``file`` parameter: one stored before, or the base64 ``text``."""
        known = self._tokens.get(text)
        if known is not None:
            return known
        file = Base64File(self._new_blob, max_bytes=MAX_FILE)
        self._files.append(file)
        file.write(text.encode("ascii", "replace"))
        file.finish()
        return file

    def begin_json(self) -> JsonText:
        """Start a JSON body, whose long strings become files."""
        self._json = JsonText(self._new_blob, f"file {uuid.uuid4()} ", max_bytes=MAX_FILE)
        self._tokens = self._json.files
        return self._json

    def end_json(self, text: bytes) -> None:
        """Parse the JSON without its long strings."""
        try:
            values = json_reader.parse(text)
        except ValueError:
            raise unreadable_body() from None
        if not isinstance(values, dict):
            raise unreadable_body()
        for name, value in values.items():
            if not _is_file(name) and any(
                each in self._tokens for each in _as_list(value) if isinstance(each, str)
            ):
                raise unreadable_body()  # so long, and no file
            self._add(name, value)

    def begin_part(self, part: Part) -> Target | None:
        """Return the target of a part of a multipart form: a file, or a field."""
        self._parts += 1
        if self._parts > MAX_FIELDS:
            raise unreadable_body()
        if not _is_file(part.name):
            return self._field(part.name)
        if part.filename is None and not _is_binary(part.content_type):
            return _Base64Part(self, part.name)
        file = FilePart(self._new_blob(max_bytes=MAX_FILE))
        self._keep(part.name, file)
        self._add("file_name[]", part.filename or "")
        return file

    def begin_field(self, name: str) -> Target:
        """Return the target of a field of an urlencoded form."""
        self._parts += 1
        if self._parts > MAX_FIELDS:
            raise unreadable_body()
        return _Base64Part(self, name) if _is_file(name) else self._field(name)

    def _add(self, name: str, value: Any) -> None:
        """Add a value; several of one name become a list."""
        if name not in self.values:
            self.values[name] = value
            return
        if not isinstance(self.values[name], list):
            self.values[name] = [self.values[name]]
        self.values[name].extend(_as_list(value))

    def _field(self, name: str) -> FormText:
        return FormText(self.grow, lambda value: self._add(name, value.decode()))

    def grow(self, size: int) -> None:
        """Count ``size`` more bytes of text in memory. Raises TooLarge above the limit."""
        self._text += size
        if self._text > MAX_TEXT:
            raise TooLarge("Max request length exceeded.")

    def base64_file(self, name: str) -> Base64File:
        """Return a new file that is the value of this parameter."""
        file = Base64File(self._new_blob, max_bytes=MAX_FILE)
        self._keep(name, file)
        return file

    def _keep(self, name: str, file: FilePart) -> None:
        self._files.append(file)
        token = f"part {uuid.uuid4()}"
        self._tokens[token] = file
        self._add(name, token)


class _Reader:
    """Detects the format of a body by its first byte: headers may be missing or wrong."""

    def __init__(self, received: Received, content_type: str) -> None:
        self._received = received
        self._content_type = content_type
        self._start = b""
        self._json: JsonText | None = None
        self._parts: FormParser | None = None
        self._form: _Form | None = None

    def feed(self, data: bytes) -> None:
        if self._json is not None:
            self._json.feed(data)
        elif self._parts is not None:
            self._parts.feed(data)
        elif self._form is not None:
            self._form.feed(data)
        else:
            self._begin((self._start + data).lstrip())

    def _begin(self, data: bytes) -> None:
        data = data.removeprefix(b"\xef\xbb\xbf")
        self._start = data
        if not data:
            return
        if data.startswith(b"{"):
            self._json = self._received.begin_json()
        elif self._content_type.lower().startswith("multipart/"):
            boundary = boundary_of(self._content_type)
            self._parts = FormParser(boundary, self._received.begin_part)
        elif data.startswith((b"[", b'"', b"<")):
            raise unreadable_body()
        else:
            self._form = _Form(self._received)
        self.feed(data)

    def finish(self) -> None:
        if self._json is not None:
            self._received.end_json(bytes(self._json.rest))
        elif self._form is not None:
            self._form.finish()
        elif self._parts is not None and self._parts.is_within_part:
            raise BrokenForm("ends in the middle of a part")


class _Form:
    """Parses an urlencoded form in chunks.

    The standard library would turn 64 MB of ``%41`` into a gigabyte of small objects.
    """

    def __init__(self, received: Received) -> None:
        self._received = received
        self._rest = b""  # a name that goes on, or half of an escape
        self._target: Target | None = None
        self._is_form = False

    def feed(self, data: bytes) -> None:
        """Parse the next bytes. Raises UnicodeDecodeError, MalformedRequest, TooLarge."""
        data, self._rest = self._rest + data, b""
        at = 0
        while at < len(data):
            end = data.find(b"&", at)
            self._take(data[at:] if end < 0 else data[at:end], ends=end >= 0)
            if end < 0:
                return
            at = end + 1

    def finish(self) -> None:
        rest, self._rest = self._rest, b""
        self._take(rest, ends=True)
        if not self._is_form:
            raise unreadable_body()

    def _take(self, text: bytes, *, ends: bool) -> None:
        if self._target is None:
            name, sign, value = text.partition(b"=")
            if not sign and not ends:
                if len(name) > MAX_NAME_BYTES:
                    raise unreadable_body()
                self._rest = name
                return
            if not text:
                return
            self._is_form |= bool(sign)
            self._target = self._received.begin_field(_unquoted(name).decode())
            text = value
        if not ends:
            sign_at = text.find(b"%", max(0, len(text) - 2))
            if sign_at >= 0:
                text, self._rest = text[:sign_at], text[sign_at:]
        self._target.write(memoryview(_unquoted(text)))
        if ends:
            self._target.finish()
            self._target = None


class _Base64Part:
    """The target of a file in base64; white space only is no file."""

    def __init__(self, received: Received, name: str) -> None:
        self._received = received
        self._name = name
        self._file: Base64File | None = None

    def write(self, data: memoryview) -> None:
        text = bytes(data)
        if self._file is None and text.strip():
            self._file = self._received.base64_file(self._name)
        if self._file is not None:
            self._file.write(text)

    def finish(self) -> None:
        if self._file is not None:
            self._file.finish()


def in_memory(request: Request) -> int:
    """Return the most memory in bytes that reading the body takes: files go to disk."""
    size = content_length(request)
    return COPIES * min(MAX_TEXT if size is None else size, MAX_TEXT)


def _is_file(name: str) -> bool:
    return name.removesuffix("[]") == FILE


def _is_binary(content_type: str | None) -> bool:
    """Return whether a part without a file name is a binary file by its type, not base64."""
    kind = (content_type or "").partition("/")[0]
    return kind in ("image", "video") or content_type == "application/octet-stream"


def _unquoted(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
