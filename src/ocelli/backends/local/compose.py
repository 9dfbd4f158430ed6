"""A description, tags and a confidence from findings. Pure: the same findings give the same words.

The description is a list of claims put into English. Each claim keeps the words that stand for it,
so that a test can take them out again and find nothing left but grammar.

Wording by band (``evidence`` decides who gets which):

=============  ===========================  ==========================
band           a detected thing             a scene label
=============  ===========================  ==========================
``CERTAIN``    "a cup"                      "a tripod"
``PROBABLE``   "what looks like a cup"      "probably a tripod"
``POSSIBLE``   (not mentioned)              "possibly a tripod"
=============  ===========================  ==========================

Confidence is the expected share of the description that is right:

    confidence = Σ weight · belief / Σ weight        over the claims, at least ``EMPTY``

A claim's ``belief`` is its model's score, raised by a second model that agrees (noisy-or, see
``evidence.believe``) and lowered for the classifier alone. Things, the scene and a page of text
weigh 1; faces and other text weigh ``SIDE_CLAIM``. Colours are measured and "probably a tabby" only
narrows a thing that counts already, so both weigh 0. For the same claims, more support never lowers
the result; one more claim that is less sure than the others does, because there is more to be wrong
about. A picture in which nothing was recognised has ``EMPTY``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ocelli.backends.local import grammar
from ocelli.backends.local.evidence import CEILING, Band, Label, Scene, Thing, scene_of, things_in
from ocelli.backends.local.lexicon import lexicon
from ocelli.domain.findings import Tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocelli.domain.findings import Color, DetectedObject, Face, Safety, SceneLabel, TextLine

VERSION = 1
EMPTY = 0.1
SIDE_CLAIM = 0.5

UNSAFE = 0.5
SURE_TEXT = 0.9
QUOTE_LENGTH = 80
PAGE_LINES, PAGE_COVERAGE = 3, 0.15
MENTIONED_COLORS, COLOR_FRACTION, COLORS_TOGETHER = 2, 0.15, 0.4
ONLY_COLOR = 0.9
GREY_SPREAD = 12

MOST_TAGS, LONGEST_TAG = 40, 50
COLOR_TAG = 0.3

NOTHING = "nothing that the local models recognise"
HEDGES = {Band.CERTAIN: "", Band.PROBABLE: "probably ", Band.POSSIBLE: "possibly "}


class Topic(StrEnum):
    """What a claim is about."""

    THING = "thing"
    SURFACE = "surface"
    SIDE = "side"
    DETAIL = "detail"
    SCENE = "scene"
    FACES = "faces"
    TEXT = "text"
    COLORS = "colors"
    SAFETY = "safety"


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that the description says.

    ``words`` stand in the description, but for a capital letter. ``subject`` is the noun, the text
    or the colours, and ``count`` how many of it.
    """

    topic: Topic
    words: str
    subject: str
    belief: float
    count: int = 1
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Composition:
    """What we say about a picture, and the claims that it consists of."""

    description: str
    tags: tuple[Tag, ...]
    confidence: float
    claims: tuple[Claim, ...]


def compose(
    *,
    objects: Sequence[DetectedObject] = (),
    scenes: Sequence[SceneLabel] = (),
    texts: Sequence[TextLine] = (),
    faces: Sequence[Face] = (),
    colors: Sequence[Color] = (),
    safety: Safety | None = None,
) -> Composition:
    """Put findings into words. Any part may be empty; nothing is said that they do not hold."""
    things = things_in(objects, scenes, faces)
    people = bool(faces) or any(thing.noun == "person" for thing in things)
    scene = scene_of(scenes, things, people=people)
    prose = _Prose()
    prose.subject(things, scene, faces, texts)
    prose.colors(colors)
    prose.setting(things, scene)
    prose.faces(faces)
    prose.text(texts)
    prose.safety(safety)
    return Composition(
        description=" ".join(prose.sentences),
        tags=_tags(things, scene, faces, texts, colors),
        confidence=confidence(prose.claims),
        claims=tuple(prose.claims),
    )


def confidence(claims: Iterable[Claim]) -> float:
    """The expected share of the description that is right; see the module's formula."""
    weighed = [(claim.weight, claim.belief) for claim in claims if claim.weight > 0]
    total = sum(weight for weight, _ in weighed)
    if not total:
        return EMPTY
    return max(EMPTY, sum(weight * belief for weight, belief in weighed) / total)


class _Prose:
    """Writes sentences and keeps a claim for each thing they say."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.claims: list[Claim] = []

    def subject(
        self,
        things: Sequence[Thing],
        scene: Scene | None,
        faces: Sequence[Face],
        texts: Sequence[TextLine],
    ) -> None:
        """What the picture shows; text or the lack of anything if it shows nothing else."""
        if things:
            words = self._things(things) + self._companion(scene)
        elif faces:
            words = self._faces(faces, weight=1.0) + self._companion(scene)
        elif scene is not None:
            words = self._label(scene.head, weight=1.0, belief=scene.belief)
            words += f", {self._label(scene.detail)}" if scene.detail else ""
        elif texts:
            words = self._quote(texts, weight=1.0)
        else:
            words = NOTHING
        self.sentences.append(grammar.sentence(words))

    def colors(self, colors: Sequence[Color]) -> None:
        """Appended to the first sentence: which colours make up most of the picture."""
        shares = _shares(colors)
        named = [name for name, share in shares.items() if share >= COLOR_FRACTION]
        named = named[:MENTIONED_COLORS]
        if sum(shares[name] for name in named) < COLORS_TOGETHER:
            return
        bases = {name.rpartition(" ")[2] for name in named}
        if shares[named[0]] >= ONLY_COLOR:
            words, subject = f"almost entirely {named[0]}", named[0]
        elif all(_is_grey(color.hex) for color in colors):
            words, subject = "in shades of grey", "grey"
        elif len(named) > 1 and len(bases) == 1:
            (subject,) = bases
            words = f"shades of {subject} dominate"
        else:
            words = f"{grammar.listing(named)} {'dominates' if len(named) == 1 else 'dominate'}"
            subject = ", ".join(named)
        self._claim(Topic.COLORS, words, subject, 1.0, count=len(named))
        joint = "," if words.startswith("in ") else ";"
        self.sentences[0] = f"{self.sentences[0].removesuffix('.')}{joint} {words}."

    def setting(self, things: Sequence[Thing], scene: Scene | None) -> None:
        """Where it is, if the classifier is sure about a place behind what was detected."""
        if things and scene is not None and scene.is_place:
            words = self._label(scene.head, weight=1.0, belief=scene.belief)
            self.sentences.append(f"The setting is {words}.")

    def faces(self, faces: Sequence[Face]) -> None:
        """How many faces can be seen, unless they were the subject already."""
        if faces and not self._has(Topic.FACES):
            words = self._faces(faces, weight=SIDE_CLAIM)
            self.sentences.append(
                grammar.sentence(f"{words} {'is' if len(faces) == 1 else 'are'} visible")
            )

    def text(self, texts: Sequence[TextLine]) -> None:
        """What can be read, unless that was the subject already."""
        if texts and not self._has(Topic.TEXT):
            self.sentences.append(f"There is {self._quote(texts, weight=SIDE_CLAIM)}.")

    def safety(self, safety: Safety | None) -> None:
        """A warning from ``UNSAFE`` on."""
        if safety is not None and safety.nsfw >= UNSAFE:
            words = "may not be safe for work"
            self._claim(Topic.SAFETY, words, "nsfw", safety.nsfw)
            self.sentences.append(f"The picture {words}.")

    def _things(self, things: Sequence[Thing]) -> str:
        """ "a person, with a cup and a bowl on a dining table"."""
        by_noun = {thing.noun: thing for thing in things}
        surfaces = {t.surface for t in things if t.surface in by_noun}
        alone = len(things) == 1
        placed = [
            f"{self._listed([t for t in things if t.surface == noun], alone=alone)} "
            f"on {self._listed([by_noun[noun]], alone=alone, topic=Topic.SURFACE)}"
            for noun in sorted(noun for noun in surfaces if noun)
        ]
        rest = [t for t in things if t.noun not in surfaces and t.surface not in surfaces]
        parts = [self._listed(rest, alone=alone)] if rest else []
        return ", with ".join(parts + placed)

    def _listed(self, things: Sequence[Thing], *, alone: bool, topic: Topic = Topic.THING) -> str:
        """Sure things first, then the others behind one "what looks like"."""
        sure = [self._thing(t, topic, alone=alone) for t in things if t.band is Band.CERTAIN]
        others = [self._thing(t, topic, alone=alone) for t in things if t.band < Band.CERTAIN]
        if others:
            sure.append(f"what looks like {grammar.listing(others)}")
        return grammar.listing(sure)

    def _thing(self, thing: Thing, topic: Topic, *, alone: bool) -> str:
        detail = thing.detail
        if detail is not None and detail.band is Band.CERTAIN:
            words = grammar.counted(detail.name)
            self._claim(topic, words, detail.name, thing.belief, weight=1.0)
            return words + self._side(thing, alone=alone)
        words = grammar.counted(thing.noun, thing.count)
        self._claim(topic, words, thing.noun, thing.belief, count=thing.count, weight=1.0)
        words += self._side(thing, alone=alone)
        if detail is None:
            return words
        narrower = self._label(detail, topic=Topic.DETAIL)
        return f"{words}, {narrower}" if alone else f"{words} ({narrower})"

    def _side(self, thing: Thing, *, alone: bool) -> str:
        """Only for the one thing in the picture: in a list, sides make English long-winded."""
        if not alone or thing.side is None:
            return ""
        words = f"on the {thing.side}"
        self._claim(Topic.SIDE, words, thing.side, thing.belief)
        return f" {words}"

    def _companion(self, scene: Scene | None) -> str:
        """A thing that the classifier sees beside what was detected."""
        if scene is None or scene.is_place:
            return ""
        words = self._label(scene.head, weight=1.0, belief=scene.belief, hedge=False)
        hedge = HEDGES[scene.head.band]
        return f", {hedge}with {words}" if hedge else f" with {words}"

    def _label(
        self,
        label: Label,
        *,
        topic: Topic = Topic.SCENE,
        weight: float = 0.0,
        belief: float | None = None,
        hedge: bool = True,
    ) -> str:
        words = grammar.counted(label.name)
        self._claim(topic, words, label.name, belief or label.score, weight=weight)
        return f"{HEDGES[label.band]}{words}" if hedge else words

    def _faces(self, faces: Sequence[Face], *, weight: float) -> str:
        words = f"{grammar.number(len(faces))} {'face' if len(faces) == 1 else 'faces'}"
        self._claim(Topic.FACES, words, "face", _mean(faces), count=len(faces), weight=weight)
        return words

    def _quote(self, texts: Sequence[TextLine], *, weight: float) -> str:
        belief = _mean(texts)
        words = quote(texts)
        self._claim(Topic.TEXT, words, words.strip("“”"), belief, weight=weight)
        verb = "reads" if belief >= SURE_TEXT else "may read"
        return f"{'a page of text' if is_page(texts) else 'text'} that {verb} {words}"

    def _has(self, topic: Topic) -> bool:
        return any(claim.topic is topic for claim in self.claims)

    def _claim(
        self,
        topic: Topic,
        words: str,
        subject: str,
        belief: float,
        *,
        count: int = 1,
        weight: float = 0.0,
    ) -> None:
        self.claims.append(Claim(topic, words, subject, min(belief, CEILING), count, weight))


def quote(texts: Sequence[TextLine]) -> str:
    """The lines in quotation marks, cut with "…" between words at ``QUOTE_LENGTH``."""
    text = " / ".join(" ".join(line.text.split()) for line in texts)
    if len(text) > QUOTE_LENGTH:
        cut = text[:QUOTE_LENGTH]
        text = (cut.rsplit(" ", 1)[0] if " " in cut else cut).rstrip(" /") + "…"
    return f"“{text}”"


def is_page(texts: Sequence[TextLine]) -> bool:
    """Whether text is what the picture is made of."""
    coverage = sum(line.box.area for line in texts)
    return len(texts) >= PAGE_LINES and coverage >= PAGE_COVERAGE


def _tags(
    things: Sequence[Thing],
    scene: Scene | None,
    faces: Sequence[Face],
    texts: Sequence[TextLine],
    colors: Sequence[Color],
) -> tuple[Tag, ...]:
    """Keywords by belief; colours come last, however much of the picture they cover."""
    scores: dict[str, float] = {}

    def add(name: str, score: float) -> None:
        name = name.lower().strip()
        if 0 < len(name) <= LONGEST_TAG:
            scores[name] = max(score, scores.get(name, 0.0))

    for thing in things:
        add(thing.noun, thing.belief)
        if thing.detail:
            add(thing.detail.name, thing.detail.score)
    for label in (scene.head, scene.detail) if scene else ():
        if label:
            add(label.name, label.score)
            add(lexicon().parent(label.name) or "", label.score)
    if faces:
        add("face", _mean(faces))
    if texts:
        add("text", _mean(texts))
    ranked = sorted(scores.items(), key=lambda entry: (-entry[1], entry[0]))
    named = set(scores)
    for name, share in _shares(colors).items():
        if name not in named:
            ranked.append((name, COLOR_TAG * min(share, 1.0)))
    return tuple(Tag(name, score) for name, score in ranked[:MOST_TAGS])


def _shares(colors: Sequence[Color]) -> dict[str, float]:
    """Colour names with their summed shares, largest first."""
    shares: dict[str, float] = {}
    for color in colors:
        shares[color.name] = shares.get(color.name, 0.0) + color.fraction
    return dict(sorted(shares.items(), key=lambda entry: (-entry[1], entry[0])))


def _mean(scored: Sequence[Face] | Sequence[TextLine]) -> float:
    return sum(found.score for found in scored) / len(scored)


def _is_grey(code: str) -> bool:
    parts = bytes.fromhex(code.removeprefix("#"))
    return max(parts) - min(parts) <= GREY_SPREAD
