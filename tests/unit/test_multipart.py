"""Forms are read in a thread, whatever their size, and what breaks off leaves nothing behind."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from ocelli.api import multipart
from ocelli.api.fetch.request_body import Received
from ocelli.api.multipart import Form, receive
from ocelli.api.multipart_parser import FormParser
from ocelli.domain.errors import MalformedRequest
from ocelli.media.blob_writer import BlobFactory, BlobWriter

BOUNDARY = "abcdef"


def form(content: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    return head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def request_of(body: bytes, *, chunk: int = 65_536, length: int | None = None) -> Request:
    chunks = [body[at : at + chunk] for at in range(0, len(body), chunk)]

    async def messages() -> dict[str, Any]:
        piece = chunks.pop(0) if chunks else b""
        return {"type": "http.request", "body": piece, "more_body": bool(chunks)}

    headers = [(b"content-type", f"multipart/form-data; boundary={BOUNDARY}".encode())]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    return Request({"type": "http", "method": "POST", "headers": headers}, messages)


async def received(request: Request, folder: Path, inspect: Any = BlobWriter.close) -> bytes:
    """The file's bytes."""
    with Form() as found:
        await receive(
            request,
            found,
            BlobFactory(folder),
            inspect,
            file_field="file",
            text_fields=(),
            max_bytes=4 * multipart.CHUNK_BYTES,
        )
        (part,) = found.files
        return part.staged.path.read_bytes()


@given(
    content=st.binary(max_size=2000)
    | st.integers(multipart.CHUNK_BYTES - 1000, multipart.CHUNK_BYTES + 10).map(bytes),
    chunk=st.integers(1, 300) | st.just(65_536),
    announced=st.booleans(),
)
def test_small_and_large_ones_are_read_alike(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, chunk: int, announced: bool
) -> None:
    body = form(content)
    request = request_of(
        body, chunk=max(chunk, len(body) // 2000), length=len(body) if announced else None
    )
    folder = tmp_path_factory.getbasetemp()
    assert asyncio.run(received(request, folder)) == content


async def test_who_is_cut_off_leaves_no_thread_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, go_on, at_work = threading.Event(), threading.Event(), threading.Event()
    feed = FormParser.feed

    def slow(self: Any, data: bytes) -> None:
        at_work.set()
        held.set()
        go_on.wait(10)
        feed(self, data)
        at_work.clear()

    monkeypatch.setattr(FormParser, "feed", slow)
    body = form(b"x" * 200_000)
    reading = asyncio.create_task(received(request_of(body, length=len(body)), tmp_path))
    await asyncio.to_thread(held.wait, 10)
    reading.cancel()
    for _ in range(10):  # turns of the loop, in which the task could end
        await asyncio.sleep(0)
    assert not reading.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not at_work.is_set()


PARTS = {"file": '; filename="a.jpg"', "title": ""}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("cut", [1, 3, len(BOUNDARY) + 5])
async def test_a_body_that_ends_within_a_part_is_refused(
    tmp_path: Path, name: str, cut: int
) -> None:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{PARTS[name]}\r\n\r\n'
    body = f"{head}some text\r\n--{BOUNDARY}--".encode()[:-cut]
    with Form() as found, pytest.raises(MalformedRequest):
        await receive(
            request_of(body),
            found,
            BlobFactory(tmp_path),
            BlobWriter.close,
            file_field="file",
            text_fields=("title",),
            max_bytes=1000,
        )
    with Received(BlobFactory(tmp_path)) as values, pytest.raises(MalformedRequest):
        await values.read(request_of(body))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [b"\xff", b"x" * (multipart.MAX_FIELD + 1)])
async def test_a_field_that_is_no_text_or_too_much_is_refused(tmp_path: Path, text: bytes) -> None:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="title"\r\n\r\n'.encode()
    with Form() as found, pytest.raises(MalformedRequest, match="`title`"):
        await receive(
            request_of(head + text + f"\r\n--{BOUNDARY}--\r\n".encode()),
            found,
            BlobFactory(tmp_path),
            BlobWriter.close,
            file_field="file",
            text_fields=("title",),
            max_bytes=1000,
        )
