"""Keep a vector of what is said of each picture, for searches by meaning."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import time
from typing import TYPE_CHECKING

from ocelli.domain.effective import effective
from ocelli.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.effective import Effective
    from ocelli.domain.embeddings import TextEmbedder
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.storage.postgres.text_vectors import QueuedText

log = logging.getLogger(__name__)

AT_ONCE = 20  # pictures
MAX_SECONDS = 5.0  # of one ``catch_up``: the sweep of a worker waits for it


class TextIndex:
    """Embeds the pictures of the queue; safe to repeat, and to interrupt after any line."""

    def __init__(self, database: PostgresDatabase, embedder: TextEmbedder) -> None:
        self._database = database
        self._embedder = embedder
        self._has_begun = False

    async def embed(self, image_id: UUID) -> None:
        """Embed one picture, which was described just now. It stays in the queue on any error."""
        try:
            async with self._database.autocommit() as tx:
                waits = await tx.text_vectors.available()
                queued = await tx.text_vectors.queued(image_id) if waits else None
            if queued is not None:
                await self._embed(queued)
        except Exception as error:  # the description is stored, and must not fail for this
            log.warning("picture %s has no vector yet: %r", image_id, error)

    async def catch_up(self) -> int:
        """Embed waiting pictures for at most ``MAX_SECONDS``; return how many."""
        if not self._has_begun:
            async with self._database.transaction() as tx:
                await tx.text_vectors.enqueue_other_models(self._embedder.model_version)
            self._has_begun = True
        deadline = time.monotonic() + MAX_SECONDS
        count = 0
        while time.monotonic() < deadline and (waiting := await self._next()):
            for each in waiting:
                await self._embed(each)
            count += len(waiting)
        return count

    async def waiting(self) -> int | None:
        """Return how many pictures wait for their vector; None where none can be kept."""
        async with self._database.transaction() as tx:
            return await tx.text_vectors.waiting() if await tx.text_vectors.available() else None

    async def renew(self) -> int:
        """Enqueue all described pictures; return how many. Their vectors are made anew."""
        async with self._database.transaction() as tx:
            return await tx.text_vectors.enqueue_all()

    async def _next(self) -> Sequence[QueuedText]:
        async with self._database.autocommit() as tx:
            if not await tx.text_vectors.available():
                return ()
            return await tx.text_vectors.waiting_longest(AT_ONCE)

    async def _embed(self, queued: QueuedText) -> None:
        """Make the vector outside of any transaction; store it if nothing has changed since."""
        async with self._database.autocommit() as tx:
            image = await tx.images.find(queued.image_id)
            texts = [] if image is None else texts_of(effective(image))
            digest, model = _digest(texts), self._embedder.model_version
            is_current = await tx.text_vectors.is_current(queued.image_id, model, digest)
        vector = None if is_current else await self._vector(queued, texts)
        async with self._database.transaction() as tx:
            if await tx.text_vectors.settle(queued) and image is not None and vector is not None:
                await tx.text_vectors.put(
                    image.id, image.tenant_id, vector, model=model, text_hash=digest
                )

    async def _vector(self, queued: QueuedText, texts: Sequence[str]) -> list[float] | None:
        """Return the vector; None for no texts, or if they cannot be read: others wait behind."""
        try:
            return await asyncio.to_thread(mean_vector, self._embedder, texts) if texts else None
        except Unavailable:
            raise
        except Exception:
            log.exception("picture %s gets no vector", queued.image_id)
            return None


def texts_of(shown: Effective) -> list[str]:
    """Return what is said of a picture: its title and description, its tags, its visible text.

    Each has a vector of its own, so that a page of text does not hide what it is a page of.
    """
    description = " ".join(filter(None, (shown.title, shown.description, shown.alt_text)))
    return _texts(description, shown.tags, shown.visible_text)


def described_as(answer: Analysis) -> list[str]:
    """Return what an answer says of a picture, as ``texts_of`` those of the library."""
    return _texts(answer.description, answer.tags, answer.visible_text)


def _texts(description: str | None, tags: Sequence[str], visible_text: str | None) -> list[str]:
    texts = (description or "", ", ".join(tags), visible_text or "")
    return [text for text in texts if text.strip()]


def mean_vector(embedder: TextEmbedder, texts: Sequence[str]) -> list[float]:
    """Return the mean of the vectors of ``texts``, of length 1. Blocks for some milliseconds."""
    return mean([embedder.embed(text).vector for text in texts])


def mean(vectors: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean of vectors, of length 1."""
    total = [math.fsum(values) for values in zip(*vectors, strict=True)]
    length = math.sqrt(math.fsum(value * value for value in total)) or 1.0
    return [value / length for value in total]


def _digest(texts: Sequence[str]) -> bytes:
    return hashlib.sha256("\0".join(texts).encode()).digest()
