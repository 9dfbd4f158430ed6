"""The queue of pictures to review, decisions about several at once, and labels from them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocelli.domain.edits import Changes, ReviewStatus
from ocelli.domain.errors import OcelliError
from ocelli.domain.review import ReviewItem, label

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.images import Image
    from ocelli.domain.paging import PageRequest
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.usecases.edits import Edits


@dataclass(frozen=True, slots=True)
class ReviewQueue:
    """A page of the queue, the most doubtful first; ``next`` is the key behind it, if any."""

    items: Sequence[ReviewItem]
    total: int
    next: tuple[float, UUID] | None


@dataclass(frozen=True, slots=True)
class Decision:
    """A picture to decide about; None for what the caller does not insist on."""

    id: str
    revision: int | None = None
    analysis_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """The result of one decision: the picture, or why it was not carried out."""

    id: str
    image: Image | None = None
    error: OcelliError | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """What people said of a picture, as a line for ``ocelli eval``."""

    image: Image
    line: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LabelPage:
    """The labels of a page of edited pictures; ``next`` is the key behind it, if any."""

    labels: Sequence[Label]
    next: tuple[UUID] | None


class Reviews:
    """Use cases around reviewing descriptions."""

    def __init__(self, database: PostgresDatabase, edits: Edits) -> None:
        self._database = database
        self._edits = edits

    async def queue(self, tenant_id: UUID, page: PageRequest) -> ReviewQueue:
        """Return a page of the pictures that wait, the most doubtful first."""
        async with self._database.transaction() as tx:
            waiting, more = page.cut(await tx.reviews.page(tenant_id, page))
            images = await tx.images.by_ids([each.image_id for each in waiting])
            total = await tx.reviews.count(tenant_id)
        by_id = {image.id: image for image in images}
        items = [
            ReviewItem(
                by_id[each.image_id], each.analysis_id, each.doubt, each.reasons, each.queued_at
            )
            for each in waiting
            if each.image_id in by_id
        ]
        behind = (waiting[-1].doubt, waiting[-1].image_id) if more else None
        return ReviewQueue(items, total, behind)

    async def decide(
        self, tenant_id: UUID, decisions: Sequence[Decision], status: ReviewStatus, *, author: str
    ) -> Sequence[Decided]:
        """Approve or reject the descriptions of pictures, each by itself.

        A picture that is gone, or was changed meanwhile, hinders no other.
        """
        return [await self._decide(tenant_id, each, status, author) for each in decisions]

    async def _decide(
        self, tenant_id: UUID, decision: Decision, status: ReviewStatus, author: str
    ) -> Decided:
        try:
            image = await self._edits.update(
                tenant_id,
                decision.id,
                Changes(review=status),
                author=author,
                revision=decision.revision,
                analysis_id=decision.analysis_id,
            )
        except OcelliError as error:
            if error.retryable:
                raise
            return Decided(decision.id, error=error)
        return Decided(decision.id, image)

    async def labels(self, tenant_id: UUID, page: PageRequest) -> LabelPage:
        """Return the labels of a page of the pictures that people changed."""
        async with self._database.autocommit() as tx:
            images, more = page.cut(await tx.images.edited(tenant_id, page))
        lines = await asyncio.to_thread(
            lambda: [(image, label(image, f"{image.id}{image.format.suffix}")) for image in images]
        )
        labels = [Label(image, line) for image, line in lines if line is not None]
        return LabelPage(labels, (images[-1].id,) if more else None)
