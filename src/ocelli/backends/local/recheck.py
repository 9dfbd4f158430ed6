"""Whether what the local models said once they say again of another view. Pure rules.

A claim of ours carries its models' score as ``belief``. The second score is that of the same thing
in the other view, 0 if it is not there. Their mean decides: from ``AGAIN`` on it was seen again,
below ``LOST`` it was not. Both sit around the score from which things count at all (0.55): a sure
thing may be weak once, a doubtful one must be seen twice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ocelli.backends.local.content import FACE, NSFW
from ocelli.backends.local.evidence import believe
from ocelli.backends.local.evidence_verdicts import judge
from ocelli.backends.local.lexicon import lexicon
from ocelli.backends.local.text_match import best_match, legible
from ocelli.domain.claims import ClaimType, Ruling, Stand, Verdict
from ocelli.domain.findings import LOCAL

if TYPE_CHECKING:
    from ocelli.domain.claims import Claim
    from ocelli.domain.findings import Findings

AGAIN, LOST = 0.65, 0.57
# The classifier's scores scatter more, and only from about 0.3 on mean anything.
LABEL_AGAIN, LABEL_LOST = 0.50, 0.35
LINE_AGAIN, LINE_LOST = 0.9, 0.8
UNSURE, ECHO = 0.3, 0.12


def recheck(claim: Claim, seen: Findings) -> Verdict:
    """What a second look says about a claim: ours must repeat, others' are judged as usual."""
    if claim.belief is None:
        verdict = judge(claim, seen)
        if verdict is None:
            return Verdict(Ruling.UNKNOWN, LOCAL, "cannot be told", Stand.LOOK, UNSURE)
        return replace(verdict, stand=Stand.LOOK)
    match claim.type:
        case ClaimType.TEXT:
            return _line(claim.value or "", seen)
        case ClaimType.OBJECT | ClaimType.COUNT | ClaimType.SCENE:
            return _thing(claim, claim.belief, seen)
        case ClaimType.OTHER if claim.value == NSFW and seen.safety is not None:
            return _ruled(claim.belief, seen.safety.nsfw, AGAIN, LOST)
        case _:
            verdict = judge(claim, seen)
            if verdict is None:
                return _seen_again(claim.belief)
            return replace(verdict, stand=Stand.LOOK)


def _thing(claim: Claim, belief: float, seen: Findings) -> Verdict:
    subject, count = claim.subject or "", claim.count or 1
    labels = [label.score for label in seen.scenes if label.name == subject]
    if subject == FACE:
        scores = [face.score for face in seen.faces]
    else:
        scores = [one.score for one in seen.objects if one.name == subject]
        if labels and not scores:  # the classifier may have said it alone
            return _labelled(belief, max(labels))
        witnesses = [s.score for s in seen.scenes if lexicon().same(s.name, subject)]
        if subject == "person":
            witnesses += [face.score for face in seen.faces]
        scores = [believe(score, max(witnesses, default=0.0)) for score in scores]
    scores = sorted(scores, reverse=True) + [0.0] * count
    if len(scores) > 2 * count and scores[count] >= AGAIN:
        return _ruling(Ruling.CONTRADICTED, "more of them in another view", scores[count])
    # The belief in several is their mean; if one of them is missing it is another number of them.
    second = sum(scores[:count]) / count if scores[count - 1] else 0.0
    return _ruled(belief, second, AGAIN, LOST)


def _labelled(first: float, second: float) -> Verdict:
    """The classifier errs the same way in every view, so that its repeating itself says little."""
    verdict = _ruled(first, second, LABEL_AGAIN, LABEL_LOST)
    return replace(verdict, strength=ECHO) if verdict.ruling is Ruling.SUPPORTED else verdict


def _line(value: str, seen: Findings) -> Verdict:
    if not legible(value):
        return _seen_again(UNSURE)
    match = best_match(value, seen.texts)
    if match.similarity >= LINE_AGAIN:
        return _ruling(Ruling.SUPPORTED, "read again", 0.8)
    if match.is_similar:
        lost = match.similarity < LINE_LOST
        reason = f"another view reads “{match.text}”"
        return _ruling(Ruling.CONTRADICTED if lost else Ruling.UNSEEN, reason, 0.6)
    return _ruling(Ruling.CONTRADICTED, "not read in another view", 0.6)


def _ruled(first: float, second: float, again: float, lost: float) -> Verdict:
    mean = (first + second) / 2
    if mean >= again:
        return _seen_again(mean)
    reason = f"only {second:.2f} in another view" if second else "not seen in another view"
    if mean >= lost:
        return _ruling(Ruling.UNSEEN, reason, UNSURE)
    return _ruling(Ruling.CONTRADICTED, reason, 1 - mean)


def _seen_again(strength: float) -> Verdict:
    return _ruling(Ruling.SUPPORTED, "seen again in another view", strength)


def _ruling(ruling: Ruling, reason: str, strength: float) -> Verdict:
    return Verdict(ruling, LOCAL, reason, Stand.LOOK, min(max(strength, 0.05), 0.95))
