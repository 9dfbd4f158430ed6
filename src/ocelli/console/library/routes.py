"""Routes of the library."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from ocelli.api.policy import requires
from ocelli.console.compare.mapping import MOST_PICTURES as MOST_COMPARED
from ocelli.console.library import actions, mapping
from ocelli.console.library.actions import Action, Outcome
from ocelli.console.pages import render
from ocelli.console.services import Console
from ocelli.console.visitors import CurrentConsole, CurrentVisitor, Form, PostedForm, Visitor
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.file_query import FileQuery
from ocelli.domain.images import Image
from ocelli.domain.scopes import KeyRole
from ocelli.usecases.files import Page

router = APIRouter(prefix="/library")

Count = Annotated[int, Query(ge=0, le=actions.MOST_SELECTED)]
DONE = {
    Action.DESCRIBE: ("will be described again", "waits for that already"),
    Action.RETRY: ("will be tried again", "had not failed"),
    Action.TAG: ("got the tags", "was changed meanwhile"),
    Action.DELETE: ("was deleted", "is being processed, or is gone"),
}


@router.get("")
@requires(KeyRole.READ)
async def show_library(
    request: Request,
    visitor: CurrentVisitor,
    console: CurrentConsole,
    filters: Annotated[mapping.Filters, Query()],
) -> Response:
    """A page of the pictures that match."""
    files, tenant_id = console.services.files, visitor.key.tenant.id
    color = mapping.color(filters)
    ids = None
    if color is not None:
        ids = tuple(await console.services.colors.nearest(tenant_id, color))
    query = mapping.file_query(filters, ids)
    page = await files.page(tenant_id, query, mapping.page_request(filters, query))
    by_meaning = mapping.wants_meaning(filters, page)
    alike = await _alike(console, tenant_id, filters, query, page) if by_meaning else []
    links = await files.links([*page.images, *alike])
    return await render(
        request,
        "library.html",
        filters=filters,
        colors=mapping.COLORS,
        levels=list(VerificationLevel),
        cards=[mapping.card(image, links, console) for image in page.images],
        alike=[mapping.card(image, links, console) for image in alike],
        total=page.total,
        next_page=mapping.next_page(page, query, filters),
        outcome=_told(request),
        requests=mapping.api_requests(filters, by_meaning=by_meaning),
    )


async def _alike(
    console: Console, tenant_id: UUID, filters: mapping.Filters, query: FileQuery, page: Page
) -> list[Image]:
    """Return pictures that mean what is searched, beside those of the page that have its words."""
    found = await console.services.library_search.search(
        tenant_id, filters.search, replace(query, search=None), limit=mapping.PER_PAGE
    )
    shown = {each.id for each in page.images}
    return [hit.image for hit in found.hits if hit.image.id not in shown]


@router.post("/actions")
@requires(KeyRole.WRITE, stores=True)
async def act_on_selection(
    visitor: CurrentVisitor, console: CurrentConsole, form: PostedForm
) -> Response:
    """Do something with the pictures that were selected, and go back to where they were."""
    ids = _ids(form)
    if form.get("action") not in list(Action):
        raise ValidationFailed("There is no such action.", field="action")
    action = Action(form.get("action"))
    if action is Action.EXPORT:
        return await _export(visitor, console, ids)
    if action is Action.COMPARE:
        return _to_comparison(console, ids)
    outcome = await _act(visitor, console, form, action, ids)
    back = {**_filters(form), "did": action.value, "done": outcome.done, "left": outcome.left}
    return RedirectResponse(f"{console.root}/library?{urlencode(back)}", 303)


@router.post("/export")
@requires(KeyRole.READ)
async def export_selection(
    visitor: CurrentVisitor, console: CurrentConsole, form: PostedForm
) -> Response:
    """The words of the pictures that were selected, as a file of JSON lines."""
    return await _export(visitor, console, _ids(form))


async def _act(
    visitor: Visitor, console: Console, form: Form, action: Action, ids: list[UUID]
) -> Outcome:
    services, key = console.services, visitor.key
    match action:
        case Action.DESCRIBE:
            if form.get("level") not in list(VerificationLevel):
                raise ValidationFailed("There is no such level.", field="level")
            return await actions.describe(services, key, ids, VerificationLevel(form.get("level")))
        case Action.DELETE:
            return await actions.delete(services, key, ids)
        case Action.TAG:
            tags = [each.strip() for each in form.get("new_tags").split(",") if each.strip()]
            if not tags:
                raise ValidationFailed(
                    "Write the tags to add, separated by commas.", field="new_tags"
                )
            images = await actions.selected(services, key, ids)
            return await actions.tag(services, key, images, tags)
        case _:
            images = await actions.selected(services, key, ids)
            return await actions.retry(services, key, images)


def _to_comparison(console: Console, ids: list[UUID]) -> Response:
    if len(ids) > MOST_COMPARED:
        raise ValidationFailed(
            f"At most {MOST_COMPARED} pictures are compared at once; {len(ids)} are selected.",
            field="ids",
        )
    query = urlencode([("picture", str(id)) for id in ids])
    return RedirectResponse(f"{console.root}/compare?{query}", 303)


async def _export(visitor: Visitor, console: Console, ids: list[UUID]) -> Response:
    images = await actions.selected(console.services, visitor.key, ids)
    lines = [json.dumps(mapping.exported(each), ensure_ascii=False) + "\n" for each in images]
    headers = {"Content-Disposition": 'attachment; filename="pictures.jsonl"'}
    return Response("".join(lines), headers=headers, media_type="application/x-ndjson")


def _ids(form: Form) -> list[UUID]:
    given = list(dict.fromkeys(form.all("ids")))
    if not given:
        raise ValidationFailed("Select some pictures first.", field="ids")
    if len(given) > actions.MOST_SELECTED:
        raise ValidationFailed(f"More than {actions.MOST_SELECTED} pictures.", field="ids")
    try:
        return [UUID(each) for each in given]
    except ValueError:
        raise ValidationFailed("This is no id of a picture.", field="ids") from None


def _filters(form: Form) -> dict[str, str]:
    """Return the filters that the page had, of which its form holds a copy."""
    names = mapping.Filters.model_fields
    return {name: form.get(f"of_{name}") for name in names if form.get(f"of_{name}")}


def _told(request: Request) -> list[str]:
    """Return what the last action did, as sentences."""
    asked = request.query_params
    if asked.get("did") not in list(Action) or Action(asked["did"]) not in DONE:
        return []
    told = []
    for name, words in zip(("done", "left"), DONE[Action(asked["did"])], strict=True):
        count = asked.get(name, "")
        if count.isdecimal() and int(count[:4]) > 0:
            told.append(_counted(int(count[:4]), words))
    return told


def _counted(count: int, words: str) -> str:
    if count == 1:
        return f"1 picture {words}."
    first, _, rest = words.partition(" ")
    plural = {"was": "were", "is": "are", "waits": "wait"}.get(first, first)
    return f"{count:,} pictures {plural} {rest}.".replace(", or is gone", ", or are gone")
