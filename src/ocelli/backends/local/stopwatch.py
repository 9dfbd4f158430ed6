"""Where the time of a look goes: inside the model runtimes, or in our own code around them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(slots=True)
class Stopwatch:
    """Collects milliseconds per model during one look. Not for use by several threads."""

    model_ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, model: str) -> Iterator[None]:
        """Count the time inside the block as the model's."""
        start = perf_counter()
        try:
            yield
        finally:
            spent = (perf_counter() - start) * 1000
            self.model_ms[model] = self.model_ms.get(model, 0.0) + spent


@dataclass(frozen=True, slots=True)
class Timing:
    """One look: ``wall_ms`` from pixels to findings, ``model_ms`` inside each model's runtime."""

    wall_ms: float
    model_ms: Mapping[str, float]

    @property
    def total_model_ms(self) -> float:
        """The sum of all model calls."""
        return sum(self.model_ms.values())
