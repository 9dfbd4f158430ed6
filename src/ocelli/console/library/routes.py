"""Routes of the library."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from ocelli.api.policy import requires
from ocelli.console.library import mapping
from ocelli.console.pages import render
from ocelli.console.visitors import CurrentConsole, CurrentVisitor
from ocelli.domain.scopes import KeyRole

router = APIRouter(prefix="/library")


@router.get("")
@requires(KeyRole.READ)
async def show_library(
    request: Request,
    visitor: CurrentVisitor,
    console: CurrentConsole,
    filters: Annotated[mapping.Filters, Query()],
) -> Response:
    """A page of the pictures that match."""
    files = console.services.files
    query = mapping.file_query(filters)
    page = await files.page(visitor.key.tenant.id, query, mapping.page_request(filters, query))
    links = await files.links(page.images)
    return await render(
        request,
        "library.html",
        filters=filters,
        cards=[mapping.card(image, links, console.prefix) for image in page.images],
        total=page.total,
        next_page=mapping.next_page(page, query, filters),
        requests=[mapping.api_request(filters)],
    )
