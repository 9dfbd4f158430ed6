"""Who asks: the session, what its key may do, and that a change was meant.

A route names a ``CurrentVisitor`` and says with ``@requires(...)`` what it requires, as those of
the API do; pages of the installation name an ``OwnerVisitor``.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Request

from ocelli.api.auth import admit_key
from ocelli.api.bodies import read_body
from ocelli.console.services import Console, console_of
from ocelli.domain.accounts import ApiKey
from ocelli.domain.errors import MalformedRequest, NotAllowed, NotFound
from ocelli.usecases.console_sessions import ConsoleSession, is_owner

COOKIE = "ocelli_console"
CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf"
SAFE_METHODS = frozenset({"GET", "HEAD"})
MAX_FORM_BYTES = 512 * 1024
MAX_FIELDS = 2_000
FORM = "application/x-www-form-urlencoded"


class Form:
    """The fields of a form, as texts."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs

    def get(self, name: str, default: str = "") -> str:
        """Return the last value of a field."""
        return next((value for key, value in reversed(self._pairs) if key == name), default)

    def all(self, name: str) -> list[str]:
        """Return all values of a field."""
        return [value for key, value in self._pairs if key == name]


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser with a session."""

    session: ConsoleSession
    owns_installation: bool

    @property
    def key(self) -> ApiKey:
        """The key of the session."""
        return self.session.key


async def current_visitor(request: Request) -> Visitor:
    """Find the session, check that a change comes from a page of it, count the request.

    Raises SignedOut, NotAllowed, RateLimited.
    """
    console = console_of(request)
    session = await console.sessions.find(request.cookies.get(COOKIE))
    visitor = Visitor(session, is_owner(session.key, console.owner))
    request.state.visitor = visitor
    if request.method not in SAFE_METHODS:
        await _check_csrf(request, session)
    await admit_key(request, console.services, session.key)
    return visitor


async def owner_visitor(request: Request) -> Visitor:
    """Do as ``current_visitor``, for the owner of the installation alone; others get NotFound."""
    visitor = await current_visitor(request)
    if not visitor.owns_installation:
        raise NotFound("Page", request.url.path)
    return visitor


async def current_console(request: Request) -> Console:
    """Return the services. A coroutine: FastAPI runs plain functions in threads."""
    return console_of(request)


async def posted_form(request: Request, _: CurrentVisitor) -> Form:
    """Return the form of a request whose visitor was checked."""
    return await _form(request, request.state.visitor.key)


def check_origin(request: Request) -> None:
    """Raise NotAllowed if another site sent this form, which has no session to compare with."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    public = console_of(request).services.public_url
    hosts = {request.headers.get("host", ""), urlsplit(public or "").netloc}
    foreign = (
        site not in ("same-origin", "none")
        if site is not None
        else origin is not None and urlsplit(origin).netloc not in hosts
    )
    if foreign:
        raise NotAllowed(
            "This form was sent by another site. Open the page here and send it again."
        )


async def _check_csrf(request: Request, session: ConsoleSession) -> None:
    token = request.headers.get(CSRF_HEADER)
    if token is None and request.headers.get("content-type", "").startswith(FORM):
        token = (await _form(request, session.key)).get(CSRF_FIELD)
    if not hmac.compare_digest((token or "").encode(), session.csrf_token.encode()):
        raise NotAllowed(
            "This page is from an earlier session. Load it again, then repeat the step."
        )


async def _form(request: Request, key: ApiKey) -> Form:
    if not hasattr(request.state, "form"):
        services = console_of(request).services
        async with read_body(request, services, key, MAX_FORM_BYTES) as body:
            request.state.form = parse_form(body)
    form: Form = request.state.form
    return form


def parse_form(body: bytes) -> Form:
    """Parse a form. Raises MalformedRequest."""
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise MalformedRequest("The form cannot be read.", field="body") from None
    if any("\0" in value for _, value in pairs):
        raise MalformedRequest("The form holds a NUL character.", field="body")
    return Form(pairs)


CurrentVisitor = Annotated[Visitor, Depends(current_visitor)]
OwnerVisitor = Annotated[Visitor, Depends(owner_visitor)]
CurrentConsole = Annotated[Console, Depends(current_console)]
PostedForm = Annotated[Form, Depends(posted_form)]
