"""A server of picture embeddings: the vector of a picture is its mean colour, of a word its own."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

COLOURS = {"red": [1.0, -0.5, -0.5], "green": [-0.5, 1.0, -0.5], "blue": [-0.5, -0.5, 1.0]}


@dataclass
class FakeEmbeddings:
    """What the server was asked, and what it answers: ``status``, or ``body`` as it is."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    authorization: list[str | None] = field(default_factory=list)
    status: int = 200
    body: bytes | None = None
    padding: int = 0

    def answer(self, request: dict[str, Any]) -> bytes:
        if self.body is not None:
            return self.body
        vector = [*_vector_of(request), *[0.0] * self.padding]
        return json.dumps({"object": "list", "data": [{"index": 0, "embedding": vector}]}).encode()


@contextmanager
def serving() -> Iterator[FakeEmbeddings]:
    """Run the server in a thread."""
    fake = FakeEmbeddings()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            request = json.loads(self.rfile.read(size))
            fake.asked.append(request)
            fake.authorization.append(self.headers.get("Authorization"))
            assert self.path == "/v1/embeddings"
            content = fake.answer(request) if fake.status == 200 else b"{}"
            self.send_response(fake.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()


def _vector_of(request: dict[str, Any]) -> list[float]:
    """Read each of the shapes that servers take."""
    if "messages" in request:
        ((message,), (part,)) = (request["messages"], request["messages"][0]["content"])
        assert message["role"] == "user"
        return _of_picture(part["image_url"]["url"])
    given = request["input"]
    if isinstance(given, str):
        return _of_text(given)
    (one,) = given
    if isinstance(one, dict):
        return _of_picture(one["image"]) if "image" in one else _of_text(one["text"])
    return _of_picture(one) if request["modality"] == "image" else _of_text(one)


def _of_picture(encoded: str) -> list[float]:
    data = base64.b64decode(encoded.rpartition(",")[2])
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "JPEG"
        pixel = picture.convert("RGB").resize((1, 1)).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return [value / 255 - 0.3 for value in pixel]


def _of_text(text: str) -> list[float]:
    return next((COLOURS[word] for word in text.lower().split() if word in COLOURS), [0.1] * 3)
