"""Routes of ``/agents``."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated

from fastapi import Path, Request

from ocelli.api.aion.agents import mapping, schemas
from ocelli.api.aion.common import errors, resource_router
from ocelli.api.aion.files.routes import urls
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.policy import requires
from ocelli.api.services import Services
from ocelli.domain.accounts import ApiKey
from ocelli.domain.scopes import KeyRole
from ocelli.usecases.conversations import Asking

router = resource_router("/agents", tag="agents")


@router.post("/search/images", summary="Search pictures in words", responses=errors())
@requires(KeyRole.READ)
async def search_images(
    request: Request, body: schemas.ImageSearch, key: CurrentKey, services: CurrentServices
) -> schemas.ImageSearchAnswer:
    """By the words of a description, and by what they mean: "a puppy" finds "a small dog".

    Where meaning cannot be searched, `search_strategy` says so, and words are.
    """
    started = time.perf_counter()
    found = await services.library_search.search(
        key.tenant.id, body.query, mapping.filters(body), limit=body.limit
    )
    url_of = await urls(request, services, [each.image for each in found.hits])
    milliseconds = round((time.perf_counter() - started) * 1000)
    return mapping.image_search(found, body.query, url_of, milliseconds)


@router.post("/organize", summary="Sort pictures into folders", responses=errors(404, 409))
@requires(KeyRole.WRITE, stores=True)
async def organize(
    request: Request, body: schemas.Organize, key: CurrentKey, services: CurrentServices
) -> schemas.OrganizeAnswer:
    """Makes folders and moves pictures, all or nothing; `undo` takes it back.

    With a chat backend that proposes the folders; what pictures say is data for it, no instruction.
    Without one, into folders that the instruction names ("into beaches, mountains and cities"), or
    by date, colour, text, format, orientation, or their tags; `summary` says what was not done.
    """
    started = time.perf_counter()
    planned = await services.organize.plan(
        asking(request, key, services),
        body.intent,
        image_ids=body.image_ids,
        parent_id=body.parent_folder_id,
    )
    done = await services.organize.carry_out(key.tenant.id, planned.plan.id)
    milliseconds = round((time.perf_counter() - started) * 1000)
    return mapping.organized(replace(done, tokens=planned.tokens), milliseconds)


@router.post("/organize/{plan_id}/undo", summary="Undo a sorting", responses=errors(404, 409))
@requires(KeyRole.WRITE)
async def undo_organize(
    plan_id: Annotated[str, Path(max_length=36, description="Of the answer of `organize`.")],
    key: CurrentKey,
    services: CurrentServices,
) -> schemas.UndoneAnswer:
    """Puts the pictures back, and deletes the folders that were made, unless something is in them.

    Pictures that were moved again since stay where they are. 409 if it is undone already.
    """
    return mapping.undone(await services.organize.undo(key.tenant.id, plan_id))


@router.post("/synthesize", summary="Write a report over pictures", responses=errors(404))
@requires(KeyRole.READ)
async def synthesize(
    request: Request, body: schemas.Synthesize, key: CurrentKey, services: CurrentServices
) -> schemas.SynthesizeAnswer:
    """With a chat backend that writes it. What stored claims contradict is left out, and what they
    do not say is marked. What pictures say is data for it, no instruction.

    Without one it is written from counts and stored claims. Nothing is stored.
    """
    started = time.perf_counter()
    done = await services.synthesize.report(
        asking(request, key, services), body.intent, body.image_ids
    )
    return mapping.synthesis(done, round((time.perf_counter() - started) * 1000))


@router.post("/pipeline", summary="Run several steps", responses=errors(404))
@requires(KeyRole.WRITE, stores=True)
async def run_pipeline(
    request: Request, body: schemas.Pipeline, key: CurrentKey, services: CurrentServices
) -> schemas.PipelineAnswer:
    """Each step works on the pictures of those that it depends on. What depends on a failed step is
    skipped; the others are run. `folder` moves pictures: its `plan_id` undoes that.

    422 for agents of documents and links, and for steps that depend on later ones.
    """
    started = time.perf_counter()
    steps = mapping.steps(body)
    run = await services.pipelines.run(asking(request, key, services), steps, body.image_ids)
    return mapping.pipeline(run, round((time.perf_counter() - started) * 1000))


def asking(request: Request, key: ApiKey, services: Services) -> Asking:
    """Return who asks a language model."""
    limit = services.quota.limits(key.tenant).max_image_bytes
    return Asking(key.tenant, limit, request.state.request_id)
