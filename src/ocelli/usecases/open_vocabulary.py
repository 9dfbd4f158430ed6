"""A vocabulary with its terms, from which the tags of pictures are chosen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ocelli.domain.choosing import SIMILAR, TermIndex, choose, for_meaning
from ocelli.domain.tagging import TagVocabulary

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from ocelli.domain.analysis import BackendFailure
    from ocelli.domain.choosing import Choice, Mode
    from ocelli.domain.embeddings import Embedding
    from ocelli.domain.vocabulary import Terms
    from ocelli.usecases.embeddings import Embeddings

    Vectors = npt.NDArray[np.float16]

    Nearest = Callable[[Sequence[str]], Awaitable[Mapping[str, tuple[str, float]]]]

VERSION = 1  # of how tags are chosen: a remembered answer of another one is not given again


class OpenVocabulary:
    """The vocabulary of a question, read.

    ``asked`` has the digest of the terms in ``index``; ``nearest`` finds for words the nearest
    names with their cosines; ``problem`` says what keeps the choice from being as good as usual.
    """

    def __init__(
        self,
        asked: TagVocabulary,
        index: TermIndex,
        nearest: Nearest,
        problem: BackendFailure | None = None,
    ) -> None:
        self.asked = asked
        self.index = index
        self.problem = problem
        self._nearest = nearest

    @property
    def version(self) -> str:
        """What the choice depends on, beside the words."""
        asked = self.asked
        return f"vocabulary={asked.name}:{asked.digest}:{asked.mode}:{VERSION}:{SIMILAR}"

    async def choose(
        self, words: Sequence[str], said: Sequence[str] = (), *, offered: bool = False
    ) -> Choice:
        """Return the tags for words, and for what the sentences in ``said`` name.

        ``offered``: who said the words had the paths of the terms to choose from.
        """
        index, mode = self.index, self.asked.mode
        unnamed = await asyncio.to_thread(self._unnamed, words)
        nearest = await self._nearest(unnamed) if unnamed else {}
        return await asyncio.to_thread(
            choose, words, index, nearest, mode, sentences=said, offered=offered
        )

    def _unnamed(self, words: Sequence[str]) -> list[str]:
        index = self.index
        return [
            each
            for each in dict.fromkeys(words)
            if for_meaning(each) and not index.at(each) and not index.named_in(each)
        ]


def unstored(name: str, terms: Terms, mode: Mode, embeddings: Embeddings) -> OpenVocabulary:
    """Return the vocabulary of a file; vectors of its names are made when they are first needed."""
    import numpy as np

    index = TermIndex(terms)
    turn = asyncio.Lock()
    made: list[Vectors] = []

    async def nearest(words: Sequence[str]) -> Mapping[str, tuple[str, float]]:
        names = list(index.texts)
        if not names:
            return {}
        async with turn:
            if not made:
                vectors = [each.vector for each in await embeddings.embed(names)]
                made.append(np.array(vectors, np.float16))
        return nearest_names(words, names, made[0], await embeddings.embed(words))

    return OpenVocabulary(TagVocabulary(None, name, index.digest, mode), index, nearest)


def nearest_names(
    words: Sequence[str], names: Sequence[str], matrix: Vectors, queries: Sequence[Embedding]
) -> dict[str, tuple[str, float]]:
    """Return the nearest name of each word, with the cosine. Takes a while: for a thread."""
    import numpy as np

    vectors = np.array([each.vector for each in queries], np.float32)
    cosines = vectors @ matrix.astype(np.float32).T
    return {
        word: (names[column], float(row[column]))
        for word, column, row in zip(words, cosines.argmax(1), cosines, strict=True)
    }


async def nothing_near(words: Sequence[str]) -> Mapping[str, tuple[str, float]]:
    """Return no names: words are compared with names only."""
    del words
    return {}
