"""What an installation consists of, for its owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.usage import BackendUse


@dataclass(frozen=True, slots=True)
class ConfiguredBackend:
    """A backend of the settings. ``address`` holds no secret; ``problem`` says why it is not asked.

    Prices are US dollars per million tokens, None where they are not known.
    """

    name: str
    provider: str
    model: str = ""
    address: str = ""
    input_price: float | None = None
    output_price: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ModelOnDisk:
    """A model that is on this machine."""

    name: str
    purpose: str
    licence: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Installation:
    """``free_bytes`` are those of the data folder's disk."""

    backends: Sequence[ConfiguredBackend]
    models: Sequence[ModelOnDisk]
    free_bytes: int
    version: str


@dataclass(frozen=True, slots=True)
class BackendRecord:
    """The looks of a backend for all tenants, and how many it did not answer."""

    use: BackendUse
    failures: int

    @property
    def seconds(self) -> float | None:
        """The mean of an answered look; None without one."""
        return self.use.milliseconds / self.use.calls / 1000 if self.use.calls else None

    @property
    def error_rate(self) -> float:
        """The share of looks that were not answered, 0 to 1."""
        return self.failures / max(1, self.failures + self.use.calls)


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """The result of one check; ``advice`` is set if it failed."""

    name: str
    found: str
    advice: str | None = None
