"""Files that cost much more than they weigh are refused, or cost no more than was estimated."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from tests import bombs
from tests.isolated import MEGABYTE
from tests.unit.test_media_pictures import exif, mutated, quarters, saved, several

from ocelli.domain.errors import AnalysisFailed, FailureType, ValidationFailed
from ocelli.domain.images import ImageFormat
from ocelli.media import memory
from ocelli.media._vips import field, open_source, vips
from ocelli.media.decode import decode
from ocelli.media.fetch import UNPACKED_AT_ONCE, _unpacker
from ocelli.media.header import read_header
from ocelli.media.probe import MOST_FRAMES, MOST_SCANS
from ocelli.media.sniff import sniff

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 10**8

# ── structure ──────────────────────────────────────────────────────────────────────────────────


def apng(frames: int) -> bytes:
    control = frames.to_bytes(4, "big") + bytes(4)
    return bombs.png(8, 8, chunks=bombs.png_chunk(b"acTL", control))


@pytest.mark.parametrize("make", [bombs.animated_webp, lambda n: bombs.gif(1, 1, frames=n), apng])
def test_frames_are_counted_before_a_decoder_sees_them(
    make: Callable[[int], bytes], tmp_path: Path
) -> None:
    assert read_header(make(MOST_FRAMES), max_pixels=LIMIT).width
    for frames in (MOST_FRAMES + 1, 80_000):
        (tmp_path / "file").write_bytes(make(frames))
        with pytest.raises(ValidationFailed, match="more than 5,000 frames") as refusal:
            read_header(tmp_path / "file", max_pixels=LIMIT)
        assert refusal.value.details["issue"] == "too many frames"
        with pytest.raises(AnalysisFailed, match="more than 5,000 frames"):
            decode(make(frames), max_pixels=LIMIT)


@pytest.mark.parametrize("frames", [1, MOST_FRAMES])
@pytest.mark.parametrize("make", [bombs.animated_webp, lambda n: bombs.gif(1, 1, frames=n)])
def test_as_many_frames_as_may_be_are_read(make: Callable[[int], bytes], frames: int) -> None:
    assert decode(make(frames), max_pixels=LIMIT).pixels.shape == (1, 1, 3)


def test_scans_are_counted() -> None:
    few = bombs.jpeg(64, 64, scans=MOST_SCANS - 5)
    assert decode(few, max_pixels=LIMIT).width == 64
    many = bombs.jpeg(64, 64, scans=10_000)
    with pytest.raises(ValidationFailed, match="more than 100 scans"):
        read_header(many, max_pixels=LIMIT)
    behind = few + bombs.jpeg(8, 8, scans=500)  # what follows the picture is not of it
    assert read_header(behind, max_pixels=LIMIT).width == 64


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a\1\0\1\0\0\0\0" + b"!\xfe" + b"\1a" * 5_000_000,
        bombs.gif(1, 1)[:-2] + b"\1a" * 5_000_000,
        b"\xff\xd8" + b"\xff\xfe\0\2" * 2_000_000,
        b"\xff\xd8" + b"\xff\0" * 10_000_000,
        b"\xff\xd8" + b"\xff" * 10_000_000,
        b"RIFF\xff\xff\xff\xffWEBPVP8X\n\0\0\0" + bytes(10) + b"ABCD\0\0\0\0" * 1_000_000,
    ],
    ids=["blocks", "blocks of a frame", "segments", "stuffing", "fill", "chunks"],
)
def test_structures_without_an_end(data: bytes) -> None:
    """Walked through within bounds: however long the file is, this takes a moment."""
    with pytest.raises((ValidationFailed, AnalysisFailed)):
        decode(data, max_pixels=LIMIT)


@several
@given(mutated())
def test_the_header_says_what_the_decoder_sees(data: bytes) -> None:
    try:
        header = read_header(data, max_pixels=10**12)
        format = sniff(data[:1024])
        if format in (ImageFormat.HEIC, ImageFormat.BMP):  # not read by libvips
            return
        seen = open_source(vips().Source.new_from_memory(data), format)
    except (ValidationFailed, vips().Error, UnicodeDecodeError):
        return
    size = seen.width, seen.height
    turned = field(seen, "orientation") in {5, 6, 7, 8}
    if turned and header.format not in (ImageFormat.GIF, ImageFormat.AVIF):
        size = size[::-1]
    assert (header.width, header.height) == size


@pytest.mark.parametrize(
    ("screen", "frame"),
    [
        *(((50, 40), (10, 10)), ((10, 10), (50, 40)), ((0, 0), (7, 9)), ((640, 480), (3, 5))),
        *(((640, 481), (3, 5)), ((3000, 20), (30, 2)), ((1, 1), (300, 200))),
    ],
)
def test_the_canvas_of_a_gif(screen: tuple[int, int], frame: tuple[int, int]) -> None:
    data = bombs.gif(*frame, screen=screen)
    seen = open_source(vips().Source.new_from_memory(data), ImageFormat.GIF)
    header = read_header(data, max_pixels=LIMIT)
    assert (header.width, header.height) == (seen.width, seen.height)


# ── memory ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data", "megabytes"),
    [
        (bombs.jpeg(10_000, 10_000, components=4), 800),
        (bombs.jpeg(10_000, 10_000, components=4, progressive=False), 800),
        (bombs.jpeg(10_000, 10_000), 600),
        (bombs.gif(10_000, 10_000), 600),
        (bombs.gif(10_000, 10_000, screen=(9, 9)), 600),
        (bombs.animated_webp(1, width=10_000, height=10_000), 1600),
        (bombs.png_head(10_000, 10_000, depth=16, color=6, interlaced=True), 800),
        (bombs.png_head(10_000, 10_000, color=3, interlaced=True), 400),
        (bombs.png_head(1_000_000, 100), 1500),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else value[:3].hex(),
)
def test_what_a_decoder_would_hold_is_known_from_the_header(data: bytes, megabytes: int) -> None:
    with pytest.raises(ValidationFailed, match=r"takes about [\d,]+ MB of memory") as refusal:
        read_header(data, max_pixels=LIMIT)
    assert refusal.value.details["issue"] == "too much memory"
    header = read_header(data, max_pixels=100 * LIMIT)
    needed = memory.needed(header, memory.SMALL) / 10**6
    assert 0.95 * megabytes < needed < 1.4 * megabytes + 60
    with pytest.raises(AnalysisFailed, match="of memory") as failure:
        decode(data, max_pixels=LIMIT)
    assert failure.value.type is FailureType.VALIDATION


def test_photographs_of_100_megapixels_are_read() -> None:
    baseline = saved(quarters(64, 64), "JPEG")
    at = baseline.index(b"\xff\xc0") + 5
    large = baseline[:at] + b"\x27\x10\x27\x10" + baseline[at + 4 :]
    for data in (large, bombs.png_head(10_000, 10_000, depth=16, color=6)):
        header = read_header(data, max_pixels=LIMIT)
        assert memory.needed(header, 2048) < 150 * 10**6
    subsampled = bombs.jpeg(8_000, 8_000, components=1)
    assert read_header(subsampled, max_pixels=LIMIT).width == 8_000


def test_a_body_is_unpacked_in_small_parts() -> None:
    """A thousandfold, on the event loop."""
    whole = bytes(20 * MEGABYTE) + os.urandom(99_999)
    unpack = _unpacker(["gzip"])
    packed = gzip.compress(whole)
    parts = [
        part for at in range(0, len(packed), 9_000) for part in unpack(packed[at : at + 9_000])
    ]
    assert b"".join(parts) == whole
    assert max(map(len, parts)) <= UNPACKED_AT_ONCE


def test_exif_outside_its_block_is_not_followed() -> None:
    good = saved(quarters(), "JPEG", exif=exif(orientation=6, taken="2024:05:17 13:45:10"))
    at = good.index(b"Exif\0\0") + 10
    for offset in (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\0\0\0"):
        data = good[:at] + offset + good[at + 4 :]
        assert read_header(data, max_pixels=LIMIT).taken_at is None
