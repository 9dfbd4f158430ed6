"""The tables ``images`` and ``variants``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ocelli.domain.analysis import Status
from ocelli.domain.images import Original, StorageTarget, VariantStatus
from ocelli.storage.postgres.analyses import ADD_ANALYSES, new_rows
from ocelli.storage.postgres.annotations import edits_of
from ocelli.storage.postgres.jobs import ENQUEUE, NOTHING, Origins, analyse_jobs, variants_jobs
from ocelli.storage.postgres.library import ADD_ENTRIES, PostgresLibrary, new_entry
from ocelli.storage.postgres.reviews import PostgresReviews
from ocelli.storage.postgres.rows import ALWAYS, recordset, to_analysis, to_image, to_variant
from ocelli.storage.postgres.usage import GRANTED, OUTCOME, count

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.file_query import FileQuery
    from ocelli.domain.images import Image, Variant
    from ocelli.domain.paging import Key, PageRequest
    from ocelli.domain.usage import Charge, Limit
    from ocelli.storage.postgres.rows import Connection, Row

_NEW = (
    "id, tenant_id, session_id, filename, object_key, storage_target, upload_method, content_type,"
    " format, size_bytes, sha256, width, height, title, tags, content_created_at, latitude,"
    " longitude, created_at, updated_at"
)
# Postgres looks at what refers to what when all of it is done.
_CHANGES = (
    f"shown AS ({ADD_ENTRIES}), added AS (INSERT INTO images ({_NEW}) SELECT {_NEW} FROM granted,"
    f" jsonb_populate_recordset(NULL::images, %(images)s)), asked AS ({ADD_ANALYSES}),"
    f" queued AS ({ENQUEUE})"
)
_QUEUED = "(SELECT count(*) FROM queued) AS queued"  # Postgres does not run what no query reads
_ADD = f"{ALWAYS}, {_CHANGES} SELECT {_QUEUED}"
_ADD_CHARGED = f"WITH {GRANTED}, {_CHANGES} SELECT {OUTCOME}, {_QUEUED}"
# From where variants may come to stand so. Once made, only a wish to have them made anew undoes it.
_VARIANTS_FROM = {
    VariantStatus.PENDING: list(VariantStatus),
    VariantStatus.PROCESSING: [VariantStatus.PENDING, VariantStatus.PROCESSING],
    VariantStatus.COMPLETED: [each for each in VariantStatus if each != VariantStatus.COMPLETED],
    VariantStatus.FAILED: [VariantStatus.PENDING, VariantStatus.PROCESSING],
}
# Of each picture the newest completed analysis, if there is one, before the newest other one; one
# that was called off only where there is nothing else.
_NEWEST_ANALYSES = (
    "SELECT DISTINCT ON (image_id, status = 'completed') * FROM analyses WHERE image_id = ANY(%s)"
    " ORDER BY image_id, status = 'completed' DESC, status = 'skipped', created_at DESC"
)
_PREFIX = re.compile(r"[0-9a-f]{8}")


class PostgresImages:
    """The repository of images."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(
        self,
        *images: Image,
        variants: Sequence[Image] = (),
        analyses: Sequence[Analysis] = (),
        charge: Charge | None = None,
        origins: Origins = NOTHING,
    ) -> Limit | None:
        """Insert new images of one tenant; their files must be in the store already.

        Also inserts ``analyses``, the jobs of those behind the tenant's own backlog, the jobs for
        ``variants``, and counts ``charge``. If that reaches a limit, nothing is inserted and the
        limit is returned. All in one statement, so atomic by itself. ``origins`` are the requests
        by which they came, if by several.
        """
        if not images:
            return None
        new = {
            "tenant_id": images[0].tenant_id,
            "entries": recordset(new_entry(each) for each in images),
            "images": recordset(_new_row(each) for each in images),
            "analyses": new_rows(analyses),
            "jobs": recordset(
                [*analyse_jobs(analyses, origins), *variants_jobs(variants, origins)]
            ),
        }
        if charge is None:
            await self._connection.execute(_ADD, new)
            return None
        return await count(self._connection, _ADD_CHARGED, charge, **new)

    async def get(self, tenant_id: UUID, id_or_prefix: str) -> Image | None:
        """Return an image by id, or by its first 8 characters if they are unique; else None."""
        span = _id_span(id_or_prefix)
        if span is None:
            return None
        rows = await self._select(
            "tenant_id = %s AND id BETWEEN %s AND %s AND deleted_at IS NULL LIMIT 2",
            (tenant_id, *span),
        )
        return rows[0] if len(rows) == 1 else None

    async def find(self, id: UUID) -> Image | None:
        """Return an image of any tenant, also a deleted one, for workers; None if unknown."""
        rows = await self._select("id = %s", (id,))
        return rows[0] if rows else None

    async def by_ids(self, ids: list[UUID]) -> Sequence[Image]:
        """Return the images that exist and are not deleted, in no order."""
        return await self._select("id = ANY(%s) AND deleted_at IS NULL", (ids,))

    async def existing(self, tenant_id: UUID, ids: Sequence[UUID]) -> Sequence[UUID]:
        """Return those of the ids that are pictures of the tenant, in their order."""
        rows = await self._rows(
            "SELECT id FROM images WHERE tenant_id = %s AND id = ANY(%s) AND deleted_at IS NULL",
            (tenant_id, list(ids)),
        )
        known = {row["id"] for row in rows}
        return [id for id in dict.fromkeys(ids) if id in known]

    async def by_hashes(self, tenant_id: UUID, hashes: Sequence[str]) -> dict[str, UUID]:
        """Return the ids of the tenant's oldest image of each hash that it has."""
        rows = await self._rows(
            "SELECT DISTINCT ON (sha256) sha256, id FROM images WHERE tenant_id = %s"
            " AND sha256 = ANY(%s) AND deleted_at IS NULL ORDER BY sha256, created_at",
            (tenant_id, [bytes.fromhex(each) for each in hashes]),
        )
        return {row["sha256"].hex(): row["id"] for row in rows}

    async def stuck(self, tenant_id: UUID, *, minutes: int, limit: int) -> Sequence[Image]:
        """Return images with analyses that are unfinished after ``minutes``, oldest first."""
        return await self._select(
            "tenant_id = %s AND deleted_at IS NULL AND id IN (SELECT image_id FROM analyses"
            " WHERE tenant_id = %s AND status IN ('queued', 'processing')"
            " AND created_at < now() - make_interval(mins => %s) ORDER BY created_at LIMIT %s)"
            " ORDER BY created_at",
            (tenant_id, tenant_id, minutes, limit),
        )

    async def by_hash(self, tenant_id: UUID, sha256: str) -> Image | None:
        """Return the tenant's oldest image of this hash; None if there is none."""
        rows = await self._select(
            "tenant_id = %s AND sha256 = %s AND deleted_at IS NULL ORDER BY created_at LIMIT 1",
            (tenant_id, bytes.fromhex(sha256)),
        )
        return rows[0] if rows else None

    async def by_key(self, tenant_id: UUID, object_key: str) -> Image | None:
        """Return the tenant's picture that is stored under this key, or None."""
        rows = await self._select(
            "tenant_id = %s AND object_key = %s AND deleted_at IS NULL LIMIT 1",
            (tenant_id, object_key.replace("\0", "")),
        )
        return rows[0] if rows else None

    async def page(
        self,
        tenant_id: UUID,
        query: FileQuery,
        *,
        limit: int,
        offset: int,
        after: Key | None = None,
    ) -> tuple[Sequence[Image], int]:
        """Return a page of images, and the total number; see PostgresLibrary.page.

        What is deleted between the two queries is still in it: the page was as long.
        """
        ids, total = await PostgresLibrary(self._connection).page(
            tenant_id, query, limit=limit, offset=offset, after=after
        )
        found = {image.id: image for image in await self._select("id = ANY(%s)", (list(ids),))}
        return [found[id] for id in ids if id in found], total

    async def count_outside_of_folders(self, tenant_id: UUID) -> int:
        """Return how many images of a tenant are in no folder."""
        (row,) = await self._rows(
            "SELECT count(*) AS count FROM images"
            " WHERE tenant_id = %s AND folder_id IS NULL AND deleted_at IS NULL",
            (tenant_id,),
        )
        return int(row["count"])

    async def matches(
        self, tenant_id: UUID, query: FileQuery, *, limit: int, offset: int = 0
    ) -> tuple[Sequence[UUID], int]:
        """Return the ids of a page of matches, and the number of matches."""
        return await PostgresLibrary(self._connection).page(
            tenant_id, query, limit=limit, offset=offset
        )

    async def originals(
        self, tenant_id: UUID, query: FileQuery, *, limit: int
    ) -> tuple[Sequence[Original], int]:
        """Return the stored files of the first ``limit`` matches, and the number of matches."""
        ids, total = await self.matches(tenant_id, query, limit=limit)
        rows = await self._rows(
            "SELECT id, object_key, storage_target FROM images"
            " WHERE id = ANY(%s) AND deleted_at IS NULL",
            (list(ids),),
        )
        found = {
            row["id"]: Original(row["id"], row["object_key"], StorageTarget(row["storage_target"]))
            for row in rows
        }
        return [found[id] for id in ids if id in found], total

    async def stale(self, limit: int) -> Sequence[UUID]:
        """Return ids of images whose search words were folded by an older version."""
        rows = await self._rows("SELECT image_id FROM library WHERE stale LIMIT %s", (limit,))
        return [row["image_id"] for row in rows]

    async def refold(self, id: UUID) -> None:
        """Refold the search words of an image."""
        await PostgresLibrary(self._connection).refresh(id)

    async def delete(self, tenant_id: UUID, id: UUID) -> datetime | None:
        """Mark as deleted; return the time, None if there is no such image."""
        cursor = await self._connection.execute(
            "UPDATE images SET deleted_at = now(), updated_at = now()"
            " WHERE tenant_id = %s AND id = %s AND deleted_at IS NULL RETURNING deleted_at",
            (tenant_id, id),
        )
        row = await cursor.fetchone()
        await PostgresLibrary(self._connection).refresh(id)
        await PostgresReviews(self._connection).remove(id)
        return row["deleted_at"] if row else None

    async def lock(self, tenant_id: UUID, id: UUID) -> Image | None:
        """Return an image, which no other transaction changes until this one ends; else None."""
        await self._rows("SELECT 1 FROM images WHERE id = %s FOR NO KEY UPDATE", (id,))
        return await self.get(tenant_id, str(id))

    async def change(
        self, id: UUID, *, title: str | None, tags: Sequence[str], revision: int
    ) -> None:
        """Set what people say; the rows of ``edits`` must be there already."""
        await self._connection.execute(
            "UPDATE images SET title = %s, tags = %s, revision = %s, updated_at = now()"
            " WHERE id = %s",
            (title, list(tags), revision, id),
        )
        await PostgresLibrary(self._connection).refresh(id)

    async def edited(self, tenant_id: UUID, page: PageRequest) -> Sequence[Image]:
        """Return a page of the images that people changed, by id; its key is (id)."""
        return await self._select(
            "tenant_id = %s AND revision > 0 AND deleted_at IS NULL AND id > %s"
            " ORDER BY id LIMIT %s",
            (tenant_id, page.after[0] if page.after else UUID(int=0), page.look_ahead),
        )

    async def unknown(self, keys: Sequence[str]) -> Sequence[str]:
        """Return the object keys of known tenants, and of erased ones, that have no row.

        Other keys than ``kind/tenant/...`` may be another program's, and are never returned.
        """
        rows = await self._rows(
            "SELECT key FROM unnest(%s::text[]) AS key"
            " WHERE split_part(key, '/', 2) IN (SELECT id::text FROM tenants"
            " UNION SELECT tenant_id::text FROM erasures WHERE kind = 'tenant')"
            " AND NOT EXISTS (SELECT 1 FROM images i WHERE i.object_key = key)"
            " AND NOT EXISTS (SELECT 1 FROM variants v WHERE v.object_key = key)"
            " AND NOT EXISTS (SELECT 1 FROM exports e WHERE e.object_key = key)"
            " AND NOT EXISTS (SELECT 1 FROM analyses a"
            " WHERE a.object_key = key AND a.image_id IS NULL)",
            (list(keys),),
        )
        return [row["key"] for row in rows]

    async def deleted(self, *, older_than: float, limit: int, skip: int = 0) -> Sequence[Image]:
        """Return images of all tenants deleted more than ``older_than`` seconds ago, oldest first.

        The first ``skip`` are left out.
        """
        return await self._select(
            "deleted_at < now() - make_interval(secs => %s) ORDER BY deleted_at, id"
            " LIMIT %s OFFSET %s",
            (older_than, limit, skip),
        )

    async def forget(self, id: UUID) -> None:
        """Delete the row and its dependants; the objects must be deleted already."""
        await self._connection.execute("DELETE FROM images WHERE id = %s", (id,))

    async def lock_content(self, tenant_id: UUID, sha256: str) -> None:
        """Lock a hash until the transaction ends, against concurrent inserts of the same bytes."""
        await self._connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{tenant_id}:{sha256}",)
        )

    async def set_variants(
        self,
        id: UUID,
        status: VariantStatus,
        variants: Sequence[Variant] = (),
        *,
        blur_hash: str | None = None,
        error: str | None = None,
    ) -> bool:
        """Set the state of the variants; ``variants`` replace stored ones of the same type.

        False, without changes, if the image is deleted or the present state does not allow it: of
        two workers with the same job the second must not undo what the first has done.
        """
        cursor = await self._connection.execute(
            "UPDATE images SET variant_status = %s, variant_error = %s,"
            " blur_hash = coalesce(%s, blur_hash), updated_at = now()"
            " WHERE id = %s AND deleted_at IS NULL AND variant_status = ANY(%s)",
            (status, error, blur_hash, id, _VARIANTS_FROM[status]),
        )
        if not cursor.rowcount:
            return False
        async with self._connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO variants (image_id, type, object_key, width, height, size_bytes)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (image_id, type) DO UPDATE SET"
                " object_key = excluded.object_key, width = excluded.width,"
                " height = excluded.height, size_bytes = excluded.size_bytes",
                [(id, v.type, v.object_key, v.width, v.height, v.size_bytes) for v in variants],
            )
        return True

    async def _select(self, where: str, parameters: tuple[object, ...]) -> Sequence[Image]:
        query = f"SELECT *, {edits_of('images')} AS edits FROM images WHERE {where}"
        rows = await self._rows(query, parameters)
        ids = [row["id"] for row in rows]
        described: dict[UUID, Analysis] = {}
        newest: dict[UUID, Analysis] = {}
        for row in await self._rows(_NEWEST_ANALYSES, (ids,)):
            analysis = to_analysis(row)
            if analysis.status is Status.COMPLETED:
                described[row["image_id"]] = analysis
            known = newest.setdefault(row["image_id"], analysis)
            if analysis.status is not Status.SKIPPED and analysis.created_at > known.created_at:
                newest[row["image_id"]] = analysis
        variants: dict[UUID, list[Variant]] = {}
        for row in await self._rows("SELECT * FROM variants WHERE image_id = ANY(%s)", (ids,)):
            variants.setdefault(row["image_id"], []).append(to_variant(row))
        return [
            to_image(
                row,
                variants=variants.get(row["id"], ()),
                analysis=newest.get(row["id"]),
                described=described.get(row["id"]),
            )
            for row in rows
        ]

    async def _rows(self, query: str, parameters: tuple[object, ...]) -> list[Row]:
        cursor = await self._connection.execute(query.encode(), parameters)
        return await cursor.fetchall()


def _new_row(image: Image) -> dict[str, Any]:
    return {
        "id": image.id,
        "tenant_id": image.tenant_id,
        "session_id": image.session_id,
        "filename": image.filename,
        "object_key": image.object_key,
        "storage_target": image.storage_target,
        "upload_method": image.upload_method,
        "content_type": image.content_type,
        "format": image.format,
        "size_bytes": image.size_bytes,
        "sha256": f"\\x{image.sha256}",
        "width": image.width,
        "height": image.height,
        "title": image.title,
        "tags": image.tags,
        "content_created_at": image.content_created_at,
        "latitude": image.content_location and image.content_location.latitude,
        "longitude": image.content_location and image.content_location.longitude,
        "created_at": image.created_at,
        "updated_at": image.updated_at,
    }


def _id_span(id_or_prefix: str) -> tuple[UUID, UUID] | None:
    """Return the first and the last id that match; None for a text that is no id or prefix."""
    if _PREFIX.fullmatch(id_or_prefix.lower()):
        prefix = id_or_prefix.lower()
        return UUID(prefix + "0" * 24), UUID(prefix + "f" * 24)
    try:
        id = UUID(id_or_prefix)
    except ValueError:
        return None
    return id, id
