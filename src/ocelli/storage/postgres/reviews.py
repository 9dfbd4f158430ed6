"""The table ``reviews``: pictures whose newest description waits for a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocelli.domain.review import DoubtReason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.paging import PageRequest
    from ocelli.domain.review import Doubt
    from ocelli.storage.postgres.rows import Connection

# Of pictures that are not deleted. A tag is new that no person of the tenant wrote or approved.
_PUT = """
INSERT INTO reviews (image_id, tenant_id, analysis_id, doubt, reasons)
SELECT i.id, i.tenant_id, %(analysis)s,
    CASE WHEN n.has_new_tags THEN %(with_new_tags)s ELSE %(doubt)s END,
    %(reasons)s::text[]
        || CASE WHEN n.has_new_tags THEN ARRAY['new_tags'] ELSE '{}' END
        || CASE WHEN i.revision > 0 AND EXISTS (SELECT 1 FROM edits WHERE image_id = i.id
            AND field = 'review' AND value IS NOT NULL
            AND value ->> 'analysis_id' IS DISTINCT FROM %(analysis)s::text)
            THEN ARRAY['described_again'] ELSE '{}' END
FROM images i, (SELECT EXISTS (SELECT 1 FROM unnest(%(tags)s::text[]) AS tag
    WHERE NOT EXISTS (SELECT 1 FROM known_tags k
        WHERE k.tenant_id = %(tenant)s AND k.tag = lower(tag.tag))) AS has_new_tags) n
WHERE i.id = %(image)s AND i.deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM analyses newer
    WHERE newer.image_id = i.id AND newer.status = 'completed' AND newer.created_at > %(created)s)
ON CONFLICT (image_id) DO UPDATE SET analysis_id = excluded.analysis_id,
    doubt = excluded.doubt, reasons = excluded.reasons, queued_at = excluded.queued_at
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row of the queue."""

    image_id: UUID
    analysis_id: UUID
    doubt: float
    reasons: tuple[DoubtReason, ...]
    queued_at: datetime


class PostgresReviews:
    """The queue of pictures to review, the most doubtful first."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def put(self, analysis: Analysis, doubt: Doubt) -> None:
        """Queue the picture of an analysis that has ended, or renew its place.

        Nothing happens if a newer analysis has described the picture meanwhile.
        """
        await self._connection.execute(
            _PUT.encode(),
            {
                "analysis": analysis.id,
                "created": analysis.created_at,
                "tenant": analysis.tenant_id,
                "image": analysis.image_id,
                "doubt": doubt.value,
                "with_new_tags": doubt.with_new_tags,
                "reasons": list(doubt.reasons),
                "tags": [tag.replace("\0", "") for tag in _unknown(analysis)],
            },
        )

    async def remove(self, image_id: UUID) -> None:
        """Take a picture out of the queue."""
        await self._connection.execute("DELETE FROM reviews WHERE image_id = %s", (image_id,))

    async def page(self, tenant_id: UUID, page: PageRequest) -> Sequence[Waiting]:
        """Return a page of the queue; its key is (doubt, image_id)."""
        behind = "true" if page.after is None else "(doubt, image_id) < (%(doubt)s, %(id)s)"
        doubt, id = page.after or (None, None)
        cursor = await self._connection.execute(
            f"SELECT * FROM reviews WHERE tenant_id = %(tenant)s AND {behind}"
            " ORDER BY doubt DESC, image_id DESC LIMIT %(limit)s".encode(),
            {"tenant": tenant_id, "doubt": doubt, "id": id, "limit": page.look_ahead},
        )
        return [_to_waiting(row) for row in await cursor.fetchall()]

    async def count(self, tenant_id: UUID) -> int:
        """Return how many pictures wait."""
        cursor = await self._connection.execute(
            "SELECT count(*) AS waiting FROM reviews WHERE tenant_id = %s", (tenant_id,)
        )
        row = await cursor.fetchone()
        assert row is not None
        return int(row["waiting"])


def _unknown(analysis: Analysis) -> Sequence[str]:
    """Return the tags that may be new to the tenant: no terms of its vocabulary."""
    return analysis.tags if analysis.tagging is None else analysis.tagging.new


def _to_waiting(row: Mapping[str, Any]) -> Waiting:
    return Waiting(
        image_id=row["image_id"],
        analysis_id=row["analysis_id"],
        doubt=row["doubt"],
        reasons=tuple(map(DoubtReason, row["reasons"])),
        queued_at=row["queued_at"],
    )
