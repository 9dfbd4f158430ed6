"""Routes of playground and compare."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from ocelli.api.multipart import Form as Upload
from ocelli.api.multipart import receive
from ocelli.api.policy import requires
from ocelli.console.pages import render
from ocelli.console.playground import mapping
from ocelli.console.visitors import CurrentConsole, CurrentVisitor, posted_form
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.fetch_jobs import MAX_FILE
from ocelli.domain.file_query import FileQuery
from ocelli.domain.languages import LANGUAGES
from ocelli.domain.paging import PageRequest
from ocelli.domain.questions import Question, Role
from ocelli.domain.scopes import KeyRole

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    return await _page(request, visitor, console, "playground.html", {}, Question(), [])


@router.post("/playground")
@requires(KeyRole.WRITE, stores=True)
async def ask_once(request: Request, visitor: CurrentVisitor, console: CurrentConsole) -> Response:
    """The answer to the form."""
    fields, data = await _received(request, visitor, console, mapping.FIELDS)
    question = mapping.question(fields)
    asked = mapping.ask(
        fields.get("backend", ""), fields.get("level", ""), console.services.backend_names
    )
    answers = await _answers(visitor, console, fields, data, question, [asked])
    return await _page(request, visitor, console, "playground.html", fields, question, answers)


@router.get("/compare")
@requires(KeyRole.WRITE)
async def show_compare(
    request: Request, visitor: CurrentVisitor, console: CurrentConsole
) -> Response:
    """The form."""
    return await _page(request, visitor, console, "compare.html", {}, Question(), [])


@router.post("/compare")
@requires(KeyRole.WRITE, stores=True)
async def ask_several(
    request: Request, visitor: CurrentVisitor, console: CurrentConsole
) -> Response:
    """The answers of several backends or levels to the form."""
    names = [f"ask{n}" for n in range(len(VerificationLevel) * len(console.services.backend_names))]
    fields, data = await _received(request, visitor, console, [*mapping.FIELDS, *names])
    question = mapping.question(fields)
    chosen = [fields[name] for name in names if fields.get(name)]
    asks = mapping.asks(chosen, console.services.backend_names)
    answers = await _answers(visitor, console, fields, data, question, asks)
    return await _page(request, visitor, console, "compare.html", fields, question, answers)


async def _received(
    request: Request, visitor: Visitor, console: Console, names: Sequence[str]
) -> tuple[dict[str, str], bytes | None]:
    """Return the fields of a form, and its file if it came with one."""
    if not request.headers.get("content-type", "").startswith("multipart/"):
        form = await posted_form(request, visitor)
        return {name: form.get(name) for name in names}, None
    services = console.services
    async with services.slots.acquire(visitor.key.tenant):
        with Upload() as received:
            await receive(
                request,
                received,
                services.new_blob,
                services.upload.inspect,
                file_field="file",
                text_fields=names,
                max_bytes=min(MAX_FILE, services.max_upload_bytes),
            )
            part = received.files[0] if received.files else None
            if part is None or not part.staged.size:
                return received.fields, None
            if part.error is not None:
                raise part.error
            return received.fields, await asyncio.to_thread(part.staged.path.read_bytes)


async def _answers(
    visitor: Visitor,
    console: Console,
    fields: dict[str, str],
    data: bytes | None,
    question: Question,
    asks: Sequence[mapping.Ask],
) -> list[mapping.Answer]:
    services, tenant = console.services, visitor.key.tenant
    picture = fields.get("picture")
    image = await services.files.get(tenant.id, picture) if picture and data is None else None
    source: Source = mapping.source(fields, image) if data is None else data
    vocabulary = await services.vocabularies.for_question(tenant)
    question = replace(question, vocabulary=vocabulary)

    async def answer(asked: mapping.Ask) -> mapping.Answer:
        analysis = await services.adhoc.ask(
            tenant, source, replace(question, backends=(asked.backend,)), level=asked.level
        )
        done = await services.adhoc.answer(tenant.id, analysis.id, timeout=services.answer_timeout)
        return mapping.answer(asked, done, services.token_cost)

    return list(await asyncio.gather(*map(answer, asks)))


async def _page(
    request: Request,
    visitor: Visitor,
    console: Console,
    template: str,
    fields: dict[str, str],
    question: Question,
    answers: Sequence[mapping.Answer],
) -> Response:
    services = console.services
    newest = await services.files.page(
        visitor.key.tenant.id, FileQuery(), PageRequest(mapping.PICTURES)
    )
    asks: Sequence[mapping.Ask | None] = [each.ask for each in answers] or [None]
    return await render(
        request,
        template,
        fields=fields,
        answers=answers,
        rows=mapping.claim_rows(answers),
        pictures=newest.images,
        roles=list(Role),
        languages=LANGUAGES,
        levels=list(VerificationLevel),
        backends=services.backend_names,
        default_backend=services.default_backend,
        requests=[
            mapping.api_request(question, each, fields.get("url", "").strip()) for each in asks
        ],
    )
