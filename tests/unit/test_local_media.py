"""Pictures that are no photos."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from ocelli.backends.local.media import medium
from ocelli.backends.local.shapes import graphic
from ocelli.domain.findings import Box, TextLine


def lines(*texts: str, height: float = 0.02) -> list[TextLine]:
    return [
        TextLine(text, 0.95, Box(0.1, 0.05 * at, 0.6, 0.05 * at + height))
        for at, text in enumerate(texts)
    ]


def kind(pixels: np.ndarray, *texts: str, height: float = 0.02) -> str | None:
    read = lines(*texts, height=height)
    found = medium(pixels, read, graphic(pixels, read))
    return found.name if found else None


def paper(color: tuple[int, int, int] = (250, 250, 248)) -> np.ndarray:
    return np.full((600, 400, 3), color, np.uint8)


FILLED = ("Lorem ipsum", "dolor sit", "amet consectetur") * 5


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("Milk 1.20", "Bread 2.30", "Tea 3.10", "TOTAL 6.60", *FILLED), "receipt"),
        (("Name: A. Person", "Date: 3 May", "Brand: none", "From: here", *FILLED), "form"),
        (FILLED, "page of text"),
        (FILLED[:12], None),
    ],
)
def test_documents(texts: tuple[str, ...], expected: str | None) -> None:
    assert kind(paper(), *texts) == expected


def test_a_dark_flat_page_is_a_screen() -> None:
    assert kind(paper((30, 32, 40)), *FILLED) == "screenshot"


def test_many_signs_in_a_photo_are_no_document() -> None:
    noise = np.random.default_rng(1).integers(0, 120, (600, 400, 3), np.uint8)
    assert kind(noise, *FILLED) is None


def test_a_code_is_told_by_reading_it() -> None:
    code = cv2.QRCodeEncoder.create().encode("https://example.org/")
    code = cv2.copyMakeBorder(code, 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=255)
    large = cv2.resize(code, None, fx=9, fy=9, interpolation=cv2.INTER_NEAREST)
    assert kind(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB)) == "QR code"
    noise = np.random.default_rng(1).integers(0, 2, code.shape, np.uint8) * 255
    large = cv2.resize(noise, None, fx=9, fy=9, interpolation=cv2.INTER_NEAREST)
    assert kind(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB)) != "QR code"


def drawn() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (640, 480), "white")
    return image, ImageDraw.Draw(image)


@pytest.mark.parametrize("lying", [False, True])
def test_bars_of_a_chart(lying: bool) -> None:
    image, draw = drawn()
    for at, length in enumerate((120, 260, 180, 330)):
        near, far = 80 + at * 90, 140 + at * 90
        draw.rectangle(
            (60, near, 60 + length, far) if lying else (near, 420 - length, far, 420),
            fill=(40, 90, 200),
        )
    draw.line((60, 420, 600, 420), fill="black", width=3)
    assert kind(np.array(image)) == "bar chart"


def test_equal_rectangles_are_no_chart() -> None:
    image, draw = drawn()
    for at in range(4):
        draw.rectangle((80 + at * 130, 200, 160 + at * 130, 420), fill=(40, 90, 200))
    assert kind(np.array(image)) is None


def test_sectors_of_a_chart() -> None:
    image, draw = drawn()
    sectors = ((0, 120, "red"), (120, 200, "blue"), (200, 290, "green"), (290, 360, "orange"))
    for start, end, color in sectors:
        draw.pieslice((170, 70, 470, 370), start, end, fill=color)
    assert kind(np.array(image)) == "pie chart"
    image, draw = drawn()
    for left, color in ((60, "red"), (250, "blue"), (440, "green")):
        draw.ellipse((left, 150, left + 140, 290), fill=color)
    assert kind(np.array(image)) is None


def test_a_figure_without_a_name_is_a_drawing_or_a_logo() -> None:
    image, draw = drawn()
    corners = [(100, 100), (420, 120), (330, 190), (440, 380), (380, 330), (120, 360), (230, 220)]
    draw.polygon(corners, fill="navy")
    assert kind(np.array(image)) == "drawing"
    assert kind(np.array(image), "ACME", height=0.2) == "logo"
