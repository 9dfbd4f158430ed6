"""From the domain to the bodies of presigned uploads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocelli.api.aion.presigned import schemas
from ocelli.domain.errors import OcelliError
from ocelli.domain.upload_sessions import SessionStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ocelli.domain.upload_sessions import Item, ItemCounts, Session
    from ocelli.usecases.presigned import ConfirmedBatch, Reservation

# For estimates that a client may show: what an ordinary line carries.
BYTES_PER_SECOND = 5_000_000


def signed(reservation: Reservation, absolute: Callable[[str], str]) -> dict[str, Any]:
    """Return the fields about the upload request."""
    return {
        "upload_url": absolute(reservation.upload.url),
        "upload_method": reservation.upload.method,
        "upload_headers": dict(reservation.upload.headers),
        "object_key": reservation.item.object_key,
        "expires_at": reservation.item.expires_at,
        "image_id": str(reservation.item.id),
    }


def batch(
    session: Session,
    reservations: Sequence[Reservation],
    filenames: Sequence[str],
    absolute: Callable[[str], str],
) -> schemas.BatchPrepareResponse:
    """Return the body of a prepared batch."""
    total = sum(each.item.size_bytes or 0 for each in reservations)
    return schemas.BatchPrepareResponse(
        batch_id=str(session.id),
        upload_plan=schemas.UploadPlan(max_concurrent=len(reservations), timeout_per_upload=600),
        presigned_urls=[
            schemas.BatchPresignedUrl(
                file_index=index, filename=name, **signed(reservation, absolute)
            )
            for index, (reservation, name) in enumerate(zip(reservations, filenames, strict=True))
        ],
        total_size_bytes=total,
        estimated_time_seconds=max(1, round(total / BYTES_PER_SECOND)),
    )


def confirmed(done: ConfirmedBatch, keys: Sequence[str]) -> schemas.BatchConfirmResponse:
    """Return the body of a confirmed batch."""
    accepted = [outcome for outcome in done.outcomes if not isinstance(outcome, OcelliError)]
    rejected = [
        (key, outcome)
        for key, outcome in zip(keys, done.outcomes, strict=True)
        if isinstance(outcome, OcelliError)
    ]
    status = "queued" if not rejected else "partial" if accepted else "failed"
    reasons = "; ".join(f"{_name(key)}: {error.message}" for key, error in rejected)
    return schemas.BatchConfirmResponse(
        batch_id=str(done.session.id),
        successful_uploads=len(accepted),
        failed_uploads=len(rejected),
        processing_status=status,
        failed_files=[_name(key) for key, _ in rejected] or None,
        message=f"{len(accepted)} accepted"
        + (f", {len(rejected)} refused: {reasons}" if rejected else ""),
        stored_images=[stored(item) for item in accepted],
    )


def stored(item: Item) -> schemas.StoredImage:
    """Return the body of an accepted file."""
    return schemas.StoredImage(
        image_id=str(item.image_id or item.id),
        object_key=item.object_key or "",
        filename=item.filename,
        created_at=item.created_at,
    )


def batch_status(
    session: Session, counts: ItemCounts, errors: Sequence[Item]
) -> schemas.BatchStatusResponse:
    """Return the state of a batch; cancelled and expired ones are failed, as pollers expect."""
    return schemas.BatchStatusResponse(
        batch_id=str(session.id),
        tenant_id=str(session.tenant_id),
        overall_status=_overall(session, counts),
        completion_percentage=100.0 if session.status.is_final else session.progress,
        counts=schemas.BatchCounts(
            total=session.total,
            uploading=counts.uploading,
            confirming=counts.confirming,
            queued=counts.queued,
            processing=counts.processing,
            completed=counts.completed + counts.skipped,
            failed=counts.failed,
        ),
        description_counts=schemas.DescriptionCounts(
            pending=counts.uploading + counts.confirming + counts.queued,
            processing=counts.processing,
            completed=counts.completed,
            failed=counts.failed,
            skipped=counts.skipped,
        ),
        error_summary=schemas.ErrorSummary(
            count=counts.failed, messages=[item.error or "failed" for item in errors]
        ),
        created_at=session.created_at,
        last_activity_at=session.last_activity_at,
    )


def _overall(session: Session, counts: ItemCounts) -> Any:
    if session.status.is_final:
        return "completed" if session.status is SessionStatus.COMPLETED else "failed"
    if counts.uploading or counts.confirming:
        return "uploading"
    return "processing" if counts.processing or session.done else "queued"


def _name(object_key: str) -> str:
    return object_key.rsplit("/", 1)[-1]
