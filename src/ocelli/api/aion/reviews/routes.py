"""Routes of ``/reviews``: descriptions that wait for a person, and what people said as labels."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request

from ocelli.api import cursors
from ocelli.api.aion.common import errors, resource_router
from ocelli.api.aion.files.routes import urls
from ocelli.api.aion.reviews import mapping, schemas
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.policy import requires
from ocelli.domain.edits import ReviewStatus
from ocelli.domain.paging import PageRequest
from ocelli.domain.scopes import KeyRole

router = resource_router("/reviews", tag="reviews")


@router.get("", summary="What to review next", responses=errors())
@requires(KeyRole.READ)
async def list_reviews(
    request: Request,
    key: CurrentKey,
    services: CurrentServices,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: cursors.Cursor = None,
) -> schemas.ReviewList:
    """The most doubtful first: failures, low confidence, disputed claims, new tags.

    To correct one, `PATCH /user-files/{id}` with the changes and `"review": "approved"`.
    """
    page = PageRequest(limit, after=cursors.from_cursor(cursor, "reviews", float, UUID))
    found = await services.reviews.queue(key.tenant.id, page)
    url_of = await urls(request, services, [each.image for each in found.items])
    return mapping.queue(found, url_of)


@router.post("/accept", summary="Approve descriptions", responses=errors(400))
@requires(KeyRole.WRITE)
async def accept_reviews(
    body: schemas.ReviewDecision, key: CurrentKey, services: CurrentServices
) -> schemas.ReviewOutcome:
    """Their words stay first whatever a machine says later. Each file is decided by itself."""
    decided = await services.reviews.decide(
        key.tenant.id, mapping.decisions(body.items), ReviewStatus.APPROVED, author=key.name
    )
    return mapping.outcome(decided)


@router.post("/reject", summary="Reject descriptions", responses=errors(400))
@requires(KeyRole.WRITE)
async def reject_reviews(
    body: schemas.ReviewDecision, key: CurrentKey, services: CurrentServices
) -> schemas.ReviewOutcome:
    """They are shown in `full_descriptions` only, until a file is described again."""
    decided = await services.reviews.decide(
        key.tenant.id, mapping.decisions(body.items), ReviewStatus.REJECTED, author=key.name
    )
    return mapping.outcome(decided)


@router.get("/labels", summary="What people said, as labels", responses=errors())
@requires(KeyRole.READ)
async def list_labels(
    key: CurrentKey,
    services: CurrentServices,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: cursors.Cursor = None,
) -> schemas.LabelList:
    """Each `label` is a line for `ocelli eval`, which also calibrates by it."""
    page = PageRequest(limit, after=cursors.from_cursor(cursor, "labels", UUID))
    return mapping.labels(await services.reviews.labels(key.tenant.id, page))
