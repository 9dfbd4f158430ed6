"""Conversions between the domain and the bodies of ``/data``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ocelli.api.aion.data import schemas
from ocelli.api.cursors import to_cursor
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.history import ExportOptions, HistoryQuery, SourceType
from ocelli.domain.images import VariantType
from ocelli.domain.timestamps import moment
from ocelli.usecases.history import METADATA_FIELDS, checked_fields

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from ocelli.api.aion.files.mapping import UrlOf
    from ocelli.domain.history import Export, HistoryRecord, HistoryStatistics
    from ocelli.domain.images import Image
    from ocelli.domain.paging import PageRequest
    from ocelli.usecases.history import HistoryPage

MAX_TERMS = 20


def history_query(
    *,
    start: datetime | date | None,
    end: datetime | date | None,
    min_confidence: float | None,
    max_confidence: float | None,
    terms: Iterable[str],
    sources: Iterable[str],
    include_failed: bool = False,
) -> HistoryQuery:
    """Return the query of a history. Raises ValidationFailed."""
    source_names = frozenset(source.strip() for source in sources if source.strip())
    if unknown := source_names.difference(SourceType):
        raise ValidationFailed(
            f"Unknown source type: {min(unknown)[:50]}. Use single or batch.", field="source_types"
        )
    texts = tuple(term.strip() for term in terms if term.strip())
    if len(texts) > MAX_TERMS or any("\0" in term for term in texts):
        raise ValidationFailed(
            f"At most {MAX_TERMS} terms, none with a NUL character.", field="search"
        )
    return HistoryQuery(
        since=moment(start),
        before=moment(end, end_of_day=True),
        min_confidence=min_confidence,
        max_confidence=max_confidence,
        terms=texts,
        sources=frozenset(map(SourceType, source_names)) or frozenset(SourceType),
        include_failed=include_failed,
    )


def description(
    record: HistoryRecord, image: Image | None, url_of: UrlOf
) -> schemas.DescriptionRecord:
    """Return a record with the URLs of its picture."""
    original = image and url_of(image, VariantType.ORIGINAL)
    metadata: dict[str, Any] = {name: read(record) for name, read in METADATA_FIELDS.items()}
    return schemas.DescriptionRecord(
        id=str(record.id),
        source_type=record.source,
        source_id=metadata.pop("source_id"),
        created_at=record.created_at,
        image_id=str(record.image_id),
        image_url=original,
        stored_image_url=original,
        thumbnail_url=image and url_of(image, VariantType.SMALL),
        description=record.shown.description,
        description_source=record.shown.description_source,
        ai_description=record.machine and record.machine.description,
        confidence_score=record.confidence and round(record.confidence, 4),
        metadata={
            **{name: value for name, value in metadata.items() if name != "source_type"},
            "visible_text": record.shown.visible_text,
            "tags": list(record.shown.tags),
            "tags_source": record.shown.tags_source,
            "ai_tags": list(record.machine.tags) if record.machine else [],
            "alt_text": record.shown.alt_text,
        },
    )


def statistics(numbers: HistoryStatistics) -> schemas.Statistics:
    """Return the statistics of all matching records."""
    average = numbers.average_confidence
    return schemas.Statistics(
        total_count=numbers.total,
        average_confidence=average and round(average, 4),
        confidence_distribution={
            f"{fifth / 5:.1f}-{(fifth + 1) / 5:.1f}": count
            for fifth, count in enumerate(numbers.confidences)
        },
        daily_counts=[schemas.DayCount(date=day, count=count) for day, count in numbers.days],
        source_distribution={source: numbers.sources.get(source, 0) for source in SourceType},
    )


def filters_applied(query: HistoryQuery) -> schemas.FiltersApplied:
    """Return the filters that were applied, with a summary in words."""
    used = {
        "date range": query.since is not None or query.before is not None,
        "confidence range": query.min_confidence is not None or query.max_confidence is not None,
        "search": bool(query.terms),
        "source types": query.sources != frozenset(SourceType),
    }
    dates, confidences, search, sources = used.values()
    return schemas.FiltersApplied(
        date_range_applied=dates,
        confidence_range_applied=confidences,
        search_applied=search,
        source_types_filtered=sources,
        filter_summary=", ".join(name for name, it_is in used.items() if it_is) or "none",
    )


def page_info(page: HistoryPage, page_request: PageRequest) -> schemas.PageInfo:
    """Return the paging; pages count from 1, and are not counted after a cursor."""
    last = page.records[-1] if page.has_more else None
    return schemas.PageInfo(
        offset=page_request.offset,
        limit=page_request.limit,
        has_next=page.has_more,
        has_previous=page_request.offset > 0 or page_request.after is not None,
        total_pages=math.ceil(page.statistics.total / page_request.limit),
        current_page=page_request.offset // page_request.limit + 1,
        next_cursor=last and to_cursor("descriptions", (last.created_at, last.id)),
    )


def export_request(body: schemas.ExportRequest) -> ExportOptions:
    """Return the options of an export. Raises ValidationFailed."""
    query = history_query(
        start=body.start_date,
        end=body.end_date,
        min_confidence=body.min_confidence,
        max_confidence=body.max_confidence,
        terms=body.search_terms,
        sources=body.source_types,
        include_failed=body.include_failed,
    )
    fields = checked_fields(body.fields, metadata=body.include_metadata)
    return ExportOptions(body.format, query, fields, body.limit)


def export_state(export: Export, url: str | None) -> schemas.ExportState:
    """Return the state of an export."""
    return schemas.ExportState(
        export_id=str(export.id),
        status=export.status,
        download_url=url,
        record_count=export.record_count,
        format=export.request.format,
        created_at=export.created_at,
        completed_at=export.completed_at,
        error_message=export.error,
    )


def variant_links(image: Image, url_of: UrlOf) -> schemas.VariantLinks:
    """Return the URLs of all existing variants."""
    return schemas.VariantLinks(
        image_id=str(image.id),
        variant_status=image.variant_status,
        variants=[
            schemas.VariantLink(
                type=variant.type,
                url=url_of(image, variant.type),
                width=variant.width,
                height=variant.height,
                size_bytes=variant.size_bytes,
            )
            for variant in image.variants
        ],
    )
