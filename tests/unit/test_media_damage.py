"""Whole pictures with damaged profiles are read, cut ones with a good end are not."""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFilter
from tests.unit.test_media_pictures import (
    CORNERS,
    LIMIT,
    assert_near,
    corners,
    noise,
    png_chunks,
    quarters,
    saved,
)

from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.media.decode import decode
from ocelli.media.variants import render

if TYPE_CHECKING:
    from collections.abc import Iterator

END = b"\xff\xd9"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def blurred() -> Image.Image:
    return noise(320, 240).filter(ImageFilter.GaussianBlur(3))


def refused(data: bytes) -> None:
    for reader in (decode, render):
        with pytest.raises(AnalysisFailed, match=r"damaged|truncated") as failure:
            reader(data, max_pixels=LIMIT)
        assert failure.value.type is FailureType.VALIDATION
        assert not failure.value.retryable


# ── profiles ───────────────────────────────────────────────────────────────────────────────────


def patched(profile: bytes, at: int, new: bytes) -> bytes:
    return profile[:at] + new + profile[at + len(new) :]


def tag(profile: bytes, name: bytes) -> tuple[int, int]:
    """Place and length of the data of a tag."""
    entry = profile.index(name, 128)
    return struct.unpack(">II", profile[entry + 4 : entry + 12])


def filled(profile: bytes, name: bytes, byte: int) -> bytes:
    at, length = tag(profile, name)
    return patched(profile, at, bytes([byte]) * length)


def dark(profile: bytes) -> bytes:
    """A curve that makes everything black: no error, and no picture."""
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        at, length = tag(profile, name)
        curve = b"curv\0\0\0\0\0\0\0\2\0\0\0\0"
        profile = patched(profile, at, curve[:length])
    return profile


PROFILES = {
    "v4": patched(SRGB, 8, b"\x04\x40\0\0"),
    "no version": patched(SRGB, 8, b"\x63\0\0\0"),
    "signature": patched(SRGB, 36, b"none"),
    "half": SRGB[: len(SRGB) // 2],
    "head": SRGB[:128],
    "less than a head": SRGB[:20],
    "size": patched(SRGB, 0, b"\x7f\xff\xff\xff"),
    "many tags": patched(SRGB, 128, b"\0\0\xff\xff"),
    "tag beyond the end": patched(SRGB, 136, b"\x7f\xff\xff\xff"),
    "curve": filled(SRGB, b"rTRC", 0xFF),
    "primary": filled(SRGB, b"rXYZ", 0xFF),
    "primary zero": filled(SRGB, b"rXYZ", 0),
    "device link": patched(SRGB, 12, b"link"),
    "named colours": patched(SRGB, 12, b"nmcl"),
    "abstract": patched(SRGB, 12, b"abst"),
    "connection space": patched(SRGB, 20, b"none"),
    "Lab": patched(SRGB, 16, b"Lab "),
    "grey": patched(SRGB, 16, b"GRAY"),
    "CMYK": patched(SRGB, 16, b"CMYK"),
    "black": dark(SRGB),
    "noise": np.random.default_rng(3).bytes(3000),
}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("profile", PROFILES)
def test_a_damaged_profile_is_as_good_as_none(format: str, profile: str) -> None:
    for mode in ("RGB", "L", "CMYK") if format == "JPEG" else ("RGB", "RGBA", "L"):
        image = quarters().convert(mode)
        seen = decode(saved(image, format, icc_profile=PROFILES[profile]), max_pixels=LIMIT)
        plain = decode(saved(image, format), max_pixels=LIMIT)
        assert_near(corners(seen), corners(plain), 4)


@pytest.mark.parametrize("damage", ["curve", "primary zero", "named colours"])
def test_variants_of_a_picture_with_a_damaged_profile(damage: str) -> None:
    rendered = render(saved(quarters(), "PNG", icc_profile=PROFILES[damage]), max_pixels=LIMIT)
    assert rendered.blur_hash == render(saved(quarters(), "PNG"), max_pixels=LIMIT).blur_hash


def test_a_profile_in_pieces_of_which_one_is_missing() -> None:
    data = saved(quarters(), "JPEG", icc_profile=SRGB)
    at = data.index(b"ICC_PROFILE\0") + 12
    for number, count in ((1, 2), (2, 2), (0, 0), (7, 3)):
        seen = decode(patched(data, at, bytes([number, count])), max_pixels=LIMIT)
        assert_near(corners(seen), CORNERS, 12)


# ── cut, with the mark of an end ───────────────────────────────────────────────────────────────

JPEGS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "optimised": {"optimize": True},
    "4:2:0": {"subsampling": 2},
    "restarts": {"restart_marker_rows": 1},
    "short restarts": {"restart_marker_blocks": 5},
    "progressive restarts": {"progressive": True, "restart_marker_rows": 1},
}


@pytest.mark.parametrize(
    ("kind", "mode"),
    [*((kind, "RGB") for kind in JPEGS), ("baseline", "L"), ("progressive", "CMYK")],
)
def test_a_cut_jpeg_with_its_end_mark(kind: str, mode: str) -> None:
    data = saved(blurred().convert(mode), "JPEG", **{"quality": 80, **JPEGS[kind]})
    decode(data, max_pixels=LIMIT)
    for part in (0.6, 0.9):
        cut = data[: int(len(data) * part)].rstrip(b"\xff") + END
        refused(cut)
        refused(cut + b"the trailer of a phone")


def test_a_progressive_jpeg_that_ends_after_any_of_its_scans() -> None:
    data = saved(blurred(), "JPEG", progressive=True)
    scans = [found.start() for found in re.finditer(b"\xff\xda", data)]
    assert len(scans) > 5
    for scan in scans[1:]:
        refused(data[:scan] + END)


def test_a_jpeg_with_a_hole() -> None:
    data = saved(blurred(), "JPEG", restart_marker_rows=1)
    marks = [found.start() for found in re.finditer(b"\xff[\xd0-\xd7]", data)]
    for length in (2, 8, 15):
        refused(data[: marks[5]] + data[marks[5 + length] :])


def test_what_cameras_do_to_whole_jpegs() -> None:
    for options in JPEGS.values():
        data = saved(quarters(), "JPEG", **options)
        for quirky in (
            data[:-2] + b"\x12\x34" + END,  # bytes before the end
            data[:-2] + b"\0" * 5000 + END,
            data[:-2] + b"\xff\xff" + END,  # fill
            data.replace(b"JFIF\0\1", b"JFIF\0\7"),
            data + b"\xff\xd8 another picture",
        ):
            assert_near(corners(decode(quirky, max_pixels=LIMIT)), CORNERS, 12)


def test_a_jpeg_whose_encoder_forgot_the_last_bits() -> None:
    data = saved(blurred(), "JPEG")
    assert decode(data[:-4] + END, max_pixels=LIMIT).width == 320


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4])
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length


def test_a_png_that_lacks_rows() -> None:
    (_, header), *data, (_, end) = chunks(saved(noise(), "PNG"))
    packed = b"".join(part for name, part in data if name == b"IDAT")
    rows = zlib.decompress(packed)
    for body in (
        packed[: len(packed) * 6 // 10],
        packed[:-4],
        zlib.compress(rows[: len(rows) * 6 // 10]),
        b"",
    ):
        with pytest.raises(AnalysisFailed, match=r"damaged|incomplete"):
            decode(png_chunks((b"IHDR", header), (b"IDAT", body), (b"IEND", end)), max_pixels=LIMIT)


def blocks(gif: bytes) -> list[int]:
    """Where the blocks of the only frame begin, and where they end."""
    at = gif.index(b",", 13 + 3 * (2 << (gif[10] & 7))) + 10
    at += 3 * (2 << (gif[at - 1] & 7)) if gif[at - 1] & 128 else 0
    found = [at + 1]
    while size := gif[found[-1]]:
        found.append(found[-1] + 1 + size)
    return found


def test_a_gif_cut_between_its_blocks() -> None:
    data = saved(noise().quantize(64), "GIF")
    assert decode(data, max_pixels=LIMIT).width == 640
    for part in (0.0, 0.1, 0.6, 0.95):
        places = blocks(data)
        refused(data[: places[int(len(places) * part)]] + b"\0;")


def test_a_webp_cut_and_made_to_fit() -> None:
    for lossless in (True, False):
        chunk = saved(noise(), "WEBP", lossless=lossless)[12:]
        body = chunk[8 : 8 + len(chunk) * 6 // 10 // 2 * 2]
        head = b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBP"
        refused(head + chunk[:4] + struct.pack("<I", len(body)) + body)


def test_of_an_animation_the_first_frame_must_be_there() -> None:
    frames = [noise(64, 48).rotate(turn).quantize(16) for turn in (0, 90, 180)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=40)
    assert decode(data[: len(data) // 2], max_pixels=LIMIT).width == 64
    refused(data[: len(data) // 5])
