"""The surfaces of the API, a folder each, with a ``dialect.py``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from ocelli.api import errors

if TYPE_CHECKING:
    from fastapi import APIRouter, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from starlette.routing import Route
    from starlette.types import ASGIApp, Scope

    from ocelli.api.services import Services
    from ocelli.domain.errors import OcelliError

# Folders of ``ocelli.api``. A surface is removed by deleting its folder and its line.
SURFACES = (
    "aion",
    "chat",
    "fetch",
    "ollama",
    "photoprism",
    "responses",
)


class ErrorRenderer(Protocol):
    """The module ``errors`` of a surface."""

    def render(self, request: Request, error: OcelliError) -> JSONResponse:
        """Return the answer for an error of Ocelli."""
        ...

    def render_validation(self, request: Request, error: RequestValidationError) -> JSONResponse:
        """Return the answer for a parameter or body that FastAPI rejected."""
        ...

    def render_status(
        self,
        request: Request,
        status: int,
        message: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> JSONResponse:
        """Return the answer for an error that has a status only, such as FastAPI's 404 and 405."""
        ...


Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One surface: its paths, routes and errors.

    ``prefixes`` are the beginnings of its paths. ``add_headers`` completes the headers of an
    answer. ``preflight`` answers OPTIONS, if pages of other origins are allowed. ``plain_routes``
    routes that FastAPI does not know; ``document`` adds them, and errors, to the OpenAPI document.
    ``alias`` gives the path at which a request to another one is to be answered, None for most.
    """

    prefixes: tuple[str, ...]
    router: APIRouter
    errors: ErrorRenderer
    plain_routes: Sequence[Route] = ()
    add_headers: Callable[[Scope, Headers], None] | None = None
    preflight: ASGIApp | None = None
    document: Callable[[dict[str, Any]], None] | None = None
    alias: Callable[[Services, Scope], str | None] | None = None


@cache
def dialects() -> tuple[Dialect, ...]:
    """Return all surfaces; they are imported at the first call, as they import this module."""
    return tuple(import_module(f"ocelli.api.{name}.dialect").DIALECT for name in SURFACES)


@cache
def _by_prefix() -> list[tuple[str, Dialect]]:
    """Return prefixes and their surfaces, the longest prefix first."""
    pairs = [(prefix, dialect) for dialect in dialects() for prefix in dialect.prefixes]
    return sorted(pairs, key=lambda pair: -len(pair[0]))


def dialect_of(path: str) -> Dialect | None:
    """Return the surface of ``path``; None outside of all."""
    return next((dialect for prefix, dialect in _by_prefix() if path.startswith(prefix)), None)


def errors_of(request: Request) -> ErrorRenderer:
    """Return the error renderer of the request's surface; ``ocelli.api.errors`` outside of all."""
    dialect = dialect_of(request.url.path)
    return errors if dialect is None else dialect.errors
