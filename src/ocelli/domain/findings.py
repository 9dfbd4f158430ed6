"""What one backend found in one picture.

Coordinates are fractions of the upright picture's width and height (0 = left or top, 1 = right or
bottom), so that they hold for every size of it. Scores are the models' own, 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ocelli.domain.claims import Claim, Tokens

UNSAFE = 0.5  # from this probability on a picture counts as not safe for work
LOCAL = "ocelli-local"  # the source of everything that the models inside this program found


class Feature(StrEnum):
    """What a question can ask for, and what a backend can declare to answer."""

    DESCRIPTIONS = "descriptions"
    TAGS = "tags"
    COLORS = "colors"
    FACES = "faces"
    TEXTS = "texts"
    NSFW = "nsfw"
    BRANDS = "brands"


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle in fractions of the picture."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """Share of the picture, 0 to 1."""
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)

    @property
    def center(self) -> tuple[float, float]:
        """The centre, as (x, y)."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def overlap(self, other: Box) -> float:
        """Return the intersection over union with ``other``, 0 to 1."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        union = self.area + other.area - shared
        return shared / union if union > 0 else 0.0

    def covered(self, other: Box) -> float:
        """Intersection with ``other`` over the smaller area, 0 to 1."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        smaller = min(self.area, other.area)
        return max(width, 0.0) * max(height, 0.0) / smaller if smaller > 0 else 0.0


@dataclass(frozen=True, slots=True)
class DetectedObject:
    """A thing with a place; ``name`` is a singular English noun ("dining table")."""

    name: str
    score: float
    box: Box


@dataclass(frozen=True, slots=True)
class SceneLabel:
    """The kind of scene; ``name`` is a singular English noun ("beach")."""

    name: str
    score: float


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of visible text, exactly as read; ``box`` encloses it."""

    text: str
    score: float
    box: Box


@dataclass(frozen=True, slots=True)
class Face:
    """The place of a face. Faces are never identified."""

    score: float
    box: Box


@dataclass(frozen=True, slots=True)
class Color:
    """One dominant colour: ``hex`` is ``#rrggbb``, ``fraction`` its share of the picture."""

    hex: str
    name: str
    fraction: float


@dataclass(frozen=True, slots=True)
class Tag:
    """A keyword with its score, 0 to 1."""

    name: str
    score: float


@dataclass(frozen=True, slots=True)
class Brand:
    """A brand or logo with its score, 0 to 1."""

    name: str
    score: float


@dataclass(frozen=True, slots=True)
class Safety:
    """Probability that the picture is not safe for work, 0 to 1."""

    nsfw: float


@dataclass(frozen=True, slots=True)
class Findings:
    """All that one backend found in one picture.

    ``source`` names the backend that answered, ``model_version`` its models. Sequences are ordered
    best first, ``texts`` in reading order. ``claims`` are what ``description`` states. ``ignored``
    are fields of the question that this backend cannot follow: ``prompt``, ``language``.
    """

    source: str
    model_version: str
    objects: tuple[DetectedObject, ...] = ()
    scenes: tuple[SceneLabel, ...] = ()
    texts: tuple[TextLine, ...] = ()
    faces: tuple[Face, ...] = ()
    colors: tuple[Color, ...] = ()
    tags: tuple[Tag, ...] = ()
    safety: Safety | None = None
    description: str | None = None
    confidence: float | None = None
    model_ms: float = 0.0
    brands: tuple[Brand, ...] = ()
    claims: tuple[Claim, ...] = ()
    tokens: Tokens = Tokens()
    ignored: tuple[str, ...] = ()

    @property
    def visible_text(self) -> str | None:
        """All lines in reading order, or None if nothing legible was found."""
        return "\n".join(line.text for line in self.texts) or None
