"""Read what clients send: JSON under any name, forms, queries; names with ``[]`` or without."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

from ocelli.api.fetch.payload import JsonText, Payload
from ocelli.api.multipart import pump
from ocelli.api.parts import BrokenForm, Parts, boundary_of
from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.errors import MalformedRequest, TooLarge
from ocelli.domain.requests import MAX_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from fastapi import Request

    from ocelli.api.parts import Part, Target

MAX_BODY = 320 * MEGABYTE  # ten files of 20 MB in base64, and room for escapes
PIECE = MEGABYTE // 4  # taking text apart holds Python's lock: nobody else runs meanwhile
MAX_FIELDS = 1_000  # of any form, files included
MAX_FORM = 64 * MEGABYTE  # of an urlencoded one, which is read as a whole

Values = dict[str, Any]


def unreadable() -> MalformedRequest:
    """A body that is none of what we read."""
    return MalformedRequest("Invalid request format.", field="body")


class Received:
    """The parameters of a request, and its files. Use as a context manager."""

    def __init__(self, folder: Path, query: Iterable[tuple[str, str]] = ()) -> None:
        self.values: Values = {}
        self._folder = folder
        self._files: list[Payload] = []
        self._tokens: dict[str, Payload] = {}
        self._json: JsonText | None = None
        self._parts = 0
        for name, value in query:
            self._add(name, value)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for payload in self._files:
            payload.__exit__()
        if self._json is not None:
            self._json.close()

    async def read(self, request: Request) -> None:
        """The body. Raises MalformedRequest, TooLarge."""
        reader = _Reader(self, request.headers.get("content-type", ""))
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > MAX_BODY:
            raise TooLarge("Max request length exceeded.")
        try:
            await pump(request, reader.feed, MAX_BODY, piece_size=PIECE)
            await asyncio.to_thread(reader.finish)
        except (BrokenForm, UnicodeDecodeError):
            raise unreadable() from None

    def payload(self, text: str) -> Payload:
        """The file of a ``file`` parameter: one that was put aside, or what the text says."""
        known = self._tokens.get(text)
        if known is not None:
            return known
        payload = self._new_file()
        payload.write(text.encode("ascii", "replace"))
        payload.finish()
        return payload

    def begin_json(self) -> JsonText:
        """Long strings of it become files."""
        self._json = JsonText(self._folder, f"file {uuid.uuid4()} ", max_bytes=MAX_FILE)
        self._tokens = self._json.payloads
        return self._json

    def end_json(self, text: bytes) -> None:
        """All that was not put aside."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            raise unreadable() from None
        if not isinstance(values, dict):
            raise unreadable()
        for name, value in values.items():
            if name not in ("file", "file[]") and any(
                each in self._tokens for each in _as_list(value) if isinstance(each, str)
            ):
                raise unreadable()  # so long, and no file
            self._add(name, value)

    def begin_part(self, part: Part) -> Target | None:
        """Of a multipart form: a file as it is, or a field."""
        self._parts += 1
        if self._parts > MAX_FIELDS:
            raise unreadable()
        if part.filename is not None and part.name.removesuffix("[]") == "file":
            payload = self._new_file()
            token = f"part {uuid.uuid4()}"
            self._tokens[token] = payload
            self._add(part.name, token)
            self._add("file_name[]", part.filename)
            return _File(payload)
        return _Field(self, part.name)

    def add_form(self, text: str) -> None:
        """An urlencoded one."""
        for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS):
            self._add(name, value)

    def _add(self, name: str, value: Any) -> None:
        """What is given more than once becomes a list."""
        if name in self.values:
            before = self.values[name]
            self.values[name] = [*_as_list(before), *_as_list(value)]
        else:
            self.values[name] = value

    def add_field(self, name: str, value: str) -> None:
        """Of a form."""
        self._add(name, value)

    def _new_file(self) -> Payload:
        payload = Payload(self._folder, max_bytes=MAX_FILE)
        self._files.append(payload)
        return payload


class _Reader:
    """Finds out by the first byte what a body is: headers are missing, or wrong."""

    def __init__(self, received: Received, content_type: str) -> None:
        self._received = received
        self._content_type = content_type
        self._start = b""
        self._json: JsonText | None = None
        self._parts: Parts | None = None
        self._form: bytearray | None = None

    def feed(self, data: bytes) -> None:
        if self._json is not None:
            self._json.feed(data)
        elif self._parts is not None:
            self._parts.feed(data)
        elif self._form is not None:
            self._form += data
            if len(self._form) > MAX_FORM:
                raise TooLarge("Max request length exceeded.")
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
            self._parts = Parts(boundary, self._received.begin_part)
        else:
            self._form = bytearray()
        self.feed(data)

    def finish(self) -> None:
        if self._json is not None:
            self._received.end_json(bytes(self._json.rest))
        elif self._form is not None:
            if b"=" not in self._form or self._form.startswith((b"[", b'"', b"<")):
                raise unreadable()
            try:
                self._received.add_form(self._form.decode())
            except ValueError:
                raise unreadable() from None


class _File:
    """A part that is a file as it is, not in base64."""

    def __init__(self, payload: Payload) -> None:
        self._payload = payload

    def write(self, data: memoryview) -> None:
        self._payload.write_raw(data)

    def finish(self) -> None:
        self._payload.staged.close()


class _Field:
    """A part that is a field."""

    def __init__(self, received: Received, name: str) -> None:
        self._received = received
        self._name = name
        self._value = bytearray()

    def write(self, data: memoryview) -> None:
        self._value += data
        if len(self._value) > MAX_FILE * 2:
            raise TooLarge("Max request length exceeded.")

    def finish(self) -> None:
        self._received.add_field(self._name, self._value.decode())


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
