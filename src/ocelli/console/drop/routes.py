"""Routes of sending pictures."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse

from ocelli.api.multipart import received_form
from ocelli.api.policy import requires
from ocelli.console.drop import mapping
from ocelli.console.jobs.mapping import described_again
from ocelli.console.pages import render
from ocelli.console.visitors import CurrentConsole, CurrentVisitor, PostedForm
from ocelli.domain.activities import ActivityKind
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.languages import LANGUAGES
from ocelli.domain.questions import Role
from ocelli.domain.scopes import KeyRole
from ocelli.usecases.upload import IncomingFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocelli.console.services import Console
    from ocelli.console.visitors import Visitor
    from ocelli.usecases.upload import UploadRequest

router = APIRouter(prefix="/drop")

SessionId = Annotated[str, Path(max_length=64)]


@router.get("")
@requires(KeyRole.WRITE)
async def show_drop(request: Request, visitor: CurrentVisitor, console: CurrentConsole) -> Response:
    """The page, whose script sends what is dropped."""
    services = console.services
    limits = services.quota.limits(visitor.key.tenant)
    return await render(
        request,
        "drop.html",
        levels=list(VerificationLevel),
        roles=list(Role),
        languages=LANGUAGES,
        backends=services.backend_names,
        default_backend=services.default_backend,
        vocabularies=await services.vocabularies.all(visitor.key.tenant.id),
        files_per_request=limits.files_per_batch,
        max_bytes=min(limits.max_image_bytes, services.max_upload_bytes),
        requests=[mapping.api_request()],
    )


@router.post("/files")
@requires(KeyRole.WRITE, stores=True)
async def take_files(
    request: Request, visitor: CurrentVisitor, console: CurrentConsole
) -> Response:
    """Files of a drop, named by ``keys``: sent again, none counts twice."""
    services, tenant = console.services, visitor.key.tenant
    async with received_form(
        request,
        services,
        tenant,
        file_field="files",
        text_fields=mapping.FIELDS,
        max_files=services.quota.limits(tenant).files_per_batch,
    ) as form:
        names = mapping.keys(form.fields.get("keys", ""), len(form.files))
        how = await _how(console, visitor, form.fields)
        files = [
            IncomingFile(mapping.with_name(how, part.filename), part.staged, part.error)
            for part in form.files
        ]
        return await _accept(console, visitor, form.fields.get("drop", ""), names, files)


@router.post("/url")
@requires(KeyRole.WRITE, stores=True)
async def take_url(visitor: CurrentVisitor, console: CurrentConsole, form: PostedForm) -> Response:
    """A picture by its address, which this server fetches; sent again it does not count twice."""
    services = console.services
    fields = {name: form.get(name) for name in mapping.FIELDS}
    names = mapping.keys(fields["keys"], 1)
    how = await _how(console, visitor, fields)
    async with services.slots.acquire(visitor.key.tenant):
        fetched = await services.fetcher.get(form.get("url"), max_bytes=services.max_upload_bytes)
        with services.new_blob(max_bytes=services.max_upload_bytes) as staged:
            await asyncio.to_thread(staged.write, fetched.data)
            request = mapping.with_name(how, mapping.named_by(fetched.url))
            files = [IncomingFile(request, staged)]
            return await _accept(console, visitor, fields["drop"], names, files)


@router.get("/sessions/{session_id}")
@requires(KeyRole.READ, counted=False)
async def show_progress(
    session_id: SessionId, visitor: CurrentVisitor, console: CurrentConsole
) -> Response:
    """How far the files of a drop have come, for its script."""
    found = await console.services.sessions.snapshot(
        visitor.key.tenant.id, session_id, failures=mapping.FAILURES
    )
    return JSONResponse(mapping.progress(*found))


@router.post("/sessions/{session_id}/again")
@requires(KeyRole.WRITE, stores=True)
async def describe_failed_again(
    session_id: SessionId, visitor: CurrentVisitor, console: CurrentConsole
) -> Response:
    """Describe the pictures of a session again that have failed."""
    count = await console.services.activities.repeat(
        visitor.key.tenant, ActivityKind.SESSION, session_id
    )
    return JSONResponse({"sentence": described_again(count)})


@router.post("/sessions/{session_id}/cancel")
@requires(KeyRole.WRITE)
async def cancel_drop(
    session_id: SessionId, visitor: CurrentVisitor, console: CurrentConsole
) -> Response:
    """End what has not begun."""
    await console.services.sessions.cancel(visitor.key.tenant.id, session_id)
    return JSONResponse({"sentence": "Cancelled: what had not begun is not described."})


async def _how(console: Console, visitor: Visitor, fields: Mapping[str, str]) -> UploadRequest:
    services = console.services
    chosen = mapping.choices(fields, services.backend_names)
    tenant = visitor.key.tenant
    vocabulary = await services.vocabularies.for_question(tenant, fields.get("vocabulary") or None)
    request = replace(mapping.upload_request(chosen), vocabulary=vocabulary)
    how = await services.policies.choose(tenant.id, None, request.level, is_free=chosen.is_free)
    if how.policy_id is None:
        return request
    return replace(request, level=how.level, backends=how.backends, policy_id=how.policy_id)


async def _accept(
    console: Console,
    visitor: Visitor,
    drop: str,
    names: list[str],
    files: list[IncomingFile],
) -> Response:
    tenant = visitor.key.tenant
    session = mapping.session_id(tenant.id, drop)
    level = files[0].request.level
    found: Any = await console.services.upload.accept_once(
        tenant,
        [
            replace(file, key=mapping.item_key(session, name))
            for file, name in zip(files, names, strict=True)
        ],
        level=level,
        session_id=session,
    )
    return JSONResponse(mapping.outcomes(session, names, found))
