"""Routes of ``/api/v2``."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse

from ocelli.api.aion import mapping, schemas
from ocelli.api.aion.errors import ErrorEnvelope
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.multipart import Form, receive
from ocelli.api.services import Services
from ocelli.domain.errors import NotFound, ValidationFailed
from ocelli.domain.images import Image, StorageTarget, VariantType
from ocelli.usecases.upload import UploadRequest

_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorEnvelope, "description": text}
    for status, text in {
        400: "The request cannot be read.",
        401: "No key, or not a good one.",
        404: "Not found, or somebody else's.",
        413: "Too large.",
        422: "Something in it cannot be accepted.",
        429: "Too many requests; `Retry-After` says for how many seconds.",
        503: "The database or the store does not answer right now.",
    }.items()
}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: _ERRORS[status] for status in (*statuses, 401, 422, 429, 503)}


router = APIRouter(prefix="/api/v2")
files = APIRouter(prefix="/user-files", tags=["files"])
uploads = APIRouter(prefix="/uploads", tags=["uploads"])

FileId = Annotated[
    str,
    Path(max_length=36, description="The id, or its first 8 characters.", examples=["9b1f8f52"]),
]
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_STREAM_FIELDS = ("title", "tags", "auto_describe", "skip_duplicates", "storage_target")


@files.post(
    "/upload/stream",
    summary="Upload one picture",
    responses=_errors(400, 413),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {
                            "file": {"type": "string", "format": "binary"},
                            "title": {"type": "string", "maxLength": 255},
                            "tags": {"type": "string", "description": "comma-separated"},
                            "auto_describe": {"type": "boolean", "default": True},
                            "skip_duplicates": {"type": "boolean", "default": False},
                            "storage_target": {"type": "string", "enum": ["default", "custom"]},
                        },
                    }
                }
            },
        }
    },
)
async def upload_stream(
    request: Request, key: CurrentKey, mine: CurrentServices
) -> schemas.StreamUploadResponse:
    """JPEG, PNG, WebP or GIF (first frame). What the bytes are counts, not the name.

    With 200 the picture is durable and everything asked for is queued.
    """
    started = time.perf_counter()
    with Form() as form:
        await receive(
            request,
            form,
            mine.upload.staging,
            file_field="file",
            text_fields=_STREAM_FIELDS,
            max_bytes=mine.max_upload_bytes,
        )
        if not form.files:
            raise ValidationFailed("The form has no part `file`.", field="file")
        part = form.files[0]
        if part.error is not None:
            raise part.error
        wanted = _upload_request(part.filename, form.fields)
        accepted = await mine.upload.accept(key.tenant.id, part.staged, wanted)
    return mapping.stream_upload(
        accepted,
        describe=wanted.describe,
        milliseconds=(time.perf_counter() - started) * 1000,
    )


@files.get("", summary="List files", responses=_errors())
async def list_files(
    request: Request,
    key: CurrentKey,
    mine: CurrentServices,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> schemas.FileList:
    """Newest content first."""
    page = await mine.files.page(key.tenant.id, limit=limit, offset=offset)
    url_of = _absolute(request, mine)
    return schemas.FileList(
        files=[mapping.file_summary(image, url_of) for image in page.images],
        total_count=page.total,
        has_more=page.has_more,
    )


@files.get("/{file_id}", summary="Everything about one file", responses=_errors(404))
async def get_file(
    request: Request, file_id: FileId, key: CurrentKey, mine: CurrentServices
) -> schemas.FileDetails:
    """Poll this for the description, or `/uploads/status/{id}` for less."""
    image = await mine.files.get(key.tenant.id, file_id)
    history = await mine.files.history(image)
    return mapping.file_details(image, history, _absolute(request, mine))


@files.get(
    "/{file_id}/variant/{variant_type}",
    summary="A smaller copy",
    status_code=302,
    response_class=RedirectResponse,
    responses=_errors(404),
)
async def get_variant(
    request: Request,
    file_id: FileId,
    variant_type: VariantType,
    key: CurrentKey,
    mine: CurrentServices,
) -> RedirectResponse:
    """Redirects to a URL that works for an hour without a key."""
    image = await mine.files.get(key.tenant.id, file_id)
    url = _absolute(request, mine)(image, variant_type)
    if url is None:
        raise NotFound("Variant", f"{file_id}/{variant_type}")
    return RedirectResponse(url, 302)


@files.get(
    "/{file_id}/download",
    summary="The original",
    status_code=302,
    response_class=RedirectResponse,
    responses=_errors(404),
)
async def download(
    request: Request, file_id: FileId, key: CurrentKey, mine: CurrentServices
) -> RedirectResponse:
    """Redirects to a URL that works for an hour without a key, as a download."""
    image = await mine.files.get(key.tenant.id, file_id)
    return RedirectResponse(_base(request, mine) + mine.files.download_url(image), 302)


@files.delete("/{file_id}", summary="Delete a file", responses=_errors(404))
async def delete_file(
    file_id: FileId, key: CurrentKey, mine: CurrentServices
) -> schemas.DeletedFile:
    """Out of every answer at once; the bytes are kept for 30 days."""
    image, deleted_at = await mine.files.delete(key.tenant.id, file_id)
    return schemas.DeletedFile(
        id=str(image.id), deleted_at=deleted_at, message=f"{image.filename} was deleted."
    )


@uploads.get("/status/{image_id}", summary="How far an upload has come", responses=_errors(404))
async def upload_status(
    image_id: FileId, key: CurrentKey, mine: CurrentServices
) -> schemas.UploadStatus:
    """Cheap enough to poll."""
    return mapping.upload_status(await mine.files.get(key.tenant.id, image_id))


router.include_router(files)
router.include_router(uploads)


def _upload_request(filename: str | None, fields: dict[str, str]) -> UploadRequest:
    target = fields.get("storage_target") or StorageTarget.DEFAULT
    if target not in list(StorageTarget):
        raise ValidationFailed(
            f"Unknown storage target: {target}. Use default or custom.", field="storage_target"
        )
    if target != StorageTarget.DEFAULT:
        raise ValidationFailed(
            "No custom storage is configured for this tenant.", field="storage_target"
        )
    tags = [tag.strip() for tag in fields.get("tags", "").split(",")]
    return UploadRequest(
        filename=filename,
        title=fields.get("title") or None,
        tags=tuple(dict.fromkeys(tag for tag in tags if tag)),
        describe=_flag(fields, "auto_describe", default=True),
        skip_duplicates=_flag(fields, "skip_duplicates", default=False),
    )


def _flag(fields: dict[str, str], name: str, *, default: bool) -> bool:
    value = fields.get(name, "").strip().lower()
    if not value:
        return default
    if value not in _TRUE | _FALSE:
        raise ValidationFailed(f"`{name}` must be true or false.", field=name)
    return value in _TRUE


def _absolute(request: Request, mine: Services) -> mapping.UrlOf:
    base = _base(request, mine)

    def url_of(image: Image, type: VariantType) -> str | None:
        url = mine.files.url(image, type)
        return url if url is None or not url.startswith("/") else base + url

    return url_of


def _base(request: Request, mine: Services) -> str:
    return mine.public_url or str(request.base_url).rstrip("/")
