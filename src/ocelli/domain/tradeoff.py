"""Quality against cost of an escalation policy, on labelled pictures that both steps described.

The policy's threshold is tried at every confidence that occurs. What it does for a wanted share of
false claims is found on one half of the pictures, and held against the other. Pure.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from ocelli.domain.escalation import PolicyCalibration, calibrated, merged, reasons
from ocelli.domain.evaluation import FEWEST_PER_KNOT, calibration_error, fit, samples
from ocelli.domain.pricing import call_price
from ocelli.domain.verification import Calibration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ocelli.domain.analysis import AnalysisAnswer, ModelCall
    from ocelli.domain.escalation import Policy
    from ocelli.domain.evaluation import ReferenceLabel, Sample
    from ocelli.domain.questions import Question

_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Share:
    """A share, with its 95 % interval (Wilson's score interval)."""

    count: int
    total: int

    @property
    def value(self) -> float | None:
        """The share; None of nothing."""
        return self.count / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float]:
        """The lower and the upper end; 0 to 1 of nothing."""
        n = self.total
        if not n:
            return 0.0, 1.0
        p, z2 = self.count / n, _Z * _Z
        centre, half = p + z2 / (2 * n), _Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        low, high = (centre - half) / (1 + z2 / n), (centre + half) / (1 + z2 / n)
        return max(0.0, min(low, p)), min(1.0, max(high, p))

    def figures(self) -> dict[str, Any]:
        """Return the share, its interval, and how many of how many."""
        low, high = self.interval
        return {
            "share": self.value,
            "interval": [round(low, 4), round(high, 4)],
            "count": self.count,
            "of": self.total,
        }


@dataclass(frozen=True)
class DescribedPicture:
    """A labelled picture, with the answers of both steps."""

    label: ReferenceLabel
    question: Question
    first: AnalysisAnswer
    second: AnalysisAnswer

    @cached_property
    def decided_first(self) -> list[Sample]:
        """The claims of the first answer that the label decides."""
        return samples(self.first.claims, self.label)

    @cached_property
    def decided_second(self) -> list[Sample]:
        """The claims of the second answer that the label decides."""
        return samples(self.second.claims, self.label)

    def is_doubtful(self, policy: Policy) -> bool:
        """Return whether the policy asks the second step, as long as its budget lasts."""
        return bool(reasons(policy.when, self.first, self.question))


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """What a way to describe came to: costs a picture, and what is right of what it says.

    ``below`` is the policy's threshold; None for a step alone. ``lost``: true claims that were
    dropped.
    """

    name: str
    below: float | None
    pictures: int
    escalated: Share
    looks: float
    credits: float
    false: Share
    lost: Share

    def figures(self) -> dict[str, Any]:
        """Return all figures by name."""
        return {
            "name": self.name,
            "confidence_below": self.below,
            "pictures": self.pictures,
            "escalated": self.escalated.figures(),
            "looks_per_picture": round(self.looks, 4),
            "credits_per_picture": round(self.credits, 4),
            "false_claims": self.false.figures(),
            "true_claims_lost": self.lost.figures(),
        }


def halves(
    pictures: Iterable[DescribedPicture],
) -> tuple[list[DescribedPicture], list[DescribedPicture]]:
    """Return two halves that depend on the names of the files alone."""
    ordered = sorted(pictures, key=lambda each: hashlib.sha256(each.label.file.encode()).digest())
    return ordered[::2], ordered[1::2]


def at(policy: Policy, below: float) -> Policy:
    """Return the policy with another threshold."""
    return replace(policy, when=replace(policy.when, confidence_below=below))


def measure(policy: Policy, pictures: Sequence[DescribedPicture]) -> Tradeoff:
    """Return what a policy comes to, with a budget that lasts."""
    doubtful = [each.is_doubtful(policy) for each in pictures]
    decided: list[Sample] = []
    calls: list[ModelCall] = []
    for each, again in zip(pictures, doubtful, strict=True):
        decided += each.decided_second if again else each.decided_first
        calls += [*each.first.calls, *(each.second.calls if again else ())]
    escalated = Share(sum(doubtful), len(pictures))
    return _tradeoff("policy", policy.when.confidence_below, pictures, escalated, decided, calls)


def alone(pictures: Sequence[DescribedPicture]) -> tuple[Tradeoff, Tradeoff]:
    """Return what the first step alone, and the second step alone, come to."""
    none, every = Share(0, len(pictures)), Share(len(pictures), len(pictures))
    first = [sample for each in pictures for sample in each.decided_first]
    second = [sample for each in pictures for sample in each.decided_second]
    return (
        _tradeoff(
            "first alone", None, pictures, none, first, [c for p in pictures for c in p.first.calls]
        ),
        _tradeoff(
            "second alone",
            None,
            pictures,
            every,
            second,
            [c for p in pictures for c in p.second.calls],
        ),
    )


def curve(policy: Policy, pictures: Sequence[DescribedPicture]) -> list[Tradeoff]:
    """Return what the policy comes to at every threshold that makes a difference, rising."""
    return [measure(at(policy, below), pictures) for below in thresholds(pictures)]


def thresholds(pictures: Iterable[DescribedPicture]) -> list[float]:
    """Return 0, each confidence of the first step, and 1: between them nothing changes."""
    found = {each.first.confidence for each in pictures if each.first.confidence is not None}
    return sorted({0.0, *found, 1.0})


def is_within(false: Share, error: float) -> bool:
    """Return whether other pictures are to be expected to have at most this share of false claims.

    As conformal risk control has it: one more claim, a false one, may come.
    """
    return bool(false.total) and (false.count + 1) / (false.total + 1) <= error


def is_surely_within(false: Share, error: float) -> bool:
    """Return whether the upper end of the interval is at most this share of false claims."""
    return bool(false.total) and false.interval[1] <= error


def cheapest(points: Sequence[Tradeoff], error: float) -> tuple[Tradeoff | None, bool]:
    """Return the cheapest point with at most this share of false claims, and if that is sure.

    It is one that is surely within; else one that is to be expected to be; None if none is.
    """
    for is_sure, within in ((True, is_surely_within), (False, is_within)):
        good = [each for each in points if within(each.false, error)]
        if good:
            return min(good, key=lambda each: (each.credits, each.below or 0.0)), is_sure
    return None, False


def fit_policy(policy: Policy, pictures: Sequence[DescribedPicture]) -> Policy:
    """Return the policy with its calibration: of final probabilities, by the step that answered."""
    first: list[Sample] = []
    second: list[Sample] = []
    for each in pictures:
        if each.is_doubtful(policy):
            second += each.decided_second
        else:
            first += each.decided_first
    return replace(policy, calibration=PolicyCalibration(_fit(first), _fit(second)))


def final(policy: Policy, picture: DescribedPicture) -> AnalysisAnswer:
    """Return the answer that the policy gives, with its calibration."""
    if picture.is_doubtful(policy):
        answer, which = merged(picture.first, picture.second), "second"
    else:
        answer, which = picture.first, "first"
    if policy.calibration is None:
        return answer
    return calibrated(answer, getattr(policy.calibration, which))


def final_error(policy: Policy, pictures: Iterable[DescribedPicture]) -> float | None:
    """Return the expected calibration error of the kept claims' final probabilities."""
    decided = (samples(final(policy, each).claims, each.label) for each in pictures)
    return calibration_error([each for several in decided for each in several if each.kept])


@dataclass(frozen=True, slots=True)
class Accepted:
    """Descriptions whose final confidence is at least ``confidence``.

    ``coverage``: of all pictures. ``false``: of the kept claims of these.
    """

    confidence: float
    coverage: Share
    false: Share

    def figures(self) -> dict[str, Any]:
        """Return all figures by name."""
        return {
            "confidence": self.confidence,
            "coverage": self.coverage.figures(),
            "false_claims": self.false.figures(),
        }


def accepted(policy: Policy, pictures: Sequence[DescribedPicture], confidence: float) -> Accepted:
    """Return what a threshold on the final confidence comes to."""
    answers = [(final(policy, each), each.label) for each in pictures]
    sure = [each for each in answers if (each[0].confidence or 0.0) >= confidence]
    kept = [s for answer, label in sure for s in samples(answer.claims, label) if s.kept]
    return Accepted(
        confidence, Share(len(sure), len(pictures)), Share(sum(not s.true for s in kept), len(kept))
    )


def widest(
    policy: Policy, pictures: Sequence[DescribedPicture], error: float
) -> tuple[Accepted | None, bool]:
    """Return the lowest threshold on the final confidence with at most this share of false claims,
    and if that is sure: see ``cheapest``.
    """
    found = {final(policy, each).confidence or 0.0 for each in pictures}
    every = [accepted(policy, pictures, each) for each in sorted(found)]
    for is_sure, within in ((True, is_surely_within), (False, is_within)):
        good = next((each for each in every if within(each.false, error)), None)
        if good is not None:
            return good, is_sure
    return None, False


def _fit(decided: Sequence[Sample]) -> Calibration:
    return fit(decided) if len(decided) >= FEWEST_PER_KNOT else Calibration()


def _tradeoff(
    name: str,
    below: float | None,
    pictures: Sequence[DescribedPicture],
    escalated: Share,
    decided: Sequence[Sample],
    calls: Sequence[ModelCall],
) -> Tradeoff:
    def share(of: Callable[[Sample], bool], within: Callable[[Sample], bool]) -> Share:
        chosen = [each for each in decided if within(each)]
        return Share(sum(of(each) for each in chosen), len(chosen))

    number = max(1, len(pictures))
    return Tradeoff(
        name,
        below,
        len(pictures),
        escalated,
        len(calls) / number,
        sum(call_price(each.source) for each in calls) / 100 / number,
        share(lambda each: not each.true, lambda each: each.kept),
        share(lambda each: not each.kept, lambda each: each.true),
    )
