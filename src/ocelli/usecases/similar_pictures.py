"""Find pictures that are like another one: by how they look, or by what is said of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ocelli.domain.embeddings import picture_model
from ocelli.domain.errors import AnalysisFailed, ValidationFailed
from ocelli.domain.file_query import FileQuery
from ocelli.usecases.lookup import existing
from ocelli.usecases.picture_index import look
from ocelli.usecases.text_index import mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.embeddings import PictureEmbedder
    from ocelli.domain.images import Image
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction
    from ocelli.usecases.decoders import DecoderPool
    from ocelli.usecases.embeddings import Embeddings

ALL = FileQuery()


class Likeness(StrEnum):
    """By what pictures were compared: by how they look, or by their descriptions."""

    LOOKS = "looks"
    DESCRIPTION = "description"


@dataclass(frozen=True, slots=True)
class SimilarPicture:
    """A picture and its cosine to the one that was asked about."""

    image: Image
    cosine: float


@dataclass(frozen=True, slots=True)
class Similar:
    """The most similar pictures first; ``by`` is None while the picture has no vector."""

    pictures: Sequence[SimilarPicture]
    by: Likeness | None


class SimilarPictures:
    """Compares by looks where a model for that is set, else by descriptions."""

    def __init__(
        self,
        database: PostgresDatabase,
        embeddings: Embeddings,
        decoders: DecoderPool,
        embedder: PictureEmbedder | None,
    ) -> None:
        self._database = database
        self._embeddings = embeddings
        self._decoders = decoders
        self._embedder = embedder

    @property
    def sees(self) -> bool:
        """Whether pictures can be compared by their looks."""
        return self._embedder is not None

    async def to_stored(self, tenant_id: UUID, id: str, *, limit: int) -> Similar:
        """Return the pictures that are like one of the library. Raises NotFound, Unavailable."""
        async with self._database.transaction() as tx:
            image = existing(await tx.images.get(tenant_id, id), "File", id)
        return await self._to(image, limit)

    async def to_key(self, tenant_id: UUID, object_key: str, *, limit: int) -> Similar:
        """Return the pictures that are like the one with this key. Raises NotFound, Unavailable."""
        async with self._database.transaction() as tx:
            image = existing(await tx.images.by_key(tenant_id, object_key), "Object", object_key)
        return await self._to(image, limit)

    async def _to(self, image: Image, limit: int) -> Similar:
        tenant_id = image.tenant_id
        if (found := await self._by_looks(tenant_id, image.id, limit)) is not None:
            return found
        model = self._embeddings.embedder.model_version
        async with self._database.transaction() as tx:
            if not await tx.text_vectors.available():
                return Similar((), None)
            vector = await tx.text_vectors.vector_of(image.id, model=model)
            if vector is None:
                return Similar((), None)
            return await self._near_text(tx, tenant_id, vector, limit, without=image.id)

    async def to_picture(self, tenant_id: UUID, data: bytes, *, limit: int) -> Similar:
        """Return the pictures that look like the one in ``data``.

        Only where ``sees``. Raises ValidationFailed if it is no picture, Unavailable.
        """
        assert self._embedder is not None
        try:
            picture = await look(self._decoders, tenant_id, data)
            vector = await self._embedder.embed_picture(picture)
        except AnalysisFailed as error:
            raise ValidationFailed(error.message, field="image") from error
        model = picture_model(self._embedder, vector)
        async with self._database.transaction() as tx:
            if not await tx.picture_vectors.available():
                return Similar((), None)
            return await self._near_picture(tx, tenant_id, vector, limit, model=model)

    async def to_texts(self, tenant_id: UUID, texts: Sequence[str], *, limit: int) -> Similar:
        """Return the pictures whose descriptions are like these texts. Raises Unavailable."""
        if not texts:
            return Similar((), None)
        embeddings = await self._embeddings.embed(texts)
        vector = mean([each.vector for each in embeddings])
        async with self._database.transaction() as tx:
            if not await tx.text_vectors.available():
                return Similar((), None)
            return await self._near_text(tx, tenant_id, vector, limit)

    async def _by_looks(self, tenant_id: UUID, image_id: UUID, limit: int) -> Similar | None:
        """Return None where there is no vector of the picture's looks."""
        if self._embedder is None:
            return None
        async with self._database.transaction() as tx:
            if not await tx.picture_vectors.available():
                return None
            stored = await tx.picture_vectors.stored(image_id)
            if stored is None or stored[1] != picture_model(self._embedder, stored[0]):
                return None
            vector, model = stored
            return await self._near_picture(
                tx, tenant_id, vector, limit, model=model, without=image_id
            )

    async def _near_text(
        self,
        tx: PostgresTransaction,
        tenant_id: UUID,
        vector: Sequence[float],
        limit: int,
        *,
        without: UUID | None = None,
    ) -> Similar:
        model = self._embeddings.embedder.model_version
        near = await tx.text_vectors.nearest(ALL, tenant_id, vector, model=model, limit=limit + 1)
        return await _loaded(tx, near, limit, Likeness.DESCRIPTION, without)

    async def _near_picture(
        self,
        tx: PostgresTransaction,
        tenant_id: UUID,
        vector: Sequence[float],
        limit: int,
        *,
        model: str,
        without: UUID | None = None,
    ) -> Similar:
        near = await tx.picture_vectors.nearest(
            ALL, tenant_id, vector, model=model, limit=limit + 1
        )
        return await _loaded(tx, near, limit, Likeness.LOOKS, without)


async def _loaded(
    tx: PostgresTransaction,
    near: Sequence[tuple[UUID, float]],
    limit: int,
    by: Likeness,
    without: UUID | None,
) -> Similar:
    cosines = {id: cosine for id, cosine in near if id != without}
    images = {image.id: image for image in await tx.images.by_ids([*cosines][:limit])}
    return Similar([SimilarPicture(images[id], cosines[id]) for id in cosines if id in images], by)
