"""From the domain to the bodies of ``/erasures``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.api.aion.erasures import schemas

if TYPE_CHECKING:
    from ocelli.domain.erasures import Erasure


def erasure(each: Erasure) -> schemas.ErasureOut:
    """Return the body of an erasure."""
    return schemas.ErasureOut(
        id=str(each.id),
        kind=each.kind,
        reason=each.reason,
        image_ids=[str(id) for id in each.image_ids],
        requested_by=each.requested_by,
        requested_at=each.requested_at,
        completed_at=each.completed_at,
        counts=dict(each.counts),
    )
