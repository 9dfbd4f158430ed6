"""From the domain to the bodies of uploads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ocelli.api.aion.files.mapping import description_status
from ocelli.api.aion.uploads import schemas
from ocelli.domain.analysis import Status
from ocelli.domain.errors import OcelliError
from ocelli.domain.images import VariantStatus
from ocelli.usecases.filenames import clean_filename

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.images import Image
    from ocelli.usecases.quota import QuotaStatus
    from ocelli.usecases.upload import Accepted, AcceptedBatch, IncomingFile

STUCK_AFTER = timedelta(minutes=30)
IMMEDIATE = 5  # files up to which the answer says what became of each
UNLIMITED = 2**31 - 1  # where a client wants a number


def stream_upload(
    accepted: Accepted, *, describe: bool, milliseconds: float
) -> schemas.StreamUploadResponse:
    """Return the body of an upload."""
    image, duplicate = accepted.image, accepted.duplicate
    return schemas.StreamUploadResponse(
        image_id=str(image.id),
        object_key=image.object_key,
        status="skipped" if duplicate else "processing" if describe else "completed",
        processing_time_ms=round(milliseconds),
        variants_queued=not duplicate,
        description_queued=describe and not duplicate,
        skipped=duplicate,
        skipped_existing_image_id=str(image.id) if duplicate else None,
        storage_target=image.storage_target,
    )


def batch_upload(done: AcceptedBatch, files: Sequence[IncomingFile]) -> schemas.BatchUploadResponse:
    """Return the body of an upload of several files."""
    refused = [
        schemas.Rejection(
            filename=clean_filename(file.request.filename),
            index=index,
            reason=outcome.message,
            retryable=outcome.retryable,
        )
        for index, (file, outcome) in enumerate(zip(files, done.outcomes, strict=True))
        if isinstance(outcome, OcelliError)
    ]
    id, accepted = done.session.id, len(files) - len(refused)
    return schemas.BatchUploadResponse(
        session_id=str(id),
        total_files=len(files),
        accepted_files=accepted,
        rejected_files=len(refused),
        status=_batch_state(done, accepted, len(refused)),
        immediate_results=[
            _immediate(file, outcome) for file, outcome in zip(files, done.outcomes, strict=True)
        ]
        if len(files) <= IMMEDIATE
        else None,
        status_url=f"/api/v2/uploads/sessions/{id}/status",
        websocket_channel=f"batch.{id}",
        rejections=refused or None,
    )


def _batch_state(done: AcceptedBatch, accepted: int, refused: int) -> Any:
    if not accepted:
        return "rejected"
    if refused:
        return "partial"
    return "processing" if done.session.pending else "completed"


def _immediate(file: IncomingFile, outcome: Accepted | OcelliError) -> schemas.ImmediateResult:
    if isinstance(outcome, OcelliError):
        return schemas.ImmediateResult(
            image_id=None,
            filename=clean_filename(file.request.filename),
            object_key=None,
            status="failed",
            error=outcome.message,
            storage_target=file.request.storage_target,
        )
    image = outcome.image
    state = "processing" if file.request.describe else "completed"
    return schemas.ImmediateResult(
        image_id=str(image.id),
        filename=clean_filename(file.request.filename),
        object_key=image.object_key,
        status="skipped" if outcome.duplicate else state,
        skipped=outcome.duplicate,
        skipped_existing_image_id=str(image.id) if outcome.duplicate else None,
        storage_target=image.storage_target,
    )


def quota(status: QuotaStatus, requested: int) -> schemas.QuotaResponse:
    """Return whether so many files can be uploaded; unlimited is a number no client reaches."""
    limits, left = status.limits, status.uploads_left
    available = UNLIMITED if left is None else left
    can = requested <= available
    return schemas.QuotaResponse(
        can_proceed=can,
        requested=requested,
        available=available,
        monthly_limit=UNLIMITED if limits.monthly_uploads is None else limits.monthly_uploads,
        current_usage=status.used.uploads,
        max_batch_size=limits.files_per_batch,
        max_concurrent_uploads=limits.concurrent_uploads,
        message=None if can else f"Only {available} uploads are left until {status.reset}.",
    )


def upload_status(image: Image) -> schemas.UploadStatus:
    """Return the progress of an upload."""
    analysis = image.analysis
    failure = analysis.failure if analysis else None
    unified = unified_status(image)
    terminal = unified in ("completed", "failed", "partially_completed")
    completed_at = analysis.completed_at if analysis else image.updated_at
    moments = (analysis.created_at, analysis.completed_at) if analysis else ()
    updated_at = max([image.updated_at, *filter(None, moments)])
    return schemas.UploadStatus(
        image_id=str(image.id),
        tenant_id=str(image.tenant_id),
        batch_id=str(image.session_id) if image.session_id else None,
        unified_status=unified,
        component_statuses=schemas.ComponentStatuses(
            variant_status=image.variant_status, description_status=description_status(image)
        ),
        error_message=failure.message if failure else image.variant_error,
        error_type=failure.type if failure else None,
        is_retryable=failure.retryable if failure else None,
        last_error_at=analysis.completed_at if analysis and failure else None,
        created_at=image.created_at,
        last_updated_at=updated_at,
        completed_at=completed_at if terminal else None,
        retry_count=max(0, analysis.attempts - 1) if analysis else 0,
        processing_duration_seconds=_seconds(analysis),
        is_stuck=not terminal and datetime.now(UTC) - updated_at > STUCK_AFTER,
        is_terminal=terminal,
    )


def unified_status(image: Image) -> schemas.UNIFIED:
    """Return one status of description and variants; final once both are."""
    description = description_status(image)
    variants = image.variant_status
    if description is Status.QUEUED:
        return "queued"
    if not description.is_final or variants in (VariantStatus.PENDING, VariantStatus.PROCESSING):
        return "processing"
    if description is Status.FAILED:
        return "failed"
    return "partially_completed" if variants is VariantStatus.FAILED else "completed"


def _seconds(analysis: Analysis | None) -> float | None:
    if analysis is None or analysis.started_at is None or analysis.completed_at is None:
        return None
    return round((analysis.completed_at - analysis.started_at).total_seconds(), 3)
