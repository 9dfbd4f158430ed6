"""Bodies of ``/colors``, field by field as clients know them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ocelli.api.cursors import DESCRIPTION, LONGEST, NEXT, PATTERN
from ocelli.domain.colors import MAX_COLORS, MIN_COLORS, Family, PaletteStatus

N_COLORS = Field(
    MAX_COLORS,
    ge=MIN_COLORS,
    le=MAX_COLORS,
    description="How many colours at most; a picture with fewer has fewer.",
)


class Rgb(BaseModel):
    """sRGB, 0 to 255."""

    r: int
    g: int
    b: int


class Hsl(BaseModel):
    """Hue in degrees, saturation and lightness in percent."""

    h: float
    s: float
    l: float  # noqa: E741 - a name of the contract


class Lab(BaseModel):
    """CIELAB (D65): lightness 0 to 100, green to red, blue to yellow."""

    l: float  # noqa: E741 - a name of the contract
    a: float
    b: float


class DominantColor(BaseModel):
    """One of a picture's main colours."""

    rank: int = Field(description="1 is the largest.")
    percentage: float = Field(description="Of the picture's area, 0 to 100.")
    hex: str
    name: str
    family: Family
    rgb: Rgb
    hsl: Hsl
    lab: Lab


class Temperature(BaseModel):
    """Warm, cool, or neither."""

    value: str = Field(description="warm, cool or neutral.")
    score: float = Field(description="-1 (cool) to 1 (warm).")


class Level(BaseModel):
    """A mean over the picture, and the word for it."""

    average: float = Field(description="0 to 100.")
    category: str = Field(
        description="Brightness: dark, medium, light. Saturation: muted, medium, vivid."
    )


class Analytics(BaseModel):
    """The picture as a whole."""

    temperature: Temperature
    brightness: Level
    saturation: Level


class ColorAnalysis(BaseModel):
    """All about the colours of one picture."""

    version: str
    dominant_colors: list[DominantColor]
    analytics: Analytics
    extracted_at: datetime | None


class ColorExtraction(BaseModel):
    """How far the extraction has come, and what it found last."""

    image_id: str
    status: PaletteStatus
    color_analysis: ColorAnalysis | None
    extracted_at: datetime | None
    error_message: str | None = None


class BatchExtractRequest(BaseModel):
    """Whose colours to extract."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"image_ids": ["9b1f8f52-3f37-4a4e-9d2f-0a7c8a3c1c55"], "n_colors": 8}]
        }
    )

    image_ids: list[UUID] = Field(min_length=1, max_length=500)
    force: bool = Field(False, description="Also where they are there already.")
    n_colors: int = N_COLORS


class BatchExtractResponse(BaseModel):
    """How many were queued; others have their colours, wait for them, or do not exist."""

    queued_count: int
    message: str


class ColorSearchRequest(BaseModel):
    """What to look for. One and the same colour of a picture must satisfy all that is given."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"hex_code": "#2962ff", "delta_e_threshold": 20}]}
    )

    hex_code: str | None = Field(None, max_length=20, description="`#rrggbb` or `#rgb`.")
    color_name: str | None = Field(
        None, max_length=50, description="A name of our answers (`dark blue`) or of CSS (`navy`)."
    )
    color_family: Family | None = None
    delta_e_threshold: float = Field(
        15.0, ge=0, le=100, description="How far from the colour, in ΔE by CIEDE2000."
    )
    min_percentage: float = Field(5.0, ge=0, le=100, description="Of the picture's area.")
    limit: int = Field(50, ge=1, le=200)
    offset: int = Field(0, ge=0, le=2**31)
    cursor: str | None = Field(None, max_length=LONGEST, pattern=PATTERN, description=DESCRIPTION)

    @model_validator(mode="after")
    def _something_is_looked_for(self) -> ColorSearchRequest:
        if not (self.hex_code or self.color_name or self.color_family):
            raise ValueError("give hex_code, color_name or color_family")
        return self


class ColorSearchResult(BaseModel):
    """A picture that matches."""

    image_id: str
    thumbnail_url: str | None
    color_analysis: ColorAnalysis | None
    match_score: float = Field(description="1 is the very colour: max(0, 1 − ΔE/threshold).")
    matched_hex: str
    matched_percentage: float


class ColorSearchResponse(BaseModel):
    """One page, the best first."""

    results: list[ColorSearchResult]
    total_count: int
    limit: int
    offset: int
    next_cursor: str | None = Field(description=NEXT)


class ColorFamily(BaseModel):
    """A family of colours, explained."""

    name: Family
    display_name: str
    description: str
    example_colors: list[str]
