"""Ways of showing one picture to the models, so that a finding can be asked to repeat itself.

A mirror image or a slightly closer crop changes nothing that a person would say, but every number
inside a network: what it sees only one way is mostly not there. Text is never mirrored; it is shown
at another scale instead. Boxes always come back in the coordinates of the upright picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from ocelli.domain.findings import Box

if TYPE_CHECKING:
    from collections.abc import Iterator

# How much of each side the closer view leaves out.
MARGIN = 0.06
# Beside the picture, in parts of its longer side: text then has another scale and place, while its
# letters keep their resolution.
BORDER = 0.08
CLOSER_TEXT = 0.8
WHOLE = Box(0.0, 0.0, 1.0, 1.0)
OVERLAP = 0.2  # of a tile with the next one


class Augmentation(Enum):
    """How a picture is shown."""

    PLAIN = auto()
    MIRRORED = auto()
    CLOSER = auto()

    @classmethod
    def of(cls, nth: int) -> Augmentation:
        """The view of the ``nth`` check; a look is the 0th."""
        return (cls.PLAIN, cls.MIRRORED, cls.CLOSER)[min(nth, 2)]


@dataclass(frozen=True, slots=True, eq=False)
class AugmentedView:
    """Pixels to be looked at, and which part of the picture they are."""

    pixels: Any
    part: Box = WHOLE
    mirrored: bool = False

    def restore(self, box: Box) -> Box:
        """A box within ``pixels`` as a box of the picture; cut to it."""
        placed = self.place(box)
        edges = (placed.left, placed.top, placed.right, placed.bottom)
        return Box(*(min(max(edge, 0.0), 1.0) for edge in edges))

    def within(self, box: Box) -> Box:
        """A box of the picture as a box within ``pixels``."""
        width, height = self.part.right - self.part.left, self.part.bottom - self.part.top
        left, right = ((x - self.part.left) / width for x in (box.left, box.right))
        top, bottom = ((y - self.part.top) / height for y in (box.top, box.bottom))
        return (
            Box(1 - right, top, 1 - left, bottom)
            if self.mirrored
            else Box(left, top, right, bottom)
        )

    def place(self, box: Box) -> Box:
        """As ``restore``, but what lies beyond the picture stays there."""
        if self.mirrored:
            box = Box(1 - box.right, box.top, 1 - box.left, box.bottom)
        width, height = self.part.right - self.part.left, self.part.bottom - self.part.top
        return Box(
            self.part.left + box.left * width,
            self.part.top + box.top * height,
            self.part.left + box.right * width,
            self.part.top + box.bottom * height,
        )


def shown(pixels: Any, view: Augmentation) -> AugmentedView:
    """The picture for every model but the text reader."""
    import numpy as np

    match view:
        case Augmentation.MIRRORED:
            return AugmentedView(np.ascontiguousarray(pixels[:, ::-1]), mirrored=True)
        case Augmentation.CLOSER:
            height, width = pixels.shape[:2]
            down, across = int(height * MARGIN), int(width * MARGIN)
            part = Box(across / width, down / height, 1 - across / width, 1 - down / height)
            return AugmentedView(
                np.ascontiguousarray(pixels[down : height - down, across : width - across]), part
            )
        case _:
            return AugmentedView(pixels)


def shown_to_read(pixels: Any, view: Augmentation) -> AugmentedView:
    """The picture for the text reader."""
    import cv2

    height, width = pixels.shape[:2]
    match view:
        case Augmentation.MIRRORED:
            edge = max(1, int(max(height, width) * BORDER))
            wider = cv2.copyMakeBorder(pixels, edge, edge, edge, edge, cv2.BORDER_REPLICATE)
            beside, above = edge / width, edge / height
            return AugmentedView(wider, Box(-beside, -above, 1 + beside, 1 + above))
        case Augmentation.CLOSER:
            size = max(1, round(width * CLOSER_TEXT)), max(1, round(height * CLOSER_TEXT))
            return AugmentedView(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
        case _:
            return AugmentedView(pixels)


def tiles(showing: AugmentedView, side: int) -> Iterator[AugmentedView]:
    """Overlapping pieces, none longer than ``side``; none if the whole is no longer than that."""
    import numpy as np

    height, width = showing.pixels.shape[:2]
    if max(height, width) <= side:
        return
    for top, bottom in _spans(height, side):
        for left, right in _spans(width, side):
            inside = Box(left / width, top / height, right / width, bottom / height)
            yield AugmentedView(
                np.ascontiguousarray(showing.pixels[top:bottom, left:right]),
                showing.place(inside),
                showing.mirrored,
            )


def _spans(length: int, side: int) -> list[tuple[int, int]]:
    """Equal pieces of at most ``side`` that overlap by ``OVERLAP`` and cover ``length``."""
    if length <= side:
        return [(0, length)]
    step = side * (1 - OVERLAP)
    count = 1 + -(-(length - side) // int(step))
    starts = [round(i * (length - side) / (count - 1)) for i in range(count)]
    return [(start, start + side) for start in starts]
