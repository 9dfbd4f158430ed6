"""From the domain to the bodies of ``/agents``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.api.aion.agents import schemas
from ocelli.domain.effective import effective
from ocelli.domain.file_query import FileQuery
from ocelli.domain.images import VariantType
from ocelli.domain.timestamps import moment

if TYPE_CHECKING:
    from ocelli.api.aion.files.mapping import UrlOf
    from ocelli.usecases.library_search import Found, Hit

REF = "search_1"
DIGITS = 4


def filters(body: schemas.ImageSearch) -> FileQuery:
    """Return the pictures that are searched."""
    return FileQuery(
        tags=tuple(body.tags),
        ids=None if body.image_ids is None else tuple(body.image_ids),
        folder=body.folder_id,
        since=moment(body.date_from),
        before=moment(body.date_to, end_of_day=True),
    )


def image_search(
    found: Found, query: str, url_of: UrlOf, milliseconds: int
) -> schemas.ImageSearchAnswer:
    """Return the body of a search."""
    ids = [str(id) for id in found.ids]
    noun = "picture" if len(ids) == 1 else "pictures"
    rest = f" {noun} found."
    return schemas.ImageSearchAnswer(
        execution_time_ms=milliseconds,
        results=[_hit(each, url_of) for each in found.hits],
        count=len(ids),
        result_ids=ids,
        summary=f"{len(ids)}{rest}",
        summary_raw=f"[[ref:{REF}]]{rest}",
        result_refs={
            REF: schemas.ResultRef(count=len(ids), ids=ids, image_ids=ids, label=query),
        },
        search_strategy=schemas.SearchStrategy(
            mode="words" if found.words_only else "hybrid", reason=found.words_only
        ),
    )


def _hit(hit: Hit, url_of: UrlOf) -> schemas.ImageHit:
    image = hit.image
    return schemas.ImageHit(
        image_id=str(image.id),
        score=round(hit.score, DIGITS),
        filename=image.filename,
        title=image.title,
        description=effective(image).description or "",
        folder_id=image.folder_id and str(image.folder_id),
        thumbnail_url=url_of(image, VariantType.SMALL),
    )
