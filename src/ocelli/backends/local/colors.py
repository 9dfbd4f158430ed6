"""Dominant colours, as many as a description can carry."""

from __future__ import annotations

from typing import Any

from ocelli.domain.findings import Color
from ocelli.media.colors import clusters, nearest_name, rgb_of, sampled

CLUSTERS = 6
# Clusters nearer than this (ΔE*ab, 1976) are one word.
MERGE_DISTANCE = 10.0
MIN_FRACTION = 0.03
# For telling whether a colour is there at all.
MANY_CLUSTERS, TRACE = 16, 0.003


def dominant_colors(pixels: Any, *, every: bool = False) -> tuple[Color, ...]:
    """Up to six colours of RGB uint8 ``pixels`` (height, width, 3), largest share first.

    Shares below ``MIN_FRACTION`` are left out, so the fractions may sum to less than 1. With
    ``every`` there are up to sixteen, down to a ``TRACE``.
    """
    most, least = (MANY_CLUSTERS, TRACE) if every else (CLUSTERS, MIN_FRACTION)
    return tuple(
        Color(rgb_of(lab).hex, nearest_name(lab), min(share, 1.0))
        for lab, share in clusters(sampled(pixels), most, shades=MERGE_DISTANCE)
        if share >= least
    )
