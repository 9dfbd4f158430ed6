"""Routes of one picture."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse

from ocelli.api.policy import requires
from ocelli.console.api_requests import ApiRequest
from ocelli.console.links import local_url, picture_url
from ocelli.console.pages import preview, render
from ocelli.console.pictures import mapping
from ocelli.console.services import Console
from ocelli.console.visitors import CurrentConsole, CurrentVisitor, Form, PostedForm, Visitor
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.edits import Changes, ClaimChange, ClaimVerdict, ReviewStatus
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.paging import PageRequest
from ocelli.domain.questions import Question
from ocelli.domain.scopes import KeyRole
from ocelli.usecases.edits import EditConflict

router = APIRouter(prefix="/pictures")

EDITS_SHOWN = 50
PictureId = Annotated[str, Path(max_length=36)]


@router.get("/{picture_id}")
@requires(KeyRole.READ)
async def show_picture(
    request: Request, picture_id: PictureId, visitor: CurrentVisitor, console: CurrentConsole
) -> Response:
    """Everything about a picture."""
    return await _page(request, picture_id, visitor, console)


@router.post("/{picture_id}")
@requires(KeyRole.WRITE)
async def change_words(
    request: Request,
    picture_id: PictureId,
    visitor: CurrentVisitor,
    console: CurrentConsole,
    form: PostedForm,
) -> Response:
    """Keep a person's title, description, alternative text and tags, where they differ."""
    image = await console.services.files.get(visitor.key.tenant.id, picture_id)
    changes = mapping.changes(form, image)
    if changes == Changes():
        return _back(console, picture_id)
    return await _change(request, picture_id, visitor, console, form, changes)


@router.post("/{picture_id}/claims")
@requires(KeyRole.WRITE)
async def judge_claim(
    request: Request,
    picture_id: PictureId,
    visitor: CurrentVisitor,
    console: CurrentConsole,
    form: PostedForm,
) -> Response:
    """Keep a person's verdict on a claim; an empty one takes it back."""
    given = form.get("verdict")
    if given not in ("", *ClaimVerdict):
        raise ValidationFailed("There is no such verdict.", field="verdict")
    verdict = ClaimVerdict(given) if given else None
    text = form.get("text").strip() if verdict is ClaimVerdict.CORRECTED else None
    if verdict is ClaimVerdict.CORRECTED and not text:
        raise ValidationFailed("Say what it should be.", field="text")
    change = ClaimChange(form.get("claim"), verdict, text)
    return await _change(
        request, picture_id, visitor, console, form, Changes(claims=(change,)), "#claims"
    )


@router.post("/{picture_id}/review")
@requires(KeyRole.WRITE)
async def review_picture(
    request: Request,
    picture_id: PictureId,
    visitor: CurrentVisitor,
    console: CurrentConsole,
    form: PostedForm,
) -> Response:
    """Approve or reject the description, or take that back."""
    status = form.get("status")
    if status not in list(ReviewStatus):
        raise ValidationFailed("There is no such decision.", field="status")
    changes = Changes(review=ReviewStatus(status))
    return await _change(request, picture_id, visitor, console, form, changes)


@router.post("/{picture_id}/edits/{edit_id}/undo")
@requires(KeyRole.WRITE)
async def undo_change(
    request: Request,
    picture_id: PictureId,
    edit_id: UUID,
    visitor: CurrentVisitor,
    console: CurrentConsole,
) -> Response:
    """Set a field back to what it was before a change."""
    try:
        await console.services.edits.undo(
            visitor.key.tenant.id, picture_id, edit_id, author=_author(visitor)
        )
    except EditConflict as conflict:
        return await _page(request, picture_id, visitor, console, conflict=conflict)
    return _back(console, picture_id, "#changes")


@router.post("/{picture_id}/describe")
@requires(KeyRole.WRITE, stores=True)
async def describe_picture(
    picture_id: PictureId, visitor: CurrentVisitor, console: CurrentConsole, form: PostedForm
) -> Response:
    """Describe it again, by another backend or at another level."""
    backend, level = form.get("backend"), form.get("level")
    if backend and backend not in console.services.backend_names:
        raise ValidationFailed(f"There is no backend {backend[:64]!r}.", field="backend")
    if level not in list(VerificationLevel):
        raise ValidationFailed("There is no such level.", field="level")
    services, tenant = console.services, visitor.key.tenant
    vocabulary = await services.vocabularies.for_question(tenant)
    question = Question(backends=(backend,) if backend else (), vocabulary=vocabulary)
    await services.redescribe.one(tenant, picture_id, question, VerificationLevel(level))
    return _back(console, picture_id)


@router.post("/{picture_id}/delete")
@requires(KeyRole.WRITE)
async def delete_picture(
    picture_id: PictureId, visitor: CurrentVisitor, console: CurrentConsole
) -> Response:
    """Delete it; its bytes are kept for 30 days."""
    await console.services.files.delete(visitor.key.tenant.id, picture_id)
    return RedirectResponse(f"{console.root}/library", 303)


@router.get("/{picture_id}/preview")
@requires(KeyRole.READ, counted=False)
async def show_picture_preview(
    picture_id: PictureId, visitor: CurrentVisitor, console: CurrentConsole
) -> Response:
    """A small copy of the picture, made now."""
    return preview(await console.services.previews.of_image(visitor.key.tenant.id, picture_id))


@router.get("/{picture_id}/original")
@requires(KeyRole.READ)
async def save_original(
    picture_id: PictureId, visitor: CurrentVisitor, console: CurrentConsole
) -> Response:
    """Lead to the file as it was uploaded, which browsers save and never show."""
    image = await console.services.files.get(visitor.key.tenant.id, picture_id)
    url = await console.services.files.download_url(image)
    return RedirectResponse(local_url(url, console.prefix) or "", 302)


async def _change(
    request: Request,
    picture_id: str,
    visitor: Visitor,
    console: Console,
    form: Form,
    changes: Changes,
    anchor: str = "",
) -> Response:
    """Make changes upon the revision and the description that the page showed.

    Who comes second is told what the first one did, and keeps what they wrote.
    """
    try:
        await console.services.edits.update(
            visitor.key.tenant.id,
            picture_id,
            changes,
            author=_author(visitor),
            **mapping.version(form),
        )
    except EditConflict as conflict:
        return await _page(request, picture_id, visitor, console, conflict=conflict, draft=form)
    return _back(console, picture_id, anchor)


async def _page(
    request: Request,
    picture_id: str,
    visitor: Visitor,
    console: Console,
    *,
    conflict: EditConflict | None = None,
    draft: Form | None = None,
) -> Response:
    services = console.services
    tenant_id = visitor.key.tenant.id
    image, history = await services.files.with_history(tenant_id, picture_id)
    edits = await services.edits.history(tenant_id, str(image.id), PageRequest(EDITS_SHOWN))
    links = await services.files.links([image])
    shown = mapping.details(image, history)
    return await render(
        request,
        "picture.html",
        status=409 if conflict else 200,
        picture=shown,
        url=picture_url(image, links, console),
        edits=[(each, mapping.edit_told(each)) for each in edits.edits],
        nameless=mapping.NAMELESS,
        conflict=conflict,
        conflict_changes=list(map(mapping.told, conflict.details["changes"])) if conflict else [],
        draft=_draft(shown, draft),
        levels=list(VerificationLevel),
        backends=services.backend_names,
        requests=api_requests(str(image.id), image.revision, shown.shown.description),
    )


def _draft(shown: mapping.Details, form: Form | None) -> dict[str, str]:
    """Return the values of the form: what was sent, or else what holds."""
    holds = {
        "title": shown.image.title or "",
        "description": shown.shown.description or "",
        "alt_text": shown.shown.alt_text or "",
        "tags": "\n".join(shown.shown.tags),
    }
    if form is None or form.get("title", "\0") == "\0":
        return holds
    return {name: form.get(name) for name in holds}


def api_requests(id: str, revision: int, description: str | None) -> list[ApiRequest]:
    """Return the requests that read this picture, correct it, and describe it again."""
    path = f"/api/v2/user-files/{id}"
    words = {"description": description or "Two cups of coffee.", "revision": revision}
    return [
        ApiRequest("Read it", "GET", path, "files.get", {"file_id": id}),
        ApiRequest(
            "Correct it", "PATCH", path, "files.update", {"file_id": id, **words}, body=words
        ),
        ApiRequest(
            "Describe it again",
            "POST",
            f"{path}/describe",
            "files.redescribe",
            {"file_id": id, "verification_level": "critical"},
            body={"verification_level": "critical"},
        ),
    ]


def _author(visitor: Visitor) -> str:
    return visitor.key.name or visitor.key.prefix


def _back(console: Console, picture_id: str, anchor: str = "") -> Response:
    return RedirectResponse(f"{console.root}/pictures/{picture_id}{anchor}", 303)
