"""Simple shapes in drawings of our own; none in photos."""

import io
import time
from collections import Counter
from collections.abc import Sequence
from math import cos, pi, sin
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.conftest import cases
from tests.upstream import scenes

from ocelli.backends.local.class_names import FLAT_NEAR, NEAR
from ocelli.backends.local.compose import describe
from ocelli.backends.local.evidence_verdicts import judge
from ocelli.backends.local.outlines import outline
from ocelli.backends.local.shapes import DOUBTFUL, graphic, plain_name
from ocelli.cli.demo import sample_photos
from ocelli.domain.claims import Claim, ClaimType, Ruling
from ocelli.domain.findings import Box, Color, DetectedObject, Findings, TextLine

Points = list[tuple[float, float]]
FINE = 4  # drawn so many times larger, and made smaller: edges are soft
RED, BLUE, GREEN = (214, 32, 32), (30, 60, 210), (24, 140, 50)


def find_shapes(pixels: Any, texts: Sequence[TextLine] = ()) -> tuple[DetectedObject, ...]:
    found = graphic(pixels, texts)
    return found.shapes if found else ()


def regular(corners: int, inner: float = 1.0) -> Points:
    radii = [1.0 if i % 2 == 0 else inner for i in range(corners)]
    angles = [2 * pi * i / corners for i in range(corners)]
    return [(r * cos(a), r * sin(a)) for r, a in zip(radii, angles, strict=True)]


FIGURES: dict[str, Points] = {
    "circle": regular(180),
    "ellipse": [(x, 0.55 * y) for x, y in regular(180)],
    "square": [(-0.7, -0.7), (0.7, -0.7), (0.7, 0.7), (-0.7, 0.7)],
    "rectangle": [(-0.9, -0.4), (0.9, -0.4), (0.9, 0.4), (-0.9, 0.4)],
    "diamond": [(0, -1), (0.6, 0), (0, 1), (-0.6, 0)],
    "triangle": regular(3),
    "pentagon": regular(5),
    "hexagon": regular(6),
    "star": regular(10, 0.42),
    "cross": [
        (x, y)
        for a in range(4)
        for x, y in [
            (cos(a * pi / 2) * u - sin(a * pi / 2) * v, sin(a * pi / 2) * u + cos(a * pi / 2) * v)
            for u, v in [(0.3, -0.3), (1, -0.3), (1, 0.3)]
        ]
    ],
}
UNKNOWN: dict[str, Points] = {
    "trapezoid": [(-0.9, 0.5), (0.9, 0.5), (0.5, -0.5), (-0.5, -0.5)],
    "half disc": regular(180)[:91],
    "angle": [(-0.7, -0.7), (0, -0.7), (0, 0), (0.7, 0), (0.7, 0.7), (-0.7, 0.7)],
    "six-pointed star": regular(12, 0.58),
    "octagon": regular(8),
}


def drawing(
    *figures: tuple[Points, tuple[int, int], float, tuple[int, int, int]], turn: float = 0.0
) -> np.ndarray:
    """Figures of a radius at a place, 400 by 300 pixels, on white."""
    image = Image.new("RGB", (400 * FINE, 300 * FINE), (252, 252, 252))
    pen = ImageDraw.Draw(image)
    for points, (left, top), radius, color in figures:
        turned = [(x * cos(turn) - y * sin(turn), x * sin(turn) + y * cos(turn)) for x, y in points]
        pen.polygon(
            [((left + radius * x) * FINE, (top + radius * y) * FINE) for x, y in turned], color
        )
    return np.array(image.reduce(FINE))


@pytest.mark.parametrize("noun", FIGURES)
@pytest.mark.parametrize("radius", [26, 45, 80])
def test_shapes_have_names_at_any_size_and_turn(noun: str, radius: float) -> None:
    for turn in (0.0, 0.3, 1.1):
        pixels = drawing((FIGURES[noun], (200, 150), radius, BLUE), turn=turn)
        (found,) = find_shapes(pixels)
        tilted = noun == "square" and found.name == "blue diamond"
        assert found.name == f"blue {noun}" or tilted
        assert found.box.center == pytest.approx((0.5, 0.5), abs=0.1)


@pytest.mark.parametrize("noun", UNKNOWN)
def test_no_name_rather_than_a_wrong_one(noun: str) -> None:
    for turn in (0.0, 0.4):
        figures = (UNKNOWN[noun], (110, 150), 60, BLUE), (FIGURES["circle"], (300, 150), 50, RED)
        found = {one.name: one.score for one in find_shapes(drawing(*figures, turn=turn))}
        assert set(found) == {"blue shape", "red circle"}
        assert found["blue shape"] == DOUBTFUL


def test_those_that_touch_are_not_counted() -> None:
    circle = FIGURES["circle"]
    pixels = drawing(
        (circle, (80, 80), 40, RED), (circle, (250, 150), 40, RED), (circle, (300, 150), 40, RED)
    )
    seen = findings(pixels)
    assert Counter(one.name for one in seen.objects) == {"red circle": 1, "red shape": 1}
    assert {one.score for one in seen.objects} == {DOUBTFUL}
    three = Claim("", ClaimType.COUNT, "circle", 3)
    verdict = judge(three, seen)
    assert verdict is None or verdict.ruling is not Ruling.CONTRADICTED or verdict.strength <= 0.3


def findings(pixels: np.ndarray, *texts: TextLine) -> Findings:
    return Findings(
        "ocelli-local",
        "1",
        objects=find_shapes(pixels, texts),
        texts=texts,
        colors=(Color("#fcfcfc", "white", 0.9),),
    )


def test_descriptions_count_by_color() -> None:
    circle, square = FIGURES["circle"], FIGURES["square"]
    pixels = drawing(
        *((circle, (70 + 100 * i, 80), 30, RED) for i in range(3)), (square, (200, 220), 50, BLUE)
    )
    said = describe(findings(pixels))
    assert said.description == "A blue square and three red circles on white."
    assert [tag.name for tag in said.tags][:2] == ["blue square", "red circle"]


SCENE = findings(
    drawing(
        *((FIGURES["circle"], (70 + 100 * i, 80), 30, RED) for i in range(2)),
        (FIGURES["star"], (200, 220), 50, BLUE),
    )
)
S, C, U = Ruling.SUPPORTED, Ruling.CONTRADICTED, Ruling.UNSEEN


@pytest.mark.parametrize(
    ("type", "subject", "count", "value", "expected"),
    [
        (ClaimType.COUNT, "red circle", 2, None, S),
        (ClaimType.COUNT, "circles", 2, None, S),
        (ClaimType.COUNT, "red circle", 3, None, C),
        (ClaimType.COUNT, "shape", 3, None, S),
        (ClaimType.OBJECT, "star", None, None, S),
        (ClaimType.OBJECT, "blue star", None, None, S),
        (ClaimType.OBJECT, "green triangle", None, None, C),
        (ClaimType.OBJECT, "ring", None, None, U),  # somebody may call a circle so
        (ClaimType.OBJECT, "dog", None, None, C),
        (ClaimType.OBJECT, "logo", None, None, None),
        (ClaimType.ATTRIBUTE, "circle", None, "red", S),
        (ClaimType.ATTRIBUTE, "circle", None, "green", C),
        (ClaimType.ATTRIBUTE, "circle", None, "orange", U),
        (ClaimType.ATTRIBUTE, "circle", None, "shiny", None),
        (ClaimType.SCENE, "background", None, "white", S),
        (ClaimType.SCENE, "background", None, "light blue", C),
    ],
)
def test_rulings(
    type: ClaimType, subject: str, count: int | None, value: str | None, expected: Ruling | None
) -> None:
    verdict = judge(Claim("", type, subject, count, value), SCENE)
    assert (verdict and verdict.ruling) is expected


def test_of_photos_nothing_is_said_about_shapes() -> None:
    for path in sample_photos():
        with Image.open(path) as image:
            assert find_shapes(np.array(image.convert("RGB"))) == (), path.name
    claim = Claim("", ClaimType.OBJECT, "green triangle")
    assert judge(claim, Findings("", "", objects=())) is None


def test_generated_scenes_are_counted() -> None:
    title = TextLine("title", 1.0, Box(0, 0, 1, scenes.WORDS_HEIGHT / scenes.HEIGHT))
    wrong = 0
    for number in range(cases(25)):
        it = scenes.scene(number)
        pixels = np.array(scenes.draw(it))
        counted = Counter(one.name for one in find_shapes(pixels, [title]))
        wrong += counted != {f"{group.color} {group.noun}": group.count for group in it.groups}
    assert wrong == 0


def test_jpeg_leaves_most_of_it() -> None:
    circle = FIGURES["circle"]
    file = io.BytesIO()
    Image.fromarray(drawing((circle, (100, 150), 60, RED), (circle, (300, 150), 40, GREEN))).save(
        file, "JPEG", quality=80
    )
    with Image.open(file) as image:
        names = [one.name for one in find_shapes(np.array(image))]
    assert names == ["red circle", "green circle"]


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (30, 20), (21, 3000)])
def test_any_size(size: tuple[int, int]) -> None:
    assert find_shapes(np.zeros((*size, 3), np.uint8)) == ()
    noise = np.random.default_rng(1).integers(0, 255, (*size, 3), np.uint8)
    assert find_shapes(noise) == ()


def test_an_outline_of_one_pixel() -> None:
    for size in ((1, 1), (1, 9), (2, 2)):
        assert outline(np.ones(size, np.uint8)) in (None, "square")


def test_it_takes_little_time() -> None:
    pixels = np.array(scenes.draw(scenes.scene(1)))
    spent = []
    for _ in range(5):
        start = time.process_time()
        find_shapes(pixels)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.25


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((255, 0, 0), "red"),
        ((245, 130, 10), "orange"),
        ((245, 210, 20), "yellow"),
        ((24, 140, 50), "green"),
        ((0, 128, 128), "teal"),
        ((30, 60, 210), "blue"),
        ((125, 35, 160), "purple"),
        ((255, 105, 180), "pink"),
        ((120, 70, 30), "brown"),
        ((240, 228, 202), "beige"),
        ((15, 15, 15), "black"),
        ((252, 252, 252), "white"),
        ((128, 128, 128), "grey"),
    ],
)
def test_colors_of_screens(rgb: tuple[int, int, int], name: str) -> None:
    assert plain_name(*rgb) == name


def test_what_is_confusable_is_so_both_ways() -> None:
    assert set(FLAT_NEAR) == set(NEAR)
    for name, others in FLAT_NEAR.items():
        assert all(name in FLAT_NEAR[other] for other in others)
