"""The segments of a JPEG, and checks for missing data.

The decoder only warns of missing data, if at all, and it warns of harmless things as well.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from ocelli.domain.images import ImageFormat
from ocelli.media._vips import open_source, vips

if TYPE_CHECKING:
    from collections.abc import Iterator
    from mmap import mmap

    Data = bytes | mmap

FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
SCAN, EXIF = 0xDA, 0xE1

_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # none of these is within a scan's data
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_END = 0xD9
_SCAN_OR_END = re.compile(rb"\xff([\xd9\xda])")
_AT_ONCE = 1 << 20  # bytes that are searched without a pause for other threads
_WITHOUT_BODY = frozenset({0x01, 0xD8, _END})
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})

_BITS = b"\x5a"
_INTERVALS = 40
_NOTICEABLE = 0.01  # some encoders forget the last bits of the last block


def has_all_scans(data: bytes) -> bool:
    """Return whether the scans hold all coefficients of all components, to the last bit.

    Decoders accept a progressive JPEG that ends after some of its scans.
    """
    missing: set[tuple[int, int]] = set()  # (component, coefficient)
    progressive = False
    for marker, _, body in segments(data):
        if marker in FRAMES:
            progressive = marker in _PROGRESSIVE
            missing = {(component, n) for component in body[6::3] for n in range(64)}
        elif marker == SCAN:
            missing -= _completed(body, progressive)
            if not missing:
                return True
    return False


def _completed(scan: bytes, progressive: bool) -> set[tuple[int, int]]:
    """Return the coefficients that a scan completes, by its header."""
    components, choice = scan[1:-3:2], scan[-3:]
    # These say something in a progressive JPEG only, and are not always right elsewhere.
    first, last, shift = choice if progressive and len(choice) == 3 else (0, 63, 0)
    if shift & 15:
        return set()
    return {(component, n) for component in components for n in range(first, last + 1)}


def is_cut(data: bytes) -> bool:
    """Return whether data is missing: then stuffing inserted before the end changes the picture.

    Decodes it twice; meant for pictures that the decoder warns of. Raises pyvips.Error.
    """
    places = {marker: at for marker, at, _ in reversed([*segments(data)])}
    if _END not in places:
        return True
    end = len(data[: places[_END]].rstrip(b"\xff"))
    restarts = [mark[0] & 7 for mark in _RESTART.findall(data, places[SCAN], end)]
    if any(after not in (0, (before + 1) % 8) for before, after in pairwise(restarts)):
        return True
    stuffed = data[:end] + _stuffing(end, restarts) + data[end:]
    one, other = (
        open_source(vips().Source.new_from_memory(each), ImageFormat.JPEG)
        for each in (data, stuffed)
    )
    changed = ((one - other).abs() > 0).bandor()
    return bool(changed.avg() / 255 > _NOTICEABLE)


def _stuffing(size: int, restarts: list[int]) -> bytes:
    """Return ``size`` bytes of arbitrary data, and restart intervals of it after the last restart.

    Each superfluous interval is a warning, and libvips fails at a hundred.
    """
    following = restarts[-1] + 1 if restarts else 0
    marks = (0xD0 + (following + n) % 8 for n in range(_INTERVALS))
    return _BITS * size + b"".join(b"\xff" + bytes([mark]) + _BITS * 512 for mark in marks)


def segments(data: Data) -> Iterator[tuple[int, int, bytes]]:
    """Yield marker, position and body of all segments up to the end of the picture."""
    at = 0
    while found := _search(_MARKER, data, at):
        marker, at = found[1][0], found.end()
        if marker in _WITHOUT_BODY:
            yield marker, found.start(), b""
        else:
            body = at + max(2, int.from_bytes(data[at : at + 2]))
            yield marker, found.start(), data[at + 2 : body]
            at = body
        if marker == _END:
            return


def count_scans(data: Data, at: int, most: int) -> int:
    """Count the scans from ``at`` on, up to ``most``."""
    count = 0
    while count < most and (found := _search(_SCAN_OR_END, data, at)) and found[1][0] != _END:
        count, at = count + 1, found.end()
    return count


def _search(pattern: re.Pattern[bytes], data: Data, at: int) -> re.Match[bytes] | None:
    while at < len(data):
        if found := pattern.search(data, at, at + _AT_ONCE):
            return found
        at += _AT_ONCE - 1  # a marker may lie across
    return None
