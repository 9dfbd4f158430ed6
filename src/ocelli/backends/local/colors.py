"""Dominant colours: k-means in CIELAB, where distances are those that people see."""

from __future__ import annotations

from functools import cache
from typing import Any

from ocelli.backends.local import data
from ocelli.domain.findings import Color

CLUSTERS = 6
# Clusters nearer than this (ΔE*ab, 1976) look like shades of one colour.
MERGE_DISTANCE = 10.0
MIN_FRACTION = 0.03
# Less chroma than this is a grey; the nearest centroid of so dull a colour may be a dark green.
GREY_CHROMA = 6.0
GREYS = ("black", "dark grey", "grey", "light grey", "white")
SIDE = 64
# k-means starts from random centres; a fixed seed keeps the answer the same for the same pixels.
SEED = 7


def dominant_colors(pixels: Any) -> tuple[Color, ...]:
    """Up to six colours of RGB uint8 ``pixels`` (height, width, 3), largest share first.

    Shares below ``MIN_FRACTION`` are left out, so the fractions may sum to less than 1.
    """
    import cv2
    import numpy as np

    height, width = pixels.shape[:2]
    # At least two pixels: OpenCV takes a single point for three points of one dimension.
    size = min(width, SIDE), max(2, min(height, SIDE))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    points = _lab(small.reshape(-1, 3))
    clusters = min(CLUSTERS, len(points))
    cv2.setRNGSeed(SEED)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 12, 0.5)
    _, labels, centers = cv2.kmeans(
        points,
        clusters,
        np.zeros((len(points), 1), np.int32),
        criteria,
        1,
        cv2.KMEANS_PP_CENTERS,
    )
    shares = np.bincount(labels.ravel(), minlength=clusters) / len(points)
    merged = _merge(centers, shares)
    return tuple(_color(center, share) for center, share in merged if share >= MIN_FRACTION)


def nearest_name(lab: Any) -> str:
    """The word for a CIELAB colour of shape (3,)."""
    import numpy as np

    names, centroids = _palette()
    distances = ((centroids - lab) ** 2).sum(axis=1)
    if np.hypot(lab[1], lab[2]) < GREY_CHROMA:
        distances = np.where(np.isin(names, GREYS), distances, np.inf)
    return names[int(np.argmin(distances))]


def _merge(centers: Any, shares: Any) -> list[tuple[Any, float]]:
    """Join centres nearer than ``MERGE_DISTANCE``, weighted by share; largest share first."""
    import numpy as np

    merged: list[tuple[Any, float]] = []
    for index in np.argsort(-shares, kind="stable"):
        center, share = centers[index], float(shares[index])
        for at, (other, weight) in enumerate(merged):
            if np.linalg.norm(center - other) < MERGE_DISTANCE:
                total = weight + share
                merged[at] = ((other * weight + center * share) / total, total)
                break
        else:
            if share > 0:
                merged.append((center, share))
    return sorted(merged, key=lambda entry: -entry[1])


def _color(lab: Any, share: float) -> Color:
    import cv2
    import numpy as np

    rgb = cv2.cvtColor(np.asarray(lab, np.float32).reshape(1, 1, 3), cv2.COLOR_Lab2RGB).ravel()
    red, green, blue = (round(float(min(max(part, 0.0), 1.0)) * 255) for part in rgb)
    return Color(f"#{red:02x}{green:02x}{blue:02x}", nearest_name(lab), min(share, 1.0))


def _lab(rgb: Any) -> Any:
    """CIELAB, float32, of uint8 RGB; both of shape (n, 3)."""
    import cv2
    import numpy as np

    return cv2.cvtColor(np.asarray(rgb, np.float32)[None] / 255, cv2.COLOR_RGB2Lab)[0]


@cache
def _palette() -> tuple[list[str], Any]:
    import numpy as np

    entries = [
        (n, h) for n, centroids in data.read("colors.toml").items() for h in centroids.split()
    ]
    rgb = np.array([list(bytes.fromhex(code)) for _, code in entries], dtype=np.uint8)
    return [name for name, _ in entries], _lab(rgb)
