"""Text that does not stand upright is read as what it says, not as letters that it resembles."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from tests.integration.test_local_photos import Photo

from ocelli.backends.local.backend import LocalBackend
from ocelli.backends.local.detect import models
from ocelli.backends.local.stopwatch import Stopwatch
from ocelli.cli.demo import sample_photos
from ocelli.media.decode import decode


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_turned_page_reads_the_same(quarters: int) -> None:
    (path,) = (path for path in sample_photos() if path.stem == "page")
    pixels = decode(path.read_bytes(), max_pixels=10**8).pixels
    reader = models().text
    reader.load()
    read = reader.find(np.ascontiguousarray(np.rot90(pixels, quarters)), Stopwatch())
    said = " ".join(line.text for line in read)
    assert "unambiguously as either object or background" in said
    assert min(line.score for line in read) > 0.9


ROWS = ["First line of the letter", "second line of it", "and the third one", "the last line"]


@pytest.mark.parametrize("angle", [0, 20, 45, 90, 135, 160, 180, 200, 225, 270, 315])
def test_lines_of_a_turned_page_come_in_its_order(angle: int) -> None:
    page = Image.new("RGB", (640, 360), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(32)
    for number, row in enumerate(ROWS):
        draw.text((40, 40 + 72 * number), row, fill="black", font=font)
    turned = page.rotate(angle, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC)
    reader = models().text
    reader.load()
    read = reader.find(np.ascontiguousarray(np.asarray(turned)[:, :, ::-1]), Stopwatch())
    assert [line.text for line in read] == ROWS


def test_a_receipt_is_read_with_its_short_cells() -> None:
    page = Image.new("RGB", (640, 760), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(32)
    goods = ["Milk", "Bread", "Apples", "Coffee", "Sugar", "Cheese", "Tomatoes", "Butter"]
    for number, good in enumerate(goods):
        for left, cell in ((40, good), (300, str(number + 1)), (480, "0.00")):
            draw.text((left, 40 + 84 * number), cell, fill="black", font=font)
    reader = models().text
    reader.load()
    read = [line.text for line in reader.find(np.asarray(page)[:, :, ::-1].copy(), Stopwatch())]
    assert read.count("0.00") == len(goods)
    assert {"2", "3", "4"} <= set(read)


async def test_a_screenshot_of_many_screens_is_read_at_a_first_look() -> None:
    image = np.full((12_000, 1080, 3), 255, np.uint8)
    for number in range(6):
        place = (60, 1000 + 2000 * number)
        cv2.putText(image, f"Message number {number}", place, cv2.FONT_HERSHEY_SIMPLEX, 1.5, 0, 3)
    encoded = cv2.imencode(".png", image)[1].tobytes()
    small = decode(encoded, max_side=2048, max_pixels=10**8)
    findings = await LocalBackend().gather(Photo(small.pixels, encoded))
    assert [line.text for line in findings.texts] == [f"Message number {n}" for n in range(6)]
