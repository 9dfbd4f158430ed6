"""Routes by which pictures come in, and what became of them."""

from __future__ import annotations

import time
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Query, Request

from ocelli.api.aion.common import (
    VOCABULARY,
    VOCABULARY_MODE,
    FileId,
    errors,
    resource_router,
    split_tags,
)
from ocelli.api.aion.uploads import mapping, schemas
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.multipart import Form, received_form
from ocelli.api.policy import requires
from ocelli.api.services import Services
from ocelli.domain.accounts import ApiKey
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.choosing import Mode
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.escalation import MAX_NAME
from ocelli.domain.images import StorageTarget
from ocelli.domain.scopes import KeyRole
from ocelli.domain.upload_sessions import Intent
from ocelli.domain.vocabulary import MAX_NAME as MAX_VOCABULARY_NAME
from ocelli.usecases.upload import DEFAULT_LEVEL, IncomingFile, UploadRequest

router = resource_router(tag="uploads")

Choice = TypeVar("Choice", bound=StrEnum)
Default = TypeVar("Default", bound=StrEnum | None)

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_STREAM_FIELDS = (
    "title",
    "tags",
    "auto_describe",
    "skip_duplicates",
    "storage_target",
    "verification_level",
    "escalation_policy",
    "vocabulary",
    "vocabulary_mode",
)
_BATCH_FIELDS = (*_STREAM_FIELDS[1:], "intent", "session_id")

_COMMON_PROPERTIES: dict[str, Any] = {
    "tags": {"type": "string", "description": "comma-separated"},
    "auto_describe": {"type": "boolean", "default": True},
    "skip_duplicates": {"type": "boolean", "default": False},
    "storage_target": {"type": "string", "enum": ["default", "custom"], "default": "default"},
    "verification_level": {
        "type": "string",
        "enum": ["default", "quick", "standard", "thorough", "critical"],
        "default": "default",
    },
    "escalation_policy": {
        "type": "string",
        "maxLength": MAX_NAME,
        "description": "The name or id of an escalation policy, or `none`. Default: the tenant's "
        "default policy, if `verification_level` is default.",
    },
    "vocabulary": {
        "type": "string",
        "maxLength": MAX_VOCABULARY_NAME,
        "description": VOCABULARY,
    },
    "vocabulary_mode": {
        "type": "string",
        "enum": list(Mode),
        "description": VOCABULARY_MODE,
    },
}


def _form(required: str, properties: dict[str, Any]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": [required],
        "properties": {**properties, **_COMMON_PROPERTIES},
    }
    return {
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": schema}},
        }
    }


@router.post(
    "/user-files/upload/stream",
    summary="Upload one picture",
    responses=errors(400, 404, 413, 502),
    openapi_extra=_form(
        "file",
        {
            "file": {"type": "string", "format": "binary"},
            "title": {"type": "string", "maxLength": 255},
        },
    ),
)
@requires(KeyRole.WRITE, stores=True)
async def upload_stream(
    request: Request, key: CurrentKey, services: CurrentServices
) -> schemas.StreamUploadResponse:
    """A picture, of an animation the first frame. What the bytes are counts, not the name.

    With 200 the picture is durable and everything asked for is queued.
    """
    started = time.perf_counter()
    async with received_form(
        request, services, key.tenant, file_field="file", text_fields=_STREAM_FIELDS
    ) as form:
        if not form.files:
            raise ValidationFailed("The form has no part `file`.", field="file")
        part = form.files[0]
        if part.error is not None:
            raise part.error
        upload_request = await _upload_request(part.filename, form.fields, key, services)
        accepted = await services.upload.accept(key.tenant, part.staged, upload_request)
    return mapping.stream_upload(
        accepted,
        describe=upload_request.describe,
        milliseconds=(time.perf_counter() - started) * 1000,
    )


@router.post(
    "/user-files/upload/stream-batch",
    summary="Upload several pictures",
    responses=errors(400, 403, 404, 413, 502),
    openapi_extra=_form(
        "files",
        {
            "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
            "intent": {"type": "string", "enum": list(Intent), "default": "describe"},
            "session_id": {
                "type": "string",
                "format": "uuid",
                "description": "Add them to this session instead of opening one.",
            },
        },
    ),
)
@requires(KeyRole.WRITE, stores=True)
async def upload_stream_batch(
    request: Request, key: CurrentKey, services: CurrentServices
) -> schemas.BatchUploadResponse:
    """As many parts `files` as the tier allows (10, 20, 20 or 50); one is fine.

    One bad file does not fail the request: `rejections` says which and why.
    """
    async with received_form(
        request,
        services,
        key.tenant,
        file_field="files",
        text_fields=_BATCH_FIELDS,
        max_files=services.quota.limits(key.tenant).files_per_batch,
    ) as form:
        return await _stream_batch(form, key, services)


async def _stream_batch(form: Form, key: ApiKey, services: Services) -> schemas.BatchUploadResponse:
    if not form.files:
        raise ValidationFailed("The form has no part `files`.", field="files")
    upload_request = await _upload_request(None, form.fields, key, services)
    files = [
        IncomingFile(replace(upload_request, filename=part.filename), part.staged, part.error)
        for part in form.files
    ]
    done = await services.upload.accept_batch(
        key.tenant,
        files,
        level=upload_request.level,
        intent=_choice(form.fields, "intent", Intent, Intent.DESCRIBE),
        into=_session_id(form.fields),
    )

    return mapping.batch_upload(done, files)


@router.post(
    "/uploads/check-duplicates", summary="Which files are here already", responses=errors()
)
@requires(KeyRole.READ)
async def check_duplicates(
    body: schemas.DuplicatesRequest, key: CurrentKey, services: CurrentServices
) -> schemas.DuplicatesResponse:
    """By SHA-256 of the bytes, among the tenant's own files."""
    hashes = list(dict.fromkeys(each.lower() for each in body.hashes))
    existing = await services.upload.known(key.tenant.id, hashes)
    return schemas.DuplicatesResponse(
        duplicates=[each for each in hashes if each in existing],
        unique=[each for each in hashes if each not in existing],
        existing={each: str(id) for each, id in existing.items()},
    )


@router.get("/uploads/quota-check", summary="May so many files come?", responses=errors())
@requires(KeyRole.READ)
async def quota_check(
    key: CurrentKey,
    services: CurrentServices,
    file_count: Annotated[int, Query(ge=1, le=1_000_000)],
) -> schemas.QuotaResponse:
    """For now; the upload itself decides."""
    return mapping.quota(await services.quota.status(key.tenant), file_count)


@router.get("/uploads/stuck-uploads", summary="Uploads that do not move", responses=errors())
@requires(KeyRole.READ)
async def stuck_uploads(
    key: CurrentKey,
    services: CurrentServices,
    stuck_minutes: Annotated[int, Query(ge=1, le=100_000)] = 30,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> schemas.StuckUploads:
    """Those whose description has been waiting for so long."""
    images = await services.upload.stuck(key.tenant.id, minutes=stuck_minutes, limit=limit)
    return schemas.StuckUploads(
        stuck_count=len(images), images=[mapping.upload_status(image) for image in images]
    )


@router.get(
    "/uploads/status/{image_id}",
    summary="How far an upload has come",
    responses=errors(404),
)
@requires(KeyRole.READ)
async def upload_status(
    image_id: FileId, key: CurrentKey, services: CurrentServices
) -> schemas.UploadStatus:
    """Cheap enough to poll."""
    return mapping.upload_status(await services.files.get(key.tenant.id, image_id))


async def _upload_request(
    filename: str | None, fields: dict[str, str], key: ApiKey, services: Services
) -> UploadRequest:
    vocabulary = await services.vocabularies.for_question(
        key.tenant,
        fields.get("vocabulary", "").strip() or None,
        _choice(fields, "vocabulary_mode", Mode, None),
    )
    is_default = fields.get("verification_level", "") in ("", "default")
    level = DEFAULT_LEVEL
    if not is_default:
        level = _choice(fields, "verification_level", VerificationLevel, DEFAULT_LEVEL)
    how = await services.policies.choose(
        key.tenant.id, fields.get("escalation_policy") or None, level, is_free=is_default
    )
    return UploadRequest(
        filename=filename,
        title=fields.get("title") or None,
        tags=split_tags(fields.get("tags", "")),
        describe=_flag(fields, "auto_describe", default=True),
        skip_duplicates=_flag(fields, "skip_duplicates", default=False),
        storage_target=_choice(fields, "storage_target", StorageTarget, StorageTarget.DEFAULT),
        level=how.level,
        backends=how.backends,
        policy_id=how.policy_id,
        vocabulary=vocabulary,
    )


def _choice(
    fields: dict[str, str], name: str, kind: type[Choice], default: Default
) -> Choice | Default:
    value = fields.get(name, "")
    if not value:
        return default
    try:
        return kind(value)
    except ValueError:
        choices = ", ".join(kind)
        raise ValidationFailed(f"`{name}` must be one of {choices}.", field=name) from None


def _session_id(fields: dict[str, str]) -> UUID | None:
    value = fields.get("session_id", "")
    try:
        return UUID(value) if value else None
    except ValueError:
        raise ValidationFailed("`session_id` must be a session's id.", field="session_id") from None


def _flag(fields: dict[str, str], name: str, *, default: bool) -> bool:
    value = fields.get(name, "").strip().lower()
    if not value:
        return default
    if value not in _TRUE | _FALSE:
        raise ValidationFailed(f"`{name}` must be true or false.", field=name)
    return value in _TRUE
