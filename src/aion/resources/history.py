"""Every description so far: ``client.history``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from aion._paths import segment
from aion._retry import backoff
from aion.exceptions import AionvisionTimeoutError, ServerError
from aion.resources._base import Resource, given, moment, pages, require
from aion.types.history import DescriptionHistory, ExportStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import date

    from aion.types.history import DescriptionRecord


class HistoryResource(Resource):
    """Read every description that was made, and export them as a file."""

    async def list(
        self,
        *,
        search: str | Sequence[str] | None = None,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        min_confidence: float | None = None,
        max_confidence: float | None = None,
        source_types: Sequence[str] | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> DescriptionHistory:
        """One page of descriptions, newest first.

        Args:
            search: a term, or several that must all occur.
            start_date: from this moment or day (UTC) on.
            end_date: up to this moment, or this day as a whole.
            min_confidence: 0 to 1.
            max_confidence: 0 to 1.
            source_types: ``single`` (uploaded alone), ``batch``, or both.
            limit: 1 to 1,000.
            offset: how many to pass over.

        Raises:
            ValidationError: a value outside these.
        """
        filters = _filters(
            search, start_date, end_date, min_confidence, max_confidence, source_types
        )
        return await self._page(filters, limit, offset=offset)

    async def _page(self, filters: dict[str, Any], limit: int, **where: Any) -> DescriptionHistory:
        require(1 <= limit <= 1000, "limit must be from 1 to 1000", "limit")
        params = {**filters, "limit": limit, **where}
        for name in ("search", "source_types"):
            if name in params:
                params[name] = ",".join(params[name])
        answer = await self._http.json("GET", "/data/descriptions", params=params)
        return DescriptionHistory.from_api_response(answer)

    async def list_all(
        self,
        *,
        search: str | Sequence[str] | None = None,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        min_confidence: float | None = None,
        max_confidence: float | None = None,
        source_types: Sequence[str] | None = None,
        page_size: int = 100,
    ) -> AsyncIterator[DescriptionRecord]:
        """All descriptions that match, newest first: ``async for record in …``.

        Args:
            search: as :meth:`list`, and so are the others.
            start_date: from this moment or day (UTC) on.
            end_date: up to this moment, or this day as a whole.
            min_confidence: 0 to 1.
            max_confidence: 0 to 1.
            source_types: ``single``, ``batch``, or both.
            page_size: how many to ask for at a time, 1 to 1,000.
        """
        filters = _filters(
            search, start_date, end_date, min_confidence, max_confidence, source_types
        )

        async def fetch(
            where: dict[str, Any],
        ) -> tuple[Sequence[DescriptionRecord], bool, str | None]:
            page = await self._page(filters, page_size, **where)
            return page.results, page.has_more, page.next_cursor

        async for record in pages(fetch):
            yield record

    async def export(
        self,
        format: str = "jsonl",
        *,
        search: str | Sequence[str] | None = None,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
        min_confidence: float | None = None,
        max_confidence: float | None = None,
        source_types: Sequence[str] | None = None,
        include_metadata: bool = True,
        include_failed: bool = False,
        fields: Sequence[str] | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """Export descriptions, wait for the file and return what is in it.

        Args:
            format: ``csv``, ``json`` or ``jsonl``.
            search: as :meth:`list`, and so are the filters that follow.
            start_date: from this moment or day (UTC) on.
            end_date: up to this moment, or this day as a whole.
            min_confidence: 0 to 1.
            max_confidence: 0 to 1.
            source_types: ``single``, ``batch``, or both.
            include_metadata: whether names of files, titles, sizes and the like are in it.
            include_failed: whether pictures that could not be described are in it.
            fields: only these, in this order.
            limit: at most so many, up to 100,000.
            timeout: seconds to wait; by default ``polling_timeout``.

        Raises:
            ValidationError: a value outside these.
            AionvisionTimeoutError: it was not written in time; ``last_result`` has its id.
            ServerError: it could not be written.
        """
        filters = _filters(
            search, start_date, end_date, min_confidence, max_confidence, source_types
        )
        if "search" in filters:
            filters["search_terms"] = filters.pop("search")
        body = given(
            data_type="descriptions",
            format=format,
            **filters,
            include_metadata=include_metadata,
            include_failed=include_failed,
            fields=None if fields is None else [*fields],
            limit=limit,
        )
        answer = await self._http.json("POST", "/data/export", json=body)
        export = await self._written(ExportStatus.from_api_response(answer), timeout)
        return await self._http.get_bytes(export.download_url or "")

    async def get_export(self, export_id: str) -> ExportStatus:
        """How far an export has come, and where its file is; that is kept for seven days.

        Raises:
            ResourceNotFoundError: no such export.
        """
        path = f"/data/export/{segment(export_id)}"
        return ExportStatus.from_api_response(await self._http.json("GET", path))

    async def _written(self, export: ExportStatus, timeout: float | None) -> ExportStatus:
        import asyncio

        seconds = self._config.polling_timeout if timeout is None else timeout
        interval = self._config.polling_interval
        deadline, delay = time.monotonic() + seconds, min(0.05, interval)
        while not export.is_terminal:
            left = deadline - time.monotonic()
            if left <= 0:
                raise AionvisionTimeoutError(
                    f"export {export.export_id} was not written within {seconds:g} s",
                    last_result=export,
                )
            await asyncio.sleep(min(delay, left))
            delay = backoff(delay, interval)
            export = await self.get_export(export.export_id)
        if export.status == "failed":
            raise ServerError(export.error_message or "the export failed", code="EXPORT_FAILED")
        return export


def _filters(
    search: str | Sequence[str] | None,
    start_date: date | str | None,
    end_date: date | str | None,
    min_confidence: float | None,
    max_confidence: float | None,
    source_types: Sequence[str] | None,
) -> dict[str, Any]:
    return given(
        search=[search] if isinstance(search, str) else search and [*search],
        start_date=moment(start_date),
        end_date=moment(end_date),
        min_confidence=min_confidence,
        max_confidence=max_confidence,
        source_types=source_types and [*source_types],
    )
