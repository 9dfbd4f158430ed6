"""From raw findings to what is worth saying: pure rules, no words yet.

Every number here is a score between 0 and 1, and every rule is about trust:

- A thing counts from ``COUNTED`` on, which is a probability (``fusion``). From ``SURE``
  on it is stated, below that it only "looks like" one.
- Counts are not to be trusted: the detector misses those that overlap. One is one, two are two, and
  more are several; but shapes of graphics are counted.
- The classifier is asked to name every picture and always answers; alone it is believed from 0.55
  on. Where things were detected it speaks about the same picture with less right: an unrelated
  label needs 0.70, and beside a person or a face 0.80 and must be nothing that is worn, because a
  classifier that knows no people explains them by their clothes (an astronaut in a suit is a
  "football helmet" at 0.63; a photographer's tripod at 0.95 is a tripod).
- A label that names the detected thing more closely (a cat's breed) needs 0.90: few are sure of
  breeds, and most would say "a cat".
- A label of the same exclusive kind as a detected thing, but another one (a truck where the
  detector sees a car), is a contradiction; the detector, which has to point at it, wins. Of animals
  ``fusion`` has decided. A label that covers a thing, or is called like it (a fruit beside a
  banana, a racket beside a tennis racket), adds nothing.
- People sit on what their boxes end in; a face is a person's.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

from ocelli.backends.local.fusion import COUNTED, PERSON, SURE
from ocelli.backends.local.lexicon import lexicon
from ocelli.backends.local.media import MEDIA
from ocelli.backends.local.shapes import is_shape
from ocelli.backends.local.surroundings import PLACES
from ocelli.domain import grammar
from ocelli.domain.findings import DetectedObject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.findings import Box, Face, SceneLabel

NO_THINGS = frozenset([*MEDIA, *PLACES])
PROBABLE, CERTAIN = 0.70, 0.90
SCENE_ALONE, SCENE_BESIDE_THINGS, SCENE_BESIDE_PEOPLE = 0.30, 0.75, 0.90
DETAIL = 0.90
EXCLUSIVE_KINDS = ("animal", "vehicle")
MOST_THINGS = 6

# The classifier without a second witness is overconfident; nothing is ever certain.
LONE_CLASSIFIER, CEILING = 0.8, 0.97
FACED = 0.95  # how often a face is one

ON_SURFACE = 0.6
# Whose rider sits in the middle: the lower end of the rider lies in this part of the mount.
RIDDEN = ("horse", "bicycle", "motorcycle", "elephant")
SEAT, ASTRIDE = (0.15, 1.05), 0.6
OFF_CENTER, SMALL = 1 / 3, 0.25


class Band(IntEnum):
    """How a claim is worded."""

    POSSIBLE = 0
    PROBABLE = 1
    CERTAIN = 2


@dataclass(frozen=True, slots=True)
class SceneWord:
    """A scene label with the words it deserves."""

    name: str
    score: float
    band: Band


@dataclass(frozen=True, slots=True)
class Thing:
    """All things of one name: ``belief`` is the probability that there is one.

    ``surface`` is what they lie on or ride. ``placed`` is whether its ``side`` may be told, and
    ``counted`` whether their number is right.
    """

    noun: str
    boxes: tuple[Box, ...]
    belief: float
    band: Band
    detail: SceneWord | None = None
    surface: str | None = None
    placed: bool = True
    counted: bool = False

    @property
    def count(self) -> int:
        """How many, at least."""
        return len(self.boxes)

    @property
    def rides(self) -> bool:
        """Whether it sits on its ``surface`` and moves with it."""
        return self.surface in RIDDEN

    @property
    def side(self) -> str | None:
        """ "left" or "right" for a small thing near that edge."""
        if not self.placed or self.count != 1 or self.boxes[0].area > SMALL:
            return None
        across = self.boxes[0].center[0]
        if across < OFF_CENTER:
            return "left"
        return "right" if across > 1 - OFF_CENTER else None


@dataclass(frozen=True, slots=True)
class Scene:
    """What the classifier adds: a ``head`` to state, and a ``detail`` that narrows it down."""

    head: SceneWord
    detail: SceneWord | None = None

    @property
    def belief(self) -> float:
        """The score, discounted because nothing confirms it."""
        return min(LONE_CLASSIFIER * self.head.score, CEILING)

    @property
    def is_place(self) -> bool:
        """Whether things are in it rather than beside it."""
        return lexicon().is_a(self.head.name, "place")


def things_in(
    objects: Sequence[DetectedObject], scenes: Sequence[SceneLabel], faces: Sequence[Face]
) -> list[Thing]:
    """The things that are worth mentioning: people first, then by belief."""
    groups: dict[str, list[DetectedObject]] = defaultdict(list)
    for found in objects:
        if found.score >= COUNTED:
            groups[found.name].append(found)
    if PERSON not in groups and faces:
        groups[PERSON] = [
            DetectedObject(PERSON, min(FACED, face.score), face.box) for face in faces
        ]
    surfaces = {
        name: group[0].box
        for name, group in groups.items()
        if name in lexicon().surfaces and len(group) == 1
    }
    things = [_thing(name, group, scenes, surfaces) for name, group in groups.items()]
    things = [_mounted(thing, groups) if thing.noun == PERSON else thing for thing in things]
    things.sort(key=lambda thing: (thing.noun != PERSON, -thing.belief, thing.noun))
    return things[:MOST_THINGS]


def scene_of(
    scenes: Sequence[SceneLabel], things: Sequence[Thing], *, people: bool
) -> Scene | None:
    """The best label that adds something to ``things``, or None.

    The narrowest name that the score carries: if only the sum of a group is sure, its parent noun.
    """
    needed = SCENE_BESIDE_THINGS if things else SCENE_ALONE
    if people:
        needed = SCENE_BESIDE_PEOPLE
    labels = [
        SceneWord(label.name, label.score, _scene_band(label.score))
        for label in sorted(scenes, key=lambda label: (-label.score, label.name))
        if label.score >= needed
        and label.name not in NO_THINGS
        and _is_plausible(label.name, things, people=people)
    ]
    if not labels:
        return None
    head, words = labels[0], lexicon()
    narrower = next((label for label in labels if words.parent(label.name) == head.name), None)
    if narrower is not None and narrower.band == head.band:
        return Scene(narrower)
    return Scene(head, narrower)


def _thing(
    name: str,
    group: Sequence[DetectedObject],
    scenes: Sequence[SceneLabel],
    surfaces: dict[str, Box],
) -> Thing:
    boxes = tuple(found.box for found in sorted(group, key=lambda found: found.box.left))
    belief = min(max(found.score for found in group), CEILING)
    return Thing(
        noun=name,
        boxes=boxes,
        belief=belief,
        band=Band.CERTAIN if belief >= SURE else Band.PROBABLE,
        detail=_detail(name, scenes) if len(group) == 1 else None,
        surface=_surface(name, boxes, surfaces),
        counted=is_shape(name),
    )


def _mounted(riders: Thing, groups: dict[str, list[DetectedObject]]) -> Thing:
    """The people with what all of them ride, each on one of its own."""
    for name in RIDDEN:
        mounts = groups.get(name, [])
        if len(mounts) == riders.count and all(
            any(_sits(box, mount.box) for mount in mounts) for box in riders.boxes
        ):
            return replace(riders, surface=name)
    return riders


def _sits(rider: Box, mount: Box) -> bool:
    high, low = (mount.top + share * (mount.bottom - mount.top) for share in SEAT)
    across = min(rider.right, mount.right) - max(rider.left, mount.left)
    return (
        rider.top < mount.top
        and high <= rider.bottom <= low
        and across >= ASTRIDE * (rider.right - rider.left)
    )


def _detail(name: str, scenes: Sequence[SceneLabel]) -> SceneWord | None:
    """The label that says more closely which ``name`` it is."""
    words = lexicon()
    narrower = [label for label in scenes if words.parent(label.name) == name]
    best = max(narrower, key=lambda label: label.score, default=None)
    if best is None or best.score < DETAIL:
        return None
    return SceneWord(best.name, best.score, _scene_band(best.score))


def _surface(name: str, boxes: Sequence[Box], surfaces: dict[str, Box]) -> str | None:
    """The piece of furniture that all of ``boxes`` lie on, if they are things that do so."""
    if name in surfaces or not lexicon().stands_on_furniture(name):
        return None
    for surface, under in surfaces.items():
        if all(_inside(box, under) >= ON_SURFACE for box in boxes):
            return surface
    return None


def _inside(box: Box, under: Box) -> float:
    """The share of ``box`` that lies inside ``under``."""
    width = min(box.right, under.right) - max(box.left, under.left)
    height = min(box.bottom, under.bottom) - max(box.top, under.top)
    return max(width, 0.0) * max(height, 0.0) / box.area if box.area > 0 else 0.0


def _is_plausible(name: str, things: Sequence[Thing], *, people: bool) -> bool:
    words = lexicon()
    if people and words.is_a(name, "worn"):
        return False
    for thing in things:
        if words.same(name, thing.noun) or _is_redundant(name, thing.noun):
            return False  # said already, more closely placed
        if any(words.is_a(name, k) and words.is_a(thing.noun, k) for k in EXCLUSIVE_KINDS):
            return False
    return True


def _is_redundant(label: str, noun: str) -> bool:
    """Whether it covers the thing, or one is called after the other."""
    words = set(label.split()), set(noun.split())
    return noun in grammar.members(label) or words[0] <= words[1] or words[1] <= words[0]


def _scene_band(score: float) -> Band:
    if score >= CERTAIN:
        return Band.CERTAIN
    return Band.PROBABLE if score >= PROBABLE else Band.POSSIBLE
