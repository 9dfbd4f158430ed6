"""Search a tenant's library by words and by meaning."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ocelli.domain.embeddings import picture_model
from ocelli.domain.errors import Unavailable
from ocelli.domain.file_query import FileQuery, SortBy
from ocelli.domain.ranking import fuse
from ocelli.domain.search import parse, without_excluded
from ocelli.usecases.files import Page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.embeddings import PictureEmbedder
    from ocelli.domain.images import Image
    from ocelli.domain.paging import PageRequest
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction
    from ocelli.usecases.embeddings import Embeddings

log = logging.getLogger(__name__)

# The best matches by words, and by meaning, that are put together: the end of what can be paged.
MOST_FOUND = 500
# Pictures with a lower cosine to a search are not found by meaning. Of 1,610 captions of 322 photos
# 68 % reach it with the description of their own photo, and 12 % of the pairs with another one.
LEAST_COSINE = 0.25
MOST_COMPARED = 1_000
MOST_RANKED = 1_000  # of the pictures whose words match, as many as are ranked by words
NO_EXTENSION = "the database lacks the extension pgvector"
ALL = FileQuery()


@dataclass(frozen=True, slots=True)
class Hit:
    """A picture that was found. ``cosine``: how near its words are; None if not by meaning."""

    image: Image
    score: float
    cosine: float | None


@dataclass(frozen=True, slots=True)
class Found:
    """A page of hits, the best first, and the ids of all. ``words_only``: why, or None.

    ``named`` are those of ``ids`` that were found by their words, not by meaning alone.
    """

    hits: Sequence[Hit]
    ids: Sequence[UUID]
    words_only: str | None
    named: Sequence[UUID] = ()


class LibrarySearch:
    """Ranks pictures by words and by meaning, by reciprocal rank fusion.

    Also by their looks, where a model for that is set.
    """

    def __init__(
        self,
        database: PostgresDatabase,
        embeddings: Embeddings,
        picture_embedder: PictureEmbedder | None = None,
    ) -> None:
        self._database = database
        self._embeddings = embeddings
        self._picture_embedder = picture_embedder

    async def search(
        self,
        tenant_id: UUID,
        text: str,
        filters: FileQuery = ALL,
        *,
        limit: int,
        offset: int = 0,
        named: str | None = None,
    ) -> Found:
        """Return the pictures that ``text`` describes, among those that match ``filters``.

        All of its words occur in what is said of a picture, or that means about the same. With
        ``named`` that is searched by words instead; empty: nothing is.
        """
        vector, words_only = await self._vector(text)
        looks = await self._looks(text)
        words = parse(text if named is None else named)
        by_words = replace(filters, search=words, sort_by=SortBy.RELEVANCE)
        async with self._database.transaction() as tx:
            by_name, _ = await tx.images.matches(tenant_id, by_words, limit=MOST_FOUND)
            cosines: dict[UUID, float] = {}
            if vector is not None and not await tx.text_vectors.available():
                words_only = NO_EXTENSION
            elif vector is not None:
                model = self._embeddings.embedder.model_version
                nearest = await tx.text_vectors.nearest(
                    filters, tenant_id, vector, model=model, limit=MOST_FOUND
                )
                cosines = {id: cosine for id, cosine in nearest if cosine >= LEAST_COSINE}
            rankings = [by_name] if words_only else [by_name, list(cosines)]
            if looks is not None:
                rankings += filter(None, [await self._fitting(tx, tenant_id, looks, filters)])
            ranked = fuse(*rankings)
            page = ranked[offset : offset + limit]
            images = {each.id: each for each in await tx.images.by_ids([id for id, _ in page])}
        hits = [Hit(images[id], score, cosines.get(id)) for id, score in page if id in images]
        return Found(hits, [id for id, _ in ranked], words_only, by_name)

    async def page(self, tenant_id: UUID, query: FileQuery, text: str, page: PageRequest) -> Page:
        """Return a page of the pictures whose words match, by words and by meaning.

        Their words alone decide which pictures these are, and how many. The first ``MOST_RANKED``
        of them are ranked anew, the others follow as ever: pages have neither gaps nor repeats.
        """
        wanted = without_excluded(text)
        vector, _ = await self._vector(wanted)
        looks = await self._looks(wanted)
        first_behind, needed = page.offset, page.look_ahead
        ids: list[UUID] = []
        async with self._database.transaction() as tx:
            if page.offset < MOST_RANKED:
                first, total = await tx.images.matches(tenant_id, query, limit=MOST_RANKED)
                ranked = await self._ranked(tx, tenant_id, first, vector, looks)
                ids = ranked[page.offset :][:needed]
                first_behind = MOST_RANKED
            if len(ids) < needed and (page.offset >= MOST_RANKED or total > MOST_RANKED):
                others, total = await tx.images.matches(
                    tenant_id, query, limit=needed - len(ids), offset=first_behind
                )
                ids += others
            shown, more = page.cut(ids)
            images = {each.id: each for each in await tx.images.by_ids(list(shown))}
        return Page([images[id] for id in shown if id in images], total, more)

    async def _ranked(
        self,
        tx: PostgresTransaction,
        tenant_id: UUID,
        ids: Sequence[UUID],
        vector: Sequence[float] | None,
        looks: Sequence[float] | None,
    ) -> list[UUID]:
        """Return pictures that are in the order of their words in that of all rankings."""
        among, rankings = FileQuery(ids=tuple(ids)), [list(ids)]
        if ids and vector is not None and await tx.text_vectors.available():
            model = self._embeddings.embedder.model_version
            nearest = await tx.text_vectors.nearest(
                among, tenant_id, vector, model=model, limit=len(ids)
            )
            rankings.append([id for id, _ in nearest])
        if ids and looks is not None:
            rankings.append(await self._fitting(tx, tenant_id, looks, among))
        return [id for id, _ in fuse(*rankings)]

    async def cosines(
        self, tenant_id: UUID, texts: Sequence[str], filters: FileQuery
    ) -> tuple[dict[str, dict[UUID, float]], str | None]:
        """Return the cosines of the pictures near in meaning to each text; or why there are none.

        Of those that match ``filters``, at most ``MOST_COMPARED`` for each.
        """
        near: dict[str, dict[UUID, float]] = {text: {} for text in texts}
        vectors = [await self._vector(text) for text in texts]
        if reason := next((why for _, why in vectors if why), None):
            return near, reason
        async with self._database.transaction() as tx:
            if not await tx.text_vectors.available():
                return near, NO_EXTENSION
            model = self._embeddings.embedder.model_version
            for text, (vector, _) in zip(texts, vectors, strict=True):
                found = await tx.text_vectors.nearest(
                    filters, tenant_id, vector or (), model=model, limit=MOST_COMPARED
                )
                near[text] = {id: cosine for id, cosine in found if cosine >= LEAST_COSINE}
        return near, None

    async def _looks(self, text: str) -> Sequence[float] | None:
        """Return the vector that pictures are compared with by their looks, if they can be."""
        if self._picture_embedder is None:
            return None
        try:
            return await self._picture_embedder.embed_text(text)
        except Unavailable as error:
            log.warning("pictures are not compared by their looks: %s", error.message)
            return None

    async def _fitting(
        self, tx: PostgresTransaction, tenant_id: UUID, looks: Sequence[float], filters: FileQuery
    ) -> list[UUID]:
        """Return the pictures that look like a search, the best first."""
        assert self._picture_embedder is not None
        if not await tx.picture_vectors.available():
            return []
        model = picture_model(self._picture_embedder, looks)
        nearest = await tx.picture_vectors.nearest(
            filters, tenant_id, looks, model=model, limit=MOST_FOUND
        )
        least = self._picture_embedder.least_cosine
        return [id for id, cosine in nearest if cosine >= least]

    async def _vector(self, text: str) -> tuple[Sequence[float] | None, str | None]:
        """Return the vector of a search, or None and why there is none."""
        try:
            (embedding,) = await self._embeddings.embed([text])
        except Unavailable as error:
            return None, error.message
        return embedding.vector, None
