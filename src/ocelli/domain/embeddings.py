"""Vectors of the meaning of texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


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
