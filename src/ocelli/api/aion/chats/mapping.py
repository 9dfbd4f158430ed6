"""From the domain to the bodies of ``/chat/images``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.api.aion.agents.mapping import DIGITS
from ocelli.api.aion.chats import schemas
from ocelli.api.aion.files.mapping import confidence
from ocelli.domain.effective import effective
from ocelli.domain.images import VariantType

if TYPE_CHECKING:
    from ocelli.api.aion.files.mapping import UrlOf
    from ocelli.usecases.library_search import Found, Hit


def search_results(found: Found, query: str, url_of: UrlOf) -> schemas.SearchResults:
    """Return the body of a search."""
    return schemas.SearchResults(
        results=[_result(each, url_of) for each in found.hits],
        total_count=len(found.ids),
        query_interpretation=schemas.QueryInterpretation(
            normalized_query=" ".join(query.split()),
            mode="words" if found.words_only else "hybrid",
        ),
    )


def _result(hit: Hit, url_of: UrlOf) -> schemas.SearchResult:
    image = hit.image
    return schemas.SearchResult(
        image_id=str(image.id),
        description=effective(image).description or "",
        confidence=confidence(image.described) or 0.0,
        relevance_score=round(hit.score, DIGITS),
        thumbnail_url=url_of(image, VariantType.SMALL),
        medium_url=url_of(image, VariantType.MEDIUM),
        full_url=url_of(image, VariantType.LARGE),
        created_at=image.created_at,
    )
