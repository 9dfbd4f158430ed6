"""Routes of ``/describe``, ``/verify`` and ``/batch``."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Path, Query

from ocelli.api.aion.common import asked_vocabulary, errors, resource_router
from ocelli.api.aion.describe import mapping, schemas
from ocelli.api.aion.policies.mapping import chosen
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.cursors import Cursor, from_cursor, to_cursor
from ocelli.api.policy import requires
from ocelli.api.services import Services
from ocelli.domain.accounts import ApiKey
from ocelli.domain.analysis import Analysis
from ocelli.domain.batches import BatchKind
from ocelli.domain.errors import NotFound
from ocelli.domain.paging import PageRequest
from ocelli.domain.questions import Question
from ocelli.domain.scopes import KeyRole
from ocelli.usecases.policies import Chosen

router = resource_router(tag="describe and verify")

BatchId = Annotated[str, Path(max_length=36)]


@router.post(
    "/describe/", summary="Describe a picture now", responses=errors(400, 404, 413, 502, 504)
)
@router.post("/describe", include_in_schema=False)
@requires(KeyRole.WRITE, stores=True)
async def describe(
    body: schemas.DescribeRequest, key: CurrentKey, services: CurrentServices
) -> schemas.DescribeResponse:
    """The picture is in no list; it is removed with its answer after 24 hours.

    Asked again within 30 days, the same costs nothing: the answer is remembered, not the picture.
    """
    vocabulary = await asked_vocabulary(body, key, services)
    how = await chosen(body, key, services)
    done = await _answered(body, mapping.question(body, vocabulary), how, key, services)
    return mapping.described(done, metadata=body.include_metadata, tags=body.include_tags)


@router.post(
    "/verify/", summary="Check a text against a picture", responses=errors(400, 404, 413, 502, 504)
)
@router.post("/verify", include_in_schema=False)
@requires(KeyRole.WRITE, stores=True)
async def verify(
    body: schemas.VerifyRequest, key: CurrentKey, services: CurrentServices
) -> schemas.VerifyResponse:
    """Claim by claim, by as many looks as the level says, and by what local models find.

    The picture is in no list; it is removed with its answer after 24 hours.
    """
    how = Chosen(body.verification_level)
    done = await _answered(body, mapping.statement(body), how, key, services)
    return mapping.verified(done)


@router.get("/verify/providers", summary="Who can be asked, and how thoroughly", responses=errors())
@requires(KeyRole.READ)
async def verify_providers(key: CurrentKey, services: CurrentServices) -> schemas.ProvidersResponse:
    """Names for `providers`, and the levels with their looks, which are their credits."""
    del key
    return mapping.providers(services.backend_names, services.default_backend)


@router.get("/verify/health", summary="Whether a worker is there to answer", responses=errors())
@router.get("/verify/health/status", include_in_schema=False)
@requires(KeyRole.READ)
async def verify_health(key: CurrentKey, services: CurrentServices) -> schemas.VerifyHealth:
    """Whether a worker is alive."""
    del key
    try:
        await services.checks["workers"]()
    except Exception:  # whatever is wrong with them
        return schemas.VerifyHealth(status="unhealthy")
    return schemas.VerifyHealth(status="healthy")


@router.post(
    "/batch/describe",
    status_code=202,
    summary="Describe many pictures",
    responses=errors(404, 413),
)
@requires(KeyRole.WRITE, stores=True)
async def batch_describe(
    body: schemas.BatchDescribeRequest, key: CurrentKey, services: CurrentServices
) -> schemas.BatchSubmitted:
    """Answers at once; poll `GET /batch/{id}`. A picture that cannot be read fails alone.

    Pictures and results are removed 24 hours after the end.
    """
    vocabulary = await asked_vocabulary(body, key, services)
    items = await asyncio.to_thread(
        mapping.batch_items, [(each, None, None) for each in body.images]
    )
    how = await chosen(body, key, services)
    return mapping.submitted(
        await services.batches.submit(
            key.tenant,
            BatchKind.DESCRIBE,
            items,
            how.of(mapping.question(body, vocabulary)),
            how.level,
            policy_id=how.policy_id,
            webhook_url=body.webhook_url or key.tenant.webhook_url,
        )
    )


@router.post(
    "/batch/verify",
    status_code=202,
    summary="Check many texts against their pictures",
    responses=errors(413),
)
@requires(KeyRole.WRITE, stores=True)
async def batch_verify(
    body: schemas.BatchVerifyRequest, key: CurrentKey, services: CurrentServices
) -> schemas.BatchSubmitted:
    """Answers at once; poll `GET /batch/{id}`.

    Pictures and results are removed 24 hours after the end.
    """
    items = await asyncio.to_thread(
        mapping.batch_items,
        [(pair.image, pair.text, pair.metadata) for pair in body.image_text_pairs],
    )
    return mapping.submitted(
        await services.batches.submit(
            key.tenant,
            BatchKind.VERIFY,
            items,
            mapping.statement(body),
            body.verification_level,
            webhook_url=body.webhook_url or key.tenant.webhook_url,
        )
    )


@router.get("/batch/{batch_id}", summary="How far a job has come", responses=errors(404))
@requires(KeyRole.READ)
async def batch_job(
    batch_id: BatchId, key: CurrentKey, services: CurrentServices
) -> schemas.BatchStatusOut:
    """Ends in `completed`, `partially_completed`, `failed` or `cancelled`."""
    return mapping.batch_status(await services.batches.get(key.tenant.id, batch_id))


@router.get("/batch/{batch_id}/results", summary="Results of a job", responses=errors(404))
@requires(KeyRole.READ)
async def batch_results(
    batch_id: BatchId,
    key: CurrentKey,
    services: CurrentServices,
    include_failed: bool = True,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Cursor = None,
) -> schemas.BatchResults:
    """In the order of the request; also those that are still waiting."""
    state, items, total, more = await services.batches.results(
        key.tenant.id,
        batch_id,
        include_failed=include_failed,
        page=PageRequest(limit, offset, from_cursor(cursor, "batch", int)),
    )
    pagination = schemas.Pagination(
        offset=offset,
        limit=limit,
        total=total,
        has_more=more,
        next_cursor=to_cursor("batch", (items[-1].position,)) if more else None,
    )
    return mapping.batch_results(state, items, pagination)


@router.delete(
    "/batch/{batch_id}",
    status_code=204,
    summary="Cancel a batch",
    responses=errors(400, 404),
)
@requires(KeyRole.WRITE)
async def cancel_batch(batch_id: BatchId, key: CurrentKey, services: CurrentServices) -> None:
    """A job, or a batch of uploads.

    What has not begun is ended; what is being looked at right now finishes.
    """
    try:
        await services.batches.cancel(key.tenant.id, batch_id)
    except NotFound:
        await services.sessions.cancel(key.tenant.id, batch_id)


async def _answered(
    body: schemas.DescribeRequest | schemas.VerifyRequest,
    question: Question,
    how: Chosen,
    key: ApiKey,
    services: Services,
) -> Analysis:
    source = await asyncio.to_thread(mapping.source, body)
    analysis = await services.adhoc.ask(
        key.tenant, source, how.of(question), level=how.level, policy_id=how.policy_id
    )
    return await services.adhoc.answered(
        key.tenant.id, analysis.id, timeout=services.answer_timeout
    )
