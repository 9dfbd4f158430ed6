"""Which backends answer a request, and what that costs, by the table ``prices.toml``.

Costs add up in hundredths and are rounded up to whole credits per picture.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from ocelli.domain.findings import LOCAL, Feature

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

PROMPT_BLOCK = 2_500
_OTHER = "other"


@dataclass(frozen=True, slots=True)
class Share:
    """The features that one backend answers, and the price of a picture in hundredths."""

    backend: str
    features: tuple[Feature, ...]
    price: int


@dataclass(frozen=True, slots=True)
class PricingPlan:
    """The backends that answer, in the order of the request.

    ``notes`` name the requested backends that are not configured, for clients that get no answer.
    """

    shares: tuple[Share, ...]
    notes: tuple[str, ...] = ()

    @property
    def cost(self) -> int:
        """Credits for a picture that all backends answer."""
        return self.paid(share.backend for share in self.shares)

    def paid(self, answered: Iterable[str]) -> int:
        """Return the credits for a picture that these backends answered."""
        names = set(answered)
        return -(-sum(share.price for share in self.shares if share.backend in names) // 100)


@dataclass(frozen=True, slots=True)
class Roster:
    """The names of the configured backends, and of the one that is used by default."""

    names: tuple[str, ...]
    default: str

    def knows(self, name: str) -> bool:
        """Return whether a request may name it: it is configured, or another can replace it."""
        return name in self.names or (name in price_list() and name != _OTHER)

    def plan(
        self, backends: Sequence[str], features: Collection[Feature], prompt: str | None
    ) -> PricingPlan:
        """Assign the features to backends. One that is not configured is replaced by a similar one.

        Without ``backends``: the default one, and the local models for what it cannot answer.
        """
        assigned: dict[str, set[Feature]] = {}
        notes: list[str] = []
        unassigned = set(features)
        for name in dict.fromkeys(backends or (self.default, *self._local())):
            answerable = (
                unassigned & offered(name) if not backends else set(features) & offered(name)
            )
            answering = name if name in self.names else self._replacement_of(name)
            if answering != name and answerable:
                notes.append(f"{name} is not configured here.")
            assigned.setdefault(answering, set()).update(answerable)
            unassigned -= answerable
        return PricingPlan(
            tuple(
                Share(name, _ordered(names_features), _price(name, names_features, prompt))
                for name, names_features in assigned.items()
                if names_features
            ),
            tuple(notes),
        )

    def _local(self) -> tuple[str, ...]:
        return (LOCAL,) if LOCAL in self.names else ()

    def _replacement_of(self, name: str) -> str:
        describes = Feature.DESCRIPTIONS in offered(name)
        return LOCAL if not describes and LOCAL in self.names else self.default


@cache
def price_list() -> Mapping[str, Mapping[Feature, int]]:
    """Return the prices in hundredths, by backend and feature."""
    table = tomllib.loads((files(__package__) / "prices.toml").read_text())
    return {
        name: {Feature(feature): price for feature, price in row.items()}
        for name, row in table.items()
    }


def call_price(backend: str) -> int:
    """Return the price of one model call of a backend, in hundredths."""
    return _row(backend).get(Feature.DESCRIPTIONS, 0)


def offered(backend: str) -> frozenset[Feature]:
    """Return the features that a backend of this name answers, by the price list."""
    return frozenset(_row(backend))


def _row(backend: str) -> Mapping[Feature, int]:
    return price_list().get(backend) or price_list()[_OTHER]


def _price(backend: str, features: Collection[Feature], prompt: str | None) -> int:
    """Add the description's price again for each block of a prompt after the first."""
    row = _row(backend)
    price = sum(row.get(feature, 0) for feature in features)
    if Feature.DESCRIPTIONS in features and prompt:
        blocks = -(-len(prompt) // PROMPT_BLOCK) - 1
        price += blocks * row.get(Feature.DESCRIPTIONS, 0)
    return price


def _ordered(features: Collection[Feature]) -> tuple[Feature, ...]:
    return tuple(each for each in Feature if each in features)
