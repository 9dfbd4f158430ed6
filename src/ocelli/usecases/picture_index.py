"""Keep a vector of how each picture looks, where a model for that is set."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from ocelli.domain.embeddings import picture_model
from ocelli.domain.errors import AnalysisFailed, NotFound, Unavailable
from ocelli.media.decode import decode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.embeddings import PictureEmbedder
    from ocelli.domain.images import Image
    from ocelli.media.decode import Picture
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.usecases.decoders import DecoderPool
    from ocelli.usecases.store_resolver import StoreResolver

log = logging.getLogger(__name__)

SIDE = 512  # pixels: models look at 224 to 512
AT_ONCE = 20  # pictures
MAX_SECONDS = 5.0  # of one ``catch_up``: the sweep of a worker waits for it
LOOK_FOR_MISSING = 600.0  # seconds between two searches for pictures without a vector


class PictureIndex:
    """Embeds the pictures of the library; safe to repeat, and to interrupt after any line."""

    def __init__(
        self,
        database: PostgresDatabase,
        stores: StoreResolver,
        decoders: DecoderPool,
        embedder: PictureEmbedder,
    ) -> None:
        self._database = database
        self._stores = stores
        self._decoders = decoders
        self._embedder = embedder
        self._model: str | None = None
        self._looked = float("-inf")

    async def embed(self, image_id: UUID) -> None:
        """Embed one picture; what goes wrong is done later."""
        try:
            await self._embed(image_id)
        except Exception as error:  # its description is stored, and must not fail for this
            log.warning("picture %s has no vector of its looks yet: %r", image_id, error)

    async def catch_up(self) -> int:
        """Embed waiting pictures for at most ``MAX_SECONDS``; return how many."""
        deadline = time.monotonic() + MAX_SECONDS
        count = 0
        try:
            await self._enqueue_missing()
            while time.monotonic() < deadline and (waiting := await self._next()):
                for image_id in waiting:
                    await self._embed(image_id)
                    count += 1
                    if time.monotonic() > deadline:
                        break
        except Unavailable as error:
            log.warning("pictures get no vectors of their looks now: %s", error.message)
        return count

    async def waiting(self) -> int | None:
        """Return how many pictures wait for their vector; None where none can be kept."""
        await self._enqueue_missing()
        async with self._database.transaction() as tx:
            return (
                await tx.picture_vectors.waiting() if await tx.picture_vectors.available() else None
            )

    async def renew(self) -> None:
        """Enqueue all pictures. Their vectors are made anew."""
        async with self._database.transaction() as tx:
            await tx.picture_vectors.enqueue_all()

    async def _enqueue_missing(self) -> None:
        if time.monotonic() < self._looked + LOOK_FOR_MISSING:
            return
        model = await self._model_name()
        async with self._database.transaction() as tx:
            if await tx.picture_vectors.available():
                await tx.picture_vectors.enqueue_missing(model)
        self._looked = time.monotonic()

    async def _model_name(self) -> str:
        """Return the name of the model; its index is there afterwards. Raises Unavailable."""
        if self._model is None:
            vector = await self._embedder.embed_text("a picture")
            model = picture_model(self._embedder, vector)
            async with self._database.transaction() as tx:
                if await tx.picture_vectors.available():
                    await tx.picture_vectors.index(len(vector), model=model)
            self._model = model
        return self._model

    async def _next(self) -> Sequence[UUID]:
        async with self._database.autocommit() as tx:
            if not await tx.picture_vectors.available():
                return ()
            return await tx.picture_vectors.waiting_longest(AT_ONCE)

    async def _embed(self, image_id: UUID) -> None:
        """Make the vector outside of any transaction. Raises Unavailable."""
        model = await self._model_name()
        async with self._database.autocommit() as tx:
            if not await tx.picture_vectors.available():
                return
            image = await tx.images.find(image_id)
            done = image is None or await tx.picture_vectors.has(image_id, model=model)
        vector = None if done or image is None else await self._vector(image)
        async with self._database.transaction() as tx:
            await tx.picture_vectors.settle(image_id)
            if not done:
                await tx.picture_vectors.put(image_id, vector, model=model)

    async def _vector(self, image: Image) -> Sequence[float] | None:
        """Return the vector; None if there can be none. Raises Unavailable."""
        try:
            store = await self._stores.store_of(image)
            data = await store.read(image.object_key)
            picture = await look(self._decoders, image.tenant_id, data)
            vector = await self._embedder.embed_picture(picture)
        except Unavailable:
            raise
        except (AnalysisFailed, NotFound) as error:
            if isinstance(error, AnalysisFailed) and error.retryable:
                raise Unavailable(error.message) from error
            log.warning("picture %s gets no vector of its looks: %r", image.id, error)
            return None
        if picture_model(self._embedder, vector) != self._model:
            self._model = None  # another model answers there than before
            raise Unavailable("the vectors of pictures have another length than those of texts")
        return vector


async def look(decoders: DecoderPool, tenant_id: UUID, data: bytes) -> Picture:
    """Decode a picture as embedders need it. Raises AnalysisFailed, Unavailable."""

    def work() -> Picture:
        return decode(data, max_side=SIDE, max_pixels=decoders.max_pixels)

    return await decoders.decode(tenant_id, data, work, side=SIDE)
