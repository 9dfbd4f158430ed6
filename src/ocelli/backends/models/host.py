"""The server before a model's own process: it stays when that process dies.

It speaks the OpenAI chat protocol on the loopback interface, with a random key. A request whose
process dies under it is made again, alone: the process may have died of another one beside it. A
picture of which it dies a second time is refused, then and later; all others go on.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import re
import time
from collections import OrderedDict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from ocelli.backends.models import metrics
from ocelli.backends.models.runner import CannotStart, Runner, Running, memory_of
from ocelli.backends.models.turns import Turns
from ocelli.backends.models.vllm_server import SOCKET

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable, Sequence

    from ocelli.backends.models.llama_server import LlamaLaunch
    from ocelli.backends.models.vllm_server import VllmLaunch

log = logging.getLogger(__name__)

LARGEST_REQUEST = 256 * 1024**2
DYING_SHOWS = 15.0  # from an answer of a process that is no longer well until its end
DEATH_SHOWS = 3.0  # seconds from a lost connection until the end of the process is known
MEASURE_EVERY = 10.0  # seconds
MOST_DEADLY = 256  # pictures that are remembered
# Not one that clients retry, nor one after which they ask again in another form.
DEADLY_STATUS = 415
SPEED = re.compile(rb'"predicted_per_second":\s*([0-9.]+)')
READ = re.compile(rb'"(?:prompt_tokens|prompt_n)":\s*([0-9]+)')
WRITTEN = re.compile(rb'"(?:completion_tokens|predicted_n)":\s*([0-9]+)')


class ModelHost:
    """One model. ``measured`` is told what was measured, every few seconds at most."""

    def __init__(
        self,
        launch: LlamaLaunch | VllmLaunch,
        measured: Callable[[dict[str, Any]], None],
        command: Sequence[str] | None = None,
    ) -> None:
        self._launch = launch
        self._measured = measured
        self._values: dict[str, Any] = dict(launch.options)
        self._told = 0.0
        self._runner = Runner(launch, self._is_ready, command)
        self._turns = Turns(launch.slots)
        self._deadly: OrderedDict[str, None] = OrderedDict()

    async def run(self, listener: socket.socket, stop: asyncio.Event) -> None:
        """Serve on ``listener`` until ``stop`` is set."""
        application = web.Application(client_max_size=LARGEST_REQUEST)
        application.router.add_get("/health", self._health)
        application.router.add_get("/v1/models", self._models)
        application.router.add_post("/v1/chat/completions", self._chat)
        server = web.AppRunner(application, handler_cancellation=True, access_log=None)
        await server.setup()
        keeping = asyncio.ensure_future(self._runner.keep_running())
        try:
            await web.SockSite(server, listener).start()
            stopped = asyncio.ensure_future(stop.wait())
            await asyncio.wait([stopped, keeping], return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                keeping.result()
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            self._tell(at_once=True)
            await server.cleanup()

    def _is_ready(self, running: Running) -> None:
        name = self._launch.name
        log.info(
            "model %s ready in %.1f s: %s",
            name,
            running.start_seconds,
            ", ".join(f"{value} {option}" for option, value in self._launch.options.items()),
        )
        self._values["cold_start_seconds"] = round(running.start_seconds, 2)
        metrics.COLD_START.labels(name).set(running.start_seconds)
        self._measure_memory(running)
        self._tell(at_once=True)

    async def _health(self, request: web.Request) -> web.Response:
        running = self._runner.running
        state = "ok" if running else self._runner.problem or "loading"
        return web.json_response({"status": state}, status=200 if running else 503)

    async def _models(self, request: web.Request) -> web.Response:
        if not self._knows(request):
            return _error(401, "wrong key", "invalid_api_key")
        return web.json_response(
            {"object": "list", "data": [{"id": self._launch.name, "object": "model"}]}
        )

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        if not self._knows(request):
            return _error(401, "wrong key", "invalid_api_key")
        body = await request.read()
        pictures = await asyncio.to_thread(_pictures, body)
        if pictures and pictures <= self._deadly.keys():
            return self._refuse_deadly()
        for alone in (False, True):
            async with self._turns.turn(alone=alone):
                try:
                    running = await self._runner.ready()
                    return await self._ask(request, body, running)
                except CannotStart as error:
                    self._count("not running")
                    return _error(503, str(error), "model_not_running")
                except _Died:
                    log.warning("the model %s died under a request", self._launch.name)
        for picture in pictures:
            self._deadly[picture] = None
        while len(self._deadly) > MOST_DEADLY:
            self._deadly.popitem(last=False)
        return self._refuse_deadly()

    def _refuse_deadly(self) -> web.Response:
        self._count("deadly")
        return _error(DEADLY_STATUS, "the model's process died of this request twice", "model_died")

    async def _ask(self, request: web.Request, body: bytes, running: Running) -> web.StreamResponse:
        """Pass the answer on. Raises _Died if the process died before anything was passed on."""
        answer: web.StreamResponse | None = None
        began = time.monotonic()
        try:
            async with self._upstream(body, running) as upstream:
                is_stream = upstream.content_type == "text/event-stream"
                if not is_stream:
                    data = await upstream.read()
                    if upstream.status >= 500 and await self._is_dying(running):
                        raise _Died
                    self._count_answer(upstream.status, data, running, began)
                    return web.Response(
                        status=upstream.status, body=data, content_type=upstream.content_type
                    )
                tail = b""
                async for piece in upstream.content.iter_any():
                    if answer is None:
                        answer = web.StreamResponse(status=upstream.status)
                        answer.content_type = upstream.content_type
                        await answer.prepare(request)
                    await answer.write(piece)
                    tail = (tail + piece)[-2048:]
                self._count_answer(upstream.status, tail, running, began)
        except (aiohttp.ClientError, ConnectionError, OSError) as error:
            died = await self._runner.has_ended(running, DEATH_SHOWS)
            if answer is not None or not died:
                self._count("cut")
            if answer is None and died:
                raise _Died from error
            if answer is None:
                return _error(502, "the model's process hung up", "model_hung_up")
            assert request.transport is not None
            request.transport.abort()  # so that clients see that the answer is cut
            return answer
        if answer is None:
            return _error(502, "the model said nothing", "model_said_nothing")
        await answer.write_eof()
        return answer

    async def _is_dying(self, running: Running) -> bool:
        """Whether a process that answered with a failure is about to end, and has ended then."""
        if not self._launch.answers_while_dying:
            return False
        session, url = _reached(running.address, timeout=DEATH_SHOWS)
        try:
            async with session, session.get(f"{url}/health") as response:
                if response.status < 500:
                    return False
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass
        return await self._runner.has_ended(running, DYING_SHOWS)

    @asynccontextmanager
    async def _upstream(
        self, body: bytes, running: Running
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {
            "Authorization": f"Bearer {self._launch.key}",
            "Content-Type": "application/json",
        }
        session, url = _reached(running.address, timeout=None)  # who asks has one
        async with (
            session,
            session.post(f"{url}/v1/chat/completions", data=body, headers=headers) as response,
        ):
            yield response

    def _knows(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), self._launch.key.encode())

    def _count_answer(self, status: int, data: bytes, running: Running, began: float) -> None:
        name = self._launch.name
        self._count("answered" if status < 400 else "refused")
        speed = None
        for kind, pattern in (("prompt", READ), ("completion", WRITTEN)):
            if found := pattern.search(data):
                metrics.TOKENS.labels(name, kind).inc(int(found[1]))
                if kind == "completion":  # the reading before it counts as well
                    speed = int(found[1]) / (time.monotonic() - began)
        if speeds := SPEED.findall(data):
            speed = float(speeds[-1])
        if speed is not None:
            metrics.SPEED.labels(name).set(speed)
            self._values["tokens_per_second"] = round(speed, 1)
        self._measure_memory(running)
        self._tell()

    def _count(self, outcome: str) -> None:
        metrics.REQUESTS.labels(self._launch.name, outcome).inc()

    def _measure_memory(self, running: Running) -> None:
        if memory := memory_of(running.pid):
            metrics.MEMORY.labels(self._launch.name).set(memory)
            self._values["memory_bytes"] = memory

    def _tell(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if at_once or now - self._told >= MEASURE_EVERY:
            self._told = now
            try:
                self._measured(self._values)
            except OSError as error:
                log.warning("what was measured of %s is not kept: %s", self._launch.name, error)


class _Died(Exception):
    """The process ended before the answer began."""


def _reached(address: str, timeout: float | None) -> tuple[aiohttp.ClientSession, str]:
    """Return a session for an address or socket, and what its URLs begin with."""
    limit = aiohttp.ClientTimeout(total=timeout)
    if not address.startswith(SOCKET):
        return aiohttp.ClientSession(timeout=limit), address
    connector = aiohttp.UnixConnector(address.removeprefix(SOCKET))
    return aiohttp.ClientSession(connector=connector, timeout=limit), "http://localhost"


def _error(status: int, message: str, code: str) -> web.Response:
    error = {"message": message, "type": "model_error", "code": code}
    return web.json_response({"error": error}, status=status)


def _pictures(body: bytes) -> set[str]:
    """Return the hashes of the pictures of a request."""
    try:
        messages = json.loads(body)["messages"]
        parts = [
            part
            for message in messages
            if isinstance(message["content"], list)
            for part in message["content"]
        ]
        urls = [part["image_url"]["url"] for part in parts if part.get("type") == "image_url"]
    except (ValueError, LookupError, TypeError, AttributeError):
        return set()
    return {hashlib.sha256(str(url).encode()).hexdigest() for url in urls}
