"""Routes of jobs: all, one, cancel, repeat what failed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from ocelli.api.cursors import Cursor, from_cursor, to_cursor
from ocelli.api.policy import requires
from ocelli.console.jobs import mapping
from ocelli.console.pages import render
from ocelli.console.visitors import CurrentConsole, CurrentVisitor
from ocelli.domain.activities import ActivityKind
from ocelli.domain.errors import NotFound
from ocelli.domain.paging import PageRequest
from ocelli.domain.scopes import KeyRole

router = APIRouter(prefix="/jobs")

Id = Annotated[str, Path(max_length=64)]
KINDS = frozenset(ActivityKind)


@router.get("")
@requires(KeyRole.READ, counted=False)
async def show_jobs(
    request: Request, visitor: CurrentVisitor, console: CurrentConsole, cursor: Cursor = None
) -> Response:
    """A page of them, newest first. Not counted: it asks again while something is under way."""
    after = from_cursor(cursor, "jobs", datetime, UUID)
    activities, has_more = await console.services.activities.page(
        visitor.key.tenant.id, PageRequest(mapping.PER_PAGE, after=after)
    )
    last = activities[-1] if has_more else None
    return await render(
        request,
        "jobs.html",
        activities=activities,
        next_cursor=last and to_cursor("jobs", (last.created_at, last.id)),
        is_first=cursor is None,
        titles=mapping.TITLES,
        state=mapping.state,
        requests=[mapping.list_request()],
    )


@router.get("/{kind}/{id}")
@requires(KeyRole.READ, counted=False)
async def show_job(
    request: Request,
    kind: Id,
    id: Id,
    visitor: CurrentVisitor,
    console: CurrentConsole,
    done: Annotated[str, Query(max_length=300, pattern=r"^[^\x00]*$")] = "",
) -> Response:
    """One, with what failed and why."""
    found = await console.services.activities.details(visitor.key.tenant.id, _kind(kind), id)
    return await render(
        request,
        "job.html",
        found=found,
        activity=found.activity,
        title=mapping.TITLES[found.activity.kind],
        state=mapping.state(found.activity),
        done=done,
        requests=mapping.requests_of(found.activity),
    )


@router.post("/{kind}/{id}/cancel")
@requires(KeyRole.WRITE)
async def cancel_job(
    kind: Id, id: Id, visitor: CurrentVisitor, console: CurrentConsole
) -> Response:
    """End what has not begun."""
    await console.services.activities.cancel(visitor.key.tenant.id, _kind(kind), id)
    return _back(console.root, kind, id, "Cancelled: what had not begun is not described.")


@router.post("/{kind}/{id}/repeat")
@requires(KeyRole.WRITE, stores=True)
async def repeat_job(
    kind: Id, id: Id, visitor: CurrentVisitor, console: CurrentConsole
) -> Response:
    """Describe the pictures again that have failed."""
    count = await console.services.activities.repeat(visitor.key.tenant, _kind(kind), id)
    return _back(console.root, kind, id, mapping.described_again(count))


def _kind(name: str) -> ActivityKind:
    if name not in KINDS:
        raise NotFound("Kind of job", name)
    return ActivityKind(name)


def _back(root: str, kind: str, id: str, done: str) -> Response:
    return RedirectResponse(f"{root}/jobs/{kind}/{id}?done={quote(done)}", 303)
