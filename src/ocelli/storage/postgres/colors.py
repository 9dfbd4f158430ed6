"""The tables ``palettes`` and ``image_colors``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from ocelli.domain.colors import MAX_COLORS, Extraction, Palette, PaletteStatus
from ocelli.media.colors import cell_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from ocelli.domain.colors import ColorQuery
    from ocelli.storage.postgres.rows import Connection, Row

_palette = TypeAdapter(Palette)


class PostgresColors:
    """The repository of palettes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, tenant_id: UUID, image_id: UUID) -> Extraction | None:
        """Return the extraction; None if it never began, or there is no such picture."""
        rows = await self._rows(
            "SELECT * FROM palettes WHERE tenant_id = %s AND image_id = %s", (tenant_id, image_id)
        )
        return _to_extraction(rows[0]) if rows else None

    async def palettes(self, image_ids: Sequence[UUID]) -> Mapping[UUID, Extraction]:
        """Return the extractions of many pictures, by image id."""
        rows = await self._rows(
            "SELECT * FROM palettes WHERE image_id = ANY(%s)", (list(image_ids),)
        )
        return {row["image_id"]: _to_extraction(row) for row in rows}

    async def request(
        self, tenant_id: UUID, image_ids: Sequence[UUID], *, n_colors: int, force: bool
    ) -> Sequence[UUID]:
        """Mark extractions as queued; return the ids that now need a job.

        Without those that are queued already and, without ``force``, the completed ones.
        """
        rows = await self._rows(
            "INSERT INTO palettes AS p (image_id, tenant_id, status, n_colors)"
            " SELECT id, tenant_id, 'queued', %s FROM images"
            " WHERE tenant_id = %s AND id = ANY(%s) AND deleted_at IS NULL ORDER BY id"
            " ON CONFLICT (image_id) DO UPDATE SET status = 'queued', error = NULL,"
            " n_colors = excluded.n_colors WHERE p.status = 'failed'"
            " OR (p.status = 'completed' AND %s) RETURNING image_id",
            (n_colors, tenant_id, list(image_ids), force),
        )
        return [row["image_id"] for row in rows]

    async def start(self, image_id: UUID) -> Extraction | None:
        """Mark as processing; None if it is not queued."""
        rows = await self._rows(
            "UPDATE palettes SET status = 'processing'"
            " WHERE image_id = %s AND status IN ('queued', 'processing') RETURNING *",
            (image_id,),
        )
        return _to_extraction(rows[0]) if rows else None

    async def complete(self, image_id: UUID, palette: Palette) -> None:
        """Store the palette; a lock keeps the picture from being deleted meanwhile."""
        rows = await self._rows(
            "INSERT INTO palettes AS p"
            " (image_id, tenant_id, status, n_colors, analysis, extracted_at)"
            " SELECT id, tenant_id, 'completed', %s, %s::jsonb, clock_timestamp() FROM images"
            " WHERE id = %s AND deleted_at IS NULL FOR SHARE"
            " ON CONFLICT (image_id) DO UPDATE SET status = 'completed', error = NULL,"
            " analysis = excluded.analysis, extracted_at = excluded.extracted_at"
            " RETURNING number, tenant_id",
            (MAX_COLORS, _palette.dump_json(palette).decode(), image_id),
        )
        if rows:
            await self._store_colors(rows[0]["number"], rows[0]["tenant_id"], palette)

    async def fail(self, image_id: UUID, error: str) -> None:
        """Store the error; an earlier palette stays."""
        await self._connection.execute(
            "UPDATE palettes SET status = 'failed', error = %s"
            " WHERE image_id = %s AND status IN ('queued', 'processing')",
            (error, image_id),
        )

    async def candidates(
        self, tenant_id: UUID, query: ColorQuery, cells: Sequence[int] | None
    ) -> tuple[Sequence[int], Sequence[int], Sequence[float]]:
        """Return picture numbers, colours (``RgbColor.number``) and percentages that may match.

        ``cells`` are cells of the colour space, None for all. Distances are not checked.
        """
        conditions = ["tenant_id = %(tenant)s", "percentage >= %(least)s"]
        values: dict[str, Any] = {"tenant": tenant_id, "least": query.min_percentage}
        for condition, name, value in (
            ("cell = ANY(%(cells)s::smallint[])", "cells", cells),
            ("name = %(name)s", "name", query.name),
            ("family = %(family)s", "family", query.family),
        ):
            if value is not None:
                conditions.append(condition)
                values[name] = value
        cursor = await self._connection.execute(
            "SELECT array_agg(number) AS numbers, array_agg(rgb) AS colors,"  # one row: fast
            " array_agg(percentage) AS percentages FROM image_colors"
            f" WHERE {' AND '.join(conditions)}".encode(),
            values,
            binary=True,
        )
        row = await cursor.fetchone()
        assert row is not None
        return row["numbers"] or (), row["colors"] or (), row["percentages"] or ()

    async def image_ids(self, numbers: Sequence[int]) -> Mapping[int, UUID]:
        """Return the image ids of picture numbers of ``candidates``."""
        rows = await self._rows(
            "SELECT number, image_id FROM palettes WHERE number = ANY(%s)", (list(numbers),)
        )
        return {row["number"]: row["image_id"] for row in rows}

    async def _store_colors(self, number: int, tenant_id: UUID, palette: Palette) -> None:
        await self._connection.execute("DELETE FROM image_colors WHERE number = %s", (number,))
        async with self._connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO image_colors (number, rank, tenant_id, cell, rgb, percentage, name,"
                " family) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    (
                        number,
                        color.rank,
                        tenant_id,
                        cell_of(color.rgb),
                        color.rgb.number,
                        color.percentage,
                        color.name,
                        color.family,
                    )
                    for color in palette.colors
                ],
            )

    async def _rows(self, query: str, parameters: tuple[object, ...]) -> list[Row]:
        cursor = await self._connection.execute(query.encode(), parameters)
        return await cursor.fetchall()


def _to_extraction(row: Mapping[str, Any]) -> Extraction:
    return Extraction(
        image_id=row["image_id"],
        tenant_id=row["tenant_id"],
        status=PaletteStatus(row["status"]),
        n_colors=row["n_colors"],
        palette=row["analysis"] and _palette.validate_python(row["analysis"]),
        error=row["error"],
        extracted_at=row["extracted_at"],
    )
