"""Routes of the review."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from ocelli.api import cursors
from ocelli.api.policy import requires
from ocelli.console.api_requests import ApiRequest
from ocelli.console.links import picture_url
from ocelli.console.pages import render
from ocelli.console.pictures import mapping
from ocelli.console.services import Console
from ocelli.console.visitors import CurrentConsole, CurrentVisitor, PostedForm, Visitor
from ocelli.domain.edits import Changes, ReviewStatus
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.paging import PageRequest
from ocelli.domain.review import DoubtReason, ReviewItem
from ocelli.domain.scopes import KeyRole
from ocelli.usecases.edits import EditConflict

router = APIRouter(prefix="/review")

ORDER = "review"
REASONS = {
    DoubtReason.FAILED: "it could not be described",
    DoubtReason.BACKEND_FAILED: "a backend did not answer",
    DoubtReason.LOW_CONFIDENCE: "its confidence is low",
    DoubtReason.DISPUTED_CLAIMS: "claims are disputed",
    DoubtReason.NEW_TAGS: "tags are new to you",
    DoubtReason.DESCRIBED_AGAIN: "it was described again after a decision",
}
Cursor = Annotated[str | None, Query(max_length=cursors.LONGEST, pattern=cursors.PATTERN)]


@router.get("")
@requires(KeyRole.READ)
async def show_review(
    request: Request, visitor: CurrentVisitor, console: CurrentConsole, cursor: Cursor = None
) -> Response:
    """The most doubtful description that waits, behind those that were passed over."""
    return await _page(request, visitor, console, cursor)


@router.post("/{picture_id}")
@requires(KeyRole.WRITE)
async def decide_review(
    request: Request,
    picture_id: Annotated[str, Path(max_length=36)],
    visitor: CurrentVisitor,
    console: CurrentConsole,
    form: PostedForm,
) -> Response:
    """Approve, reject, or approve in a person's own words; then the next one."""
    cursor = form.get("cursor") or None
    tenant_id = visitor.key.tenant.id
    if form.get("decision") == "corrected":
        image = await console.services.files.get(tenant_id, picture_id)
        words = mapping.changed_words(form, image)
        changes = Changes(**words, review=ReviewStatus.APPROVED)
    elif form.get("decision") in (ReviewStatus.APPROVED, ReviewStatus.REJECTED):
        changes = Changes(review=ReviewStatus(form.get("decision")))
    else:
        raise ValidationFailed("There is no such decision.", field="decision")
    try:
        await console.services.edits.update(
            tenant_id,
            picture_id,
            changes,
            author=visitor.key.name or visitor.key.prefix,
            **mapping.version(form),
        )
    except EditConflict as conflict:
        return await _page(request, visitor, console, cursor, conflict)
    query = f"?{urlencode({'cursor': cursor})}" if cursor else ""
    return RedirectResponse(f"{console.root}/review{query}", 303)


async def _page(
    request: Request,
    visitor: Visitor,
    console: Console,
    cursor: str | None,
    conflict: EditConflict | None = None,
) -> Response:
    services = console.services
    page = PageRequest(1, after=cursors.from_cursor(cursor, ORDER, float, UUID))
    queue = await services.reviews.queue(visitor.key.tenant.id, page)
    item = queue.items[0] if queue.items else None
    links = await services.files.links([item.image] if item else [])
    history = await services.files.history(item.image) if item else []
    return await render(
        request,
        "review.html",
        status=409 if conflict else 200,
        item=item,
        total=queue.total,
        cursor=cursor or "",
        next_cursor=cursors.to_cursor(ORDER, queue.next) if queue.next else None,
        picture=mapping.details(item.image, history) if item else None,
        url=picture_url(item.image, links, console) if item else None,
        reasons=", ".join(REASONS[each] for each in item.reasons) if item else "",
        conflict=conflict,
        conflict_changes=list(map(mapping.told, conflict.details["changes"])) if conflict else [],
        requests=api_requests(item),
    )


def api_requests(item: ReviewItem | None) -> list[ApiRequest]:
    """Return the requests that read the queue, and decide about its first item."""
    found = [ApiRequest("Read the queue", "GET", "/api/v2/reviews", "reviews.list")]
    if item is None:
        return found
    id = str(item.image.id)
    path, body = "/api/v2/reviews", {"items": [{"file_id": id}]}
    decisions = (("Approve", "accept"), ("Reject", "reject"))
    return found + [
        ApiRequest(title, "POST", f"{path}/{name}", f"reviews.{name}", body=body, positional=(id,))
        for title, name in decisions
    ]
