"""From the domain to the bodies of ``/colors``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.api.aion.colors import schemas
from ocelli.domain.colors import ColorQuery, RgbColor
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.images import VariantType
from ocelli.usecases.colors import resolve_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from ocelli.api.aion.files.mapping import UrlOf
    from ocelli.domain.colors import ColorMatch, Extraction, FamilyInfo, PaletteColor
    from ocelli.domain.images import Image


def color_query(body: schemas.ColorSearchRequest) -> ColorQuery:
    """Return the query of a search. Raises ValidationFailed."""
    near = RgbColor.parse(body.hex_code) if body.hex_code else None
    name = None
    if body.color_name:
        name, css = resolve_name(body.color_name)
        if near and css:
            raise ValidationFailed(
                "A name of CSS stands for one colour: give it or hex_code, not both.",
                field="color_name",
            )
        near = near or css
    return ColorQuery(near, name, body.color_family, body.delta_e_threshold, body.min_percentage)


def color_extraction(extraction: Extraction) -> schemas.ColorExtraction:
    """Return the state of a picture's extraction."""
    return schemas.ColorExtraction(
        image_id=str(extraction.image_id),
        status=extraction.status,
        color_analysis=color_analysis(extraction),
        extracted_at=extraction.extracted_at,
        error_message=extraction.error,
    )


def color_analysis(extraction: Extraction) -> schemas.ColorAnalysis | None:
    """Return the colours; None before the first extraction."""
    palette = extraction.palette
    if palette is None:
        return None
    return schemas.ColorAnalysis(
        version=palette.version,
        dominant_colors=[dominant_color(color) for color in palette.colors],
        analytics=schemas.Analytics(
            temperature=schemas.Temperature(
                value=palette.temperature.word, score=palette.temperature.value
            ),
            brightness=schemas.Level(
                average=palette.brightness.value, category=palette.brightness.word
            ),
            saturation=schemas.Level(
                average=palette.saturation.value, category=palette.saturation.word
            ),
        ),
        extracted_at=extraction.extracted_at,
    )


def dominant_color(color: PaletteColor) -> schemas.DominantColor:
    """Return a colour in all notations."""
    rgb = color.rgb
    (hue, saturation, lightness), (bright, a, b) = rgb.hsl, rgb.lab
    return schemas.DominantColor(
        rank=color.rank,
        percentage=color.percentage,
        hex=rgb.hex,
        name=color.name,
        family=color.family,
        rgb=schemas.Rgb(r=rgb.r, g=rgb.g, b=rgb.b),
        hsl=schemas.Hsl(h=hue, s=saturation, l=lightness),
        lab=schemas.Lab(l=round(bright, 2), a=round(a, 2), b=round(b, 2)),
    )


def search_result(
    match: ColorMatch, image: Image, palettes: Mapping[UUID, Extraction], url_of: UrlOf
) -> schemas.ColorSearchResult:
    """Return a matching picture."""
    extraction = palettes.get(match.image_id)
    return schemas.ColorSearchResult(
        image_id=str(match.image_id),
        thumbnail_url=url_of(image, VariantType.SMALL),
        color_analysis=extraction and color_analysis(extraction),
        match_score=round(match.score, 4),
        matched_hex=match.rgb.hex,
        matched_percentage=round(match.percentage, 2),
    )


def color_family(info: FamilyInfo) -> schemas.ColorFamily:
    """Return a family with its description."""
    return schemas.ColorFamily(
        name=info.family,
        display_name=info.display_name,
        description=info.description,
        example_colors=list(info.examples),
    )
