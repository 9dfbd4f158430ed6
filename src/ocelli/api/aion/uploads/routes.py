"""Routes by which pictures come in, and what became of them."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request

from ocelli.api.aion.common import FileId, errors
from ocelli.api.aion.uploads import mapping, schemas
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.multipart import Form, receive
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.images import StorageTarget
from ocelli.usecases.upload import UploadRequest

router = APIRouter(tags=["uploads"])

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_STREAM_FIELDS = ("title", "tags", "auto_describe", "skip_duplicates", "storage_target")


@router.post(
    "/user-files/upload/stream",
    summary="Upload one picture",
    responses=errors(400, 413),
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
        accepted = await mine.upload.accept(key.tenant, part.staged, wanted)
    return mapping.stream_upload(
        accepted,
        describe=wanted.describe,
        milliseconds=(time.perf_counter() - started) * 1000,
    )


@router.get(
    "/uploads/status/{image_id}", summary="How far an upload has come", responses=errors(404)
)
async def upload_status(
    image_id: FileId, key: CurrentKey, mine: CurrentServices
) -> schemas.UploadStatus:
    """Cheap enough to poll."""
    return mapping.upload_status(await mine.files.get(key.tenant.id, image_id))


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
