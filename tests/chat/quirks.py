"""Streams as quirky servers send them, for the model "scripted"; see tests.chat.upstream."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import brotli  # type: ignore[import-untyped]

from tests.chat.upstream import WORDS, chunk, script

CHUNKS = [chunk("scripted", word) for word in WORDS]
STREAM = b"".join(CHUNKS)
DONE = b"data: [DONE]\n\n"
ERROR = {"message": "Too much of it.", "code": "context_length_exceeded", "param": "messages"}


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


# All of these say the WORDS.
GOOD = {
    "as it should be": script(*CHUNKS, DONE),
    "no done": script(*CHUNKS),
    "crlf": script(STREAM.replace(b"\n", b"\r\n"), DONE),
    "bom": script(b"\xef\xbb", b"\xbf" + STREAM, DONE),
    "comments": script(b": PROCESSING\n\n", *CHUNKS, b":\n\n", DONE),
    "several lines": script(STREAM.replace(b', "delta"', b',\ndata:  "delta"'), DONE),
    "byte by byte": script(CHUNKS[0], *(bytes([each]) for each in CHUNKS[1]), *CHUNKS[2:], DONE),
    "stays open": script(*CHUNKS, DONE, end="silence"),
    "gzip": script(gzip.compress(STREAM + DONE), content_encoding="gzip"),
    "deflate": script(zlib.compress(STREAM + DONE), content_encoding="deflate"),
    "raw deflate": script(zlib.compress(STREAM + DONE, wbits=-15), content_encoding="deflate"),
    "br": script(brotli.compress(STREAM + DONE), content_encoding="br"),
    "the end of the connection": script(STREAM, DONE, end="unframed"),
}

# These say the first of them, and then break.
BAD = {
    "half an event": script(CHUNKS[0], CHUNKS[1][:40], end="drop"),
    "half an event, then a proper end": script(CHUNKS[0], CHUNKS[1][:40]),
    "half an event, and the connection's end": script(CHUNKS[0], CHUNKS[1][:40], end="unframed"),
    "an event, and the connection's end": script(CHUNKS[0], end="unframed"),
    "nothing more": script(CHUNKS[0], end="drop"),
    "silence": script(CHUNKS[0], CHUNKS[1][:40], end="silence"),
    "no json": script(CHUNKS[0], b'data: {"a": \n\n', CHUNKS[1]),
    "an error": script(CHUNKS[0], event({"error": ERROR}), CHUNKS[1]),
}
