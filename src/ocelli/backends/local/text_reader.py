"""Visible text: PP-OCRv6 small, cleaned of noise, in reading order.

``ocr`` does what RapidOCR does around the same networks, but for

- the size: RapidOCR enlarges small pictures until their shorter side has 736 pixels. Not enlarging
  is two to four times as fast, finds less noise, and reads "YAMAHA" where the default reads
  "YAWANA". Detection at 960 pixels still found text of size 10 on a clean 2,048-pixel page;
- the width of a line, which it pads to at least 320 pixels: a short word costs a third without;
- several lines at once: on one thread a line costs as much alone.

Raising ``ocr.LINE`` to 0.7 would lose four of the sample page's seven lines.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import atan2, degrees, hypot
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from ocelli.backends.local import graphdef, network_builders, ocr
from ocelli.backends.local.neural_models import NeuralModel
from ocelli.backends.local.runtime import Precision
from ocelli.domain.findings import Box, TextLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.backends.local.model_files import Weights
    from ocelli.backends.local.runtime import Runtime
    from ocelli.backends.local.stopwatch import Stopwatch

# A line must be so sure of itself. Of 445 lines on 24 forms, receipts and signs four had from .7 to
# .8, and of their words 43 % were right; from .9 on 99 %. Scripts that the network does not know
# come out as "0070 n 071 D17" .74 or as scattered letters: "h u nn" .81.
SCORE = 0.80
# Lone letters more so. Noise on photos: "8" .90, "O" .89, a lone Chinese character .92.
FEW, FEW_SCORE = 2, 0.97
# But not where so many lines are legible: "1", "0.00" and "A B" stand in the columns of receipts.
PAGE_LINES = 8
# No letter is legible in fewer pixels, and RapidOCR would enlarge a thin strip without bound.
SMALLEST_SIDE = 10
LONGEST_ASPECT = 40
# Narrower columns are the cells of a table or labels, not paragraphs.
COLUMN_WIDTH = 0.2
# Lines that are read with less than this are read the other way round too, so many of them; all
# are if that is so much better.
CLEAR, JUDGES, BETTER = 0.93, 4, 0.05
UPRIGHT_WITHIN = 10  # degrees
LARGE = 640  # pixels of the longer side: to find text in more takes up to 240 MB


class TextReader(NeuralModel):
    """PP-OCRv6 small: one network that finds lines, one that reads them."""

    name = "text"

    def _load(self, runtime: Runtime, weights: Sequence[Weights]) -> None:
        places, letters = weights
        self._places = self._network_of(  # in bf16 it overlooks small signs
            runtime,
            "text-places",
            places,
            network_builders.text_places,
            precision=Precision.F32,
        )
        self._letters = self._network_of(
            runtime, "text-letters", letters, network_builders.text_letters
        )
        characters = graphdef.metadata(letters.verified().read_bytes(), "character")
        self._alphabet = ocr.alphabet(characters)

    def find(self, pixels: Any, clock: Stopwatch) -> tuple[TextLine, ...]:
        """Legible lines in reading order. ``pixels`` at full resolution: letters are small."""
        self.load()
        height, width = pixels.shape[:2]
        shorter, longer = sorted((height, width))
        if shorter < SMALLEST_SIDE or longer > LONGEST_ASPECT * shorter:
            return ()
        grounded, above = ocr.ground(pixels)
        places = self._find(grounded, clock)
        found: list[_PlacedLine] = []
        for group in (
            [each for each in places if not ocr.is_vertical(each)],
            [each for each in places if ocr.is_vertical(each)],
        ):
            images = [ocr.line_image(grounded, corners) for corners in group]
            texts, reversed_ = self._read_all(images, clock)
            for (text, score), corners in zip(texts, group, strict=True):
                place = corners - (0, above)
                line = TextLine(text.strip(), min(score, 1.0), _enclosing(place, width, height))
                direction = ocr.direction(corners)
                found.append(_PlacedLine(line, place, -direction if reversed_ else direction))
        return tuple(_in_reading_order(_legible(found), width, height))

    def _read_all(
        self, images: Sequence[Any], clock: Stopwatch
    ) -> tuple[list[tuple[str, float]], bool]:
        """What lines of one direction say; True: the other way round, since that reads better.

        The longest ones decide: letters on their heads resemble others, but not as much.
        """
        read = [self._read(image, clock) for image in images]
        longest = sorted(range(len(read)), key=lambda each: -len(read[each][0]))[:JUDGES]
        if not longest or fmean(read[each][1] for each in longest) >= CLEAR:
            return read, False
        turned = {each: self._read(ocr.turned(images[each]), clock) for each in longest}
        gain = fmean(turned[each][1] - read[each][1] for each in longest)
        if gain < BETTER:
            return read, False
        return [
            turned[each] if each in turned else self._read(ocr.turned(image), clock)
            for each, image in enumerate(images)
        ], True

    def _find(self, pixels: Any, clock: Stopwatch) -> list[Any]:
        small = ocr.shown(pixels)
        with clock(self.name):
            (probabilities,) = self._places(small[None])
        lines = ocr.find_lines(probabilities[0, 0], *pixels.shape[1::-1])
        if max(small.shape) > LARGE:
            self._places.release()  # before the lines take theirs
        return lines

    def _read(self, image: Any, clock: Stopwatch) -> tuple[str, float]:
        with clock(self.name):
            probabilities, letters = self._letters(image[None])
        return ocr.decode(letters[0, :, 0], probabilities[0, :, 0], self._alphabet)


def is_legible(line: TextLine, *, on_page: bool = False) -> bool:
    """Whether a line is text rather than a pattern that resembles letters.

    ``on_page``: many lines beside it are text.
    """
    letters = [letter for letter in line.text.casefold() if letter.isalnum()]
    if not letters or line.score < SCORE:
        return False
    if on_page:
        return True
    if len(letters) > 1 and len(set(letters)) == 1:
        return False
    lone = len(letters) <= FEW or len(letters) < 2 * len(line.text.split())
    return line.score >= FEW_SCORE or not lone


@dataclass(frozen=True, slots=True)
class _PlacedLine:
    """A line, its corners in pixels, and the unit vector in which it is read."""

    line: TextLine
    corners: Any
    direction: Any


def _legible(found: Sequence[_PlacedLine]) -> list[_PlacedLine]:
    legible = [each for each in found if is_legible(each.line)]
    if len(legible) < PAGE_LINES:
        return legible
    return [each for each in found if is_legible(each.line, on_page=True)]


def _in_reading_order(found: Sequence[_PlacedLine], width: int, height: int) -> list[TextLine]:
    """The lines of a page that may be turned, in the order of the page when it stands upright."""
    import numpy as np

    lines = [each.line for each in found]
    # Of the page and of what stands across it the one with more letters counts.
    across, along = np.zeros(2), np.zeros(2)
    for each in found:
        letters = each.direction * len(each.line.text)
        if ocr.is_vertical(each.corners):
            along += letters
        else:
            across += letters
    cos, sin = max(across, along, key=lambda total: float(np.abs(total).sum()))
    if abs(degrees(atan2(sin, cos))) <= UPRIGHT_WITHIN:
        return reading_order(lines)
    turn = np.array([[cos, -sin], [sin, cos]]) / hypot(cos, sin)
    upright = [each.corners @ turn for each in found]
    least, most = np.min(upright, axis=(0, 1)), np.max(upright, axis=(0, 1))
    turned = [
        replace(line, box=_enclosing(corners - least, *np.maximum(most - least, 1)))
        for line, corners in zip(lines, upright, strict=True)
    ]
    originals = {id(copy): line for copy, line in zip(turned, lines, strict=True)}
    return [originals[id(copy)] for copy in reading_order(turned)]


def reading_order(lines: Sequence[TextLine]) -> list[TextLine]:
    """Column by column, row by row, from left to right.

    A recursive cut along white space (XY-cut): paragraphs that stand side by side are read one
    after the other, but the cells of a table, which are too short for paragraphs, row by row.
    """
    if len(lines) < 2:
        return list(lines)
    for parts in (_columns(lines), _bands(lines)):
        if len(parts) > 1:
            return [line for part in parts for line in reading_order(part)]
    return [line for row in _rows(lines) for line in row]


def _columns(lines: Sequence[TextLine]) -> list[list[TextLine]]:
    """Parts with a vertical gap between them, or all in one part if these are no paragraphs."""
    parts = _split(lines, "left", "right", gap=0.01)
    paragraphs = all(
        len(part) >= 3 and median(line.box.right - line.box.left for line in part) >= COLUMN_WIDTH
        for part in parts
    )
    return parts if paragraphs else [list(lines)]


def _bands(lines: Sequence[TextLine]) -> list[list[TextLine]]:
    """Parts with more than a line's height of white space between them."""
    return _split(lines, "top", "bottom", gap=1.2 * median(_height(line) for line in lines))


def _split(lines: Sequence[TextLine], start: str, end: str, *, gap: float) -> list[list[TextLine]]:
    parts: list[list[TextLine]] = []
    reached = 0.0
    for line in sorted(lines, key=lambda line: float(getattr(line.box, start))):
        if not parts or getattr(line.box, start) - reached > gap:
            parts.append([])
        parts[-1].append(line)
        reached = max(reached, getattr(line.box, end))
    return parts


def _rows(lines: Sequence[TextLine]) -> list[list[TextLine]]:
    """Lines whose heights overlap by half are one row; rows from top, cells from left."""
    rows: list[list[TextLine]] = []
    for line in sorted(lines, key=lambda line: line.box.center[1]):
        if rows and _share_row(rows[-1][0], line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.box.left) for row in rows]


def _share_row(line: TextLine, other: TextLine) -> bool:
    shared = min(line.box.bottom, other.box.bottom) - max(line.box.top, other.box.top)
    return shared > 0.5 * min(_height(line), _height(other))


def _height(line: TextLine) -> float:
    return line.box.bottom - line.box.top


def _enclosing(corners: Any, width: float, height: float) -> Box:
    """The upright box around four corners in pixels."""
    across = [min(max(float(x) / width, 0.0), 1.0) for x, _ in corners]
    down = [min(max(float(y) / height, 0.0), 1.0) for _, y in corners]
    return Box(min(across), min(down), max(across), max(down))
