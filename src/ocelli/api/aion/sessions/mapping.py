"""From the domain to the bodies of sessions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ocelli.api.aion.common import whole
from ocelli.api.aion.files.mapping import ai_tags, confidence
from ocelli.api.aion.sessions import schemas
from ocelli.api.cursors import to_cursor
from ocelli.domain.effective import effective
from ocelli.domain.images import VariantType
from ocelli.domain.upload_sessions import ItemState

if TYPE_CHECKING:
    from ocelli.api.aion.files.mapping import UrlOf
    from ocelli.domain.paging import PageRequest
    from ocelli.domain.upload_sessions import Ended, Item, Session
    from ocelli.usecases.upload_sessions import ResultsPage, SessionOverview


def summary(session: Session) -> schemas.SessionSummary:
    """Return a row of the list."""
    return schemas.SessionSummary(**_counters(session))


def details(found: SessionOverview) -> schemas.SessionDetails:
    """Return the progress of a session."""
    session = found.session
    return schemas.SessionDetails(
        **_counters(session),
        pending_files=session.pending,
        started_at=session.started_at,
        estimated_completion_time=_estimate(session),
        recent_completions=[_completion(item) for item in found.completions],
        recent_errors=[
            schemas.RecentError(
                filename=item.filename,
                index=item.position,
                error=item.error or "failed",
                retryable=bool(item.retryable),
            )
            for item in found.errors
        ],
        results_url=f"/api/v2/uploads/sessions/{session.id}/results",
        websocket_channel=f"batch.{session.id}",
    )


def results(page: ResultsPage, page_request: PageRequest, url_of: UrlOf) -> schemas.SessionResults:
    """Return a page of finished files."""
    session = page.session
    return schemas.SessionResults(
        session_id=str(session.id),
        results=[result(item, url_of) for item in page.items],
        total_count=page.total,
        offset=page_request.offset,
        limit=page_request.limit,
        has_more=page.has_more,
        next_cursor=to_cursor("session", (page.items[-1].position,)) if page.has_more else None,
        summary=schemas.ResultsSummary(
            total_files=session.total,
            completed=session.completed,
            failed=session.failed,
            skipped=session.skipped,
        ),
    )


def result(item: Item, url_of: UrlOf) -> schemas.SessionResult:
    """Return a finished file; a duplicate has the data of the existing picture."""
    image = item.image
    shown = effective(image) if image else None
    analysis = image.analysis if image else None
    described = image.described if image else None
    failure = analysis.failure if analysis else None
    return schemas.SessionResult(
        image_id=_id(item),
        filename=item.filename,
        object_key=image.object_key if image else item.object_key,
        status=item.state.value,
        description=shown.description if shown else None,
        description_source=shown.description_source if shown else None,
        ai_description=described.description if described else None,
        visible_text=shown.visible_text if shown else None,
        tags=list(shown.tags) if shown else [],
        tags_source=shown.tags_source if shown else None,
        ai_tags=ai_tags(image) if image else [],
        confidence_score=confidence(described),
        processing_time_ms=whole(described.processing_ms) if described else None,
        error_message=item.error,
        error_type=failure.type if failure else None,
        is_retryable=item.retryable,
        thumbnail_url=url_of(image, VariantType.SMALL) if image else None,
        created_at=item.created_at,
    )


def _counters(session: Session) -> dict[str, Any]:
    return {
        "session_id": str(session.id),
        "status": session.status,
        "upload_method": session.upload_method,
        "total_files": session.total,
        "completed_files": session.completed,
        "failed_files": session.failed,
        "skipped_files": session.skipped,
        "progress_percentage": session.progress,
        "created_at": session.created_at,
        "completed_at": session.completed_at,
    }


def _estimate(session: Session) -> datetime | None:
    """Return the estimated end at the present rate; None before the first and after the last."""
    if not session.done or not session.pending or session.status.is_final:
        return None
    now = datetime.now(UTC)
    return now + (now - session.created_at) / session.done * session.pending


def _completion(item: Ended) -> schemas.RecentCompletion:
    return schemas.RecentCompletion(
        filename=item.filename,
        image_id=item.image_id and str(item.image_id),
        status=item.state,
        description=item.description,
        processing_time_ms=whole(item.processing_ms),
        error_message=item.error,
    )


def _id(item: Item) -> str | None:
    """Return the id of the item's picture; None for a rejected file."""
    if item.image_id is not None:
        return str(item.image_id)
    return str(item.id) if item.image is not None and item.state is not ItemState.FAILED else None
