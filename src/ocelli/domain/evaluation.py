"""Measure answers against labels that people wrote for the same pictures. Pure.

A label says what is in a picture: things with their counts, the visible text, tags. A claim that
the label can decide is true or false; one that it cannot is not counted.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rapidfuzz.distance import Levenshtein

from ocelli.domain.claims import Claim, ClaimType, JudgedClaim
from ocelli.domain.verification import Calibration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BINS = 10
FEWEST_PER_KNOT = 20


@dataclass(frozen=True, slots=True)
class ReferenceLabel:
    """What a person wrote about one picture.

    ``objects`` counts things by singular noun ("red circle": 3) and is complete: what is not in it
    is not in the picture; None if nothing is said about things. So is ``text``, line by line.
    ``claims`` are statements, word for word, that are known to be true or false.
    """

    file: str
    objects: Mapping[str, int] | None = None
    text: tuple[str, ...] | None = None
    tags: frozenset[str] | None = None
    claims: Mapping[str, bool] = field(default_factory=dict)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> ReferenceLabel:
        """Read a line of ``labels.jsonl``. Raises ValueError for unknown or missing fields."""
        known = {"file", "objects", "text", "tags", "claims"}
        if unknown := set(entry) - known:
            raise ValueError(f"unknown field {min(unknown)!r}; known: {sorted(known)}")
        if not isinstance(entry.get("file"), str):
            raise ValueError("`file` is missing")
        text, tags, objects = entry.get("text"), entry.get("tags"), entry.get("objects")
        if isinstance(text, str):
            text = text.splitlines()
        return cls(
            file=entry["file"],
            objects=None if objects is None else {_key(k): int(v) for k, v in objects.items()},
            text=None if text is None else tuple(_plain(line) for line in text),
            tags=None if tags is None else frozenset(_key(tag) for tag in tags),
            claims={_plain(k): bool(v) for k, v in (entry.get("claims") or {}).items()},
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """One claim of known truth: its computed probability, and whether it was kept."""

    probability: float
    true: bool
    kept: bool


def truth(claim: Claim, label: ReferenceLabel) -> bool | None:
    """Return whether the claim is true by the label; None if the label cannot decide it."""
    if (known := label.claims.get(_plain(claim.text))) is not None:
        return known
    if claim.measured:
        return None
    subject = _key(claim.subject or "")
    if claim.type is ClaimType.TEXT and label.text is not None and claim.value:
        return any(
            _plain(claim.value) in line or line in _plain(claim.value) for line in label.text
        )
    if label.objects is None or not subject:
        return None
    count = _count(subject, label.objects)
    if claim.type is ClaimType.COUNT and claim.count is not None:
        return count == claim.count
    if claim.type is ClaimType.OBJECT:
        return count > 0
    if claim.type is ClaimType.ATTRIBUTE and claim.value:
        return _count(f"{_key(claim.value)} {subject}", label.objects) > 0
    return None


def samples(claims: Iterable[JudgedClaim], label: ReferenceLabel) -> list[Sample]:
    """Return a sample for each claim that the label can decide."""
    decided = ((each, truth(each.claim, label)) for each in claims)
    return [Sample(each.probability, t, each.kept) for each, t in decided if t is not None]


@dataclass(frozen=True, slots=True)
class Bin:
    """Claims of similar probability: their mean, and the share that is true."""

    probability: float
    accuracy: float
    count: int


def reliability(kept: Sequence[Sample]) -> list[Bin]:
    """Return ``BINS`` bins of equal width over the kept claims, without the empty ones."""
    bins: dict[int, list[Sample]] = {}
    for each in kept:
        bins.setdefault(min(int(each.probability * BINS), BINS - 1), []).append(each)
    return [
        Bin(
            sum(s.probability for s in group) / len(group),
            sum(s.true for s in group) / len(group),
            len(group),
        )
        for _, group in sorted(bins.items())
    ]


def calibration_error(kept: Sequence[Sample]) -> float | None:
    """Return the expected calibration error: the mean of |probability - accuracy| over the bins,
    weighted by their size; None without samples.
    """
    bins = reliability(kept)
    total = sum(b.count for b in bins)
    return sum(abs(b.probability - b.accuracy) * b.count for b in bins) / total if total else None


def fit(decided: Sequence[Sample]) -> Calibration:
    """Return the monotone map that fits best, by pooling adjacent violators.

    Pools hold at least ``FEWEST_PER_KNOT`` samples, and each is drawn towards one half as if two
    more samples, one true and one false, were in it: few samples must not make certainty.
    """
    pools: list[list[float]] = []  # sum of x, sum of y, number
    for each in sorted(decided, key=lambda s: s.probability):
        pools.append([each.probability, float(each.true), 1.0])
        while len(pools) > 1 and (
            pools[-2][2] < FEWEST_PER_KNOT or _share(pools[-2]) > _share(pools[-1])
        ):
            last = pools.pop()
            pools[-1] = [a + b for a, b in zip(pools[-1], last, strict=True)]
    if len(pools) > 1 and pools[-1][2] < FEWEST_PER_KNOT:
        last = pools.pop()
        pools[-1] = [a + b for a, b in zip(pools[-1], last, strict=True)]
    knots, floor = [], 0.0
    for x, y, number in pools:
        floor = max(floor, (y + 1) / (number + 2))
        knots.append((round(x / number, 6), round(floor, 4)))
    return Calibration(tuple(knots))


def precision_recall(found: Iterable[str], expected: frozenset[str]) -> tuple[int, int, int]:
    """Return the numbers of true positives, of found and of expected names."""
    names = {_key(name) for name in found}
    return len(names & expected), len(names), len(expected)


def text_errors(read: str, expected: Sequence[str]) -> tuple[int, int]:
    """Return the edit distance in characters, and the number of expected characters."""
    reference = " ".join(expected)
    return Levenshtein.distance(_plain(read), reference), len(reference)


def _share(pool: Sequence[float]) -> float:
    return pool[1] / pool[2]


def _count(subject: str, objects: Mapping[str, int]) -> int:
    """Return the count of ``subject``, including names that qualify it ("red cup" for "cup")."""
    return sum(n for name, n in objects.items() if name == subject or name.endswith(f" {subject}"))


def _key(name: str) -> str:
    return " ".join(name.lower().split())


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


@dataclass(slots=True)
class Score:
    """Sums over pictures; a ratio is None where its denominator is 0."""

    pictures: int = 0
    failed: int = 0
    looks: int = 0
    all: list[Sample] = field(default_factory=list)
    tags: tuple[int, int, int] = (0, 0, 0)
    text: tuple[int, int] = (0, 0)

    def add(
        self, claims: Sequence[JudgedClaim], tags: Sequence[str], text: str, label: ReferenceLabel
    ) -> None:
        """Add the answer about one picture."""
        self.pictures += 1
        self.all += samples(claims, label)
        if label.tags is not None:
            hits = precision_recall(tags, label.tags)
            self.tags = tuple(map(sum, zip(self.tags, hits, strict=True)))  # type: ignore[assignment]
        if label.text is not None:
            errors = text_errors(text, label.text)
            self.text = (self.text[0] + errors[0], self.text[1] + errors[1])

    @property
    def kept(self) -> list[Sample]:
        """The samples whose claims were kept in the description."""
        return [each for each in self.all if each.kept]

    def figures(self) -> dict[str, float | None]:
        """Return each measure by its name."""
        kept = self.kept
        false = [each for each in self.all if not each.true]
        true = [each for each in self.all if each.true]
        return {
            "tag_precision": _ratio(self.tags[0], self.tags[1]),
            "tag_recall": _ratio(self.tags[0], self.tags[2]),
            "text_error_rate": _ratio(self.text[0], self.text[1]),
            "claim_accuracy": _ratio(sum(each.true for each in kept), len(kept)),
            "hallucination_rate": _ratio(sum(not each.true for each in kept), len(kept)),
            "false_claims_removed": _ratio(sum(not each.kept for each in false), len(false)),
            "true_claims_lost": _ratio(sum(not each.kept for each in true), len(true)),
            "ece": calibration_error(kept),
            "looks_per_picture": _ratio(self.looks, self.pictures),
        }


def _ratio(part: float, total: float) -> float | None:
    return part / total if total and math.isfinite(part) else None
