"""What findings say about a claim. Pure rules, the same for every author of a claim.

Nothing is contradicted because a model did not see it, where the model often does not see such
things: the detector misses the small and the many, the classifier knows one subject a picture. What
contradicts is what can be trusted when it is absent: other words where words were read, more faces
than were claimed, a colour that no part of the picture has.

``strength`` by kind of evidence, from the sample photos and the models' published weaknesses: text
that was read as claimed .9, other text .6 to .8, no text .35; counted faces .8; a detected thing .6
to .8; its count .6, since the detector under-counts; a label of the classifier .4; a colour that is
there .15, as it may be anywhere, and one that is not .5; for graphics see ``shape_verdicts``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocelli.backends.local import class_names
from ocelli.backends.local.content import FACE, NSFW, PICTURE, is_grey
from ocelli.backends.local.fusion import COUNTED
from ocelli.backends.local.lexicon import lexicon
from ocelli.backends.local.shape_verdicts import FAR_SIDE, judge_shapes, side_of
from ocelli.backends.local.text_match import Match, best_match, legible
from ocelli.domain import grammar
from ocelli.domain.claims import ClaimType, Ruling, Stand, Verdict
from ocelli.domain.findings import LOCAL, UNSAFE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.claims import Claim
    from ocelli.domain.findings import Color, DetectedObject, Findings

ORDER = (Ruling.CONTRADICTED, Ruling.UNSEEN, Ruling.UNKNOWN, Ruling.SUPPORTED)

SURE_OBJECT = 0.75
SCENE_NAMED = 0.3
# Shares below this are in no palette, so what a palette lacks may still be so much of the picture.
UNNAMED_SHARE = 0.01
WORN_OUT_COUNT = 4  # beyond it the detector's counts are guesses
CLEARLY = 0.05  # of the picture's side
WHERE = re.compile(
    r"(?:to the )?(?P<how>left of|right of|above|below|under|underneath|on|on top of|in|inside)"
    r" (?:the|an?) (?P<noun>.+)"
)
BACKGROUND, BACKGROUND_SHARE = "background", 0.5


def judge(claim: Claim, findings: Findings) -> Verdict | None:
    """What these findings say about the claim; None if they cannot know."""
    if claim.subject == BACKGROUND:
        return _background(claim.value, findings.colors)
    if not _detected(claim.subject, findings) and (opinion := judge_shapes(claim, findings)):
        ruling, reason, strength = opinion
        return Verdict(ruling, LOCAL, reason, Stand.EVIDENCE, strength)
    if claim.type in (ClaimType.TEXT, ClaimType.ATTRIBUTE) or claim.value == NSFW:
        return _itself(claim, findings)
    itself = _itself(claim, findings)
    subject = class_names.detectable(claim.subject or "") or (claim.subject or "").casefold()
    others = [
        one for one in class_names.mentioned(claim.text) if itself is None or one.noun != subject
    ]
    opinions = [said for one in others if (said := _mention(one, findings))]
    if claim.type is ClaimType.RELATION and itself is None:
        opinions = [one for one in opinions if one.ruling is not Ruling.SUPPORTED]
    return weakest([itself, *opinions] if itself else opinions)


def weakest(verdicts: Sequence[Verdict]) -> Verdict | None:
    """A sentence holds as far as the least of what it says does."""
    return min(verdicts, key=lambda one: (ORDER.index(one.ruling), _sign(one)), default=None)


def _sign(verdict: Verdict) -> float:
    return verdict.strength if verdict.ruling is Ruling.SUPPORTED else -verdict.strength


def _mention(mention: class_names.Mention, findings: Findings) -> Verdict | None:
    """What a sentence speaks of; a label that was not given means nothing there."""
    if mention.count is not None and class_names.detectable(mention.noun):
        return _count(mention.noun, mention.count, findings)
    if covered := grammar.members(mention.noun):
        opinions = [opinion for noun in covered if (opinion := _object(noun, findings))]
        return max(opinions, key=lambda one: (ORDER.index(one.ruling), _sign(one)), default=None)
    opinion = _object(mention.noun, findings)
    if opinion and opinion.ruling is Ruling.UNSEEN and not class_names.detectable(mention.noun):
        return None
    return opinion


def _itself(claim: Claim, findings: Findings) -> Verdict | None:
    """By the claim's type and what it is about."""
    match claim.type:
        case ClaimType.TEXT:
            return _text(claim.value, findings)
        case ClaimType.OBJECT:
            return _object(claim.subject, findings)
        case ClaimType.COUNT:
            return _count(claim.subject, claim.count, findings)
        case ClaimType.ATTRIBUTE:
            return _color(claim.value, findings.colors)
        case ClaimType.SCENE:
            return _label(claim.subject, findings)
        case ClaimType.RELATION:
            return _side(claim.subject, claim.value, findings)
        case ClaimType.OTHER:
            return _safety(claim, findings)


def _text(value: str | None, findings: Findings) -> Verdict | None:
    if not value or not legible(value):
        return None
    if not findings.texts:
        return _contradicted("no text was read", 0.35)
    match best_match(value, findings.texts):
        case Match(similarity=1.0, text=text):
            return _supported(f"reads “{text}”", 0.9 if len(value) > 2 else 0.6)
        case Match(is_noise=True, text=text):
            return _supported(f"reads “{text}”", 0.4)
        case Match(is_similar=True, text=text, score=score):
            return _contradicted(f"reads “{text}”", 0.5 + 0.3 * score)
        case _:
            return _contradicted("other text was read", 0.6)


def _object(subject: str | None, findings: Findings) -> Verdict | None:
    if not subject:
        return None
    label = _label(subject, findings)
    if label is not None and label.ruling is Ruling.SUPPORTED:
        return label
    noun = class_names.detectable(subject)
    if noun is None:
        return label
    if noun == FACE:
        if findings.faces:
            return _supported("a face was found", 0.8)
        return _unseen("no face was found")
    found = _found(noun, findings)
    if found:
        score = max(one.score for one in found)
        return _supported(f"{noun} detected", 0.8 if score >= SURE_OBJECT else 0.6)
    if noun == "person" and findings.faces:
        return _supported("a face was found", 0.7)
    if any(lexicon().same(s.name, noun) and s.score >= SCENE_NAMED for s in findings.scenes):
        return _supported(f"looks like {grammar.counted(noun)}", 0.4)
    return _unseen(f"no {noun} was detected")


def _count(subject: str | None, count: int | None, findings: Findings) -> Verdict | None:
    if not subject or count is None:
        return None
    noun = class_names.detectable(subject)
    if noun is None:
        return None
    if noun == FACE:
        return _faces(count, len(findings.faces))
    found = _found(noun, findings)
    seen = len(found)
    if noun == "person" and len(findings.faces) > max(count, seen):
        return _contradicted(f"{len(findings.faces)} faces were found", 0.6)
    reason = f"{seen} detected" if seen else f"no {noun} was detected"
    if seen == count:
        return _supported(reason, 0.6 if count <= WORN_OUT_COUNT else 0.5)
    if seen > count and all(one.score >= SURE_OBJECT for one in found):
        return _contradicted(reason, 0.4)
    return _unseen(reason)


def _faces(count: int, seen: int) -> Verdict:
    reason = f"{seen} found"
    if seen == count:
        return _supported(reason, 0.8)
    return _contradicted(reason, 0.7) if seen > count else _unseen(reason)


def _color(value: str | None, colors: Sequence[Color]) -> Verdict | None:
    """Whether the picture has that colour at all; of what, a palette does not tell."""
    wanted = class_names.basic_color(value or "")
    if wanted is None or not colors:
        return None
    greys = wanted in class_names.ACHROMATIC
    if any(wanted in class_names.called(color) for color in colors) or (
        wanted == "grey" and any(is_grey(color.hex) for color in colors)
    ):
        return _supported(f"there is {wanted}", 0.15)
    if any(
        class_names.called(color) & class_names.neighbours(wanted)
        and (greys or not is_grey(color.hex))
        for color in colors
    ):
        return _unseen(f"no clear {wanted}")
    unnamed = 1 - sum(color.fraction for color in colors)
    return _contradicted(f"no {wanted} in the picture", 0.5 if unnamed < UNNAMED_SHARE else 0.35)


def _background(value: str | None, colors: Sequence[Color]) -> Verdict | None:
    """The colour of most of the picture, if one is that."""
    wanted = class_names.basic_color(value or "")
    if wanted is None or not colors or colors[0].fraction < BACKGROUND_SHARE:
        return None
    there = class_names.plain(colors[0].hex)
    if wanted == there:
        return _supported(f"it is {colors[0].hex}", 0.5)
    if there in class_names.confusable(wanted):
        return _unseen(f"it is {colors[0].hex}")
    return _contradicted(f"it is {there}", 0.6)


def _detected(subject: str | None, findings: Findings) -> bool:
    noun = class_names.detectable(subject or "")
    return noun is not None and bool(_found(noun, findings))


def _label(subject: str | None, findings: Findings) -> Verdict | None:
    """The classifier's word; its silence says little, as it names one thing a picture."""
    if not subject or not class_names.is_label(subject):
        return None
    name = subject.casefold()
    for label in findings.scenes:
        if label.name.casefold() == name and label.score >= SCENE_NAMED:
            return _supported(f"looks like {grammar.counted(label.name)}", 0.4)
    return _unseen("not recognised")


def _side(subject: str | None, value: str | None, findings: Findings) -> Verdict | None:
    """Left or right, if there is one such thing; or where it is from another one."""
    noun = class_names.detectable(subject or "")
    if noun is None or not value:
        return None
    found = _found(noun, findings)
    side = side_of(value)
    if side is None:
        return _placed(found, value, findings)
    if len(found) != 1:
        return None
    across = found[0].box.center[0]
    if (across < 0.5) == (side == "left"):
        return _supported(f"{noun} detected there", 0.6)
    far = across > FAR_SIDE if side == "left" else across < 1 - FAR_SIDE
    return _contradicted(f"{noun} detected elsewhere", 0.6) if far else _unseen("in the middle")


def _placed(found: list[DetectedObject], value: str, findings: Findings) -> Verdict | None:
    """ "left of the plate": two things, of each one."""
    where = WHERE.fullmatch(value)
    noun = class_names.detectable(where["noun"]) if where else None
    other = _found(noun, findings) if noun else []
    if where is None or len(found) != 1 or len(other) != 1:
        return None
    one, two = found[0].box, other[0].box
    across, down = (a - b for a, b in zip(one.center, two.center, strict=True))
    shown = {
        "left of": -across, "right of": across, "above": -down, "below": down, "under": down,
        "underneath": down,
    }.get(where["how"])  # fmt: skip
    if shown is None:  # on, in: a thing that lies within the other's box, or stands on it
        touching = one.left < two.right and two.left < one.right and one.bottom >= two.top
        shown = 1.0 if touching and one.top < two.bottom else -1.0
    if abs(shown) < CLEARLY:
        return _unseen("side by side")
    return _supported("so detected", 0.4) if shown > 0 else _contradicted("not so detected", 0.4)


def _safety(claim: Claim, findings: Findings) -> Verdict | None:
    if (claim.subject, claim.value) != (PICTURE, NSFW) or findings.safety is None:
        return None
    reason = f"probability {findings.safety.nsfw:.2f}"
    if findings.safety.nsfw >= UNSAFE:
        return _supported(reason, 0.5)
    return _unseen(reason)


def _found(noun: str, findings: Findings) -> list[DetectedObject]:
    return [one for one in findings.objects if one.name == noun and one.score >= COUNTED]


def _supported(reason: str, strength: float) -> Verdict:
    return Verdict(Ruling.SUPPORTED, LOCAL, reason, Stand.EVIDENCE, strength)


def _contradicted(reason: str, strength: float) -> Verdict:
    return Verdict(Ruling.CONTRADICTED, LOCAL, reason, Stand.EVIDENCE, strength)


def _unseen(reason: str, strength: float = 0.2) -> Verdict:
    return Verdict(Ruling.UNSEEN, LOCAL, reason, Stand.EVIDENCE, strength)
