"""What is worth saying about a picture, decided once, whatever words it will be put into. Pure.

Descriptions of every role are written from a ``Content``. When a claim turns out wrong, its part is
taken out and the rest is put into words again: what is left was part of the first description.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from ocelli.backends.local.evidence import Scene, Thing, scene_of, things_in
from ocelli.backends.local.fusion import PERSON
from ocelli.backends.local.media import DRAWN, MEDIA
from ocelli.backends.local.shapes import is_shape
from ocelli.backends.local.surroundings import PLACES
from ocelli.domain.claims import ClaimType
from ocelli.domain.findings import UNSAFE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocelli.domain.claims import Claim
    from ocelli.domain.findings import Color, Face, Findings, SceneLabel, TextLine

PICTURE = "picture"
FACE = "face"
NSFW = "nsfw"

QUOTE_LENGTH = 80
MENTIONED_COLORS, COLOR_FRACTION, COLORS_TOGETHER = 2, 0.15, 0.4
ONLY_COLOR = 0.9
GREY_SPREAD = 12
GROUND_SHARE = 0.5


class Scheme(Enum):
    """How the dominant colours belong together."""

    ALMOST_ONE = auto()
    GREYS = auto()
    SHADES = auto()
    NAMED = auto()
    GROUND = auto()


@dataclass(frozen=True, slots=True)
class Coloring:
    """The dominant colours: ``names`` are one but for ``NAMED``. A ``GROUND`` has shapes on it."""

    scheme: Scheme
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """The parts of a description. ``nsfw`` is given from ``UNSAFE`` on.

    ``medium`` is what it is if it is no photo, ``places`` where it was taken. ``coloring`` is what
    stands out among the colours, ``palette`` all of them.
    """

    things: tuple[Thing, ...] = ()
    scene: Scene | None = None
    faces: tuple[Face, ...] = ()
    texts: tuple[TextLine, ...] = ()
    coloring: Coloring | None = None
    nsfw: float | None = None
    palette: tuple[Color, ...] = ()
    medium: SceneLabel | None = None
    places: tuple[SceneLabel, ...] = ()

    def without(self, dropped: Iterable[Claim]) -> Content:
        """What is left when none of these claims is to be made."""
        gone = list(dropped)
        named = {
            claim.subject
            for claim in gone
            if claim.type in (ClaimType.OBJECT, ClaimType.COUNT, ClaimType.SCENE)
        }
        unplaced = {claim.subject for claim in gone if claim.type is ClaimType.RELATION}
        unread = [claim.value or "" for claim in gone if claim.type is ClaimType.TEXT]
        shown = self.texts[: len(quoted(self.texts))] if unread else self.texts
        uncolored = {claim.value for claim in gone if claim.type is ClaimType.ATTRIBUTE}
        if not gone:
            return self
        if len(self.things) > 1:  # what was said of none must not be said of the only one left
            unplaced |= {thing.noun for thing in self.things}
        return Content(
            things=tuple(
                _left(thing, named, unplaced) for thing in self.things if thing.noun not in named
            ),
            scene=_left_scene(self._stated_scene(), named),
            faces=() if named & {FACE, PERSON} else self.faces,
            texts=tuple(line for line in shown if not any(_quotes(v, line.text) for v in unread)),
            coloring=_left_coloring(self.coloring, uncolored),
            nsfw=None if any(claim.value == NSFW for claim in gone) else self.nsfw,
            palette=tuple(color for color in self.palette if color.name not in uncolored),
            medium=None if self.medium and self.medium.name in named else self.medium,
            # Of several places the closest is said: another one was not looked at again.
            places=() if named & {place.name for place in self.places} else self.places,
        )

    def _stated_scene(self) -> Scene | None:
        """As much of the scene as a description says beside the rest."""
        return Scene(self.scene.head) if self.scene and self.things else self.scene


def content_of(findings: Findings) -> Content:
    """What these findings are worth saying; any part of them may be empty."""
    objects, scenes, faces = findings.objects, findings.scenes, findings.faces
    medium = next((label for label in scenes if label.name in MEDIA), None)
    is_photo = medium is None
    # Of what is no photo, only a drawing is of something.
    shows_things = medium is None or medium.name in DRAWN
    things = things_in(objects, scenes, faces) if shows_things else []
    people = bool(faces) or any(thing.noun == "person" for thing in things)
    safety = findings.safety
    return Content(
        things=tuple(things),
        scene=scene_of(scenes, things, people=people) if is_photo else None,
        faces=faces,
        texts=findings.texts,
        coloring=_ground(findings) or coloring_of(findings.colors),
        nsfw=safety.nsfw if safety is not None and safety.nsfw >= UNSAFE else None,
        palette=findings.colors,
        medium=medium,
        places=tuple(label for label in scenes if label.name in PLACES) if is_photo else (),
    )


def _ground(findings: Findings) -> Coloring | None:
    """What shapes stand on."""
    shares = color_shares(findings.colors)
    first = next(iter(shares), None)
    if first is None or shares[first] < GROUND_SHARE:
        return None
    shapes = any(is_shape(one.name) for one in findings.objects)
    return Coloring(Scheme.GROUND, (first,)) if shapes else None


def coloring_of(colors: Sequence[Color]) -> Coloring | None:
    """Which colours make up most of the picture, if so few do that they can be named."""
    shares = color_shares(colors)
    named = [name for name, share in shares.items() if share >= COLOR_FRACTION]
    named = named[:MENTIONED_COLORS]
    if sum(shares[name] for name in named) < COLORS_TOGETHER:
        return None
    if shares[named[0]] >= ONLY_COLOR:
        return Coloring(Scheme.ALMOST_ONE, (named[0],))
    if all(is_grey(color.hex) for color in colors):
        return Coloring(Scheme.GREYS, ("grey",))
    bases = {name.rpartition(" ")[2] for name in named}
    if len(named) > 1 and len(bases) == 1:
        return Coloring(Scheme.SHADES, tuple(bases))
    return Coloring(Scheme.NAMED, tuple(named))


def color_shares(colors: Sequence[Color]) -> dict[str, float]:
    """Colour names with their summed shares, largest first."""
    shares: dict[str, float] = {}
    for color in colors:
        shares[color.name] = shares.get(color.name, 0.0) + color.fraction
    return dict(sorted(shares.items(), key=lambda entry: (-entry[1], entry[0])))


def is_grey(code: str) -> bool:
    """Whether the colour ``#rrggbb`` has no hue that one would notice."""
    parts = bytes.fromhex(code.removeprefix("#"))
    return max(parts) - min(parts) <= GREY_SPREAD


def one_line(text: str) -> str:
    """``text`` with single spaces."""
    return " ".join(text.split())


def quote(texts: Sequence[TextLine]) -> str:
    """The lines in quotation marks, cut with "…" between words at ``QUOTE_LENGTH``."""
    text = " / ".join(one_line(line.text) for line in texts)
    if len(text) > QUOTE_LENGTH:
        cut = text[:QUOTE_LENGTH]
        text = (cut.rsplit(" ", 1)[0] if " " in cut else cut).rstrip(" /") + "…"
    return f"“{text}”"


def quoted(texts: Sequence[TextLine]) -> list[str]:
    """What ``quote`` shows of each line that it shows; the one that it cuts ends in "…"."""
    lines = [one_line(line.text) for line in texts]
    shown = quote(texts)[1:-1]
    if shown != " / ".join(lines):
        shown = shown.removesuffix("…")
    parts, start = [], 0
    for line in lines:
        part = shown[start : start + len(line)]
        if part:
            parts.append(part if part == line else f"{part}…")
        start += len(line) + len(" / ")
    return parts


def _left(thing: Thing, named: set[str | None], unplaced: set[str | None]) -> Thing:
    """The thing without a closer name, or a place, that is not to be claimed."""
    if thing.detail is not None and thing.detail.name in named:
        thing = replace(thing, detail=None)
    if thing.surface in named or (thing.rides and thing.noun in unplaced):
        thing = replace(thing, surface=None)
    return replace(thing, placed=False) if thing.noun in unplaced else thing


def _left_scene(scene: Scene | None, named: set[str | None]) -> Scene | None:
    if scene is None or scene.head.name in named:
        return None
    if scene.detail is not None and scene.detail.name in named:
        return Scene(scene.head)
    return scene


def _left_coloring(coloring: Coloring | None, gone: set[str | None]) -> Coloring | None:
    if coloring is None:
        return None
    names = tuple(name for name in coloring.names if name not in gone)
    return replace(coloring, names=names) if names else None


def _quotes(value: str, line: str) -> bool:
    """Whether ``value``, which may end in "…", quotes this line."""
    line = one_line(line)
    return line.startswith(value[:-1]) if value.endswith("…") and value != line else value == line
