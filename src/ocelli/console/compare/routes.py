"""Routes of comparing: each ask is a batch about the same pictures."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from ocelli.api.multipart import received_form
from ocelli.api.policy import requires
from ocelli.console.compare import mapping
from ocelli.console.drop.mapping import named_by
from ocelli.console.links import thumbnail_url
from ocelli.console.pages import preview, render
from ocelli.console.playground.mapping import question
from ocelli.console.visitors import CurrentConsole, CurrentVisitor, posted_form
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.batches import BatchKind
from ocelli.domain.errors import OcelliError, ValidationFailed
from ocelli.domain.fetch_jobs import MAX_FILE
from ocelli.domain.file_query import FileQuery, SortBy
from ocelli.domain.languages import LANGUAGES
from ocelli.domain.paging import PageRequest
from ocelli.domain.questions import Question, Role
from ocelli.domain.scopes import KeyRole
from ocelli.usecases.adhoc import StoredSource
from ocelli.usecases.batches import BatchQuestion
from ocelli.usecases.concurrency import bounded_map
from ocelli.usecases.filenames import clean_filename

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from ocelli.api.multipart import FilePart
    from ocelli.console.services import Console
    from ocelli.console.visitors import Visitor
    from ocelli.domain.images import Image

router = APIRouter(prefix="/compare")

FETCHES_AT_ONCE = 4
Batches = Annotated[list[str], Query(max_length=mapping.MOST_ASKS)]
Pictures = Annotated[list[UUID], Query(max_length=mapping.MOST_PICTURES)]


@router.get("")
@requires(KeyRole.WRITE, counted=False)
async def show_comparison(
    request: Request,
    visitor: CurrentVisitor,
    console: CurrentConsole,
    batch: Batches = [],  # noqa: B006 - FastAPI copies it
    picture: Pictures = [],  # noqa: B006
) -> Response:
    """The form, with pictures that are chosen already, and the answers of batches.

    Not counted: it asks again while answers are to come.
    """
    services, tenant = console.services, visitor.key.tenant
    everything = PageRequest(mapping.MOST_PICTURES)
    found = []
    for id in dict.fromkeys(batch):
        state, analyses, _, _ = await services.batches.results(
            tenant.id, id, include_failed=True, page=everything
        )
        found.append((state, analyses))
    result = mapping.comparison(found, services.token_cost) if found else None
    offered = await _offered(console, visitor, picture)
    links = await services.files.links(offered)
    asked = found[0][1][0].question if found and found[0][1] else Question()
    return await render(
        request,
        "compare.html",
        result=result,
        asked=asked,
        offered=[(each, thumbnail_url(each, links, console)) for each in offered],
        chosen=set(picture),
        roles=list(Role),
        languages=LANGUAGES,
        levels=list(VerificationLevel),
        backends=services.backend_names,
        default_backend=services.default_backend,
        most=mapping.MOST_PICTURES,
        most_asks=mapping.MOST_ASKS,
        requests=mapping.api_requests(asked, result.columns if result else ()),
    )


@router.post("")
@requires(KeyRole.WRITE, stores=True)
async def compare(request: Request, visitor: CurrentVisitor, console: CurrentConsole) -> Response:
    """Ask, and lead to the page of the answers."""
    services, tenant = console.services, visitor.key.tenant
    ways = [f"ask{n}" for n in range(len(VerificationLevel) * len(services.backend_names))]
    shown = [f"picture{n}" for n in range(mapping.OFFERED)]
    names = (*mapping.FIELDS, *ways, *shown)
    async with _received(request, visitor, console, names) as (fields, files):
        asks = mapping.asks(
            [fields[name] for name in ways if fields.get(name)], services.backend_names
        )
        ids = [fields[name] for name in shown if fields.get(name)]
        asked = question(fields)
        asked = replace(asked, vocabulary=await services.vocabularies.for_question(tenant))
        urls = mapping.addresses(fields.get("urls", ""))
        items = await _items(console, visitor, files, ids, urls)
    batches = [
        await services.batches.submit(
            tenant, BatchKind.DESCRIBE, items, replace(asked, backends=(each.backend,)), each.level
        )
        for each in asks
    ]
    query = urlencode([("batch", str(each.batch.id)) for each in batches])
    address = f"{console.root}/compare?{query}"
    if "hx-request" in request.headers:
        return Response(headers={"HX-Redirect": address})
    return RedirectResponse(address, 303)


@router.get("/previews/{analysis_id}")
@requires(KeyRole.WRITE, counted=False)
async def show_preview(
    analysis_id: Annotated[UUID, Path()], visitor: CurrentVisitor, console: CurrentConsole
) -> Response:
    """A small copy of the picture that a question was about."""
    data = await console.services.previews.of_analysis(visitor.key.tenant.id, analysis_id)
    return preview(data)


async def _offered(console: Console, visitor: Visitor, chosen: Sequence[UUID]) -> list[Image]:
    """Return the pictures that were chosen, then the newest others."""
    page = partial(console.services.files.page, visitor.key.tenant.id)
    first = await page(FileQuery(ids=tuple(chosen)), PageRequest(mapping.MOST_PICTURES))
    newest = await page(FileQuery(sort_by=SortBy.CREATED_AT), PageRequest(mapping.OFFERED))
    both = {each.id: each for each in (*first.images, *newest.images)}
    return list(both.values())[: mapping.OFFERED]


@asynccontextmanager
async def _received(
    request: Request, visitor: Visitor, console: Console, names: Sequence[str]
) -> AsyncIterator[tuple[Mapping[str, str], Sequence[FilePart]]]:
    """Give the fields of a form, and its files; browsers without scripts send none."""
    if not request.headers.get("content-type", "").startswith("multipart/"):
        posted = await posted_form(request, visitor)
        yield {name: posted.get(name) for name in names}, ()
        return
    async with received_form(
        request,
        console.services,
        visitor.key.tenant,
        file_field="file",
        text_fields=names,
        max_bytes=min(MAX_FILE, console.services.max_upload_bytes),
        max_files=mapping.MOST_PICTURES + 1,  # a form without a file sends an empty one
    ) as form:
        files = [each for each in form.files if each.staged.size or each.error is not None]
        yield form.fields, files


async def _items(
    console: Console,
    visitor: Visitor,
    files: Sequence[FilePart],
    ids: Sequence[str],
    urls: Sequence[str],
) -> list[BatchQuestion]:
    """Return the pictures of a form: its files, those of the library, those at addresses.

    Raises ValidationFailed, NotFound.
    """
    services, tenant = console.services, visitor.key.tenant
    mapping.check_number(len(files) + len(ids) + len(urls))
    items = []
    for part in files:
        input = {"name": clean_filename(part.filename)}
        try:
            source = part.error or await services.adhoc.keep_file(tenant, part.staged)
        except ValidationFailed as error:  # no picture: it fails alone
            source = error
        items.append(BatchQuestion(source, input))
    for id in ids:
        image = await services.files.get(tenant.id, id)
        name = image.title or image.filename
        items.append(BatchQuestion(StoredSource(image.object_key), {"name": name}))
    fetch = partial(_fetched, console, visitor)
    return [*items, *await bounded_map(fetch, urls, at_once=FETCHES_AT_ONCE)]


async def _fetched(console: Console, visitor: Visitor, url: str) -> BatchQuestion:
    """Return the picture at an address: fetched once, so that all are asked about the same."""
    services = console.services
    most = min(MAX_FILE, services.max_upload_bytes)
    try:
        fetched = await services.fetcher.get(url, max_bytes=most)
        with services.new_blob(max_bytes=most) as staged:
            await asyncio.to_thread(staged.write, fetched.data)
            source = await services.adhoc.keep_file(visitor.key.tenant, staged)
    except OcelliError as error:
        if error.retryable:
            raise
        return BatchQuestion(
            ValidationFailed(f"{url}: {error.message}", field="urls"), {"name": url}
        )
    return BatchQuestion(source, {"name": named_by(fetched.url), "image_url": url})
