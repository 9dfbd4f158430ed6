"""The colours of pictures."""

from dataclasses import field
from datetime import datetime
from enum import StrEnum

from aion.types._model import Model, record


class ColorFamily(StrEnum):
    """Groups of colours that people name together."""

    NEUTRAL = "neutral"
    EARTH_TONE = "earth_tone"
    WARM = "warm"
    COOL = "cool"
    METALLIC = "metallic"
    PASTEL = "pastel"
    VIBRANT = "vibrant"


class ColorExtractionStatus(StrEnum):
    """How far the extraction has come."""

    PENDING = "pending"
    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


def _family(name: str) -> ColorFamily | None:
    return next((family for family in ColorFamily if family == name), None)


@record
class RGB(Model):
    """Red, green and blue, 0 to 255."""

    r: int
    g: int
    b: int


@record
class HSL(Model):
    """Hue in degrees, saturation and lightness in percent."""

    h: float
    s: float
    l: float  # noqa: E741 - a name of the contract


@record
class LAB(Model):
    """CIE L*a*b*: lightness 0 to 100, green to red, blue to yellow."""

    l: float  # noqa: E741 - a name of the contract
    a: float
    b: float


@record
class DominantColor(Model):
    """One of a picture's main colours; ``percentage`` of its area."""

    rank: int
    percentage: float
    rgb: RGB
    hsl: HSL
    lab: LAB
    hex: str
    name: str
    family: str

    @property
    def family_enum(self) -> ColorFamily | None:
        """The family, if this version knows it."""
        return _family(self.family)


@record
class ColorTemperature(Model):
    """``warm``, ``cool`` or ``neutral``."""

    value: str
    score: float = 0.0


@record
class ColorBrightness(Model):
    """The mean lightness in percent; ``dark``, ``medium`` or ``light``."""

    average: float
    category: str


@record
class ColorSaturation(Model):
    """The mean saturation in percent; ``muted``, ``medium`` or ``vivid``."""

    average: float
    category: str


@record
class ColorAnalytics(Model):
    """The picture as a whole."""

    temperature: ColorTemperature
    brightness: ColorBrightness
    saturation: ColorSaturation


@record
class ColorAnalysis(Model):
    """All about the colours of one picture."""

    version: str = ""
    dominant_colors: list[DominantColor] = field(default_factory=list)
    analytics: ColorAnalytics | None = None
    extracted_at: datetime | None = None


@record
class ColorExtractionResult(Model):
    """How far the extraction has come, and what it found."""

    image_id: str
    status: str
    color_analysis: ColorAnalysis | None = None
    extracted_at: datetime | None = None

    @property
    def status_enum(self) -> ColorExtractionStatus | None:
        """The status, if this version knows it."""
        return next((s for s in ColorExtractionStatus if s == self.status), None)

    @property
    def is_completed(self) -> bool:
        """Whether the analysis is there."""
        return self.status == ColorExtractionStatus.COMPLETED

    @property
    def is_pending(self) -> bool:
        """Whether it has not begun: pending or queued."""
        return self.status in (ColorExtractionStatus.PENDING, ColorExtractionStatus.QUEUED)


@record
class ColorSearchResult(Model):
    """One picture that matches; ``match_score`` from 0 to 1, higher is better."""

    image_id: str
    match_score: float = 0.0
    thumbnail_url: str | None = None
    color_analysis: ColorAnalysis | None = None
    matched_hex: str | None = None
    matched_percentage: float | None = None


@record
class ColorSearchResponse(Model):
    """One page of matches."""

    results: list[ColorSearchResult] = field(default_factory=list)
    total_count: int = 0
    limit: int = 50
    offset: int = 0
    next_cursor: str | None = None

    @property
    def has_more(self) -> bool:
        """Whether there is another page."""
        return self.offset + len(self.results) < self.total_count


@record
class ColorFamilyInfo(Model):
    """A family of colours, explained."""

    name: str
    display_name: str = ""
    description: str = ""
    example_colors: list[str] = field(default_factory=list)

    @property
    def family_enum(self) -> ColorFamily | None:
        """The family, if this version knows it."""
        return _family(self.name)


@record
class BatchColorExtractionResult(Model):
    """How many pictures were queued."""

    queued_count: int = 0
    message: str = ""
