"""Which claims are kept, and the confidence. Pure: the same verdicts give the same answer.

Every claim has a probability of being true. It starts from a prior and moves with every verdict, in
log-odds, the verdicts taken as independent:

    log-odds(claim) = prior + Σ weight(verdict)

- ``prior``: the describer's own evidence (``Claim.belief``) where it has some, else ``DESCRIBER``,
  the share of a describer's claims that is right; ``STATEMENT`` for a text from elsewhere. Where it
  looked again and has new evidence (``Verdict.belief``), the mean of all of it, in log-odds.
- A model call that supports or contradicts weighs the log of its likelihood ratio, true to false
  claims (``CHECKER``, ``JUDGE``); "unseen" weighs a quarter of a contradiction, "unknown" nothing.
  The verdicts of a model on its own description weigh ``OWN_WORDS`` of another's.
- Evidence of the local models weighs ``strength`` x ln 100, for or against.

A claim is dropped below one half, if a model call did not support it: a doubt of the describer
alone drops nothing. Confidence is the mean, over all claims that are not merely measured, of

    calibrate(max(probability, 1/2))

so a dropped claim counts one half, and **more support never lowers the confidence**: the weights of
support are positive, the mean is over a fixed set, and calibration
is monotone.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import TYPE_CHECKING

from ocelli.domain.claims import ClaimType, JudgedClaim, Ruling, Stand
from ocelli.domain.sentences import sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ocelli.domain.claims import Claim, Verdict

VERSION = 3

DESCRIBER, STATEMENT = 0.8, 0.5
CEILING = 0.98
KEPT_FROM = 0.5
UNKNOWN = 0.5
OWN_WORDS = 0.6
EVIDENCE_WEIGHT = math.log(100)
ORDINARY = 0.5  # the strength at which a weight is not scaled
NOTHING_LEFT = "Nothing in this picture could be confirmed."


@dataclass(frozen=True, slots=True)
class Reliability:
    """The shares of false (``detects``) and of true claims (``doubts``) that a call contradicts."""

    detects: float
    doubts: float

    def weight(self, ruling: Ruling) -> float:
        """Return the log of the likelihood ratio, true to false, of a ruling."""
        if ruling is Ruling.UNKNOWN:
            return 0.0
        if ruling is Ruling.SUPPORTED:
            return math.log((1 - self.doubts) / (1 - self.detects))
        contradicted = math.log(self.doubts / self.detects)
        return contradicted if ruling is Ruling.CONTRADICTED else contradicted / 4


CHECKER = Reliability(detects=0.80, doubts=0.06)
JUDGE = Reliability(detects=0.88, doubts=0.04)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone map from computed to observed probability, linear between ``knots`` (x, y).

    ``levels`` are those of verification levels, as each look changes what a probability means.
    """

    knots: tuple[tuple[float, float], ...] = ()
    levels: Mapping[str, Calibration] = field(default_factory=dict)

    def at(self, level: str) -> Calibration:
        """Return the map of a verification level; where there is none, this one."""
        return self.levels.get(level, self)

    def __call__(self, probability: float) -> float:
        """Return the observed share of true claims among those of this computed probability."""
        if not self.knots:
            return probability
        right = bisect_right(self.knots, (probability, math.inf))
        if right == 0:
            return self.knots[0][1]
        if right == len(self.knots):
            return self.knots[-1][1]
        (x0, y0), (x1, y1) = self.knots[right - 1], self.knots[right]
        return y0 + (y1 - y0) * (probability - x0) / (x1 - x0) if x1 > x0 else y1


@dataclass(frozen=True, slots=True)
class ClaimVerdicts:
    """The verdicts on one claim: of the evidence, and of each model call in order."""

    evidence: Verdict | None = None
    looks: tuple[Verdict, ...] = ()

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """All verdicts, that of the evidence first."""
        return (self.evidence, *self.looks) if self.evidence is not None else self.looks

    @property
    def is_disputed(self) -> bool:
        """Whether any verdict does not support the claim."""
        return any(v.ruling is not Ruling.SUPPORTED for v in self.verdicts if not has_no_weight(v))

    @property
    def is_confirmed(self) -> bool:
        """Whether evidence supports the claim."""
        return self.evidence is not None and self.evidence.ruling is Ruling.SUPPORTED


def probability(claim: Claim, verdicts: ClaimVerdicts, *, describer: str | None) -> float:
    """Return the probability that the claim is true, 0 to 1.

    ``describer`` is the backend that made the claim; None for a statement to verify.
    """
    default = STATEMENT if describer is None else DESCRIBER
    own = [
        each.belief
        for each in verdicts.looks
        if each.source == describer and each.belief is not None
    ]
    first = default if claim.belief is None else claim.belief
    odds = fmean(_logit(belief) for belief in (first, *own))
    if verdicts.evidence is not None:
        odds += _evidence(verdicts.evidence)
    for nth, verdict in enumerate(verdicts.looks):
        if verdict.source == describer and verdict.belief is not None:
            continue
        share = OWN_WORDS if verdict.source == describer else 1.0
        reliability = JUDGE if nth else CHECKER
        odds += reliability.weight(verdict.ruling) * share * verdict.strength / ORDINARY
    return min(1 / (1 + math.exp(-odds)), CEILING)


def to_judge(verdicts: Sequence[ClaimVerdicts]) -> list[int]:
    """Return the positions of the claims that the judge gets.

    These are the disputed ones and those without supporting evidence; all, if there is none such.
    """
    open_ = [i for i, each in enumerate(verdicts) if each.is_disputed or not each.is_confirmed]
    return open_ or list(range(len(verdicts)))


def judged(
    claims: Sequence[Claim],
    verdicts: Sequence[ClaimVerdicts],
    *,
    describer: str | None,
    calibration: Calibration,
) -> tuple[JudgedClaim, ...]:
    """Return every claim with its probability, and whether it is kept."""
    result = []
    for claim, each in zip(claims, verdicts, strict=True):
        raw = probability(claim, each, describer=describer)
        if describer is None:
            result.append(_verified(claim, each, raw, calibration))
        else:
            kept = raw >= KEPT_FROM or not each.is_disputed
            result.append(JudgedClaim(claim, kept, round(calibration(raw), 4), each.verdicts))
    return tuple(result)


def _verified(
    claim: Claim, verdicts: ClaimVerdicts, raw: float, calibration: Calibration
) -> JudgedClaim:
    """Judge a claim of a statement: kept if supported; probability 1/2 if nothing decides it."""
    judged_claim = JudgedClaim(
        claim, raw > KEPT_FROM, round(calibration(raw), 4), verdicts.verdicts
    )
    return (
        replace(judged_claim, kept=False, probability=UNKNOWN)
        if judged_claim.is_unknown
        else judged_claim
    )


def confidence(claims: Iterable[JudgedClaim], calibration: Calibration) -> float | None:
    """Return the confidence by the formula above; None if all claims are merely measured."""
    floor = calibration(KEPT_FROM)
    values = [max(each.probability, floor) for each in claims if not each.claim.measured]
    return round(sum(values) / len(values), 4) if values else None


def without_dropped(description: str, claims: Sequence[JudgedClaim]) -> str:
    """Return the description without the sentences of dropped claims.

    The texts of kept claims replace the sentences that are removed with a dropped one.
    """
    parts = sentences(description)
    dropped = {sentence_of(each.claim, parts) for each in claims if not each.kept}
    if not dropped - {None}:
        return description
    kept: list[str] = []
    for position, sentence in enumerate(parts):
        if position not in dropped:
            kept.append(sentence)
            continue
        kept += [
            each.claim.text
            for each in claims
            if each.kept and sentence_of(each.claim, parts) == position
        ]
    return " ".join(kept) or NOTHING_LEFT


def tags_without_dropped(tags: Sequence[str], claims: Sequence[JudgedClaim]) -> tuple[str, ...]:
    """Return the tags without the names of things in dropped claims that no kept claim names."""
    kept_names = {w for each in claims if each.kept for w in _names(each.claim)}
    dropped_names = {w for each in claims if not each.kept for w in _names(each.claim)} - kept_names
    return tuple(tag for tag in tags if tag.lower() not in dropped_names)


def text_without_dropped(text: str | None, claims: Sequence[JudgedClaim]) -> str | None:
    """Return the visible text without the lines whose claims were dropped; None if none is left."""
    misread = {
        (each.claim.value or "").strip().lower()
        for each in claims
        if not each.kept and each.claim.type is ClaimType.TEXT
    }
    lines = [line for line in (text or "").splitlines() if line.strip().lower() not in misread]
    return "\n".join(lines) or None


def sentence_of(claim: Claim, parts: Sequence[str]) -> int | None:
    """Return the position of the sentence of a claim: the one that it names, else the one with most
    of its words; None if no sentence has half of them.
    """
    if claim.sentence is not None and 0 <= claim.sentence < len(parts):
        return claim.sentence
    words = _words(claim.text)
    if not words:
        return None
    best = max(range(len(parts)), key=lambda i: len(words & _words(parts[i])), default=None)
    if best is None or len(words & _words(parts[best])) * 2 < len(words):
        return None
    return best


def _words(text: str) -> set[str]:
    return {word for word in re.findall(r"\w+", text.lower()) if word not in _COMMON}


_COMMON = frozenset(
    [
        "a",
        "an",
        "the",
        "is",
        "are",
        "there",
        "of",
        "in",
        "on",
        "with",
        "and",
        "or",
        "it",
        "this",
        "that",
        "reads",
        "text",
    ]
)


def _names(claim: Claim) -> set[str]:
    if claim.type not in (ClaimType.OBJECT, ClaimType.COUNT, ClaimType.SCENE):
        return set()
    return {claim.subject.lower()} if claim.subject else set()


def _evidence(verdict: Verdict) -> float:
    if has_no_weight(verdict):
        return 0.0
    sign = 1 if verdict.ruling is Ruling.SUPPORTED else -1
    return sign * verdict.strength * EVIDENCE_WEIGHT


def has_no_weight(verdict: Verdict) -> bool:
    """Return whether a verdict has no weight: UNKNOWN, or evidence that does not find a thing."""
    if verdict.ruling is Ruling.UNKNOWN:
        return True
    return verdict.stand is Stand.EVIDENCE and verdict.ruling is Ruling.UNSEEN


def is_disputed(claim: JudgedClaim) -> bool:
    """Return whether a verdict that counts does not support the claim."""
    return any(
        each.ruling in (Ruling.CONTRADICTED, Ruling.UNSEEN) and not has_no_weight(each)
        for each in claim.verdicts
    )


def _logit(p: float) -> float:
    p = min(max(p, 0.02), 0.98)
    return math.log(p / (1 - p))
