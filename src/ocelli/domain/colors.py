"""Colours: sRGB and CIELAB, families, the palette of a picture, and the search by colour.

CIELAB is always that of the sRGB white point (D65, 2 degrees): lightness 0 to 100, ``a`` from green
to red, ``b`` from blue to yellow, both about -110 to 110.
"""

from __future__ import annotations

import colorsys
import math
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from operator import mul
from typing import TYPE_CHECKING

from ocelli.domain.errors import ValidationFailed

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

VERSION = "1"  # of the analysis; a change of its numbers is a new one
MIN_COLORS, MAX_COLORS = 3, 16

# From linear sRGB to XYZ in units of the white point (IEC 61966-2-1, D65).
TO_XYZ = (
    (0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883),
)
EPSILON = 6 / 29  # where CIELAB's cube root becomes a straight line

_HEX = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")

# Below these, in units of CIELAB chroma or lightness.
GREY_CHROMA = 9.0
VIVID_CHROMA = 60.0
PASTEL_LIGHTNESS, PASTEL_CHROMA = 75.0, 45.0
# Hues in degrees of CIELAB: red 30, orange 65, yellow 100, green 140, blue 280, magenta 330.
WARM_FROM, WARM_TO = 330.0, 110.0
EARTH_FROM, EARTH_TO, EARTH_LIGHTNESS = 35.0, 112.0, 70.0
METALS = ("#d4af37", "#cd7f32", "#b87333", "#b76e79", "#b5a642", "#aaa9ad")
METALLIC_WITHIN = 6.0  # CIELAB distance


class Family(StrEnum):
    """Groups of colours; each colour belongs to exactly one."""

    NEUTRAL = "neutral"
    EARTH_TONE = "earth_tone"
    WARM = "warm"
    COOL = "cool"
    METALLIC = "metallic"
    PASTEL = "pastel"
    VIBRANT = "vibrant"


@dataclass(frozen=True, slots=True)
class FamilyInfo:
    """The name, the description and examples of a family, for clients."""

    family: Family
    display_name: str
    description: str
    examples: tuple[str, ...]


FAMILIES = (
    FamilyInfo(
        Family.NEUTRAL,
        "Neutral",
        "Black, white, and greys with hardly any colour.",
        ("#000000", "#808080", "#f5f5f5"),
    ),
    FamilyInfo(
        Family.EARTH_TONE,
        "Earth tones",
        "Browns, ochres and olives, as of soil, wood and stone.",
        ("#8b5a2b", "#a0522d", "#6b6b2f"),
    ),
    FamilyInfo(
        Family.WARM,
        "Warm",
        "Reds, oranges and yellows of medium strength.",
        ("#a94a5b", "#c98a94", "#8b1a2b"),
    ),
    FamilyInfo(
        Family.COOL,
        "Cool",
        "Greens, blues and purples of medium strength.",
        ("#2f4f6f", "#3c7a5a", "#5a4a8a"),
    ),
    FamilyInfo(
        Family.METALLIC,
        "Metallic",
        "As gold, silver, bronze, brass and copper look; a colour alone cannot shine.",
        ("#d4af37", "#aaa9ad", "#b87333"),
    ),
    FamilyInfo(
        Family.PASTEL,
        "Pastel",
        "Light and soft.",
        ("#ffd1dc", "#b5ead7", "#c7ceea"),
    ),
    FamilyInfo(
        Family.VIBRANT,
        "Vibrant",
        "Strong and pure.",
        ("#ff0000", "#00c853", "#2962ff"),
    ),
)


@dataclass(frozen=True, slots=True)
class RgbColor:
    """A colour in sRGB, each part from 0 to 255."""

    r: int
    g: int
    b: int

    @classmethod
    def parse(cls, text: str) -> RgbColor:
        """Parse ``#rgb`` or ``#rrggbb``; the ``#`` is optional. Raises ValidationFailed.

        >>> RgbColor.parse("#f80")
        RgbColor(r=255, g=136, b=0)
        """
        found = _HEX.fullmatch(text.strip())
        if not found:
            raise ValidationFailed(f"Not a colour like #ff8800: {text[:20]!r}", field="hex_code")
        digits = found[1] if len(found[1]) == 6 else "".join(2 * digit for digit in found[1])
        return cls(*bytes.fromhex(digits))

    @classmethod
    def of_number(cls, number: int) -> RgbColor:
        """Return the colour whose ``number`` this is."""
        return cls(number >> 16, number >> 8 & 255, number & 255)

    @property
    def number(self) -> int:
        """The colour as one integer of 24 bits, red highest."""
        return self.r << 16 | self.g << 8 | self.b

    @property
    def hex(self) -> str:
        """The colour as ``#rrggbb``."""
        return f"#{self.number:06x}"

    @property
    def hsl(self) -> tuple[float, float, float]:
        """Hue in degrees, saturation and lightness in percent."""
        hue, lightness, saturation = colorsys.rgb_to_hls(self.r / 255, self.g / 255, self.b / 255)
        return round(hue * 360, 1), round(saturation * 100, 1), round(lightness * 100, 1)

    @property
    def lab(self) -> tuple[float, float, float]:
        """The colour in CIELAB (D65).

        >>> [round(part, 2) for part in RgbColor(255, 0, 0).lab]
        [53.24, 80.09, 67.2]
        """
        linear = [_linear(part / 255) for part in (self.r, self.g, self.b)]
        x, y, z = (_cube_root(sum(map(mul, row, linear))) for row in TO_XYZ)
        return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def family_of(color: RgbColor) -> Family:
    """Return the family of a colour: that of the first rule that holds."""
    lightness, a, b = color.lab
    chroma, hue = math.hypot(a, b), math.degrees(math.atan2(b, a)) % 360
    warm = hue >= WARM_FROM or hue <= WARM_TO
    if any(math.dist((lightness, a, b), metal) < METALLIC_WITHIN for metal in _metals()):
        return Family.METALLIC
    if chroma < GREY_CHROMA:
        return Family.NEUTRAL
    if chroma > VIVID_CHROMA:
        return Family.VIBRANT
    if lightness > PASTEL_LIGHTNESS and chroma < PASTEL_CHROMA:
        return Family.PASTEL
    if EARTH_FROM <= hue <= EARTH_TO and lightness < EARTH_LIGHTNESS:
        return Family.EARTH_TONE
    return Family.WARM if warm else Family.COOL


@cache
def _metals() -> tuple[tuple[float, float, float], ...]:
    return tuple(RgbColor.parse(metal).lab for metal in METALS)


def match_score(distance: float, threshold: float) -> float:
    """Return 1 at distance 0, falling to 0 at ``threshold``; both are ΔE by CIEDE2000."""
    if threshold <= 0:
        return float(distance <= 0)
    return max(0.0, 1 - distance / threshold)


@dataclass(frozen=True, slots=True)
class PaletteColor:
    """One of a picture's main colours; ``percentage`` of its area, 0 to 100; rank 1 is largest."""

    rank: int
    percentage: float
    rgb: RgbColor
    name: str
    family: Family


@dataclass(frozen=True, slots=True)
class Reading:
    """A measure of a whole picture, and its word ("warm")."""

    value: float
    word: str


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one picture, largest first.

    ``temperature`` is from -1 (cool) to 1 (warm); ``brightness`` the mean lightness and
    ``saturation`` the share of colour in it, both 0 to 100.
    """

    colors: tuple[PaletteColor, ...]
    temperature: Reading
    brightness: Reading
    saturation: Reading
    version: str = VERSION


class PaletteStatus(StrEnum):
    """The state of a colour extraction."""

    PENDING = "pending"
    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Extraction:
    """The extraction of one picture's colours. ``palette`` is the last one that was completed."""

    image_id: UUID
    tenant_id: UUID
    status: PaletteStatus = PaletteStatus.PENDING
    n_colors: int = MAX_COLORS
    palette: Palette | None = None
    error: str | None = None
    extracted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ColorQuery:
    """A search by colour; one colour of a picture must satisfy all the conditions that are set.

    ``threshold`` is in ΔE by CIEDE2000, ``min_percentage`` of the picture's area.
    """

    near: RgbColor | None = None
    name: str | None = None
    family: Family | None = None
    threshold: float = 15.0
    min_percentage: float = 5.0


@dataclass(frozen=True, slots=True)
class ColorMatch:
    """A picture, and its colour that matches best."""

    image_id: UUID
    score: float
    rgb: RgbColor
    percentage: float


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)


def _cube_root(t: float) -> float:
    return float(t ** (1 / 3)) if t > EPSILON**3 else t / (3 * EPSILON**2) + 4 / 29
