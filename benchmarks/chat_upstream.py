"""An upstream that answers at once, and the barest pass-through to it.

``python -m benchmarks.chat_upstream instant`` speaks as much HTTP as it must; ``bare PORT`` is a
FastAPI route that posts what it gets to that port with aiohttp, and answers what comes back.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import TYPE_CHECKING, Any

import aiohttp
import uvicorn
import uvloop
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MODEL = "instant"
PATH = "/v1/chat/completions"
EVENTS = 20

_HEAD = {"id": "chatcmpl-1", "created": 1, "model": MODEL}
_ANSWER = json.dumps(
    {
        **_HEAD,
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "A cat on a sofa, asleep. " * 8},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 800, "completion_tokens": 60, "total_tokens": 860},
    }
).encode()
_WHOLE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    % len(_ANSWER)
    + _ANSWER
)
_CHUNK = {
    **_HEAD,
    "object": "chat.completion.chunk",
    "choices": [{"index": 0, "delta": {"content": "cat "}, "finish_reason": None}],
}
_EVENT = b"data: " + json.dumps(_CHUNK).encode() + b"\n\n"
_STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)


class Instant(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._missing = 0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Count bytes until the body is there; what is in it does not matter but for one word."""
        self._parts.append(data)
        if self._missing:
            self._missing -= len(data)
        else:
            so_far = b"".join(self._parts)
            head, end, body = so_far.partition(b"\r\n\r\n")
            if not end:
                return
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._missing = int(length or 0) - len(body)
        if self._missing <= 0:
            tail = b"".join(self._parts[-2:])[-200:]
            self._parts, self._missing = [], 0
            if b'"stream":true' in tail.replace(b" ", b""):
                task = asyncio.ensure_future(self._stream())
                task.add_done_callback(lambda _: None)
            else:
                self._transport.write(_WHOLE)

    async def _stream(self) -> None:
        self._transport.write(_STREAM)
        for _ in range(EVENTS):
            self._transport.write(b"%x\r\n%s\r\n" % (len(_EVENT), _EVENT))
            await asyncio.sleep(0.002)
        done = b"data: [DONE]\n\n"
        self._transport.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(done), done))


async def instant() -> None:
    """Answer on a free port until SIGTERM."""
    server = await asyncio.get_running_loop().create_server(Instant, "127.0.0.1", 0)
    print(f"ready http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def bare(port: int) -> None:
    """The pass-through: no key, no limit, no count, no look at what passes."""
    app = FastAPI()
    target = f"http://127.0.0.1:{port}{PATH}"
    sessions: list[aiohttp.ClientSession] = []

    @app.post(PATH)
    async def chat(request: Request) -> Response:
        if not sessions:
            sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        body = await request.body()
        headers = {"content-type": "application/json"}
        answer = await sessions[0].post(target, data=body, headers=headers)
        if answer.content_type == "text/event-stream":

            async def pieces() -> AsyncIterator[bytes]:
                async for piece in answer.content.iter_any():
                    yield piece

            return StreamingResponse(pieces(), media_type="text/event-stream")
        return Response(await answer.read(), media_type="application/json")

    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            log_config=None,
            access_log=False,
            server_header=False,
        )
        print(f"ready http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    if sys.argv[1] == "instant":
        uvloop.run(instant())
    else:
        bare(int(sys.argv[2]))
