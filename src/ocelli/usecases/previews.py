"""Small copies of pictures that are in no library, made when they are looked at."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ocelli.domain.errors import AnalysisFailed, NotFound
from ocelli.media.decode import decode
from ocelli.media.encode import jpeg

if TYPE_CHECKING:
    from uuid import UUID

    from ocelli.usecases.adhoc import AdHocAnalyses
    from ocelli.usecases.decoders import DecoderPool
    from ocelli.usecases.store_resolver import StoreResolver

SIDE, QUALITY = 512, 80


class Previews:
    """JPEGs of at most ``SIDE`` pixels, without metadata."""

    def __init__(self, adhoc: AdHocAnalyses, stores: StoreResolver, decoders: DecoderPool) -> None:
        self._adhoc = adhoc
        self._stores = stores
        self._decoders = decoders

    async def of(self, tenant_id: UUID, analysis_id: UUID) -> bytes:
        """Return the picture of an analysis. Raises NotFound also where it is none or gone."""
        analysis = await self._adhoc.get(tenant_id, analysis_id)
        if not analysis.object_key:
            raise NotFound("Picture", str(analysis_id))
        store = await self._stores.find(tenant_id, analysis.storage_target)
        try:
            data = await store.read(analysis.object_key) if store is not None else b""
            make = partial(self._make, data)
            return await self._decoders.decode(tenant_id, data, make, side=SIDE)
        except (AnalysisFailed, FileNotFoundError):
            raise NotFound("Picture", str(analysis_id)) from None

    def _make(self, data: bytes) -> bytes:
        picture = decode(data, max_side=SIDE, max_pixels=self._decoders.max_pixels)
        return jpeg(picture, side=SIDE, quality=QUALITY)
