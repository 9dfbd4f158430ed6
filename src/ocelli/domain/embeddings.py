"""Vectors of the meaning of texts, and of how pictures look."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.ports_backends import PictureLike


@dataclass(frozen=True, slots=True)
class Embedding:
    """The vector of a text, of length 1; ``whole`` says whether all of the text is in it."""

    vector: tuple[float, ...]
    tokens: int
    whole: bool


class TextEmbedder(Protocol):
    """A model that embeds texts."""

    @property
    def name(self) -> str:
        """The name of the model."""
        ...

    @property
    def model_version(self) -> str:
        """Changes whenever vectors do; those of two versions cannot be compared."""
        ...

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""
        ...

    @property
    def max_tokens(self) -> int:
        """How many tokens of a text are read."""
        ...

    def embed(self, text: str) -> Embedding:
        """Embed one text. Blocks for milliseconds; may be called from several threads.

        Raises Unavailable if the model cannot be read.
        """
        ...


class PictureEmbedder(Protocol):
    """A model that embeds pictures and texts alike: a text is near to the pictures it describes."""

    @property
    def model_version(self) -> str:
        """Changes whenever vectors do; those of two versions cannot be compared."""
        ...

    @property
    def least_cosine(self) -> float:
        """Pictures with a lower cosine to a text do not fit it."""
        ...

    async def embed_picture(self, picture: PictureLike) -> Sequence[float]:
        """Embed a picture, as a vector of length 1.

        Raises Unavailable if the model cannot be asked now, AnalysisFailed if it refuses the
        picture.
        """
        ...

    async def embed_text(self, text: str) -> Sequence[float]:
        """Embed a text, as a vector of length 1. Raises Unavailable."""
        ...

    async def close(self) -> None:
        """Give up connections."""
        ...


def picture_model(embedder: PictureEmbedder, vector: Sequence[float]) -> str:
    """Return the name under which vectors are kept: those of another name are not compared."""
    parts = f"{embedder.model_version} {len(vector)}"
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def unit(vector: Sequence[float]) -> list[float]:
    """Return a vector of length 1 in the same direction. Raises ValueError if it has none."""
    length = math.sqrt(math.fsum(value * value for value in vector))
    if not 0 < length < math.inf:
        raise ValueError("a vector without a direction")
    return [value / length for value in vector]
