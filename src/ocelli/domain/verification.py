"""Which claims survive, and how sure that is. Pure: the same verdicts give the same answer.

Every claim has a probability of being true. It begins with what its describer is worth and moves
with every verdict, in log-odds, as independent witnesses do:

    log-odds(claim) = prior + Σ weight(verdict)

- ``prior``: the describer's own evidence (``Claim.belief``) where it has some, else ``DESCRIBER``,
  the share of a describer's claims that is right; ``STATEMENT`` for a text from elsewhere.
- A look that supports or contradicts weighs ln of how much oftener that happens to true claims than
  to false ones (``CHECKER``, ``JUDGE``); "unseen" is a weak sign against, "unknown" is
  none. A model that checks its
  own words is worth ``OWN_WORDS`` of a stranger.
- Evidence of the local models weighs ``strength`` x ln 100, for or against.

A claim is dropped below one half, if a look did not support it: what a describer words as doubtful
is not wrong for being so. Confidence is the mean, over all claims that are not merely
measured, of

    calibrate(max(probability, 1/2))

so a claim that was dropped leaves the doubt of a coin behind, and **more support never lowers the
confidence**: the weights of support are positive, the mean is over a fixed set, and calibration
is monotone.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ocelli.domain.claims import ClaimType, JudgedClaim, Ruling, Stand
from ocelli.domain.sentences import sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocelli.domain.claims import Claim, Verdict

VERSION = 2

DESCRIBER, STATEMENT = 0.8, 0.5
CEILING = 0.98
KEPT_FROM = 0.5
UNKNOWN = 0.5
OWN_WORDS = 0.6
EVIDENCE_WEIGHT = math.log(100)
ORDINARY = 0.5  # the strength that scales nothing
NOTHING_LEFT = "Nothing in this picture could be confirmed."


@dataclass(frozen=True, slots=True)
class Reliability:
    """How good a look is: the share of false claims it contradicts, and of true ones."""

    detects: float
    doubts: float

    def weight(self, ruling: Ruling) -> float:
        """Log of the likelihood ratio, true to false."""
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
    """A monotone map from computed to observed probability, linear between ``knots`` (x, y)."""

    knots: tuple[tuple[float, float], ...] = ()

    def __call__(self, probability: float) -> float:
        """The observed share of claims that are true where ``probability`` was computed."""
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
    """The verdicts on one claim: of the evidence, then of each look in its order."""

    evidence: Verdict | None = None
    looks: tuple[Verdict, ...] = ()

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """All of them."""
        return (self.evidence, *self.looks) if self.evidence is not None else self.looks

    @property
    def is_disputed(self) -> bool:
        """Whether any look does not agree with the author of the claim."""
        return any(v.ruling is not Ruling.SUPPORTED for v in self.verdicts if not _silent(v))

    @property
    def is_confirmed(self) -> bool:
        """Whether evidence supports it."""
        return self.evidence is not None and self.evidence.ruling is Ruling.SUPPORTED


def probability(claim: Claim, seen: ClaimVerdicts, *, describer: str | None) -> float:
    """That the claim is true, 0 to 1. ``describer`` is who made it; None: a statement to verify."""
    default = STATEMENT if describer is None else DESCRIBER
    odds = _logit(default if claim.belief is None else claim.belief)
    if seen.evidence is not None:
        odds += _evidence(seen.evidence)
    for nth, verdict in enumerate(seen.looks):
        share = OWN_WORDS if verdict.source == describer else 1.0
        reliability = JUDGE if nth else CHECKER
        odds += reliability.weight(verdict.ruling) * share * verdict.strength / ORDINARY
    return min(1 / (1 + math.exp(-odds)), CEILING)


def to_judge(seen: Sequence[ClaimVerdicts]) -> list[int]:
    """Positions of the claims that a last look is about.

    What is disputed, and what only models' words speak for; if there is no such claim, all.
    """
    open_ = [i for i, each in enumerate(seen) if each.is_disputed or not each.is_confirmed]
    return open_ or list(range(len(seen)))


def judged(
    claims: Sequence[Claim],
    seen: Sequence[ClaimVerdicts],
    *,
    describer: str | None,
    calibration: Calibration,
) -> tuple[JudgedClaim, ...]:
    """Every claim with its fate."""
    result = []
    for claim, each in zip(claims, seen, strict=True):
        raw = probability(claim, each, describer=describer)
        if describer is None:
            result.append(_verified(claim, each, raw, calibration))
        else:
            kept = raw >= KEPT_FROM or not each.is_disputed
            result.append(JudgedClaim(claim, kept, round(calibration(raw), 4), each.verdicts))
    return tuple(result)


def _verified(
    claim: Claim, seen: ClaimVerdicts, raw: float, calibration: Calibration
) -> JudgedClaim:
    """A statement holds if something speaks for it; of what nothing tells, both are as likely."""
    fate = JudgedClaim(claim, raw > KEPT_FROM, round(calibration(raw), 4), seen.verdicts)
    return replace(fate, kept=False, probability=UNKNOWN) if fate.is_unknown else fate


def confidence(claims: Iterable[JudgedClaim], calibration: Calibration) -> float | None:
    """See the module's formula; None if nothing was claimed but what is merely measured."""
    floor = calibration(KEPT_FROM)
    values = [max(each.probability, floor) for each in claims if not each.claim.measured]
    return round(sum(values) / len(values), 4) if values else None


def without_dropped(description: str, claims: Sequence[JudgedClaim]) -> str:
    """The description without the sentences that state what was dropped.

    What else such a sentence stated is said again in the claims' own words.
    """
    parts = sentences(description)
    dropped = {_place(each.claim, parts) for each in claims if not each.kept}
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
            if each.kept and _place(each.claim, parts) == position
        ]
    return " ".join(kept) or NOTHING_LEFT


def tags_without_dropped(tags: Sequence[str], claims: Sequence[JudgedClaim]) -> tuple[str, ...]:
    """Without the names of things that were dropped and that nothing else speaks of."""
    alive = {w for each in claims if each.kept for w in _names(each.claim)}
    gone = {w for each in claims if not each.kept for w in _names(each.claim)} - alive
    return tuple(tag for tag in tags if tag.lower() not in gone)


def text_without_dropped(text: str | None, claims: Sequence[JudgedClaim]) -> str | None:
    """Without the lines that were misread."""
    misread = {
        (each.claim.value or "").strip().lower()
        for each in claims
        if not each.kept and each.claim.type is ClaimType.TEXT
    }
    lines = [line for line in (text or "").splitlines() if line.strip().lower() not in misread]
    return "\n".join(lines) or None


def _place(claim: Claim, parts: Sequence[str]) -> int | None:
    """Which sentence states it: the one it names, else the one that shares most of its words."""
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
    if _silent(verdict):
        return 0.0
    sign = 1 if verdict.ruling is Ruling.SUPPORTED else -1
    return sign * verdict.strength * EVIDENCE_WEIGHT


def _silent(verdict: Verdict) -> bool:
    """What cannot be told says nothing, nor does evidence that does not see a thing."""
    if verdict.ruling is Ruling.UNKNOWN:
        return True
    return verdict.stand is Stand.EVIDENCE and verdict.ruling is Ruling.UNSEEN


def _logit(p: float) -> float:
    p = min(max(p, 0.02), 0.98)
    return math.log(p / (1 - p))
