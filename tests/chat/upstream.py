"""A server that speaks chat completions well or badly, by the model that it is asked for.

The model "scripted" answers what the field ``script`` of the request says, see ``script``. It also
serves pictures under ``/files``, and addresses that are none.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.waiting import PATIENCE

WORDS = ("A ", "cat, ", "it ", "seems.")


class Upstream:
    """What was asked is in ``asked``; ``hung_up`` is set once a client left in mid-stream.

    The model "stepwise" sends each event once ``taken`` was released for the one before.
    """

    def __init__(self, photos: dict[str, Path]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.fetched: list[str] = []
        self.hung_up = threading.Event()
        self.taken = threading.Semaphore(0)
        self.url = ""
        self.files: dict[str, bytes] = {}  # more of them
        self._photos = photos

    def model(self, name: str, **more: Any) -> dict[str, Any]:
        """Settings of a backend that asks for this model."""
        return {"base_url": f"{self.url}/v1", "model": name, "key": "sk-ours", **more}

    async def chat(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        self.asked.append(asked)
        self.headers.append(dict(request.headers))
        match asked["model"]:
            case "broken":
                return web.Response(status=500, text="oops")
            case "busy":
                return web.json_response({}, status=429, headers={"Retry-After": "7"})
            case "locked":
                return web.json_response({"error": {"message": "bad key"}}, status=401)
            case "picky":
                error = {"message": "top_k must not be here", "param": "top_k", "code": "nope"}
                return web.json_response({"error": error}, status=400)
            case "page":
                return web.Response(text="<html>", content_type="text/html")
            case "flaky" if sum(each["model"] == "flaky" for each in self.asked) == 1:
                return web.Response(status=503)
            case "slow":
                await asyncio.sleep(30)
            case "scripted":
                return await self._perform(request, **asked["script"])
            case "caller":
                return await self._call(request, asked)
        if asked.get("stream"):
            return await self._stream(request, asked["model"])
        return web.json_response(answer(asked["model"], "".join(WORDS)))

    async def _stream(self, request: web.Request, model: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            for word in WORDS * (2000 if model == "endless" else 1):
                await response.write(chunk(model, word))
                if model == "stepwise":
                    await asyncio.to_thread(self.taken.acquire, timeout=PATIENCE)
                else:
                    await asyncio.sleep(0.05)
                if model == "dying":
                    assert request.transport is not None
                    request.transport.abort()
                    return response
            await response.write(b"data: [DONE]\n\n")
        except (ConnectionError, asyncio.CancelledError):
            self.hung_up.set()
            raise
        return response

    async def _call(self, request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
        """The first tool there is, and once it is answered, what it said."""
        last = asked["messages"][-1]
        if last["role"] == "tool":
            text = f"{last['tool_call_id']}: {last['content']}"
            if not asked.get("stream"):
                return web.json_response(answer("caller", text))
            return await self._send(request, chunk("caller", text), finished("caller", "stop"))
        name = asked["tools"][0]["function"]["name"]
        function = {"name": name, "arguments": '{"lamp": "desk"}'}
        call = {"id": "call_up", "type": "function", "function": function}
        if not asked.get("stream"):
            whole = answer("caller", "")
            whole["choices"][0] |= {
                "message": {"role": "assistant", "content": None, "tool_calls": [call]},
                "finish_reason": "tool_calls",
            }
            return web.json_response(whole)
        begun = {**call, "index": 0, "function": {"name": name, "arguments": '{"lamp"'}}
        more = {"index": 0, "function": {"arguments": ': "desk"}'}}
        return await self._send(
            request,
            *(chunk("caller", "", tool_calls=[each]) for each in (begun, more)),
            finished("caller", "tool_calls"),
        )

    async def _send(self, request: web.Request, *events: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in (*events, b"data: [DONE]\n\n"):
            await response.write(event)
        return response

    async def _perform(
        self,
        request: web.Request,
        pieces: list[str],
        status: int,
        headers: dict[str, str],
        end: str,
    ) -> web.StreamResponse:
        """See ``script``."""
        transport = request.transport
        assert transport is not None
        response = web.StreamResponse(status=status, headers=headers)
        if end == "unframed":
            lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
            head = f"HTTP/1.1 {status} X\r\nConnection: close\r\n{''.join(lines)}\r\n"
            transport.write(head.encode())
            for piece in pieces:
                transport.write(base64.b64decode(piece))
            transport.close()
            return response
        await response.prepare(request)
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(0.001)  # so that they arrive one by one
            await response.write(base64.b64decode(piece))
        if end == "drop":
            await asyncio.sleep(0.05)
            transport.abort()
        elif end == "silence":
            await asyncio.sleep(30)
        return response

    async def file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.fetched.append(name)
        match name:
            case "error":
                return web.Response(status=500)
            case "page":
                return web.Response(text="<!doctype html><p>no picture", content_type="text/html")
            case "loop":
                raise web.HTTPFound("/files/loop")
            case "inside":
                raise web.HTTPFound("http://169.254.169.254/latest/meta-data")
            case "slow":
                await asyncio.sleep(30)
            case "endless":
                response = web.StreamResponse()
                await response.prepare(request)
                await response.write(b"\xff\xd8\xff\xe0")
                while True:
                    await response.write(b"\0" * 65536)
            case _ if name in self.files:
                return web.Response(body=self.files[name])
            case _ if name in self._photos:
                return web.Response(body=self._photos[name].read_bytes())
        raise web.HTTPNotFound


def script(
    *pieces: bytes,
    status: int = 200,
    kind: str = "text/event-stream",
    end: str = "clean",
    **headers: str,
) -> dict[str, Any]:
    """An answer of these pieces. ``end``: clean, drop (in mid-air), silence, unframed (the end of
    the connection is that of the answer)."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "pieces": [base64.b64encode(piece).decode() for piece in pieces],
        "status": status,
        "headers": {"Content-Type": kind, **named},
        "end": end,
    }


def answer(model: str, text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-up",
        "object": "chat.completion",
        "created": 1,
        "model": f"{model}-2026",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
    }


def chunk(model: str, word: str, **more: Any) -> bytes:
    delta = {"role": "assistant", "content": word, **more}
    value = {
        "id": "chatcmpl-up",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": f"{model}-2026",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
    }
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def finished(model: str, reason: str) -> bytes:
    """The last chunk of an answer, with what it cost."""
    value = {
        "id": "chatcmpl-up",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": f"{model}-2026",
        "choices": [{"index": 0, "delta": {}, "finish_reason": reason}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
    }
    return b"data: " + json.dumps(value).encode() + b"\n\n"


@contextmanager
def running(photos: dict[str, Path]) -> Iterator[Upstream]:
    """On a free port, in a thread of its own."""
    upstream = Upstream(photos)
    ready = threading.Event()
    loop = asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        app = web.Application(client_max_size=2**30)
        app.router.add_post("/v1/chat/completions", upstream.chat)
        app.router.add_get("/files/{name}", upstream.file)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    def serve() -> None:
        runner = loop.run_until_complete(start())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield upstream
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
