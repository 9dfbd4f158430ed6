"""From the domain to the bodies of uploads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ocelli.api.aion.files.mapping import description_status
from ocelli.api.aion.uploads import schemas
from ocelli.domain.analysis import Status
from ocelli.domain.images import VariantStatus

if TYPE_CHECKING:
    from ocelli.domain.analysis import Analysis
    from ocelli.domain.images import Image
    from ocelli.usecases.upload import Accepted

STUCK_AFTER = timedelta(minutes=30)


def stream_upload(
    accepted: Accepted, *, describe: bool, milliseconds: float
) -> schemas.StreamUploadResponse:
    """The answer to an upload."""
    image, duplicate = accepted.image, accepted.duplicate
    return schemas.StreamUploadResponse(
        image_id=str(image.id),
        object_key=image.object_key,
        status="skipped" if duplicate else "processing" if describe else "completed",
        processing_time_ms=round(milliseconds, 2),
        variants_queued=not duplicate,
        description_queued=describe and not duplicate,
        skipped=duplicate,
        skipped_existing_image_id=str(image.id) if duplicate else None,
        storage_target=image.storage_target,
    )


def upload_status(image: Image) -> schemas.UploadStatus:
    """How far it has come."""
    analysis = image.analysis
    failure = analysis.failure if analysis else None
    unified = unified_status(image)
    terminal = unified in ("completed", "failed", "partially_completed")
    completed_at = analysis.completed_at if analysis else image.updated_at
    updated_at = max(image.updated_at, (analysis and analysis.completed_at) or image.updated_at)
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
    """Description and variants in one word; final once both are."""
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
