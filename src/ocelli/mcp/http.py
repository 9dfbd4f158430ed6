"""``/mcp``: the tools over streamable HTTP, with a key, in both eras of the protocol.

Each call asks this server's own ``/api/v2`` with the caller's key, in the process. Nothing is kept
between requests, so that any process of the API can answer; and so there is no stream to GET.
The package ``mcp`` is imported by the first request: it takes most of a second, which servers that
no agent asks need not pay.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from aion import AionVision
from ocelli import __version__
from ocelli.api import json_reader
from ocelli.api.auth import admit, presented_key
from ocelli.api.bodies import read_body
from ocelli.api.origins import is_foreign_page
from ocelli.api.policy import requires
from ocelli.domain.errors import NotAllowed
from ocelli.domain.scopes import KeyRole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI
    from mcp.server.mcpserver import Context
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ocelli.api.services import Services
    from ocelli.domain.accounts import ApiKey

PATH = "/mcp"
MISSING = "Tools for agents need one more package here: pip install 'ocelli-vision[mcp]'"

_HERE = "http://localhost"  # stands for this server in requests that do not leave the process
_PARSE_ERROR = -32700


def install(app: FastAPI, services: Services) -> None:
    """Serve the tools in an application."""
    endpoint = _Endpoint(app, services)

    @requires(KeyRole.READ, counted=False)
    async def mcp(request: Request) -> ASGIApp:
        return partial(endpoint.answer, await admit(request, presented_key(request)))

    app.router.routes[:0] = [Route(PATH, mcp, methods=["POST"])]
    lifespan = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def with_tools(app: Any) -> AsyncIterator[Any]:
        async with lifespan(app) as state:
            try:
                yield state
            finally:
                await endpoint.aclose()

    app.router.lifespan_context = with_tools


class _Endpoint:
    """Starts the tools when they are first asked for, and passes requests on to them."""

    def __init__(self, app: FastAPI, services: Services) -> None:
        self._app = app
        self._services = services
        self._lock = asyncio.Lock()
        self._manager: StreamableHTTPSessionManager | None = None
        self._running: asyncio.Task[None] | None = None
        self._http: httpx2.AsyncClient | None = None

    async def answer(self, key: ApiKey, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of the owner of ``key``. Raises OcelliError."""
        request = Request(scope, receive)
        if find_spec("mcp") is None:
            await JSONResponse({"error": MISSING}, 501)(scope, receive, send)
            return
        if is_foreign_page(request, self._services.public_url):  # as the protocol demands
            raise NotAllowed("Pages of other hosts may not use the tools.")
        manager = await self._started()
        limit = self._services.chat.max_body_bytes
        async with read_body(request, self._services, key, limit) as body:
            try:  # in a thread, and within bounds: the package parses on the event loop
                await json_reader.run_in_thread(body, partial(json_reader.parse, body))
            except ValueError as error:
                problem = {"code": _PARSE_ERROR, "message": f"The body is no JSON: {error}"}
                refusal = {"jsonrpc": "2.0", "id": None, "error": problem}
                await JSONResponse(refusal, 400)(scope, receive, send)
                return
            await manager.handle_request(scope, _read_again(body, receive), send)

    async def aclose(self) -> None:
        """End what is being answered."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
        if self._http is not None:
            await self._http.aclose()

    async def _started(self) -> StreamableHTTPSessionManager:
        async with self._lock:
            if self._manager is None:
                manager = await asyncio.to_thread(self._make)
                started = asyncio.Event()
                self._running = asyncio.create_task(_run(manager, started))
                await started.wait()
                self._manager = manager
            return self._manager

    def _make(self) -> StreamableHTTPSessionManager:
        from mcp.server.transport_security import TransportSecuritySettings

        from ocelli.mcp.pictures import Pictures
        from ocelli.mcp.server import make_server

        here = httpx2.ASGITransport(self._app)
        own = {_HERE, self._services.public_url or _HERE}
        self._http = httpx2.AsyncClient(
            mounts={f"all://{urlsplit(url).hostname}": here for url in own}, trust_env=False
        )
        server = make_server(self._connect, Pictures(), __version__)
        server.streamable_http_app(
            stateless_http=True,
            max_request_body_size=self._services.chat.max_body_bytes,
            # It keeps pages away from servers that ask for no key.
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )
        return server.session_manager

    @contextlib.asynccontextmanager
    async def _connect(self, ctx: Context) -> AsyncIterator[AionVision]:
        """Give a client with the caller's key. It is not closed: the connections are shared."""
        request = ctx.request_context.request
        assert isinstance(request, Request)
        yield AionVision(
            api_key=presented_key(request) or "",
            base_url=f"{_HERE}/api/v2",
            http_client=self._http,
            timeout=self._services.answer_timeout,
            max_retries=0,
        )


async def _run(manager: StreamableHTTPSessionManager, started: asyncio.Event) -> None:
    async with manager.run():
        started.set()
        await asyncio.Event().wait()  # until it is cancelled


def _read_again(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives the body that was read, then what comes after it."""
    rest: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return rest.pop() if rest else await receive()

    return again
