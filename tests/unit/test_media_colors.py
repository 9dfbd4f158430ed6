"""Distances as in the paper of Sharma, Wu and Dalal, and what is said of pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import deltaE_ciede2000, rgb2lab
from tests.conftest import cases

from ocelli.domain.colors import FAMILIES, Family, RgbColor, family_of, match_score
from ocelli.domain.errors import ValidationFailed
from ocelli.media import colors

# G. Sharma, W. Wu, E. N. Dalal: "The CIEDE2000 Color-Difference Formula: Implementation Notes,
# Supplementary Test Data, and Mathematical Observations", table 1.
SHARMA = """
50.0000 2.6772 -79.7751 50.0000 0.0000 -82.7485 2.0425
50.0000 3.1571 -77.2803 50.0000 0.0000 -82.7485 2.8615
50.0000 2.8361 -74.0200 50.0000 0.0000 -82.7485 3.4412
50.0000 -1.3802 -84.2814 50.0000 0.0000 -82.7485 1.0000
50.0000 -1.1848 -84.8006 50.0000 0.0000 -82.7485 1.0000
50.0000 -0.9009 -85.5211 50.0000 0.0000 -82.7485 1.0000
50.0000 0.0000 0.0000 50.0000 -1.0000 2.0000 2.3669
50.0000 -1.0000 2.0000 50.0000 0.0000 0.0000 2.3669
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0009 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0010 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0011 7.2195
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0012 7.2195
50.0000 -0.0010 2.4900 50.0000 0.0009 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0010 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0011 -2.4900 4.7461
50.0000 2.5000 0.0000 50.0000 0.0000 -2.5000 4.3065
50.0000 2.5000 0.0000 73.0000 25.0000 -18.0000 27.1492
50.0000 2.5000 0.0000 61.0000 -5.0000 29.0000 22.8977
50.0000 2.5000 0.0000 56.0000 -27.0000 -3.0000 31.9030
50.0000 2.5000 0.0000 58.0000 24.0000 15.0000 19.4535
50.0000 2.5000 0.0000 50.0000 3.1736 0.5854 1.0000
50.0000 2.5000 0.0000 50.0000 3.2972 0.0000 1.0000
50.0000 2.5000 0.0000 50.0000 1.8634 0.5757 1.0000
50.0000 2.5000 0.0000 50.0000 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""
PAIRS = np.array([[float(part) for part in line.split()] for line in SHARMA.split("\n") if line])

any_color = st.builds(RgbColor.of_number, st.integers(0, 0xFFFFFF))


def test_the_published_distances() -> None:
    one, other, expected = PAIRS[:, :3], PAIRS[:, 3:6], PAIRS[:, 6]
    assert np.abs(colors.delta_e(one, other) - expected).max() < 0.5e-4 + 1e-9
    assert np.abs(colors.delta_e(other, one) - expected).max() < 0.5e-4 + 1e-9


@given(any_color, any_color)
def test_distances_are_those_of_another_implementation(one: RgbColor, other: RgbColor) -> None:
    labs = np.array(one.lab), np.array(other.lab)
    ours = float(colors.delta_e(*labs))
    theirs = float(deltaE_ciede2000(*labs))  # type: ignore[no-untyped-call]
    assert ours == pytest.approx(theirs, abs=1e-6)
    assert ours == pytest.approx(float(colors.delta_e(*labs[::-1])), abs=1e-6)
    assert (ours < 1e-9) == (one == other)


@given(any_color)
def test_conversions(color: RgbColor) -> None:
    assert RgbColor.parse(color.hex) == RgbColor.of_number(color.number) == color
    expected = rgb2lab(np.array([[color.r, color.g, color.b]]) / 255.0)[0]
    assert color.lab == pytest.approx(expected, abs=0.02)
    assert colors.rgb_of(np.array(color.lab)) == color
    hue, saturation, lightness = color.hsl
    assert 0 <= hue <= 360
    assert 0 <= saturation <= 100
    assert 0 <= lightness <= 100


@pytest.mark.parametrize("text", ["", "#", "12", "#12345", "#1234567", "red", "#ggg", "0x1234"])
def test_what_is_no_color(text: str) -> None:
    with pytest.raises(ValidationFailed):
        RgbColor.parse(text)


@given(any_color, any_color, st.floats(0, 100))
def test_no_match_lies_outside_of_the_cells_that_are_read(
    one: RgbColor, other: RgbColor, threshold: float
) -> None:
    distance = float(colors.delta_e(np.array(one.lab), np.array(other.lab)))
    if distance <= threshold:
        assert colors.cell_of(other) in colors.cells_near(one, threshold)


def test_no_match_is_lost_among_very_many() -> None:
    """As above, where hypothesis seldom looks: near the threshold, all over the cube."""
    rng = np.random.default_rng(5)
    numbers = rng.integers(0, 1 << 24, 200_000)
    rgb = np.stack([numbers >> 16, numbers >> 8 & 255, numbers & 255], -1)
    cells = (rgb[:, 0] // 16 * 16 + rgb[:, 1] // 16) * 16 + rgb[:, 2] // 16
    labs = colors.lab_of(rgb)
    for number in rng.integers(0, 1 << 24, cases(60)):
        target = RgbColor.of_number(int(number))
        distances = colors.delta_e(np.array(target.lab), labs)
        for threshold in (1.0, 5.0, 15.0, 30.0):
            near = np.zeros(4096, bool)
            near[colors.cells_near(target, threshold)] = True
            missed = (distances <= threshold) & ~near[cells]
            assert not missed.any(), (target, threshold)


def test_few_cells_are_read_for_a_usual_search() -> None:
    shares = [
        len(colors.cells_near(RgbColor.parse(code), 15.0)) / 4096
        for code in ("#ff8800", "#336699", "#808080", "#204020", "#ffd1dc")
    ]
    assert max(shares) < 0.25


@pytest.mark.parametrize("info", FAMILIES, ids=lambda info: info.family)
def test_examples_are_of_their_family(info: object) -> None:
    assert [family_of(RgbColor.parse(code)) for code in info.examples] == [info.family] * 3  # type: ignore[attr-defined]


def test_every_family_is_explained() -> None:
    assert [info.family for info in FAMILIES] == list(Family)


@given(any_color)
def test_every_color_has_a_name_and_a_family(color: RgbColor) -> None:
    assert colors.nearest_name(np.array(color.lab)) in colors.names()
    assert family_of(color) in Family


@given(st.floats(0, 200), st.floats(0, 100))
def test_scores(distance: float, threshold: float) -> None:
    score = match_score(distance, threshold)
    assert 0 <= score <= 1
    if threshold > 0 and distance <= threshold:
        assert math.isclose(score, 1 - distance / threshold)
    assert match_score(0, threshold) == 1


def plain(code: str, rows: int = 30) -> np.ndarray:
    color = RgbColor.parse(code)
    return np.full((rows, 60, 3), (color.r, color.g, color.b), np.uint8)


def test_a_palette() -> None:
    palette = colors.extract(np.concatenate([plain("#c80014", 20), plain("#0064a5", 40)]))
    first, second = palette.colors[:2]
    assert (first.rank, first.name, second.rank, second.name) == (1, "blue", 2, "red")
    assert first.percentage == pytest.approx(200 / 3, abs=3)
    assert sum(color.percentage for color in palette.colors) <= 100.01
    assert colors.delta_e(np.array(first.rgb.lab), np.array(RgbColor.parse("#0064a5").lab)) < 2


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("#ff4000", ("warm", "medium", "vivid")),
        ("#0050a0", ("cool", "dark", "vivid")),
        ("#808080", ("neutral", "medium", "muted")),
        ("#ffffff", ("neutral", "light", "muted")),
        ("#000000", ("neutral", "dark", "muted")),
    ],
)
def test_the_picture_as_a_whole(code: str, words: tuple[str, str, str]) -> None:
    palette = colors.extract(plain(code))
    assert len(palette.colors) == 1
    readings = (palette.temperature, palette.brightness, palette.saturation)
    assert tuple(reading.word for reading in readings) == words


@given(st.integers(1, 40), st.integers(1, 40), st.integers(3, 16), st.integers(0, 2**32))
def test_any_pixels(width: int, height: int, most: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    palette = colors.extract(pixels, max_colors=most)
    assert 1 <= len(palette.colors) <= most
    assert palette == colors.extract(pixels, max_colors=most)
    percentages = [color.percentage for color in palette.colors]
    assert percentages == sorted(percentages, reverse=True)
    assert sum(percentages) <= 100.1
    assert -1 <= palette.temperature.value <= 1
    assert 0 <= palette.brightness.value <= 100
    assert 0 <= palette.saturation.value <= 100
