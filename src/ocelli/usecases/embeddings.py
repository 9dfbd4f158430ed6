"""Embed the texts of a request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.embeddings import Embedding, TextEmbedder


class Embeddings:
    """Embeds texts one after the other, in a thread; the requests of a process take turns."""

    def __init__(self, embedder: TextEmbedder) -> None:
        self.embedder = embedder
        self._turn = asyncio.Lock()

    async def embed(self, texts: Sequence[str]) -> list[Embedding]:
        """Return the embedding of each text. Raises Unavailable if the model cannot be read."""
        return [await self._one(text) for text in texts]

    async def _one(self, text: str) -> Embedding:
        async with self._turn:  # between two texts other requests have theirs
            return await asyncio.to_thread(self.embedder.embed, text)
