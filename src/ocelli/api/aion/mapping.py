"""From the domain to the bodies of ``/api/v2``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ocelli.api.aion import schemas
from ocelli.domain.analysis import Status
from ocelli.domain.images import VariantStatus, VariantType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.images import Image
    from ocelli.usecases.upload import Accepted

    UrlOf = Callable[[Image, VariantType], str | None]

STUCK_AFTER = timedelta(minutes=30)
SIGNIFICANT = 4  # digits of a confidence that carry meaning


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


def file_summary(image: Image, url_of: UrlOf) -> schemas.FileSummary:
    """One row of the list."""
    analysis = image.analysis
    return schemas.FileSummary(
        id=str(image.id),
        title=image.title,
        filename=image.filename,
        thumbnail_url=url_of(image, VariantType.SMALL),
        upload_description=analysis.description if analysis else None,
        visible_text=analysis.visible_text if analysis else None,
        tags=_shown_tags(image),
        ai_tags=_ai_tags(image),
        size_bytes=image.size_bytes,
        created_at=image.created_at,
        content_created_at=image.content_created_at,
        has_full_description=analysis is not None and analysis.status is Status.COMPLETED,
        dimensions=schemas.Dimensions(width=image.width, height=image.height),
        format=image.format,
        variant_status=image.variant_status,
        variant_error=image.variant_error,
        variant_count=len(image.variants),
        medium_url=url_of(image, VariantType.MEDIUM),
        full_url=url_of(image, VariantType.LARGE),
        blur_hash=image.blur_hash,
        description_status=_description_status(image),
        description_error=_error_message(analysis),
        confidence_score=_confidence(analysis),
        content_type=image.content_type,
    )


def file_details(image: Image, history: Sequence[Analysis], url_of: UrlOf) -> schemas.FileDetails:
    """Everything about one file."""
    analysis = image.analysis
    return schemas.FileDetails(
        id=str(image.id),
        object_key=image.object_key,
        title=image.title,
        tags=_shown_tags(image),
        ai_tags=_ai_tags(image),
        size_bytes=image.size_bytes,
        content_type=image.content_type,
        dimensions=schemas.Dimensions(width=image.width, height=image.height),
        format=image.format,
        full_url=url_of(image, VariantType.LARGE),
        thumbnail_url=url_of(image, VariantType.SMALL),
        medium_url=url_of(image, VariantType.MEDIUM),
        original_url=url_of(image, VariantType.ORIGINAL),
        variant_status=image.variant_status,
        variant_count=len(image.variants),
        upload_description=analysis.description if analysis else None,
        visible_text=analysis.visible_text if analysis else None,
        description_generated_at=analysis.completed_at if analysis else None,
        full_descriptions=[
            full_description(each) for each in history if each.status is Status.COMPLETED
        ],
        created_at=image.created_at,
        updated_at=image.updated_at,
        content_created_at=image.content_created_at,
        upload_method=image.upload_method,
        original_filename=image.filename,
        hash=image.sha256,
        processing_history=[*map(processing_step, history), _variants_step(image)],
        blur_hash=image.blur_hash,
        description_status=_description_status(image),
    )


def full_description(analysis: Analysis) -> schemas.FullDescription:
    """A completed analysis."""
    return schemas.FullDescription(
        id=str(analysis.id),
        description=analysis.description or "",
        visible_text=analysis.visible_text,
        confidence_score=_confidence(analysis),
        processing_time_ms=analysis.processing_ms and round(analysis.processing_ms, 1),
        created_at=analysis.created_at,
        tags=list(analysis.tags),
        source=", ".join(each.source for each in analysis.findings),
        model_version=", ".join(each.model_version for each in analysis.findings),
        verification_level=analysis.level,
        looks=analysis.looks,
    )


def processing_step(analysis: Analysis) -> schemas.ProcessingStep:
    """An analysis as part of the history."""
    failure = analysis.failure
    return schemas.ProcessingStep(
        id=str(analysis.id),
        status=analysis.status,
        created_at=analysis.created_at,
        completed_at=analysis.completed_at,
        error_message=failure.message if failure else None,
        error_type=failure.type if failure else None,
        is_retryable=failure.retryable if failure else None,
        operation_type="describe",
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
            variant_status=image.variant_status, description_status=_description_status(image)
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
    description = _description_status(image)
    variants = image.variant_status
    if description is Status.QUEUED:
        return "queued"
    if not description.is_final or variants in (VariantStatus.PENDING, VariantStatus.PROCESSING):
        return "processing"
    if description is Status.FAILED:
        return "failed"
    return "partially_completed" if variants is VariantStatus.FAILED else "completed"


def _variants_step(image: Image) -> schemas.ProcessingStep:
    return schemas.ProcessingStep(
        id=str(image.id),
        status=image.variant_status,
        created_at=image.created_at,
        completed_at=image.updated_at
        if image.variant_status in (VariantStatus.COMPLETED, VariantStatus.FAILED)
        else None,
        error_message=image.variant_error,
        operation_type="variants",
    )


def _description_status(image: Image) -> Status:
    """``skipped`` where nobody asked for a description."""
    return image.analysis.status if image.analysis else Status.SKIPPED


def _ai_tags(image: Image) -> list[str]:
    return list(image.analysis.tags) if image.analysis else []


def _shown_tags(image: Image) -> list[str]:
    return list(image.tags) or _ai_tags(image)


def _confidence(analysis: Analysis | None) -> float | None:
    if analysis is None or analysis.confidence is None:
        return None
    return round(analysis.confidence, SIGNIFICANT)


def _error_message(analysis: Analysis | None) -> str | None:
    return analysis.failure.message if analysis and analysis.failure else None


def _seconds(analysis: Analysis | None) -> float | None:
    if analysis is None or analysis.started_at is None or analysis.completed_at is None:
        return None
    return round((analysis.completed_at - analysis.started_at).total_seconds(), 3)
