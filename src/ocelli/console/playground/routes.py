"""Routes of the playground."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from ocelli.api.multipart import received_form
from ocelli.api.policy import requires
from ocelli.console.pages import render
from ocelli.console.playground import mapping
from ocelli.console.visitors import CurrentConsole, CurrentVisitor, posted_form
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.fetch_jobs import MAX_FILE
from ocelli.domain.file_query import FileQuery, SortBy
from ocelli.domain.languages import LANGUAGES
from ocelli.domain.paging import PageRequest
from ocelli.domain.questions import Question, Role
from ocelli.domain.scopes import KeyRole

if TYPE_CHECKING:
    from ocelli.console.services import Console
    from ocelli.console.visitors import Visitor
    from ocelli.usecases.adhoc import Source

router = APIRouter()


@router.get("/playground")
@requires(KeyRole.WRITE)
async def show_playground(
    request: Request, visitor: CurrentVisitor, console: CurrentConsole
) -> Response:
    """The form."""
    picture = request.query_params.get("picture", "")[:64]
    return await _page(request, visitor, console, {"picture": picture}, Question(), None)


@router.post("/playground")
@requires(KeyRole.WRITE, stores=True)
async def ask_once(request: Request, visitor: CurrentVisitor, console: CurrentConsole) -> Response:
    """The answer to the form."""
    fields, data = await _received(request, visitor, console)
    question = mapping.question(fields)
    asked = mapping.ask(
        fields.get("backend", ""), fields.get("level", ""), console.services.backend_names
    )
    answer = await _answer(visitor, console, fields, data, question, asked)
    return await _page(request, visitor, console, fields, question, answer)


async def _received(
    request: Request, visitor: Visitor, console: Console
) -> tuple[dict[str, str], bytes | None]:
    """Return the fields of a form, and its file if it came with one."""
    if not request.headers.get("content-type", "").startswith("multipart/"):
        form = await posted_form(request, visitor)
        return {name: form.get(name) for name in mapping.FIELDS}, None
    services = console.services
    async with received_form(
        request,
        services,
        visitor.key.tenant,
        file_field="file",
        text_fields=mapping.FIELDS,
        max_bytes=min(MAX_FILE, services.max_upload_bytes),
    ) as upload:
        part = upload.files[0] if upload.files else None
        if part is None or not part.staged.size:
            return upload.fields, None
        if part.error is not None:
            raise part.error
        return upload.fields, await asyncio.to_thread(part.staged.path.read_bytes)


async def _answer(
    visitor: Visitor,
    console: Console,
    fields: dict[str, str],
    data: bytes | None,
    question: Question,
    asked: mapping.Ask,
) -> mapping.Answer:
    services, tenant = console.services, visitor.key.tenant
    picture = fields.get("picture")
    image = await services.files.get(tenant.id, picture) if picture and data is None else None
    source: Source = mapping.source(fields, image) if data is None else data
    vocabulary = await services.vocabularies.for_question(tenant)
    question = replace(question, vocabulary=vocabulary, backends=(asked.backend,))
    analysis = await services.adhoc.ask(tenant, source, question, level=asked.level)
    done = await services.adhoc.answer(tenant.id, analysis.id, timeout=services.answer_timeout)
    return mapping.answer(asked, done, services.token_cost)


async def _page(
    request: Request,
    visitor: Visitor,
    console: Console,
    fields: dict[str, str],
    question: Question,
    answer: mapping.Answer | None,
) -> Response:
    services = console.services
    newest = await services.files.page(
        visitor.key.tenant.id, FileQuery(sort_by=SortBy.CREATED_AT), PageRequest(mapping.PICTURES)
    )
    return await render(
        request,
        "playground.html",
        fields=fields,
        answer=answer,
        asked=question,
        pictures=newest.images,
        roles=list(Role),
        languages=LANGUAGES,
        levels=list(VerificationLevel),
        backends=services.backend_names,
        default_backend=services.default_backend,
        requests=[
            mapping.api_request(
                question, answer.ask if answer else None, fields.get("url", "").strip()
            )
        ],
    )
