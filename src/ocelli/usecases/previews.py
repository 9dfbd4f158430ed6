"""Small copies of pictures that have none, made when they are looked at."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ocelli.domain.errors import AnalysisFailed, NotFound
from ocelli.media.decode import decode
from ocelli.media.encode import jpeg
from ocelli.usecases.capacity import Capacity

if TYPE_CHECKING:
    from uuid import UUID

    from ocelli.domain.images import StorageTarget
    from ocelli.usecases.adhoc import AdHocAnalyses
    from ocelli.usecases.decoders import DecoderPool
    from ocelli.usecases.files import Files
    from ocelli.usecases.store_resolver import StoreResolver

SIDE, QUALITY = 512, 80
AT_ONCE = 2  # files of pictures in memory, one of a tenant


class Previews:
    """JPEGs of at most ``SIDE`` pixels, without metadata.

    They are for people who look at once: variants of the library are made after all descriptions.
    """

    def __init__(
        self, files: Files, adhoc: AdHocAnalyses, stores: StoreResolver, decoders: DecoderPool
    ) -> None:
        self._files = files
        self._adhoc = adhoc
        self._stores = stores
        self._decoders = decoders
        self._turns = Capacity(AT_ONCE, share=1, what="picture decoder")

    async def of_analysis(self, tenant_id: UUID, id: UUID) -> bytes:
        """Return the picture of an analysis. Raises NotFound also where it is none or gone."""
        analysis = await self._adhoc.get(tenant_id, id)
        if not analysis.object_key:
            raise NotFound("Picture", str(id))
        return await self._of(tenant_id, str(id), analysis.storage_target, analysis.object_key)

    async def of_image(self, tenant_id: UUID, id: str) -> bytes:
        """Return a picture of the library. Raises NotFound also where it is none or gone."""
        image = await self._files.get(tenant_id, id)
        return await self._of(tenant_id, id, image.storage_target, image.object_key)

    async def _of(self, tenant_id: UUID, id: str, target: StorageTarget, key: str) -> bytes:
        store = await self._stores.find(tenant_id, target)
        try:
            async with self._turns.acquire(tenant_id, 1):
                data = await store.read(key) if store is not None else b""
                make = partial(self._make, data)
                return await self._decoders.decode(tenant_id, data, make, side=SIDE)
        except (AnalysisFailed, FileNotFoundError):
            raise NotFound("Picture", id) from None

    def _make(self, data: bytes) -> bytes:
        picture = decode(data, max_side=SIDE, max_pixels=self._decoders.max_pixels)
        return jpeg(picture, side=SIDE, quality=QUALITY)
