"""From the domain to the bodies of ``/reviews``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.api import cursors
from ocelli.api.aion.files.mapping import claim_state, file_summary
from ocelli.api.aion.reviews import schemas
from ocelli.domain.effective import effective_claims
from ocelli.usecases.reviews import Decision

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocelli.api.aion.files.mapping import UrlOf
    from ocelli.domain.review import ReviewItem
    from ocelli.usecases.reviews import Decided, LabelPage, ReviewQueue


def queue(page: ReviewQueue, url_of: UrlOf) -> schemas.ReviewList:
    """Return a page of the queue."""
    return schemas.ReviewList(
        items=[item(each, url_of) for each in page.items],
        total_count=page.total,
        has_more=page.next is not None,
        next_cursor=page.next and cursors.to_cursor("reviews", page.next),
    )


def item(waiting: ReviewItem, url_of: UrlOf) -> schemas.ReviewItem:
    """Return a file that waits."""
    image = waiting.image
    return schemas.ReviewItem(
        file=file_summary(image, url_of),
        analysis_id=str(waiting.analysis_id),
        doubt=round(waiting.doubt, 4),
        reasons=list(waiting.reasons),
        claims=[claim_state(each) for each in effective_claims(image.annotations, image.described)],
        queued_at=waiting.queued_at,
    )


def decisions(targets: Iterable[schemas.ReviewTarget]) -> list[Decision]:
    """Return what to decide about, each once."""
    by_id = {each.file_id: each for each in targets}
    return [Decision(each.file_id, each.revision, each.analysis_id) for each in by_id.values()]


def outcome(decided: Sequence[Decided]) -> schemas.ReviewOutcome:
    """Return the result for each file."""
    return schemas.ReviewOutcome(
        done=[
            schemas.ReviewDone(
                id=str(each.image.id),
                revision=each.image.revision,
                reviewed_by=review.by.author,
                reviewed_at=review.by.created_at,
            )
            for each in decided
            if each.image is not None and (review := each.image.annotations.review) is not None
        ],
        failed=[
            schemas.ReviewFailure(id=each.id, code=each.error.code, message=each.error.message)
            for each in decided
            if each.error is not None
        ],
    )


def labels(page: LabelPage) -> schemas.LabelList:
    """Return a page of labels."""
    return schemas.LabelList(
        labels=[
            schemas.LabelOut(
                image_id=str(each.image.id),
                filename=each.image.filename,
                label=schemas.EvaluationLabel(**each.line),
            )
            for each in page.labels
        ],
        has_more=page.next is not None,
        next_cursor=page.next and cursors.to_cursor("labels", page.next),
    )
