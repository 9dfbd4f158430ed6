"""The parts of a sentence that all descriptions share. Each keeps a claim for what it says.

A test can take the words of all claims out of a description and find nothing left but grammar.

Wording by band (``evidence`` decides who gets which):

=============  ===========================  ==========================
band           a detected thing             a scene label
=============  ===========================  ==========================
``CERTAIN``    "a cup"                      "a tripod"
``PROBABLE``   "what looks like a cup",     "probably a tripod"
               "a bowl and perhaps a cup"
``POSSIBLE``   (not mentioned)              "possibly a tripod"
=============  ===========================  ==========================
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ocelli.backends.local.content import FACE, NSFW, Scheme, one_line, quote, quoted
from ocelli.backends.local.evidence import CEILING, RIDDEN, Band, Scene, SceneWord, Thing
from ocelli.backends.local.media import DRAWN
from ocelli.domain import grammar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.backends.local.content import Coloring, Content
    from ocelli.domain.findings import Color, Face, SceneLabel, TextLine

SIDE_CLAIM = 0.5
SURE_TEXT = 0.9
PAGE_LINES, PAGE_COVERAGE = 3, 0.15

WHERE = {
    "indoors": "indoors", "outdoors": "outdoors", "snow": "in the snow", "street": "on a street",
    "water": "at the water", "grass": "on grass", "rocks": "among rocks",
}  # fmt: skip
SCENERY = {
    "indoors": "an indoor scene", "outdoors": "an outdoor scene", "snow": "a snowy place",
    "street": "a street", "water": "a place at the water", "grass": "grass", "rocks": "rocks",
}  # fmt: skip
AFLOAT = ("boat", "surfboard")
HEDGES = {Band.CERTAIN: "", Band.PROBABLE: "probably ", Band.POSSIBLE: "possibly "}


class Topic(StrEnum):
    """What a claim is about."""

    THING = "thing"
    SURFACE = "surface"
    SIDE = "side"
    RIDING = "riding"
    MEDIUM = "medium"
    PLACE = "place"
    DETAIL = "detail"
    SCENE = "scene"
    FACES = "faces"
    TEXT = "text"
    COLORS = "colors"
    SAFETY = "safety"


@dataclass(frozen=True, slots=True)
class Phrase:
    """One thing that a description says.

    ``words`` stand in the description, but for a capital letter. ``subject`` is the noun, the text
    or the colours, ``count`` how many of it, and ``of`` the plain noun of what a detail, a closer
    name or a side belongs to. ``parts`` are the single colours, or lines of text. ``sentence`` is
    the position of the sentence that says it.
    """

    topic: Topic
    words: str
    subject: str
    belief: float
    count: int = 1
    weight: float = 0.0
    of: str = ""
    parts: tuple[str, ...] = ()
    sentence: int = 0


class Phrases:
    """Collects sentences, and what they say."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.said: list[Phrase] = []

    def has(self, topic: Topic) -> bool:
        """Whether that was spoken about already."""
        return any(said.topic is topic for said in self.said)

    def things(self, things: Sequence[Thing]) -> str:
        """ "a person riding a horse, with a cup and a bowl on a dining table"."""
        by_noun = {thing.noun: thing for thing in things}
        surfaces = {t.surface for t in things if t.surface in by_noun}
        alone = len(things) == 1
        parts = []
        for thing in things:
            if thing.rides and thing.surface in by_noun:
                rider = self._listed([thing], alone=alone)
                mount = self._listed([by_noun[thing.surface]], alone=alone)
                self.say(Topic.RIDING, "riding", thing.surface, thing.belief, of=thing.noun)
                parts.append(f"{rider} riding {mount}")
        rest = [t for t in things if t.noun not in surfaces and t.surface not in surfaces]
        if rest:
            parts.append(self._listed(rest, alone=alone))
        for noun in sorted(noun for noun in surfaces if noun and noun not in RIDDEN):
            lying = self._listed([t for t in things if t.surface == noun], alone=alone)
            under = self._listed([by_noun[noun]], alone=alone, topic=Topic.SURFACE)
            parts.append(f"{lying} on {under}")
        return ", with ".join(parts)

    def medium(self, content: Content) -> str:
        """ "a receipt that reads “TOTAL 12.00”", "a drawing of a horse"."""
        label = content.medium
        if label is None:
            return ""
        words = grammar.counted(label.name)
        self.say(Topic.MEDIUM, words, label.name, label.score, weight=1.0)
        if content.things and label.name in DRAWN:
            words += f" of {self.things(content.things)}"
        return f"{words} that {self.reading(content.texts)}" if content.texts else words

    def where(self, content: Content) -> str:
        """ "in the snow": the closest of the places."""
        place = content.places[0]
        afloat = place.name == "water" and any(thing.noun in AFLOAT for thing in content.things)
        words = "on the water" if afloat else WHERE[place.name]
        self.say(Topic.PLACE, words, place.name, place.score)
        return words

    def scenery(self, place: SceneLabel) -> str:
        """ "an outdoor scene": a place and nothing in it."""
        words = SCENERY[place.name]
        self.say(Topic.PLACE, words, place.name, place.score)
        return words

    def companion(self, scene: Scene | None) -> str:
        """ " with a tripod": a thing that the classifier sees beside what was detected."""
        if scene is None or scene.is_place:
            return ""
        words = self.label(scene.head, weight=1.0, belief=scene.belief, hedge=False)
        hedge = HEDGES[scene.head.band]
        return f", {hedge}with {words}" if hedge else f" with {words}"

    def scene(self, scene: Scene) -> str:
        """ "probably a building, possibly a palace": the scene, where nothing was detected."""
        words = self.label(scene.head, weight=1.0, belief=scene.belief)
        if scene.detail is None:
            return words
        return f"{words}, {self.label(scene.detail, of=scene.head.name)}"

    def place(self, scene: Scene) -> str:
        """The place around things that were detected."""
        return self.label(scene.head, weight=1.0, belief=scene.belief)

    def label(
        self,
        label: SceneWord,
        *,
        topic: Topic = Topic.SCENE,
        weight: float = 0.0,
        belief: float | None = None,
        hedge: bool = True,
        of: str = "",
    ) -> str:
        """ "probably a tripod"; without ``hedge`` its wording must come from elsewhere."""
        words = grammar.counted(label.name)
        self.say(topic, words, label.name, belief or label.score, weight=weight, of=of)
        return f"{HEDGES[label.band]}{words}" if hedge else words

    def faces(self, faces: Sequence[Face], *, weight: float = SIDE_CLAIM) -> str:
        """ "two faces"."""
        words = f"{grammar.number(len(faces))} {'face' if len(faces) == 1 else 'faces'}"
        self.say(Topic.FACES, words, FACE, mean(faces), count=len(faces), weight=weight)
        return words

    def quote(self, texts: Sequence[TextLine], *, weight: float = SIDE_CLAIM) -> str:
        """ "text that may read “EXIT”"."""
        kind = "a page of text" if is_page(texts) else "text"
        return f"{kind} that {self.reading(texts, weight=weight)}"

    def reading(self, texts: Sequence[TextLine], *, weight: float = SIDE_CLAIM) -> str:
        """ "reads “EXIT”"."""
        belief = mean(texts)
        words = quote(texts)
        self.say(Topic.TEXT, words, words[1:-1], belief, weight=weight, parts=quoted(texts))
        return f"{'reads' if belief >= SURE_TEXT else 'may read'} {words}"

    def verbatim(self, line: TextLine) -> str:
        """ "reads “EXIT”", uncut."""
        text = one_line(line.text)
        self.say(Topic.TEXT, f"“{text}”", text, line.score, parts=[text])
        return f"{'reads' if line.score >= SURE_TEXT else 'may read'} “{text}”"

    def share(self, color: Color) -> str:
        """ "red #be0032 (31%)"."""
        words = f"{color.name} {color.hex} ({color.fraction:.0%})"
        self._colors(words, [color.name], None)
        return words

    def coloring(self, coloring: Coloring, *, sentence: int | None = None) -> str:
        """ "brown and beige dominate"."""
        names = coloring.names
        match coloring.scheme:
            case Scheme.ALMOST_ONE:
                words = f"almost entirely {names[0]}"
            case Scheme.GREYS:
                words = "in black and white"
            case Scheme.SHADES:
                words = f"shades of {names[0]} dominate"
            case Scheme.GROUND:
                words = f"on {names[0]}"
            case Scheme.NAMED:
                verb = "dominates" if len(names) == 1 else "dominate"
                words = f"{grammar.listing(names)} {verb}"
        self._colors(words, names, sentence)
        return words

    def colors(self, coloring: Coloring, *, sentence: int | None = None) -> str:
        """The names alone: "brown and beige", "shades of grey"."""
        shades = coloring.scheme in (Scheme.GREYS, Scheme.SHADES)
        words = ("shades of " if shades else "") + grammar.listing(coloring.names)
        self._colors(words, coloring.names, sentence)
        return words

    def warning(self, nsfw: float) -> str:
        """ "may not be safe for work"."""
        words = "may not be safe for work"
        self.say(Topic.SAFETY, words, NSFW, nsfw)
        return words

    def say(
        self,
        topic: Topic,
        words: str,
        subject: str,
        belief: float,
        *,
        count: int = 1,
        weight: float = 0.0,
        of: str = "",
        parts: Sequence[str] = (),
        sentence: int | None = None,
    ) -> None:
        """Remember what the sentence that is being written, or another one, says."""
        at = len(self.sentences) if sentence is None else sentence
        belief = min(belief, CEILING)
        self.said.append(Phrase(topic, words, subject, belief, count, weight, of, tuple(parts), at))

    def _colors(self, words: str, names: Sequence[str], sentence: int | None) -> None:
        subject = ", ".join(names)
        self.say(
            Topic.COLORS, words, subject, 1.0, count=len(names), parts=names, sentence=sentence
        )

    def _listed(self, things: Sequence[Thing], *, alone: bool, topic: Topic = Topic.THING) -> str:
        """Sure things first, then the others behind one hedge."""
        sure = [self._thing(t, topic, alone=alone) for t in things if t.band is Band.CERTAIN]
        others = [self._thing(t, topic, alone=alone) for t in things if t.band < Band.CERTAIN]
        if others and not sure:
            return f"what looks like {grammar.listing(others)}"
        if others:
            sure.append(f"perhaps {grammar.listing(others)}")
        return grammar.listing(sure)

    def _thing(self, thing: Thing, topic: Topic, *, alone: bool) -> str:
        detail = thing.detail
        if detail is not None and detail.band is Band.CERTAIN:
            words = grammar.counted(detail.name)
            self.say(topic, words, detail.name, thing.belief, weight=1.0, of=thing.noun)
            return words + self._side(thing, alone=alone)
        words = (grammar.counted if thing.counted else grammar.some)(thing.noun, thing.count)
        self.say(topic, words, thing.noun, thing.belief, count=thing.count, weight=1.0)
        words += self._side(thing, alone=alone)
        if detail is None:
            return words
        narrower = self.label(detail, topic=Topic.DETAIL, of=thing.noun)
        return f"{words}, {narrower}" if alone else f"{words} ({narrower})"

    def _side(self, thing: Thing, *, alone: bool) -> str:
        """Only for the one thing in the picture: in a list, sides make English long-winded."""
        if not alone or thing.side is None:
            return ""
        words = f"on the {thing.side}"
        self.say(Topic.SIDE, words, thing.side, thing.belief, of=thing.noun)
        return f" {words}"


def is_page(texts: Sequence[TextLine]) -> bool:
    """Whether text is what the picture is made of."""
    coverage = sum(line.box.area for line in texts)
    return len(texts) >= PAGE_LINES and coverage >= PAGE_COVERAGE


def mean(scored: Sequence[Face] | Sequence[TextLine]) -> float:
    """Their mean score."""
    return sum(found.score for found in scored) / len(scored)
