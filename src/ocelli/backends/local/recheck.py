"""What another view of the picture says about a claim. Pure rules.

A claim of ours carries its probability as ``belief``; the other view gives one of its own
(``Verdict.belief``), and ``domain.verification`` takes their mean in log-odds. So a sure thing may
be weak once, and a doubtful one must be seen twice. Text, shapes, places and what kind of picture
it is are not looked for again: they would be told the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ocelli.backends.local.content import FACE
from ocelli.backends.local.evidence import FACED, LONE_CLASSIFIER
from ocelli.backends.local.evidence_verdicts import judge
from ocelli.backends.local.fusion import PERSON, log_odds, probability
from ocelli.backends.local.media import MEDIA
from ocelli.backends.local.shapes import is_shape
from ocelli.backends.local.surroundings import PLACES
from ocelli.domain.claims import ClaimType, Ruling, Stand, Verdict
from ocelli.domain.findings import LOCAL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocelli.domain.claims import Claim
    from ocelli.domain.findings import Findings

# What the smaller size does not show at all may well be there. From EVEN on something rather is.
ABSENT, EVEN = 0.25, 0.5
HEDGED = 0.7  # a claim that was doubtful must be as likely again, but for so much
UNSURE = 0.3


def can_change(claims: Iterable[Claim]) -> bool:
    """Whether another view can say anything about one of these claims of ours."""
    return any(_is_seen_again(claim) for claim in claims)


def recheck(claim: Claim, seen: Findings) -> Verdict:
    """What a second look says about a claim: ours are weighed anew, others' judged as usual."""
    if claim.belief is None:
        verdict = judge(claim, seen)
        if verdict is None:
            return unknown("cannot be told")
        return replace(verdict, stand=Stand.LOOK)
    if not _is_seen_again(claim):
        return unknown("told by the first look")
    second = _belief(claim.subject or "", seen)
    mean = probability((log_odds(claim.belief) + log_odds(second)) / 2)
    reason = f"{second:.2f} in another view"
    if second >= min(EVEN, HEDGED * claim.belief):
        ruling = Ruling.SUPPORTED
    else:
        ruling = Ruling.UNSEEN if mean >= EVEN else Ruling.CONTRADICTED
    return Verdict(ruling, LOCAL, reason, Stand.LOOK, UNSURE, belief=second)


def unknown(reason: str) -> Verdict:
    """Nothing is said for or against it."""
    return Verdict(Ruling.UNKNOWN, LOCAL, reason, Stand.LOOK, UNSURE)


def _is_seen_again(claim: Claim) -> bool:
    subject = claim.subject or ""
    return (
        claim.type in (ClaimType.OBJECT, ClaimType.COUNT, ClaimType.SCENE)
        and subject not in (*MEDIA, *PLACES)
        and not is_shape(subject)
    )


def _belief(subject: str, seen: Findings) -> float:
    """How likely the view makes it."""
    found = [one.score for one in seen.objects if one.name == subject]
    found += [LONE_CLASSIFIER * label.score for label in seen.scenes if label.name == subject]
    if subject in (FACE, PERSON):
        found += [min(FACED, face.score) for face in seen.faces]
    return max(found, default=ABSENT)
