"""Small forms are read on the event loop, but none of them holds it up."""

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
from ocelli.api.multipart import Form, receive
from ocelli.api.parts import Parts
from ocelli.domain.errors import TooLarge
from ocelli.usecases.buffers import BUFFER
from ocelli.usecases.staging import StagedFile

BOUNDARY = "abcdef"


def form(content: bytes, *, before: int = 0) -> bytes:
    """A file, behind so many fields that nobody asked for."""
    fields = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    return (fields * before + head).encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def request_of(body: bytes, *, chunk: int = 65_536, length: int | None = None) -> Request:
    chunks = [body[at : at + chunk] for at in range(0, len(body), chunk)]

    async def messages() -> dict[str, Any]:
        piece = chunks.pop(0) if chunks else b""
        return {"type": "http.request", "body": piece, "more_body": bool(chunks)}

    headers = [(b"content-type", f"multipart/form-data; boundary={BOUNDARY}".encode())]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    return Request({"type": "http", "method": "POST", "headers": headers}, messages)


async def received(request: Request, folder: Path, inspect: Any = StagedFile.close) -> bytes:
    """The file's bytes, wherever they are."""
    with Form() as found:
        await receive(
            request,
            found,
            folder,
            inspect,
            file_field="file",
            text_fields=(),
            max_bytes=4 * BUFFER,
        )
        (part,) = found.files
        small = part.staged.release()
        if small is None:
            return part.staged.path.read_bytes()
        content = bytes(small.content)
        small.give_back()
        return content


@given(
    content=st.binary(max_size=2000) | st.integers(BUFFER - 1000, BUFFER + 10).map(bytes),
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


async def test_a_small_file_is_on_no_disk(tmp_path: Path) -> None:
    body = form(b"x" * 200_000)
    assert len(await received(request_of(body, length=len(body)), tmp_path)) == 200_000
    assert list(tmp_path.iterdir()) == []


async def test_a_form_that_is_slow_to_read_goes_on_in_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[int] = []
    feed = Parts.feed

    def watched(self: Any, data: bytes) -> None:
        readers.append(threading.get_ident())
        feed(self, data)

    monkeypatch.setattr(Parts, "feed", watched)
    monkeypatch.setattr(multipart, "PATIENCE", 0.0)  # how long a sip takes is the machine's affair
    body = form(b"content", before=12_000)
    assert BUFFER // 2 < len(body) < BUFFER
    assert await received(request_of(body, chunk=BUFFER, length=len(body)), tmp_path) == b"content"
    mine = threading.get_ident()
    assert readers[0] == mine
    assert mine not in readers[1:]
    assert len(readers) > 5


async def test_a_client_that_lies_about_its_length(tmp_path: Path) -> None:
    """uvicorn holds clients to it; we do not rely on that."""
    body = form(b"x" * 3 * BUFFER)
    with pytest.raises(TooLarge):
        await received(request_of(body[:-20], length=100), tmp_path)


async def test_who_is_cut_off_leaves_no_thread_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multipart, "PATIENCE", 0.0)
    held, go_on, at_work = threading.Event(), threading.Event(), threading.Event()
    feed = Parts.feed

    def slow(self: Any, data: bytes) -> None:
        if threading.current_thread() is not threading.main_thread():
            at_work.set()
            held.set()
            go_on.wait(10)
            at_work.clear()
        feed(self, data)

    monkeypatch.setattr(Parts, "feed", slow)
    body = form(b"x" * 200_000)
    reading = asyncio.create_task(received(request_of(body, length=len(body)), tmp_path))
    await asyncio.to_thread(held.wait, 10)
    reading.cancel()
    await asyncio.sleep(0.05)
    assert not reading.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not at_work.is_set()


def test_what_is_small() -> None:
    assert multipart._is_small(request_of(b"", length=BUFFER - 1))
    assert not multipart._is_small(request_of(b"", length=BUFFER))
    assert not multipart._is_small(request_of(b""))
    assert not multipart._is_small(request_of(b"", length=10**30))
