"""An answer of the Responses API that is kept, so that a conversation can go on from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """``input`` are the items that were new in the request, ``body`` is the answer; both JSON.

    ``previous_id`` is the answer that the request went on from. ``input`` is None if it was too
    large to be kept.
    """

    id: UUID
    previous_id: UUID | None
    input: bytes | None
    body: bytes
