"""Routes of signing in and out, and of the page where the console begins."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from ocelli.api.auth import note_ended_key
from ocelli.api.bodies import body_chunks, too_large
from ocelli.api.policy import public, requires
from ocelli.console.pages import entries_for, render
from ocelli.console.services import console_of
from ocelli.console.visitors import (
    COOKIE,
    CurrentConsole,
    CurrentVisitor,
    Form,
    check_origin,
    parse_form,
)
from ocelli.domain.audit import AuditType
from ocelli.domain.errors import EndedKey, OcelliError, RateLimited
from ocelli.domain.scopes import KeyRole
from ocelli.usecases.console_sessions import SESSION_LIFETIME, ConsoleSession

router = APIRouter()

MAX_BODY = 16 * 1024
ATTEMPTS = 10  # that fail, per minute and address
ENDED = f"{COOKIE}_ended"


@router.get("/")
@requires(KeyRole.READ)
async def begin(visitor: CurrentVisitor, console: CurrentConsole) -> RedirectResponse:
    """Lead to the first page that the key may open."""
    return RedirectResponse(console.root + entries_for(visitor)[0].path, 303)


@router.get("/sign-in")
@public
async def show_form(
    request: Request,
    next: Annotated[str, Query(max_length=2048)] = "",
    link: Annotated[str | None, Query(max_length=128)] = None,
) -> Response:
    """The form for a key; with a one-time link a button, so that no preview of it uses it up."""
    reason = unquote(request.cookies.get(ENDED, ""))
    answer = await render(
        request, "sign_in.html", next=next, link=link, message=reason, failed=False
    )
    answer.delete_cookie(ENDED, path=console_of(request).root)
    return answer


@router.post("/sign-in")
@public
async def sign_in(request: Request) -> Response:
    """Exchange an API key, or the token of a one-time link, for a session."""
    check_origin(request)
    console = console_of(request)
    form = await _form(request)
    try:
        _check_attempts(request)
        session = await _open(request, form)
    except OcelliError as error:
        if error.status not in (401, 429):
            raise
        headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
        return await render(
            request,
            "sign_in.html",
            status=error.status,
            headers=headers,
            next=form.get("next"),
            link=None,
            message=error.message,
            failed=True,
        )
    answer = RedirectResponse(console.root + _local(form.get("next")), 303)
    answer.set_cookie(
        COOKIE,
        session.token,
        max_age=int(SESSION_LIFETIME.total_seconds()),
        path=console.root,
        httponly=True,
        samesite="strict",
        secure=console.is_secure(request),
    )
    return answer


@router.post("/sign-out")
@requires(KeyRole.READ)
async def sign_out(visitor: CurrentVisitor, console: CurrentConsole) -> Response:
    """End the session."""
    await console.sessions.close(visitor.session)
    answer = RedirectResponse(f"{console.root}/sign-in", 303)
    answer.delete_cookie(COOKIE, path=console.root)
    return answer


async def _open(request: Request, form: Form) -> ConsoleSession:
    sessions = console_of(request).sessions
    try:
        if form.get("link"):
            return await sessions.open_by_link(form.get("link"))
        return await sessions.open(form.get("key").strip())
    except OcelliError as error:
        if isinstance(error, EndedKey):
            services = console_of(request).services
            note_ended_key(request, services, AuditType.LOGIN_FAILED, error)
        if error.status == 401:
            console_of(request).count_failure(_address(request))
        raise


def _check_attempts(request: Request) -> None:
    if console_of(request).failures_of(_address(request)) >= ATTEMPTS:
        raise RateLimited(
            "Too many keys that are none came from your address. Try again in a minute.",
            retry_after=60,
        )


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


async def _form(request: Request) -> Form:
    body = b""
    async for chunk in body_chunks(request):
        body += chunk
        if len(body) > MAX_BODY:
            raise too_large(MAX_BODY)
    return parse_form(body)


def _local(path: str) -> str:
    """Return a path within the console; the beginning for anything else.

    >>> _local("/library?tags=a"), _local("//example.org/"), _local("https://example.org")
    ('/library?tags=a', '/', '/')
    """
    is_local = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if is_local and path.isprintable() else "/"
