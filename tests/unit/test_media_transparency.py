"""Transparency is laid on a ground that shows what there is, small colourful things stay so."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from tests.unit.test_media_pictures import LIMIT, RED, assert_near, saved

from ocelli.media.decode import decode
from ocelli.media.dhash import dhash
from ocelli.media.encode import jpeg
from ocelli.media.header import read_header
from ocelli.media.sanitize import sanitized
from ocelli.media.variants import render

if TYPE_CHECKING:
    from collections.abc import Callable

    Color = str | tuple[int, ...]
    Draw = Callable[[ImageDraw.ImageDraw], None]

CLEAR = (0, 0, 0, 0)
WHITE, BLACK, GREY = 255, 0, 128


def canvas(*drawn: Draw, width: int = 600) -> Image.Image:
    image = Image.new("RGBA", (width, 200), CLEAR)
    for draw in drawn:
        draw(ImageDraw.Draw(image))
    return image


def words(
    color: Color,
    *,
    at: tuple[int, int] = (20, 60),
    size: int = 30,
    outline: Color | None = None,
) -> Draw:
    font = ImageFont.load_default(size)
    width = 4 if outline else 0
    return lambda draw: draw.text(
        at, "Hello world", color, font, stroke_width=width, stroke_fill=outline
    )


def box(color: Color) -> Draw:
    return lambda draw: draw.rectangle((10, 20, 500, 180), fill=color)


GROUNDS = {
    "white": (canvas(words("white")), BLACK),
    "small white": (canvas(words("white", size=10)), BLACK),
    "white on much": (canvas(words("white", size=16), width=3000), BLACK),
    "light grey": (canvas(words((235, 235, 235))), BLACK),
    "yellow": (canvas(words("yellow")), BLACK),
    "white beside a drawing": (
        canvas(box((20, 40, 200)), words("white", at=(20, 0), size=16)),
        BLACK,
    ),
    "half transparent white": (canvas(words((255, 255, 255, 140))), BLACK),
    "black": (canvas(words("black")), WHITE),
    "red": (canvas(words("red")), WHITE),
    "small green": (canvas(words((0, 255, 0), size=10)), WHITE),
    "white in a black outline": (
        canvas(words("white", outline="black")),
        WHITE,
    ),
    "black in a white outline": (
        canvas(words("black", outline="white")),
        WHITE,
    ),
    "white in a box": (canvas(box("navy"), words("white")), WHITE),
    "black in a white box": (canvas(box("white"), words("black")), WHITE),
    "black and white": (canvas(words("black"), words("white", at=(20, 120))), GREY),
    "nothing": (canvas(), WHITE),
    "veil": (Image.new("RGBA", (90, 60), (200, 0, 0, 128)), 127),
}


def corner(pixels: Any) -> int:
    return int(pixels[-1, -1].max() if pixels[-1, -1].max() < 200 else pixels[-1, -1].min())


@pytest.mark.parametrize("name", GROUNDS)
@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_the_ground_shows_the_content(name: str, format: str) -> None:
    image, ground = GROUNDS[name]
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    picture = decode(saved(image, format, **options), max_pixels=LIMIT)
    assert abs(corner(picture.pixels) - ground) <= 2


def opacity(data: bytes, x: int, y: int) -> int:
    return int(np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))[y, x, 3])


def test_everything_that_loses_transparency_has_the_same_ground() -> None:
    clear, solid = (
        saved(image, "PNG")
        for image in (
            canvas(words("white")),
            Image.alpha_composite(
                Image.new("RGBA", (600, 200), "black"), canvas(words("white"))
            ).convert("RGB"),
        )
    )
    assert_near(decode(clear, max_pixels=LIMIT).pixels, decode(solid, max_pixels=LIMIT).pixels, 2)
    assert dhash(clear, max_pixels=LIMIT) == dhash(solid, max_pixels=LIMIT)
    one, other = (render(each, max_pixels=LIMIT) for each in (clear, solid))
    assert one.blur_hash == other.blur_hash
    assert opacity(one.variants[0].data, 0, 0) == 0
    for made in (
        sanitized(clear, max_side=300, max_bytes=None, max_pixels=LIMIT),
        jpeg(decode(clear, max_side=100, max_pixels=LIMIT), side=500, quality=85, full=True),
    ):
        pixels = np.asarray(Image.open(io.BytesIO(made)))
        assert pixels[0, 0].max() < 20
        assert pixels.max() > 200


# ── canvas that a frame does not cover ─────────────────────────────────────────────────────────


def gif(
    canvas: tuple[int, int],
    at: tuple[int, int],
    *,
    background: int = 0,
    color: tuple[int, int, int] = RED,
) -> bytes:
    """A red frame of 20 × 16 somewhere on a canvas."""
    frame = Image.new("P", (20, 16), 1)
    frame.putpalette([0, 0, 0, *color, 255, 255, 255, 9, 9, 9])
    data = saved(frame, "GIF")
    table = 13 + 3 * (2 << (data[10] & 7))
    start = data.rindex(b",\0\0\0\0")
    head = data[:6] + struct.pack("<HHBB", *canvas, data[10], background) + data[12:table]
    return head + b"," + struct.pack("<HHHH", *at, 20, 16) + data[start + 9 :]


def webp(canvas: tuple[int, int], at: tuple[int, int]) -> bytes:
    """The same, as the first frame of an animation."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1)

    def short(*numbers: int) -> bytes:
        return b"".join(struct.pack("<I", number)[:3] for number in numbers)

    frame = saved(Image.new("RGB", (20, 16), RED), "WEBP", lossless=True)[12:]
    place = short(at[0] // 2, at[1] // 2, 19, 15, 100) + b"\0"
    body = chunk(b"VP8X", b"\2\0\0\0" + short(canvas[0] - 1, canvas[1] - 1))
    body += chunk(b"ANIM", b"\0\0\0\xff\0\0") + chunk(b"ANMF", place + frame) * 2
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


@pytest.mark.parametrize("make", [gif, webp])
def test_canvas_that_the_first_frame_leaves_uncovered_is_transparent(
    make: Callable[[tuple[int, int], tuple[int, int]], bytes],
) -> None:
    data = make((60, 40), (10, 8))
    header = read_header(data, max_pixels=LIMIT)
    picture = decode(data, max_pixels=LIMIT)
    assert (header.width, header.height) == (picture.width, picture.height) == (60, 40)
    assert_near(picture.pixels[0, 0], (255, 255, 255), 0)
    assert_near(picture.pixels[16, 20], RED, 2)
    variant = render(data, max_pixels=LIMIT).variants[0].data
    assert opacity(variant, 0, 0) == 0
    assert opacity(variant, 20, 16) == 255


def test_the_background_colour_of_a_gif_counts_for_nothing() -> None:
    for background in range(4):
        picture = decode(gif((60, 40), (10, 8), background=background), max_pixels=LIMIT)
        assert_near(picture.pixels[0, 0], (255, 255, 255), 0)


def test_a_white_frame_on_an_uncovered_canvas_is_seen() -> None:
    pixels = decode(gif((60, 40), (10, 8), color=(255, 255, 255)), max_pixels=LIMIT).pixels
    assert pixels[0, 0].max() == 0
    assert pixels[16, 20].min() == 255


def test_frames_at_the_rim_of_the_canvas() -> None:
    for canvas, at in (((60, 40), (50, 30)), ((0, 0), (0, 0)), ((20, 16), (0, 0))):
        data = gif(canvas, at)
        picture = decode(data, max_pixels=LIMIT)
        assert picture.pixels.shape[:2] == (picture.height, picture.width)
        assert_near(picture.pixels[at[1] + 5, at[0] + 5], RED, 2)


# ── small colourful things ─────────────────────────────────────────────────────────────────────


def saturation(pixels: Any) -> Any:
    return pixels.max(axis=2).astype(int) - pixels.min(axis=2)


def lettered(color: Color, ground: Image.Image, size: int) -> Image.Image:
    ImageDraw.Draw(ground).text(
        (10, 10), "STOP at 12345", fill=color, font=ImageFont.load_default(size)
    )
    return ground


def gradient() -> Image.Image:
    across = np.tile(np.linspace(60, 200, 400), (300, 1))
    rows = np.dstack([across, across[:, ::-1], np.full_like(across, 90)])
    rng = np.random.default_rng(5)
    return Image.fromarray((rows + rng.normal(0, 6, rows.shape)).clip(0, 255).astype(np.uint8))


def kept(image: Image.Image, copy: bytes) -> float:
    """How much of the colour of what is colourful is left in a copy of the same size."""
    before, after = np.asarray(image), np.asarray(Image.open(io.BytesIO(copy)).convert("RGB"))
    letters = saturation(before) >= 120
    return float(saturation(after)[letters].mean() / saturation(before)[letters].mean())


@pytest.mark.parametrize(
    ("color", "ground", "size"),
    [
        ("red", "black", 10),
        ("red", "black", 20),
        ("red", "white", 14),
        ("yellow", "white", 10),
        ("magenta", "green", 12),
        ("blue", "grey", 10),
        ((140, 0, 0), "black", 10),
        ("red", "photograph", 14),
        ("lime", "photograph", 10),
        ("blue", "photograph", 20),
    ],
)
def test_small_letters_keep_their_colour(color: Color, ground: str, size: int) -> None:
    plain = gradient() if ground == "photograph" else Image.new("RGB", (400, 300), ground)
    image = lettered(color, plain, size)
    data = saved(image, "PNG", compress_level=0)
    assert kept(image, render(data, max_pixels=LIMIT).variants[0].data) >= 0.8
    picture = decode(data, max_pixels=LIMIT)
    assert kept(image, jpeg(picture, side=400, quality=85)) >= 0.85
    assert (
        kept(image, sanitized(data, max_side=None, max_bytes=len(data) - 1, max_pixels=LIMIT))
        >= 0.85
    )


def test_where_there_are_none_a_variant_stays_small() -> None:
    smooth = gradient().resize((900, 700))
    (largest, *_) = render(saved(smooth, "PNG"), max_pixels=LIMIT).variants
    lossless = saved(smooth, "WEBP", lossless=True)
    assert len(largest.data) < len(lossless) / 3
    grey = lettered("black", Image.new("RGB", (400, 300), "white"), 12)
    assert b"VP8L" not in render(saved(grey, "PNG"), max_pixels=LIMIT).variants[0].data
