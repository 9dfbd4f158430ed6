"""What colours, history and exports need from the database: a part of ``ports.Transaction``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from uuid import UUID

    from ocelli.domain.colors import ColorQuery, Extraction, Palette
    from ocelli.domain.history import (
        Export,
        ExportRequest,
        HistoryQuery,
        HistoryRecord,
        HistoryStatistics,
    )


class Colors(Protocol):
    """The colours of pictures."""

    async def get(self, tenant_id: UUID, image_id: UUID) -> Extraction | None:
        """How far it has come; None if it was never begun, or there is no such picture."""
        ...

    async def palettes(self, image_ids: Sequence[UUID]) -> Mapping[UUID, Extraction]:
        """Of many pictures."""
        ...

    async def request(
        self, tenant_id: UUID, image_ids: Sequence[UUID], *, n_colors: int, force: bool
    ) -> Sequence[UUID]:
        """Mark as queued; those that now need a job.

        Not those that are queued already, nor, without ``force``, those that are completed.
        """
        ...

    async def start(self, image_id: UUID) -> Extraction | None:
        """Mark as processing; None if nobody waits for it."""
        ...

    async def complete(self, image_id: UUID, palette: Palette) -> None:
        """Store the colours; nothing if the picture was deleted."""
        ...

    async def fail(self, image_id: UUID, error: str) -> None:
        """Final; earlier colours stay."""
        ...

    async def candidates(
        self, tenant_id: UUID, query: ColorQuery, cells: Sequence[int] | None
    ) -> tuple[Sequence[int], Sequence[int], Sequence[float]]:
        """Numbers of pictures, and colours (as ``Rgb.number``) of theirs in these cells (None: in
        any) with their percentages. Distances are not looked at.
        """
        ...

    async def image_ids(self, numbers: Sequence[int]) -> Mapping[int, UUID]:
        """From the numbers of ``candidates`` to the pictures."""
        ...


class History(Protocol):
    """What was said about pictures that are not deleted, newest first."""

    async def page(
        self, tenant_id: UUID, query: HistoryQuery, *, limit: int, offset: int
    ) -> Sequence[HistoryRecord]:
        """One page."""
        ...

    async def statistics(self, tenant_id: UUID, query: HistoryQuery) -> HistoryStatistics:
        """Of all that match."""
        ...

    def stream(
        self, tenant_id: UUID, query: HistoryQuery, *, limit: int
    ) -> AsyncIterator[Sequence[HistoryRecord]]:
        """Some hundreds at a time, of one moment; the transaction stays open meanwhile."""
        ...


class Exports(Protocol):
    """Files that people asked for."""

    async def add(self, id: UUID, tenant_id: UUID, request: ExportRequest) -> Export:
        """Queued; its job must follow in the same transaction."""
        ...

    async def get(self, tenant_id: UUID, id: UUID) -> Export | None:
        """None also for another tenant's."""
        ...

    async def start(self, id: UUID) -> Export | None:
        """Mark as processing; None if it is unknown or has ended."""
        ...

    async def complete(self, id: UUID, object_key: str, record_count: int) -> None:
        """The object must be in the store already."""
        ...

    async def fail(self, id: UUID, error: str) -> None:
        """Final."""
        ...

    async def purge(self, *, older_than: float) -> int:
        """Forget those made more than so many seconds ago; their objects become orphans."""
        ...
