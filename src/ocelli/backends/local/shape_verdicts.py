"""What the shapes of flat graphics say about a claim. Pure rules.

Where shapes were found the picture is made of few flat regions, and each was looked at. So their
absence means something, which it never does in a photo: a shape that is not there contradicts,
unless a region without a name, or a figure that may be called so, leaves room for it.

``strength``: .8 where every region has a name, .6 where some have none, .3 for doubtful shapes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocelli.backends.local import class_names
from ocelli.backends.local.outlines import SHAPES
from ocelli.backends.local.shapes import CLEAR, MIXED, UNNAMED, is_shape
from ocelli.domain import grammar
from ocelli.domain.claims import ClaimType, Ruling

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocelli.domain.claims import Claim
    from ocelli.domain.findings import DetectedObject, Findings

Opinion = tuple[Ruling, str, float]

# What one person calls so, another may call otherwise.
ALIKE = {
    "circle": {"ring", "ellipse"},
    "ring": {"circle", "ellipse"},
    "ellipse": {"circle", "ring"},
    "square": {"rectangle", "diamond"},
    "rectangle": {"square", "diamond"},
    "diamond": {"square", "rectangle"},
    "cross": {"star"},
}
NOT_IN_GRAPHICS = 0.5
FAR_SIDE = 0.6  # clearly beyond the middle
SIDE = re.compile(r"((on|at|to) )?(the )?(?P<side>left|right)( side| half)?( of the picture)?")


def judge_shapes(claim: Claim, findings: Findings) -> Opinion | None:
    """None if no shapes were found, or the claim is not about such things."""
    shapes = [one for one in findings.objects if is_shape(one.name)]
    if not shapes or not claim.subject:
        return None
    noun = _noun(claim.subject)
    if noun is None:
        return _something_else(claim, shapes)
    color = class_names.basic_color(" ".join(claim.subject.split()[:-1]))
    match claim.type:
        case ClaimType.COUNT if claim.count is not None:
            return _counted(noun, color, claim.count, shapes)
        case ClaimType.OBJECT:
            return _there(noun, color, shapes)
        case ClaimType.ATTRIBUTE:
            wanted = class_names.basic_color(claim.value or "")
            return _colored(noun, wanted, shapes) if wanted else None
        case ClaimType.RELATION if side := side_of(claim.value or ""):
            return _beside(noun, color, side, shapes)
    return None


def side_of(value: str) -> str | None:
    """ "left" or "right" for "on the left side", None for anything but that."""
    found = SIDE.fullmatch(value.casefold())
    return found["side"] if found else None


def _noun(subject: str) -> str | None:
    last = grammar.canonical(subject.split()[-1])
    return last if last in (*SHAPES, UNNAMED) else None


def _counted(noun: str, color: str | None, count: int, shapes: list[DetectedObject]) -> Opinion:
    held, maybe = _of(noun, color, shapes)
    reason = f"{len(held)} found"
    if len(held) == count:
        return Ruling.SUPPORTED, reason, _trust(held or shapes)
    if len(held) < count <= len(held) + len(maybe):
        return Ruling.UNSEEN, reason, 0.2
    return Ruling.CONTRADICTED, reason, _trust(held or shapes)


def _there(noun: str, color: str | None, shapes: list[DetectedObject]) -> Opinion:
    held, maybe = _of(noun, color, shapes)
    if held:
        return Ruling.SUPPORTED, f"{len(held)} found", _trust(held)
    if maybe:
        return Ruling.UNSEEN, f"no clear {noun}", 0.2
    return Ruling.CONTRADICTED, f"no {noun} found", _trust(shapes)


def _beside(
    noun: str, color: str | None, side: str, shapes: list[DetectedObject]
) -> Opinion | None:
    """On which half it is, if there is one."""
    held, maybe = _of(noun, color, shapes)
    if len(held) != 1 or maybe:
        return None
    across = held[0].box.center[0]
    shown = across if side == "right" else 1 - across
    if shown >= 0.5:
        return Ruling.SUPPORTED, f"{noun} found there", _trust(held)
    if shown > 1 - FAR_SIDE:
        return Ruling.UNSEEN, "in the middle", 0.2
    return Ruling.CONTRADICTED, f"{noun} found elsewhere", _trust(held)


def _colored(noun: str, color: str, shapes: list[DetectedObject]) -> Opinion | None:
    held = [one for one in shapes if _kind(one) in (noun, *ALIKE.get(noun, ()))]
    exact = [one for one in held if _kind(one) == noun] or held
    if not exact:
        return None
    colors = {one.name.split()[0] for one in exact}
    reason = f"{noun}: {grammar.listing(sorted(colors))}"
    if colors == {color}:
        return Ruling.SUPPORTED, reason, _trust(exact)
    if color in colors or colors & class_names.confusable(color):
        return Ruling.UNSEEN, reason, 0.2
    return Ruling.CONTRADICTED, reason, _trust(exact)


def _something_else(claim: Claim, shapes: list[DetectedObject]) -> Opinion | None:
    """A dog among shapes that all have names; what stands for itself cannot be one."""
    if claim.type not in (ClaimType.OBJECT, ClaimType.COUNT) or not claim.subject:
        return None
    if class_names.detectable(claim.subject) is None or min(one.score for one in shapes) < CLEAR:
        return None
    return Ruling.CONTRADICTED, "only simple shapes found", NOT_IN_GRAPHICS


def _of(
    noun: str, color: str | None, shapes: list[DetectedObject]
) -> tuple[list[DetectedObject], list[DetectedObject]]:
    """Those that are so, and those that may be."""
    colored = [one for one in shapes if color in (None, one.name.split()[0])]
    if noun == UNNAMED:
        return colored, []
    held = [one for one in colored if _kind(one) == noun]
    near = class_names.confusable(color) | {color} if color else grammar.colors()
    maybe = [
        one
        for one in shapes
        if one not in held
        and one.name.split()[0] in near
        and _kind(one) in (noun, UNNAMED, *ALIKE.get(noun, ()))
    ]
    return held, maybe


def _kind(shape: DetectedObject) -> str:
    return shape.name.split()[-1]


def _trust(shapes: Iterable[DetectedObject]) -> float:
    score = min(one.score for one in shapes)
    if score >= CLEAR:
        return 0.8
    return 0.6 if score >= MIXED else 0.3
