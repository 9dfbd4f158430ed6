"""Stored pictures: reading, changing and deleting them, their URLs and variants."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from ocelli.domain.analysis import Status
from ocelli.domain.errors import NotFound, StorageAccessDenied
from ocelli.domain.file_query import FileQuery
from ocelli.domain.images import StorageTarget, Variant, VariantStatus, VariantType
from ocelli.media.colors import extract
from ocelli.media.decode import decode
from ocelli.media.variants import render
from ocelli.usecases.job_failures import is_settled
from ocelli.usecases.lookup import existing, parse_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.colors import Palette
    from ocelli.domain.images import Image
    from ocelli.domain.paging import PageRequest
    from ocelli.domain.ports_storage import Objects
    from ocelli.media.variants import Rendered
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.usecases.decoders import DecoderPool
    from ocelli.usecases.store_resolver import StoreResolver

URL_LIFETIME = 3600
COLOR_SIDE = 256  # pixels; colours need no more
LOST_AFTER = timedelta(minutes=10)  # smaller copies that were not made by then are made anew


@dataclass(frozen=True, slots=True)
class Page:
    """One page of pictures."""

    images: Sequence[Image]
    total: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class Deletion:
    """The result of deleting one of several files."""

    id: str
    status: Literal["deleted", "skipped", "failed"]
    message: str | None = None
    deleted_at: datetime | None = None


class Files:
    """Use cases around one tenant's pictures."""

    def __init__(self, database: PostgresDatabase, stores: StoreResolver) -> None:
        self._database = database
        self._stores = stores

    async def get(self, tenant_id: UUID, id: str) -> Image:
        """Return a picture by its id, or the first 8 characters of it. Raises NotFound."""
        async with self._database.autocommit() as tx:
            image = await tx.images.get(tenant_id, id)
        if image is None:
            raise NotFound("File", id)
        return image

    async def id_of_item(self, tenant_id: UUID, item_id: str) -> UUID:
        """Return the id of the picture that an item of a batch is about. Raises NotFound.

        Those that a batch brought itself are not kept.
        """
        analysis_id = parse_id("Batch item", item_id)
        async with self._database.autocommit() as tx:
            analysis = await tx.analyses.get(tenant_id, analysis_id)
        image_id = None if analysis is None else analysis.image_id
        return existing(image_id, "Batch item", item_id)

    async def finished(self, tenant_id: UUID, ids: Sequence[UUID]) -> Sequence[Analysis]:
        """Return the final analyses of these pictures, in one query."""
        async with self._database.autocommit() as tx:
            return await tx.analyses.finished(tenant_id, ids)

    async def with_history(self, tenant_id: UUID, id: str) -> tuple[Image, Sequence[Analysis]]:
        """Return a picture, as ``get`` does, with all its analyses, oldest first.

        Both of one moment, so that the history never knows more than the picture shows.
        """
        async with self._database.snapshot() as tx:
            image = await tx.images.get(tenant_id, id)
            if image is None:
                raise NotFound("File", id)
            return image, await tx.analyses.of_image(tenant_id, image.id)

    async def history(self, image: Image) -> Sequence[Analysis]:
        """Return all analyses of a picture, oldest first."""
        async with self._database.autocommit() as tx:
            return await tx.analyses.of_image(image.tenant_id, image.id)

    async def page(self, tenant_id: UUID, query: FileQuery, page: PageRequest) -> Page:
        """Return a page of the matching pictures, in the order of the query."""
        async with self._database.transaction() as tx:
            found, total = await tx.images.page(
                tenant_id, query, limit=page.look_ahead, offset=page.offset, after=page.after
            )
        images, more = page.cut(found)
        return Page(images, total, more)

    async def ids(self, tenant_id: UUID, page: PageRequest) -> tuple[Sequence[UUID], int]:
        """Return a page of the ids of all pictures, the newest first, and their number."""
        async with self._database.transaction() as tx:
            return await tx.images.matches(
                tenant_id, FileQuery(), limit=page.limit, offset=page.offset
            )

    async def count_outside_of_folders(self, tenant_id: UUID) -> int:
        """Return how many pictures are in no folder."""
        async with self._database.autocommit() as tx:
            return await tx.images.count_outside_of_folders(tenant_id)

    async def delete(self, tenant_id: UUID, id: str) -> tuple[Image, datetime]:
        """Mark a picture as deleted, and release its storage quota.

        Raises NotFound, also if it was deleted before.
        """
        async with self._database.transaction() as tx:
            image = await tx.images.get(tenant_id, id)
            deleted_at = await tx.images.delete(tenant_id, image.id) if image else None
            if image is not None and deleted_at is not None:
                await tx.usage.free(tenant_id, image.size_bytes)
        if image is None or deleted_at is None:
            raise NotFound("File", id)
        return image, deleted_at

    async def delete_many(self, tenant_id: UUID, ids: Sequence[str]) -> Sequence[Deletion]:
        """Delete each file; skip those that are being processed."""
        return [await self._delete(tenant_id, id) for id in dict.fromkeys(ids)]

    async def remake_variants(self, tenant_id: UUID, id: str) -> tuple[Image, bool]:
        """Enqueue the variants again; False if that is in progress already. Raises NotFound."""
        image = await self.get(tenant_id, id)
        unfinished = image.variant_status in (VariantStatus.PENDING, VariantStatus.PROCESSING)
        if unfinished and datetime.now(UTC) - image.updated_at < LOST_AFTER:
            return image, False
        async with self._database.transaction() as tx:
            if not await tx.images.set_variants(image.id, VariantStatus.PENDING):
                raise NotFound("File", id)
            await tx.jobs.make_variants(image)
        return replace(image, variant_status=VariantStatus.PENDING), True

    async def _delete(self, tenant_id: UUID, id: str) -> Deletion:
        try:
            image = await self.get(tenant_id, id)
            if is_being_processed(image):
                return Deletion(id, "skipped", "It is being processed. Try again in a moment.")
            image, deleted_at = await self.delete(tenant_id, str(image.id))
        except NotFound as error:
            return Deletion(id, "failed", error.message)
        return Deletion(str(image.id), "deleted", None, deleted_at)

    async def links(self, images: Iterable[Image]) -> Links:
        """Return the builder of URLs for these pictures."""
        return Links(await self._stores.stores_of(images))

    async def origins(self, tenant_id: UUID) -> list[str]:
        """Return the origins of the URLs of a tenant's pictures, but for this server's own."""
        urls = []
        for target in StorageTarget:
            with suppress(StorageAccessDenied):
                store = await self._stores.find(tenant_id, target)
                if store is not None:
                    urls.append(store.url("a", expires_in=URL_LIFETIME, content_type="image/webp"))
        parts = map(urlsplit, urls)
        return list(
            dict.fromkeys(f"{each.scheme}://{each.netloc}" for each in parts if each.netloc)
        )

    async def download_url(self, image: Image) -> str:
        """Return a URL with which browsers save the original; it is valid for an hour.

        Raises StorageAccessDenied if its bucket is no longer configured.
        """
        store = await self._stores.store_of(image)
        return store.url(
            image.object_key,
            expires_in=URL_LIFETIME,
            content_type=image.content_type,
            filename=image.filename,
        )


def is_being_processed(image: Image) -> bool:
    """Return whether a worker is processing the picture."""
    analysed = image.analysis is not None and image.analysis.status is Status.PROCESSING
    return analysed or image.variant_status is VariantStatus.PROCESSING


def variant_key(tenant_id: UUID, image_id: UUID, type: VariantType) -> str:
    """Return under which key a variant is stored."""
    return f"variants/{tenant_id}/{image_id}/{type}.webp"


class Links:
    """Builds URLs of pictures that need no API key and are valid for an hour."""

    def __init__(self, stores: Mapping[tuple[UUID, StorageTarget], Objects]) -> None:
        self._stores = stores

    def url(self, image: Image, type: VariantType) -> str | None:
        """Return the URL; None if there is no such variant, or its store is not configured."""
        store = self._stores.get((image.tenant_id, image.storage_target))
        if store is None:
            return None
        if type is VariantType.ORIGINAL:
            return store.url(
                image.object_key, expires_in=URL_LIFETIME, content_type=image.content_type
            )
        for variant in image.variants:
            if variant.type is type:
                return store.url(
                    variant.object_key, expires_in=URL_LIFETIME, content_type="image/webp"
                )
        return None


class MakeVariants:
    """The job that makes the variants of a picture. Safe to run twice."""

    def __init__(
        self,
        database: PostgresDatabase,
        stores: StoreResolver,
        decoders: DecoderPool,
    ) -> None:
        self._database = database
        self._stores = stores
        self._decoders = decoders

    async def run(self, id: UUID, *, last_attempt: bool) -> None:
        """Make and store all variants, then record them in one transaction.

        Raises an error for a retry.
        """
        async with self._database.transaction() as tx:
            image = await tx.images.find(id)
            if image is None or image.deleted_at is not None:
                return
            if not await tx.images.set_variants(id, VariantStatus.PROCESSING):
                return
        try:
            variants, blur_hash, palette = await self._make(image)
        except Exception as error:
            message = "The smaller copies could not be made."
            give_up = partial(self.give_up, id)
            if await is_settled(error, give_up, message, last_attempt=last_attempt):
                return
            raise
        async with self._database.transaction() as tx:
            done = await tx.images.set_variants(
                id, VariantStatus.COMPLETED, variants, blur_hash=blur_hash
            )
            if done and palette is not None:
                await tx.colors.complete(id, palette)
            erased = not done and await tx.images.find(id) is None
        if erased:
            store = await self._stores.store_of(image)
            for variant in variants:
                await store.delete(variant.object_key)

    async def give_up(self, id: UUID, reason: str) -> None:
        """Fail the variants: of a broken picture, or because the workers died."""
        async with self._database.transaction() as tx:
            await tx.images.set_variants(id, VariantStatus.FAILED, error=reason)

    async def _make(self, image: Image) -> tuple[list[Variant], str, Palette | None]:
        store = await self._stores.store_of(image)
        data = await store.read(image.object_key)
        # Colours come with the analysis; where there is none, with the smaller copies.
        rendered, palette = await self._decoders.decode(
            image.tenant_id,
            data,
            partial(self._render, data, image.analysis is None),
            side=VariantType.LARGE.side,
        )
        variants = []
        for each in rendered.variants:
            key = variant_key(image.tenant_id, image.id, each.type)
            with self._stores.new_blob() as blob:
                await asyncio.to_thread(blob.write, each.data)
                await store.put(key, blob, "image/webp")
            variants.append(Variant(each.type, key, each.width, each.height, len(each.data)))
        return variants, rendered.blur_hash, palette

    def _render(self, data: bytes, colors: bool) -> tuple[Rendered, Palette | None]:
        max_pixels = self._decoders.max_pixels
        rendered = render(data, max_pixels=max_pixels)
        if not colors:
            return rendered, None
        small = decode(data, max_side=COLOR_SIDE, max_pixels=max_pixels)
        return rendered, extract(small.pixels)
