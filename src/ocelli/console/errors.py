"""Errors as sentences, with what to do next."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from ocelli.console.pages import render
from ocelli.console.services import console_of
from ocelli.console.visitors import COOKIE, SAFE_METHODS
from ocelli.usecases.console_sessions import SignedOut

if TYPE_CHECKING:
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException
    from starlette.requests import Request

    from ocelli.domain.errors import OcelliError

TITLES = {
    400: "That could not be read",
    403: "Not with this key",
    404: "Not here",
    405: "That does not work here",
    409: "Changed meanwhile",
    413: "Too large",
    422: "That does not fit",
    429: "Too fast",
    503: "Not right now",
}
NEXT_STEPS = {
    403: "Sign in with a key that may do this, or ask its owner for one.",
    404: "It may have been deleted, or never was yours to see. The library shows what there is.",
    405: "Go back to the page before, and take another way.",
    429: "Wait a moment, then load the page again.",
    503: "Nothing is lost. Load the page again in a few seconds.",
}


async def ocelli_error(request: Request, error: Exception) -> Response:
    """Render an error of Ocelli; who is signed out is led to signing in, and told why."""
    known = cast("OcelliError", error)
    if isinstance(known, SignedOut):
        return signed_out(request, known.message)
    headers = {} if known.retry_after is None else {"Retry-After": str(known.retry_after)}
    return await error_page(request, known.status, known.message, headers)


async def validation_error(request: Request, error: Exception) -> Response:
    """Render what FastAPI rejected."""
    problem = cast("RequestValidationError", error).errors()[0]
    name = ".".join(str(part) for part in problem["loc"][1:])
    return await error_page(request, 422, f"{name}: {problem['msg']}.")


async def http_exception(request: Request, error: Exception) -> Response:
    """Render an error that has a status only."""
    known = cast("HTTPException", error)
    message = "There is no such page." if known.status_code == 404 else ""
    return await error_page(
        request,
        known.status_code,
        message or f"{HTTPStatus(known.status_code).phrase}.",
        dict(known.headers or {}),
    )


async def error_page(
    request: Request, status: int, message: str, headers: dict[str, str] | None = None
) -> Response:
    """Return the page of an error; for a part of a page that htmx asked for, the notice alone."""
    is_part = "hx-request" in request.headers
    if is_part:
        headers = {**(headers or {}), "HX-Retarget": "#notice", "HX-Reswap": "innerHTML"}
        headers["HX-Reselect"] = ".notice"
    return await render(
        request,
        "notice.html" if is_part else "error.html",
        status=status,
        headers=headers,
        title=TITLES.get(status, "That went wrong"),
        message=message,
        next_step=NEXT_STEPS.get(status, ""),
    )


def signed_out(request: Request, reason: str) -> Response:
    """Lead to signing in. The reason travels in a cookie that is read once."""
    console = console_of(request)
    address = f"{console.root}/sign-in"
    if request.method in SAFE_METHODS:
        asked = request.url.path.removeprefix(request.scope.get("root_path", ""))
        if request.url.query:
            asked += f"?{request.url.query}"
        if asked.strip("/"):
            address += f"?next={quote(asked)}"
    if "hx-request" in request.headers:
        answer: Response = Response(headers={"HX-Redirect": address})
    else:
        answer = RedirectResponse(address, 303)
    if request.cookies.get(COOKIE):
        answer.delete_cookie(COOKIE, path=console.root)
        answer.set_cookie(
            f"{COOKIE}_ended", quote(reason), max_age=60, path=console.root, httponly=True,
            samesite="strict", secure=console.is_secure(request),
        )  # fmt: skip
    return answer
