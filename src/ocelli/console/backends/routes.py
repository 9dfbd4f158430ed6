"""The page of the installation."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from ocelli.api.policy import requires
from ocelli.console.pages import render
from ocelli.console.visitors import CurrentConsole, OwnerVisitor
from ocelli.domain.scopes import KeyRole

if TYPE_CHECKING:
    from ocelli.api.services import Services

router = APIRouter(prefix="/backends")
log = logging.getLogger(__name__)

HOURS = 24
CHECK_TIMEOUT, DOCTOR_TIMEOUT = 5.0, 10.0  # seconds


@router.get("")
@requires(KeyRole.ADMIN)
async def show_backends(
    request: Request, visitor: OwnerVisitor, console: CurrentConsole
) -> Response:
    """Backends with their state, models on disk, queue, workers, checks."""
    del visitor
    services = console.services
    queue = await services.queue_state()
    return await render(
        request,
        "backends.html",
        parts=await services.installation.parts(),
        records=await services.installation.records(hours=HOURS),
        hours=HOURS,
        sight=await services.sight_states(),
        default_backend=services.default_backend,
        checks=await _checks(services),
        doctor=await services.installation.checks(timeout=DOCTOR_TIMEOUT),
        queue=sorted(queue.jobs.items()),
        oldest=queue.oldest,
        workers=queue.workers,
    )


async def _checks(services: Services) -> dict[str, str | None]:
    """Return the checks by name: None if it is well, else what is wrong."""

    async def checked(name: str) -> str | None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                await services.checks[name]()
        except Exception as error:  # whatever is wrong is the finding
            log.warning("check %s: %s", name, error)
            return str(error) or type(error).__name__
        return None

    found = await asyncio.gather(*map(checked, services.checks))
    return dict(zip(services.checks, found, strict=True))
