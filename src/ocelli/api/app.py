"""The ASGI application."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from ocelli import __version__
from ocelli.api import health, llms, metrics, signed_urls
from ocelli.api.aliases import Aliases
from ocelli.api.bodies import WholeBodies
from ocelli.api.dialects import dialects, errors_of
from ocelli.api.idempotency import Replay, StoreAnswers, document, replay
from ocelli.api.middleware import Envelope
from ocelli.api.proxies import PathRedirects
from ocelli.api.telemetry import NO_TELEMETRY
from ocelli.domain.errors import OcelliError, ValidationFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse
    from starlette.types import Receive, Scope, Send

    from ocelli.api.services import Services


def create_app(services: Services) -> FastAPI:
    """Return the application: all surfaces over one set of services."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with services.lifespan():
            yield

    app: FastAPI = FastAPIOffline(
        title="Ocelli",
        version=__version__,
        summary="Image understanding: descriptions, tags, visible text, colours, faces, safety.",
        lifespan=lifespan,
        telemetry=NO_TELEMETRY,
        docs_url=None,  # it knows nothing of a proxy's prefix: see _reference
        redoc_url=None,
        servers=[{"url": services.public_url}] if services.public_url else None,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.services = services
    app.add_middleware(StoreAnswers)
    app.add_middleware(WholeBodies)
    app.add_middleware(Envelope)
    app.add_middleware(Aliases, services)
    app.add_middleware(PathRedirects, services.prefix)
    plain_routes = [route for dialect in dialects() for route in dialect.plain_routes]
    app.router.routes[:0] = [*plain_routes, Route("/openapi.json", _Document(app))]
    app.router.routes.append(Route("/docs", _reference(app, services.prefix)))
    surfaces = [dialect.router for dialect in dialects()]
    for router in (*surfaces, signed_urls.router, health.router, metrics.router, llms.router):
        # As they are: `include_router` would make them anew, several times, for 0.3 s.
        app.router.routes += router.routes
    app.add_exception_handler(OcelliError, _ocelli_error)
    app.add_exception_handler(Replay, replay)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    _complete_openapi(app)
    _make_routes(app)
    return app


class _Document:
    """The OpenAPI document, created once and in a thread: it takes a second.

    An ASGI application.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._lock = asyncio.Lock()
        self._document: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        async with self._lock:
            if self._document is None:
                self._document = await asyncio.to_thread(self._make)
        await Response(self._document, media_type="application/json")(scope, receive, send)

    def _make(self) -> bytes:
        return json.dumps(self._app.openapi(), ensure_ascii=False).encode()


def _reference(app: FastAPI, prefix: str) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers ``/docs``: the reference of the API, for a browser, of own files."""
    page = get_swagger_ui_html(
        openapi_url=f"{prefix}{app.openapi_url}",
        title=f"{app.title}: the API",
        swagger_js_url=f"{prefix}/static-offline-docs/swagger-ui-bundle.js",
        swagger_css_url=f"{prefix}/static-offline-docs/swagger-ui.css",
        swagger_favicon_url=f"{prefix}/static-offline-docs/favicon.png",
    )

    async def show(_: Request) -> Response:
        return page

    return show


def _make_routes(app: FastAPI) -> None:
    """Compile the routes now: FastAPI would do so while it answers the first request."""
    scope = {"type": "http", "method": "GET", "path": "/", "root_path": "", "headers": []}
    for route in app.router.routes:
        route.matches(dict(scope))


def _complete_openapi(app: FastAPI) -> None:
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        is_new = app.openapi_schema is None
        schema = generate()
        if is_new:
            for dialect in dialects():
                if dialect.document is not None:
                    dialect.document(schema)
            document(schema)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


async def _ocelli_error(request: Request, error: Exception) -> JSONResponse:
    known = cast("OcelliError", error)
    request.state.error_code = known.code
    return errors_of(request).render(request, known)


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    request.state.error_code = ValidationFailed.code
    return errors_of(request).render_validation(request, cast("RequestValidationError", error))


async def _http_exception(request: Request, error: Exception) -> JSONResponse:
    known = cast("HTTPException", error)
    return errors_of(request).render_status(
        request, known.status_code, headers=dict(known.headers or {}) or None
    )
