"""What kind of picture it is, where it is no photo: a document, a chart, a code, a drawing. Pure.

A page of text is told by its lines on a light or a flat ground; which kind of page, by what is
written. Graphics are told by their few flat colours (``shapes``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ocelli.domain.findings import SceneLabel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.backends.local.shapes import Graphic
    from ocelli.domain.findings import TextLine

RECEIPT, FORM, PAGE, SCREENSHOT = "receipt", "form", "page of text", "screenshot"
DOCUMENTS = (RECEIPT, FORM, PAGE, SCREENSHOT)
QR_CODE, BAR_CHART, PIE_CHART, LOGO, DRAWING = (
    "QR code", "bar chart", "pie chart", "logo", "drawing",
)  # fmt: skip
# In these there may be things, which a detector that is sure finds.
DRAWN = (LOGO, DRAWING)
MEDIA = (*DOCUMENTS, QR_CODE, BAR_CHART, PIE_CHART, LOGO, DRAWING)
SURE, LIKELY = 0.95, 0.8

# So many lines are a document, if its ground is light, or flat, or covered by them.
LINES, LIGHT, FLAT, COVERED = 13, 0.5, 0.6, 0.25
LIGHT_PIXEL, SMOOTH = 150, 10  # of 255; of 255 between neighbours
AMOUNT, AMOUNTS = re.compile(r"\d[.,]\d\d\b"), 3
BILLED = re.compile(
    r"\b(total|cash|tax|gst|vat|receipt|change|qty|invoice|subtotal)\b", re.IGNORECASE
)
LABEL, LABELS = re.compile(r"\w:(\s|$)"), 4
SHEET = re.compile(r"\b(form|signature|please|date)\b", re.IGNORECASE)
GREY, GREYS = 40, 0.97
# A code's pixels are black or white.
BILEVEL, DARK = 0.75, 70
LARGE = 0.06
LOGO_LINES = 2


def medium(
    pixels: Any,
    texts: Sequence[TextLine],
    graphic: Graphic | None,
) -> SceneLabel | None:
    """What ``pixels``, RGB of at most some hundred a side, are a picture of; None for a photo.

    None also for a graphic whose shapes tell more.
    """
    if len(texts) >= LINES and _is_document(pixels, texts):
        return SceneLabel(_document(pixels, texts), LIKELY)
    if _is_code(pixels, texts):
        return SceneLabel(QR_CODE, SURE)
    if graphic is None:
        return None
    if graphic.is_pie:
        return SceneLabel(PIE_CHART, LIKELY)
    if graphic.has_bars:
        return SceneLabel(BAR_CHART, LIKELY)
    if graphic.shapes:
        return None
    large = [line for line in texts if line.box.bottom - line.box.top >= LARGE]
    if large and len(texts) <= LOGO_LINES:
        return SceneLabel(LOGO, LIKELY)
    return SceneLabel(DRAWING, LIKELY)


def _is_document(pixels: Any, texts: Sequence[TextLine]) -> bool:
    if sum(line.box.area for line in texts) >= COVERED:
        return True
    return _light(pixels) >= LIGHT or _flat(pixels) >= FLAT


def _document(pixels: Any, texts: Sequence[TextLine]) -> str:
    lines = [line.text for line in texts]
    amounts = sum(bool(AMOUNT.search(line)) for line in lines)
    billed = {word.lower() for line in lines for word in BILLED.findall(line)}
    if amounts >= AMOUNTS and billed:
        return RECEIPT
    if _light(pixels) < LIGHT or not _is_grey(pixels):
        return SCREENSHOT if _flat(pixels) >= FLAT else PAGE
    labels = sum(bool(LABEL.search(line)) for line in lines)
    if labels >= LABELS or (labels and any(SHEET.search(line) for line in lines)):
        return FORM
    return PAGE


def _is_code(pixels: Any, texts: Sequence[TextLine]) -> bool:
    import cv2

    if len(texts) > LOGO_LINES or not _is_grey(pixels):
        return False
    least = _least(pixels)
    if ((least < DARK) | (least > 255 - DARK)).mean() < BILEVEL:
        return False
    return bool(cv2.QRCodeDetector().detectAndDecode(pixels)[0])


def _light(pixels: Any) -> float:
    return float((_least(pixels) > LIGHT_PIXEL).mean())


def _is_grey(pixels: Any) -> bool:
    spread = _most(pixels) - _least(pixels)
    return bool((spread < GREY).mean() >= GREYS)


def _flat(pixels: Any) -> float:
    import cv2
    import numpy as np

    steps = cv2.morphologyEx(pixels, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return float((_most(steps) <= SMOOTH).mean())


# numpy's own `min` and `max` over an axis of three take 20 times as long: a twentieth of a look.
def _least(pixels: Any) -> Any:
    import numpy as np

    red, green, blue = (pixels[..., channel] for channel in range(3))
    return np.minimum(np.minimum(red, green), blue)


def _most(pixels: Any) -> Any:
    import numpy as np

    red, green, blue = (pixels[..., channel] for channel in range(3))
    return np.maximum(np.maximum(red, green), blue)
