"""Who answers a request, and what that costs: the table ``prices.toml``, read once.

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
    """What one backend is asked for, and what a picture costs there, in hundredths."""

    backend: str
    features: tuple[Feature, ...]
    price: int


@dataclass(frozen=True, slots=True)
class PricingPlan:
    """Who answers, in the order in which they were named.

    ``notes`` are for clients that get no answer: who was named and is not here.
    """

    shares: tuple[Share, ...]
    notes: tuple[str, ...] = ()

    @property
    def cost(self) -> int:
        """Credits for a picture that all of them answer."""
        return self.paid(share.backend for share in self.shares)

    def paid(self, answered: Iterable[str]) -> int:
        """Credits for a picture that these backends answered."""
        names = set(answered)
        return -(-sum(share.price for share in self.shares if share.backend in names) // 100)


@dataclass(frozen=True, slots=True)
class Roster:
    """The backends that are configured, and which of them answers when a request names none."""

    names: tuple[str, ...]
    default: str

    def knows(self, name: str) -> bool:
        """Whether a request may name it: it is here, or a backend here can stand in for it."""
        return name in self.names or (name in price_list() and name != _OTHER)

    def plan(
        self, backends: Sequence[str], features: Collection[Feature], prompt: str | None
    ) -> PricingPlan:
        """Which backend does what. One that is not here is replaced by one of the same kind.

        None named: the default one, and the local models for what that one cannot answer.
        """
        wanted: dict[str, set[Feature]] = {}
        notes: list[str] = []
        left = set(features)
        for name in dict.fromkeys(backends or (self.default, *self._local())):
            able = left & offered(name) if not backends else set(features) & offered(name)
            answers = name if name in self.names else self._instead_of(name)
            if answers != name and able:
                notes.append(f"{name} is not configured here.")
            wanted.setdefault(answers, set()).update(able)
            left -= able
        return PricingPlan(
            tuple(
                Share(name, _ordered(those), _price(name, those, prompt))
                for name, those in wanted.items()
                if those
            ),
            tuple(notes),
        )

    def _local(self) -> tuple[str, ...]:
        return (LOCAL,) if LOCAL in self.names else ()

    def _instead_of(self, name: str) -> str:
        describes = Feature.DESCRIPTIONS in offered(name)
        return LOCAL if not describes and LOCAL in self.names else self.default


@cache
def price_list() -> Mapping[str, Mapping[Feature, int]]:
    """By backend and feature, in hundredths."""
    table = tomllib.loads((files(__package__) / "prices.toml").read_text())
    return {
        name: {Feature(feature): price for feature, price in row.items()}
        for name, row in table.items()
    }


def offered(backend: str) -> frozenset[Feature]:
    """What a backend of this name answers."""
    return frozenset(_row(backend))


def _row(backend: str) -> Mapping[Feature, int]:
    return price_list().get(backend) or price_list()[_OTHER]


def _price(backend: str, features: Collection[Feature], prompt: str | None) -> int:
    """A long prompt costs the description again for each further block that it has begun."""
    row = _row(backend)
    price = sum(row.get(feature, 0) for feature in features)
    if Feature.DESCRIPTIONS in features and prompt:
        blocks = -(-len(prompt) // PROMPT_BLOCK) - 1
        price += blocks * row.get(Feature.DESCRIPTIONS, 0)
    return price


def _ordered(features: Collection[Feature]) -> tuple[Feature, ...]:
    return tuple(each for each in Feature if each in features)
