"""From the domain to the bodies of ``/user-files``."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ocelli.api import cursors
from ocelli.api.aion.common import whole
from ocelli.api.aion.describe.mapping import calls, question, submitted, warnings
from ocelli.api.aion.files import schemas
from ocelli.api.aion.policies.mapping import escalation
from ocelli.api.verified import backend_errors, claims, places, tagging
from ocelli.domain.analysis import Status
from ocelli.domain.edits import Changes, ClaimChange
from ocelli.domain.effective import effective, effective_claims
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.file_query import FileQuery, SortBy, sort_key
from ocelli.domain.findings import LOCAL
from ocelli.domain.ids import uuid_of
from ocelli.domain.images import VariantStatus, VariantType
from ocelli.domain.paging import PageRequest
from ocelli.domain.search import SearchMode, parse
from ocelli.domain.timestamps import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ocelli.api.aion.describe.mapping import DescribeOptions
    from ocelli.domain.analysis import Analysis, VerificationLevel
    from ocelli.domain.effective import Effective, EffectiveClaim
    from ocelli.domain.images import Image
    from ocelli.domain.questions import Question
    from ocelli.domain.tagging import TagVocabulary
    from ocelli.usecases.edits import EditPage
    from ocelli.usecases.files import Deletion, Page
    from ocelli.usecases.redescribe import Redescription
    from ocelli.usecases.similar_pictures import Similar

    UrlOf = Callable[[Image, VariantType], str | None]

SIGNIFICANT = 4  # digits of a confidence that carry meaning


def file_query(filters: schemas.FileFilters) -> FileQuery:
    """Return the query of a list."""
    query = selection_query(filters)
    default = SortBy.RELEVANCE if query.search else SortBy.SHOWN_AT
    return replace(
        query,
        sort_by=filters.sort_by or default,
        descending=filters.sort_order is schemas.SortOrder.DESC,
    )


def is_ranked(query: FileQuery) -> bool:
    """Return whether meaning counts for the order: not in a search of some of the texts."""
    by_relevance = query.sort_by is SortBy.RELEVANCE and query.search is not None
    return by_relevance and query.mode is SearchMode.ALL


def selection_query(filters: schemas.FileSelection) -> FileQuery:
    """Return the query, the newest first; other media types and unknown folders match nothing."""
    search = parse(filters.search) if filters.search and not filters.search.isspace() else None
    folder = uuid_of(filters.folder_id)
    nothing = (filters.folder_id is not None and folder is None) or (
        filters.media_types and schemas.MediaType.IMAGE not in filters.media_types
    )
    return FileQuery(
        search=search,
        mode=filters.search_mode,
        tags=tuple(filters.tags),
        described=filters.has_description,
        state=filters.description_state,
        min_confidence=filters.min_confidence,
        max_confidence=filters.max_confidence,
        ids=() if nothing else tuple(filters.ids) or None,
        folder=folder,
        since=moment(filters.date_from),
        before=moment(filters.date_to, end_of_day=True),
    )


def of_color(query: FileQuery, ids: Sequence[UUID]) -> FileQuery:
    """Return the query among the pictures of a colour."""
    wanted = None if query.ids is None else set(query.ids)
    return replace(query, ids=tuple(id for id in ids if wanted is None or id in wanted))


_KEYS = {
    SortBy.SHOWN_AT: (datetime, UUID),
    SortBy.CREATED_AT: (datetime, UUID),
    SortBy.TITLE: (str, UUID),
    SortBy.SIZE: (int, UUID),
}


def page_request(filters: schemas.FileFilters, query: FileQuery) -> PageRequest:
    """Return the page request. Raises ValidationFailed for a cursor of another order."""
    if filters.cursor is not None and query.sort_by not in _KEYS:
        raise ValidationFailed("A list by relevance has no cursor: use offset.", field="cursor")
    types = _KEYS.get(query.sort_by, ())
    after = cursors.from_cursor(filters.cursor, _order(query), *types)
    return PageRequest(filters.limit, filters.offset, after)


def next_cursor(page: Page, query: FileQuery) -> str | None:
    """Return the cursor of the next page; None at the end, and by relevance."""
    key = sort_key(page.images[-1], query.sort_by) if page.has_more and page.images else None
    return None if key is None else cursors.to_cursor(_order(query), key)


def _order(query: FileQuery) -> str:
    return f"files {query.sort_by} {'down' if query.descending else 'up'}"


def location(image: Image) -> schemas.Location | None:
    """Return where the photo was taken, if its file says so."""
    place = image.content_location
    if place is None:
        return None
    return schemas.Location(latitude=place.latitude, longitude=place.longitude)


def similar(found: Similar, url_of: UrlOf) -> schemas.SimilarFiles:
    """Return pictures that are like another one."""
    return schemas.SimilarFiles(
        files=[
            schemas.SimilarFile(
                **dict(file_summary(each.image, url_of)), similarity=round(each.cosine, 4)
            )
            for each in found.pictures
        ],
        compared_by=found.by,
    )


def file_summary(image: Image, url_of: UrlOf) -> schemas.FileSummary:
    """Return a row of the list."""
    analysis, described = image.analysis, image.described
    shown = effective(image)
    return schemas.FileSummary(
        id=str(image.id),
        object_key=image.object_key,
        title=image.title,
        filename=image.filename,
        thumbnail_url=url_of(image, VariantType.SMALL),
        upload_description=shown.description,
        visible_text=shown.visible_text,
        **words(image, shown),
        tags=list(shown.tags),
        ai_tags=ai_tags(image),
        size_bytes=image.size_bytes,
        created_at=image.created_at,
        content_created_at=image.content_created_at,
        content_location=location(image),
        has_full_description=described is not None,
        dimensions=schemas.Dimensions(width=image.width, height=image.height),
        format=image.format,
        variant_status=image.variant_status,
        variant_error=image.variant_error,
        variant_count=len(image.variants),
        medium_url=url_of(image, VariantType.MEDIUM),
        full_url=url_of(image, VariantType.LARGE),
        blur_hash=image.blur_hash,
        description_status=description_status(image),
        description_error=error_message(analysis),
        confidence_score=confidence(described),
        verification_level=level(image),
        content_type=image.content_type,
    )


def file_details(image: Image, history: Sequence[Analysis], url_of: UrlOf) -> schemas.FileDetails:
    """Return the details of a file."""
    described = image.described
    shown = effective(image)
    said = image.annotations
    return schemas.FileDetails(
        id=str(image.id),
        object_key=image.object_key,
        title=image.title,
        tags=list(shown.tags),
        ai_tags=ai_tags(image),
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
        upload_description=shown.description,
        visible_text=shown.visible_text,
        rejected_tags=list(said.rejected_tags),
        claims=[claim_state(each) for each in effective_claims(said, described)],
        authorship={
            field: schemas.Authorship(author=by.author, created_at=by.created_at)
            for field, by in said.authorship.items()
        },
        **words(image, shown),
        description_generated_at=described.completed_at if described else None,
        full_descriptions=[
            full_description(each) for each in history if each.status is Status.COMPLETED
        ],
        created_at=image.created_at,
        updated_at=image.updated_at,
        content_created_at=image.content_created_at,
        content_location=location(image),
        upload_method=image.upload_method,
        original_filename=image.filename,
        hash=image.sha256,
        processing_history=[*map(processing_step, history), _variants_step(image)],
        blur_hash=image.blur_hash,
        description_status=description_status(image),
        verification_level=level(image),
    )


def full_description(analysis: Analysis) -> schemas.FullDescription:
    """Return the body of a completed analysis."""
    return schemas.FullDescription(
        id=str(analysis.id),
        description=analysis.description or "",
        visible_text=analysis.visible_text,
        confidence_score=confidence(analysis),
        processing_time_ms=whole(analysis.processing_ms),
        created_at=analysis.created_at,
        tags=list(analysis.tags),
        source=", ".join(each.source for each in analysis.findings),
        model_version=", ".join(each.model_version for each in analysis.findings),
        verification_level=analysis.answered_level,
        looks=analysis.looks,
        provenance=provenance(analysis),
        providers=[
            schemas.ProviderDescription(
                source=each.source,
                model_version=each.model_version,
                description=each.description,
                tags=[tag.name for tag in each.tags],
                confidence_score=each.confidence and round(each.confidence, SIGNIFICANT),
            )
            for each in analysis.findings
        ],
        claims=claims(analysis),
        places=places(analysis),
        tagging=tagging(analysis),
        calls=calls(analysis),
        errors=backend_errors(analysis),
        escalation=escalation(analysis),
        warnings=warnings(analysis),
    )


def provenance(analysis: Analysis) -> dict[str, str]:
    """Return which backend each field of an answer comes from."""
    findings = analysis.findings
    holders = {
        "description": next((each.source for each in findings if each.description), None),
        "tags": next((each.source for each in findings if each.tags), None),
        "visible_text": next((each.source for each in findings if each.visible_text), LOCAL),
    }
    values = {
        "description": analysis.description,
        "tags": analysis.tags,
        "visible_text": analysis.visible_text,
    }
    return {name: who for name, who in holders.items() if who is not None and values[name]}


def processing_step(analysis: Analysis) -> schemas.ProcessingStep:
    """Return an analysis as an entry of the history."""
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


def description_status(image: Image) -> Status:
    """Return the status of the description; ``skipped`` if none was requested."""
    return image.analysis.status if image.analysis else Status.SKIPPED


def ai_tags(image: Image) -> list[str]:
    """Return the tags of the analysis, best first."""
    return list(image.described.tags) if image.described else []


def level(image: Image) -> VerificationLevel | None:
    """Return how thoroughly the shown description was checked; None without one."""
    return image.described.answered_level if image.described else None


def words(image: Image, shown: Effective) -> dict[str, Any]:
    """Return the fields of ``schemas.Words``."""
    return {
        "title_source": shown.title_source,
        "description_source": shown.description_source,
        "tags_source": shown.tags_source,
        "ai_description": image.described.description if image.described else None,
        "alt_text": shown.alt_text,
        "alt_text_source": shown.alt_text_source,
        **_decision(shown),
        "revision": image.revision,
    }


def _decision(shown: Effective) -> dict[str, Any]:
    by = shown.reviewed
    return {
        "review_status": shown.review_status,
        "reviewed_by": by and by.author,
        "reviewed_at": by and by.created_at,
    }


def claim_state(each: EffectiveClaim) -> schemas.ClaimState:
    """Return a claim with a person's verdict."""
    review = each.review
    return schemas.ClaimState(
        claim=each.claim,
        text=each.text,
        kept=each.kept,
        in_description=each.in_description,
        probability=each.probability,
        verdict=review and review.verdict,
        author=review and review.by.author,
        reviewed_at=review and review.by.created_at,
    )


def changes(body: schemas.FileUpdate) -> Changes:
    """Return the changes of a body."""
    return Changes(
        title=body.title,
        description=body.description,
        alt_text=body.alt_text,
        tags=body.tags,
        rejected_tags=body.rejected_tags,
        claims=tuple(ClaimChange(e.claim, e.verdict, e.text) for e in body.claims or ()),
        review=body.review,
    )


def edits(page: EditPage) -> schemas.EditList:
    """Return a page of the changes of a file."""
    last = page.edits[-1] if page.has_more else None
    return schemas.EditList(
        edits=[
            schemas.EditOut(
                id=str(each.id),
                revision=each.revision,
                field=each.field,
                claim=each.claim,
                value=each.value,
                previous=each.previous,
                author=each.author,
                created_at=each.created_at,
                undoes=each.undoes and str(each.undoes),
            )
            for each in page.edits
        ],
        has_more=page.has_more,
        next_cursor=last and cursors.to_cursor("edits", (last.revision, last.position)),
    )


def confidence(analysis: Analysis | None) -> float | None:
    """Return the value rounded to its significant digits."""
    if analysis is None or analysis.confidence is None:
        return None
    return round(analysis.confidence, SIGNIFICANT)


def error_message(analysis: Analysis | None) -> str | None:
    """Return the message of the failure of the analysis; None if there is none."""
    return analysis.failure.message if analysis and analysis.failure else None


def updated_file(image: Image) -> schemas.UpdatedFile:
    """Return what a person says about a file."""
    said = image.annotations
    claims = effective_claims(said, image.described)
    return schemas.UpdatedFile(
        id=str(image.id),
        title=image.title,
        tags=list(image.tags),
        description=said.description,
        alt_text=said.alt_text,
        rejected_tags=list(said.rejected_tags),
        claims=[claim_state(each) for each in claims if each.review is not None],
        **_decision(effective(image)),
        revision=image.revision,
        updated_at=image.updated_at,
    )


def batch_deleted(deletions: Sequence[Deletion]) -> schemas.BatchDeleted:
    """Return the body of a batch deletion, grouped by result."""
    results = [
        schemas.DeletionResult(
            id=each.id, status=each.status, message=each.message, deleted_at=each.deleted_at
        )
        for each in deletions
    ]
    deleted, skipped, failed = (
        [result for result in results if result.status == status]
        for status in ("deleted", "skipped", "failed")
    )
    summary = schemas.DeletionSummary(
        total=len(results), deleted=len(deleted), skipped=len(skipped), failed=len(failed)
    )
    return schemas.BatchDeleted(deleted=deleted, skipped=skipped, failed=failed, summary=summary)


def known_question(
    body: DescribeOptions, backends: Sequence[str], vocabulary: TagVocabulary | None
) -> Question:
    """Return the question. Raises ValidationFailed for a backend that is none of ``backends``.

    Nothing stands in for it: a whole library would be described by another one.
    """
    unknown = [name for name in body.providers or () if name not in backends]
    if unknown:
        raise ValidationFailed(
            f"No backend {unknown[0][:64]!r} is configured here; there are {', '.join(backends)}.",
            field="providers",
        )
    return question(body, vocabulary)


def redescription(
    done: Redescription, image_id: UUID | None = None
) -> schemas.RedescriptionSubmitted:
    """Return the body of an accepted redescription."""
    return schemas.RedescriptionSubmitted(
        **submitted(done.state).model_dump(),
        verification_level=done.state.batch.level,
        already_queued=done.already_queued,
        image_id=image_id and str(image_id),
    )


def variants_triggered(image: Image, begun: bool) -> schemas.VariantsTriggered:
    """Return whether variants will be made."""
    return schemas.VariantsTriggered(
        message="The smaller copies will be made." if begun else "They are being made already.",
        task_id=f"make_variants:{image.id}",
        current_status=image.variant_status,
        image_id=str(image.id),
        skipped_duplicate=not begun,
    )
