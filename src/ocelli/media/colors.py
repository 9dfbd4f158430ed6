"""The colours of pixels: k-means in CIELAB, names, and distances by CIEDE2000."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ocelli.domain.colors import (
    EPSILON,
    TO_XYZ,
    Palette,
    PaletteColor,
    Reading,
    RgbColor,
    family_of,
)
from ocelli.media.srgb import from_linear, to_linear

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SIDE = 64  # pixels; more of them say the same
# Clusters nearer than this (ΔE*ab, 1976) look like shades of one colour.
SHADES = 8.0
SMALLEST_SHARE = 0.005
# k-means starts from random centres; a fixed seed keeps the answer the same for the same pixels.
SEED = 7
GREYS = ("black", "dark grey", "grey", "light grey", "white")
DULL_CHROMA = 6.0  # the nearest centroid of so dull a colour may be a dark green

WARMEST_HUE = 60.0  # degrees of CIELAB, between orange and yellow
STRONG = 40.0  # a mean chroma that makes a picture as warm as can be
NEITHER = 0.1  # temperatures nearer to 0 than this are neutral
DARK, LIGHT = 35.0, 65.0
MUTED, VIVID = 20.0, 45.0

GRID = 16  # cells a side of the sRGB cube
# How much farther a colour may be from another one than from the middle of that one's cell. ΔE2000
# is no metric: the triangle may be violated a little.
NO_METRIC = 1.25


def extract(pixels: Any, *, max_colors: int = 16) -> Palette:
    """Return the palette of RGB uint8 ``pixels`` (height, width, 3), at most ``max_colors``."""
    import numpy as np

    points = sampled(pixels)
    clustered = clusters(points, max_colors)
    kept = [(rgb_of(lab), lab, share) for lab, share in clustered if share >= SMALLEST_SHARE]
    colors = tuple(
        PaletteColor(rank, round(100 * share, 2), rgb, nearest_name(lab), family_of(rgb))
        for rank, (rgb, lab, share) in enumerate(kept, 1)
    )
    chroma = np.hypot(points[:, 1], points[:, 2])
    lightness = float(np.clip(points[:, 0].mean(), 0, 100))
    whole = float(np.sqrt(points[:, 0] ** 2 + chroma**2).mean())
    saturation = 100 * float(chroma.mean()) / whole if whole > 1 else 0.0
    return Palette(
        colors,
        temperature=_temperature(points),
        brightness=_reading(lightness, DARK, LIGHT, ("dark", "medium", "light")),
        saturation=_reading(saturation, MUTED, VIVID, ("muted", "medium", "vivid")),
    )


def sampled(pixels: Any) -> Any:
    """Return a sample of the pixels in CIELAB, float32 of shape (n, 3), some thousand points."""
    import cv2

    # Averaging every pixel of a large picture takes as long as all the rest here.
    step = max(1, min(pixels.shape[:2]) // (2 * SIDE))
    pixels = pixels[::step, ::step]
    height, width = pixels.shape[:2]
    # At least two pixels: OpenCV takes a single point for three points of one dimension.
    size = min(width, SIDE), max(2, min(height, SIDE))
    return lab_of(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).reshape(-1, 3))


def clusters(points: Any, max_colors: int, *, shades: float = SHADES) -> list[tuple[Any, float]]:
    """Return the centres in CIELAB of at most ``max_colors`` clusters, with shares, largest first.

    Those nearer to each other than ``shades`` are one.
    """
    import cv2
    import numpy as np

    count = min(max_colors, len(points))
    cv2.setRNGSeed(SEED)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 12, 0.5)
    start = np.zeros((len(points), 1), np.int32)
    _, labels, centers = cv2.kmeans(points, count, start, criteria, 1, cv2.KMEANS_PP_CENTERS)
    sizes = np.bincount(labels.ravel(), minlength=count)
    return [(lab, size / len(points)) for lab, size in _merged(centers, sizes, shades)]


def lab_of(rgb: Any) -> Any:
    """Return CIELAB, float32, of sRGB from 0 to 255; both of shape (..., 3)."""
    import numpy as np

    # Not OpenCV's: it interpolates in a table, and is off by up to 0.2.
    xyz = to_linear(rgb) @ np.array(TO_XYZ).T
    root = np.where(xyz > EPSILON**3, np.cbrt(xyz), xyz / (3 * EPSILON**2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1).astype(np.float32)


def unpacked(numbers: Any) -> Any:
    """Return RGB of shape (..., 3) from ``RgbColor.number`` of shape (...)."""
    import numpy as np

    return np.stack([numbers >> 16, numbers >> 8 & 255, numbers & 255], -1)


def rgb_of(lab: Any) -> RgbColor:
    """Return the nearest sRGB colour of a CIELAB colour of shape (3,)."""
    import numpy as np

    lightness, a, b = (float(part) for part in lab)
    y = (lightness + 16) / 116
    root = np.array([y + a / 500, y, y - b / 200])
    xyz = np.where(root > EPSILON, root**3, 3 * EPSILON**2 * (root - 4 / 29))
    parts = from_linear(np.linalg.solve(np.array(TO_XYZ), xyz))
    return RgbColor(*(round(float(part) * 255) for part in parts))


def nearest_name(lab: Any) -> str:
    """Return the name of a CIELAB colour of shape (3,)."""
    import numpy as np

    words, centroids = _centroids()
    distances = ((centroids - lab) ** 2).sum(axis=1)
    if np.hypot(lab[1], lab[2]) < DULL_CHROMA:
        distances = np.where(np.isin(words, GREYS), distances, np.inf)
    return words[int(np.argmin(distances))]


@cache
def names() -> frozenset[str]:
    """Return all names that ``nearest_name`` may return."""
    return frozenset(_data("names.toml"))


@cache
def css_colors() -> dict[str, RgbColor]:
    """Return the named colours of CSS."""
    return {name: RgbColor.parse(code) for name, code in _data("css.toml").items()}


def delta_e(one: Any, other: Any) -> Floats:
    """Return CIEDE2000 (kL = kC = kH = 1) of CIELAB colours of shape (..., 3), with broadcasting.

    After G. Sharma, W. Wu, E. N. Dalal, "The CIEDE2000 Color-Difference Formula", 2005.
    """
    import numpy as np

    l1, a1, b1 = np.moveaxis(np.asarray(one, np.float64), -1, 0)
    l2, a2, b2 = np.moveaxis(np.asarray(other, np.float64), -1, 0)
    mean_chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretch = 1 + 0.5 * (1 - _chroma_weight(mean_chroma))
    c1, c2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    h1 = np.degrees(np.arctan2(b1, stretch * a1)) % 360
    h2 = np.degrees(np.arctan2(b2, stretch * a2)) % 360
    grey = c1 * c2 == 0
    turn = (h2 - h1 + 180) % 360 - 180
    turn = np.where(grey, 0.0, np.where((turn == -180) & (h2 > h1), 180.0, turn))
    apart = np.abs(h1 - h2) > 180
    mean_hue = (h1 + h2 + np.where(apart, np.where(h1 + h2 < 360, 360, -360), 0)) / 2
    mean_hue = np.where(grey, h1 + h2, mean_hue)
    return _weighted(
        lightness=(l2 - l1, (l1 + l2) / 2),
        chroma=(c2 - c1, (c1 + c2) / 2),
        hue=(2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2), mean_hue),
    )


def cells_near(color: RgbColor, threshold: float) -> list[int]:
    """Return the cells of ``cell_of`` that can hold a colour within ``threshold`` (CIEDE2000).

    A cell can if one of its eight corners is nearer than that and the way from there to its middle.
    """
    import numpy as np

    corners, ways = _cells()
    distances = delta_e(np.array(color.lab), corners).reshape([GRID + 1] * 3)
    ends = (slice(None, -1), slice(1, None))
    nearest = np.min([distances[x, y, z] for x in ends for y in ends for z in ends], axis=0)
    return [int(cell) for cell in np.flatnonzero(nearest.ravel() <= threshold + NO_METRIC * ways)]


def cell_of(color: RgbColor) -> int:
    """Return the cell of a colour in a grid of 16 × 16 × 16 over the sRGB cube."""
    side = 256 // GRID
    return (color.r // side * GRID + color.g // side) * GRID + color.b // side


def _weighted(
    *, lightness: tuple[Any, Any], chroma: tuple[Any, Any], hue: tuple[Any, Any]
) -> Floats:
    """The sum of the three differences, each given with the mean that its weight depends on."""
    import numpy as np

    (dl, ml), (dc, mc), (dh, mh) = lightness, chroma, hue
    degrees = np.radians(mh)
    t = (
        1
        - 0.17 * np.cos(degrees - np.radians(30))
        + 0.24 * np.cos(2 * degrees)
        + 0.32 * np.cos(3 * degrees + np.radians(6))
        - 0.20 * np.cos(4 * degrees - np.radians(63))
    )
    from_middle = (ml - 50) ** 2
    l_part = dl / (1 + 0.015 * from_middle / np.sqrt(20 + from_middle))
    c_part = dc / (1 + 0.045 * mc)
    h_part = dh / (1 + 0.015 * mc * t)
    blue = np.radians(60 * np.exp(-(((mh - 275) / 25) ** 2)))
    rotation = -2 * _chroma_weight(mc) * np.sin(blue)
    squared = l_part**2 + c_part**2 + h_part**2 + rotation * c_part * h_part
    return np.asarray(np.sqrt(np.maximum(squared, 0)))


def _chroma_weight(chroma: Any) -> Any:
    import numpy as np

    seventh = chroma**7
    return np.sqrt(seventh / (seventh + 25.0**7))


def _merged(centers: Any, sizes: Any, shades: float) -> list[tuple[Any, int]]:
    """Join centres nearer than ``shades``, weighted by size; largest first."""
    import numpy as np

    merged: list[tuple[Any, int]] = []
    for index in np.argsort(-sizes, kind="stable"):
        center, size = centers[index], int(sizes[index])
        for at, (other, weight) in enumerate(merged):
            if np.linalg.norm(center - other) < shades:
                total = weight + size
                merged[at] = ((other * weight + center * size) / total, total)
                break
        else:
            if size > 0:
                merged.append((center, size))
    return sorted(merged, key=lambda entry: -entry[1])


def _temperature(points: Any) -> Reading:
    import numpy as np

    axis = np.radians(WARMEST_HUE)
    warmth = points[:, 1] * np.cos(axis) + points[:, 2] * np.sin(axis)
    score = float(np.clip(warmth.mean() / STRONG, -1, 1))
    return _reading(score, -NEITHER, NEITHER, ("cool", "neutral", "warm"), digits=3)


def _reading(
    value: float, low: float, high: float, words: tuple[str, str, str], digits: int = 1
) -> Reading:
    word = words[0] if value < low else words[2] if value > high else words[1]
    return Reading(round(value, digits), word)


@cache
def _cells() -> tuple[Any, Any]:
    """Return the corners of all cells in CIELAB, and of each cell the largest ΔE of centre to
    corner.
    """
    import numpy as np

    edges = np.append(np.arange(GRID) * (256 // GRID), 255)
    corners = lab_of(_lattice(edges))
    middles = lab_of(_lattice((edges[:-1] + edges[1:]) / 2)).reshape(GRID, GRID, GRID, 3)
    shape = corners.reshape([GRID + 1] * 3 + [3])
    ends = (slice(None, -1), slice(1, None))
    ways = [delta_e(middles, shape[x, y, z]) for x in ends for y in ends for z in ends]
    return corners, np.max(ways, axis=0).ravel()


def _lattice(edges: Any) -> Any:
    import numpy as np

    return np.stack(np.meshgrid(edges, edges, edges, indexing="ij"), -1).reshape(-1, 3)


@cache
def _centroids() -> tuple[list[str], Any]:
    import numpy as np

    entries = [(n, code) for n, codes in _data("names.toml").items() for code in codes.split()]
    rgb = np.array([list(bytes.fromhex(code)) for _, code in entries], dtype=np.uint8)
    return [name for name, _ in entries], lab_of(rgb)


def _data(name: str) -> dict[str, Any]:
    folder = files("ocelli.media") / "colors_data"
    return tomllib.loads((folder / name).read_text(encoding="utf-8"))
