"""Routes of presigned uploads: reserve, send, confirm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Form, Path, Request

from ocelli.api.aion.common import (
    VOCABULARY,
    VOCABULARY_MODE,
    absolute,
    asked_vocabulary,
    errors,
    resource_router,
    split_tags,
)
from ocelli.api.aion.presigned import mapping, schemas
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.policy import requires
from ocelli.api.services import Services
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.choosing import Mode
from ocelli.domain.errors import TooLarge
from ocelli.domain.scopes import KeyRole
from ocelli.domain.vocabulary import MAX_NAME
from ocelli.usecases.presigned import Confirmation, ReservationRequest
from ocelli.usecases.upload import MAX_TITLE_LENGTH

router = resource_router(tag="presigned uploads")

BatchId = Annotated[str, Path(max_length=64, description="The batch's id.")]
MAX_INITIATED = 52_428_800


@router.post(
    "/uploads/request-presigned-url",
    summary="Reserve a place for one file",
    responses=errors(404, 409, 413, 502),
)
@requires(KeyRole.WRITE, stores=True)
async def request_presigned_url(
    request: Request, body: schemas.PresignedRequest, key: CurrentKey, services: CurrentServices
) -> schemas.PresignedResponse:
    """Then send the raw bytes to `upload_url`, and confirm."""
    reservation = await services.presigned.reserve(
        key.tenant,
        ReservationRequest(
            filename=body.filename,
            content_type=body.content_type,
            size_bytes=body.size_bytes,
            storage_target=body.storage_target,
            idempotency_key=body.idempotency_key,
            level=_named_level(body),
            vocabulary=await asked_vocabulary(body, key, services),
        ),
    )
    return schemas.PresignedResponse(
        **mapping.signed(reservation, _absolute(request, services)),
        max_size_bytes=reservation.max_bytes,
        storage_target=reservation.item.storage_target,
    )


@router.post(
    "/uploads/confirm", summary="Confirm that a file was sent", responses=errors(404, 409, 413, 502)
)
@requires(KeyRole.WRITE, stores=True)
async def confirm_upload(
    body: schemas.ConfirmRequest, key: CurrentKey, services: CurrentServices
) -> schemas.ConfirmResponse:
    """The object is checked: that it is there, its size, its checksum if given, its content."""
    item = await services.presigned.confirm(
        key.tenant, Confirmation(body.object_key, body.size_bytes, body.checksum)
    )
    return schemas.ConfirmResponse(
        upload_id=str(item.image_id or item.id),
        object_key=body.object_key,
        storage_path=body.object_key,
    )


@router.post(
    "/user-files/upload/initiate",
    summary="Reserve a place for one file of the library",
    responses=errors(400, 404, 409, 413, 502),
)
@requires(KeyRole.WRITE, stores=True)
async def initiate_upload(
    request: Request,
    key: CurrentKey,
    services: CurrentServices,
    filename: Annotated[str, Form(min_length=1, max_length=1024)],
    content_type: Annotated[str, Form(max_length=100)],
    size_bytes: Annotated[int, Form(gt=0, le=10**12)],
    title: Annotated[str | None, Form(max_length=MAX_TITLE_LENGTH)] = None,
    tags: Annotated[str, Form(max_length=4000)] = "",
    auto_describe: Annotated[bool, Form()] = True,
    verification_level: Annotated[VerificationLevel | None, Form()] = None,
    vocabulary: Annotated[str, Form(max_length=MAX_NAME, description=VOCABULARY)] = "",
    vocabulary_mode: Annotated[Mode | None, Form(description=VOCABULARY_MODE)] = None,
) -> schemas.InitiateResponse:
    """At most 50 MB. `auto_describe` is decided when it is confirmed."""
    del auto_describe
    if size_bytes > MAX_INITIATED:
        raise TooLarge("The file is larger than 50 MB.", details={"max_bytes": MAX_INITIATED})
    reservation = await services.presigned.reserve(
        key.tenant,
        ReservationRequest(
            filename=filename,
            content_type=content_type,
            size_bytes=size_bytes,
            title=title or None,
            tags=split_tags(tags),
            level=verification_level,
            vocabulary=await services.vocabularies.for_question(
                key.tenant, vocabulary or None, vocabulary_mode
            ),
        ),
    )
    return schemas.InitiateResponse(
        **mapping.signed(reservation, _absolute(request, services)),
        max_size_bytes=reservation.max_bytes,
    )


@router.post(
    "/user-files/upload/confirm",
    summary="Confirm that a file of the library was sent",
    responses=errors(404, 409, 413, 502),
)
@requires(KeyRole.WRITE, stores=True)
async def confirm_file(
    body: schemas.FileConfirmRequest, key: CurrentKey, services: CurrentServices
) -> schemas.FileConfirmResponse:
    """Variants and, if wanted, the description are queued."""
    item = await services.presigned.confirm(
        key.tenant,
        Confirmation(body.object_key, body.size_bytes, body.checksum, id=body.image_id),
        describe=body.auto_describe,
    )
    return schemas.FileConfirmResponse(
        image_id=str(item.image_id or item.id),
        description_status="pending" if body.auto_describe else "skipped",
        title=item.title,
        tags=list(item.tags),
    )


@router.post(
    "/uploads/batch-prepare",
    summary="Reserve places for up to five files",
    responses=errors(404, 409, 413, 502),
)
@requires(KeyRole.WRITE, stores=True)
async def batch_prepare(
    request: Request, body: schemas.BatchPrepareRequest, key: CurrentKey, services: CurrentServices
) -> schemas.BatchPrepareResponse:
    """The batch is also a session of the same id."""
    vocabulary = await asked_vocabulary(body, key, services)
    session, reservations = await services.presigned.reserve_batch(
        key.tenant,
        [
            ReservationRequest(
                filename=file.filename,
                content_type=file.content_type,
                size_bytes=file.size_bytes,
                storage_target=file.storage_target,
                level=_named_level(body),
                vocabulary=vocabulary,
            )
            for file in body.files
        ],
        intent=body.intent,
        level=body.verification_level,
    )
    names = [file.filename for file in body.files]
    return mapping.batch(session, reservations, names, _absolute(request, services))


@router.post(
    "/uploads/batch-confirm",
    summary="Confirm which files of a batch were sent",
    responses=errors(404, 502),
)
@requires(KeyRole.WRITE, stores=True)
async def batch_confirm(
    body: schemas.BatchConfirmRequest, key: CurrentKey, services: CurrentServices
) -> schemas.BatchConfirmResponse:
    """Some may fail without spoiling the others."""
    done = await services.presigned.confirm_batch(
        key.tenant,
        body.batch_id,
        [
            Confirmation(
                each.object_key,
                each.file_size,
                each.checksum,
                None if each.success else each.error_message or "The upload failed.",
            )
            for each in body.confirmations
        ],
        describe=body.auto_process,
    )
    return mapping.confirmed(done, [each.object_key for each in body.confirmations])


@router.get(
    "/uploads/batch/{batch_id}/status",
    summary="How far a batch has come",
    responses=errors(404),
)
@requires(KeyRole.READ)
async def batch_status(
    batch_id: BatchId, key: CurrentKey, services: CurrentServices
) -> schemas.BatchStatusResponse:
    """Ends in `completed` or `failed`."""
    return mapping.batch_status(*await services.sessions.counts(key.tenant.id, batch_id))


def _absolute(request: Request, services: Services) -> Callable[[str], str]:
    return lambda url: absolute(request, services, url)


def _named_level(
    body: schemas.PresignedRequest | schemas.BatchPrepareRequest,
) -> VerificationLevel | None:
    """Return the level that a request names; None if it names none."""
    return body.verification_level if "verification_level" in body.model_fields_set else None
