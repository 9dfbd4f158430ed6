"""The application of the console, mounted beside the APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import Route

from ocelli.api.telemetry import NO_TELEMETRY
from ocelli.console import errors, static
from ocelli.console.backends import routes as backends
from ocelli.console.compare import routes as compare
from ocelli.console.drop import routes as drop
from ocelli.console.jobs import routes as jobs
from ocelli.console.library import routes as library
from ocelli.console.pictures import routes as pictures
from ocelli.console.playground import routes as playground
from ocelli.console.privacy import routes as privacy
from ocelli.console.review import routes as review
from ocelli.console.security import SecurityHeaders
from ocelli.console.services import PATH, Console
from ocelli.console.sign_in import routes as sign_in
from ocelli.console.usage import routes as usage
from ocelli.console.vocabulary import routes as vocabulary
from ocelli.console.webhooks import routes as webhooks
from ocelli.domain.errors import OcelliError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from ocelli.api.services import Services
    from ocelli.usecases.console_sessions import ConsoleSessions

ROUTERS = (
    static.router,
    sign_in.router,
    library.router,
    pictures.router,
    review.router,
    drop.router,
    jobs.router,
    vocabulary.router,
    playground.router,
    compare.router,
    usage.router,
    webhooks.router,
    privacy.router,
    backends.router,
)
"""A router per page: a new page adds its own here, and its line in ``navigation``."""


def install(app: FastAPI, services: Services, sessions: ConsoleSessions, owner: str) -> None:
    """Mount the console in an application; ``/`` leads to it.

    ``owner`` is the name of the tenant of the installation's owner.
    """
    console = Console(services, sessions, owner)
    app.router.routes[:0] = [Route(path, _to_console(console)) for path in ("/", PATH)]
    app.mount(PATH, create_console(console))


def create_console(console: Console) -> FastAPI:
    """Return the application of the console."""
    app = FastAPI(telemetry=NO_TELEMETRY, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.services = console.services
    app.state.console = console
    for router in ROUTERS:
        app.router.routes += router.routes
    app.add_middleware(SecurityHeaders)
    app.add_exception_handler(OcelliError, errors.ocelli_error)
    app.add_exception_handler(RequestValidationError, errors.validation_error)
    app.add_exception_handler(HTTPException, errors.http_exception)
    return app


def _to_console(console: Console) -> Callable[[Request], Awaitable[RedirectResponse]]:
    async def root(_: Request) -> RedirectResponse:
        return RedirectResponse(f"{console.root}/", 302)

    return root
