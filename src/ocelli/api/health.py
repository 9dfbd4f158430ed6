"""Liveness and readiness."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, RedirectResponse

from ocelli.api.auth import CurrentServices
from ocelli.api.policy import public
from ocelli.api.services import Services
from ocelli.domain.errors import Unavailable

router = APIRouter(tags=["operations"])

CHECK_TIMEOUT = 2.0


@router.get("/", include_in_schema=False)
@public
async def home() -> RedirectResponse:
    """Tell a person who opens the address in a browser what this is."""
    return RedirectResponse("/docs")


@router.get("/health/live", summary="Is the process alive?")
@public
async def live() -> dict[str, str]:
    """Answers as long as the process does."""
    return {"status": "alive"}


@router.get(
    "/health/ready",
    summary="Can it do its work?",
    response_class=JSONResponse,
    responses={503: {"description": "Something is missing; `checks` says what."}},
)
@public
async def ready(services: CurrentServices) -> JSONResponse:
    """Database, store and workers; 503 as long as one of them is missing. `backends`, if any are
    configured, says which have shown that they see; whatever it says, others answer for them.

    With `ocelli serve --workers 0` workers are other machines' business: `checks` says that none is
    alive, and the API is ready all the same. It takes pictures, and gives what it has.
    """
    tasks = {name: asyncio.create_task(_result(check)) for name, check in services.checks.items()}
    sight = asyncio.create_task(_sight(services))
    # Not for those that are too late to end: to give up on a frozen database takes time as well.
    await asyncio.wait((*tasks.values(), sight), timeout=CHECK_TIMEOUT)
    checks = {name: _result_of(task) for name, task in tasks.items()}
    is_ready = all(checks[name] == "ok" for name in checks.keys() - services.checked_elsewhere)
    body: dict[str, Any] = {"status": "ready" if is_ready else "not ready", "checks": checks}
    if sight.done() and sight.result():
        body["backends"] = sight.result()
    sight.cancel()
    return JSONResponse(body, 200 if is_ready else 503)


async def _sight(services: Services) -> dict[str, str]:
    """What is known of each backend, in a sentence; empty if that is not known now."""
    try:
        states = await services.sight_states()
    except Unavailable:
        return {}
    return {name: f"{each.sight}. {each.reason}".strip() for name, each in states.items()}


async def _result(check: Callable[[], Awaitable[None]]) -> str:
    try:
        await check()
    except Exception as error:
        return str(error) or type(error).__name__
    return "ok"


def _result_of(task: asyncio.Task[str]) -> str:
    if task.done():
        return task.result()
    task.cancel()
    return "no answer"
