import numpy as np
import pytest

from ocelli.backends.local.colors import dominant_colors


def plain(*rgb: int, size: tuple[int, int] = (40, 60)) -> np.ndarray:
    return np.full((*size, 3), rgb, np.uint8)


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((0, 0, 0), "black"),
        ((255, 255, 255), "white"),
        ((128, 128, 128), "grey"),
        ((64, 64, 64), "dark grey"),
        ((110, 110, 110), "grey"),  # the nearest centroid of all is a green
        ((200, 0, 20), "red"),
        ((110, 78, 55), "brown"),
        ((60, 35, 22), "dark brown"),
        ((194, 172, 153), "beige"),
        ((20, 75, 50), "dark green"),
        ((160, 200, 240), "light blue"),
        ((240, 195, 0), "yellow"),
        ((245, 135, 10), "orange"),
    ],
)
def test_names_are_the_words_that_people_use(rgb: tuple[int, int, int], name: str) -> None:
    (color,) = dominant_colors(plain(*rgb))
    assert color.name == name
    assert color.fraction == 1.0
    assert all(abs(a - b) <= 1 for a, b in zip(bytes.fromhex(color.hex[1:]), rgb, strict=True))


def test_largest_share_first() -> None:
    picture = np.concatenate([plain(200, 0, 20), plain(0, 100, 165), plain(0, 100, 165)])
    colors = dominant_colors(picture)
    assert [color.name for color in colors] == ["blue", "red"]
    assert colors[0].fraction == pytest.approx(2 / 3, abs=0.05)


def test_shades_that_look_alike_are_one_color() -> None:
    picture = np.concatenate([plain(100, 100, 100), plain(110, 110, 110)])
    assert len(dominant_colors(picture)) == 1


def test_same_pixels_same_answer() -> None:
    picture = np.random.default_rng(1).integers(0, 255, (300, 200, 3), dtype=np.uint8)
    assert dominant_colors(picture) == dominant_colors(picture)


@pytest.mark.parametrize("size", [(1, 1), (1, 640), (640, 1), (2, 2)])
def test_any_shape(size: tuple[int, int]) -> None:
    (color,) = dominant_colors(plain(0, 0, 0, size=size))
    assert (color.name, color.hex, color.fraction) == ("black", "#000000", 1.0)
