"""HEIC, AVIF, TIFF and BMP: as cameras and programs write them, and as an attacker would."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageCms
from tests import heic
from tests.heic import box, full
from tests.unit.test_media_pictures import (
    BLUE,
    GREEN,
    LIMIT,
    RED,
    WHITE,
    assert_near,
    corners,
    exif,
    noise,
    quarters,
    saved,
)

from aion import _files
from ocelli.domain.errors import AnalysisFailed, FailureType, ValidationFailed
from ocelli.domain.images import CONTENT_TYPES, FORMATS, ImageFormat
from ocelli.media.data_url import is_bare_base64
from ocelli.media.decode import decode
from ocelli.media.header import read_header
from ocelli.media.variants import render

if TYPE_CHECKING:
    from collections.abc import Callable

PIXELS = np.asarray(quarters())
TAKEN = "2024:05:17 13:45:10"


def refused(data: bytes, says: str) -> None:
    """By the header, and so before any decoder."""
    with pytest.raises(ValidationFailed, match=says):
        read_header(data, max_pixels=LIMIT)
    with pytest.raises(AnalysisFailed, match=says) as failure:
        decode(data, max_pixels=LIMIT)
    assert failure.value.type is FailureType.VALIDATION


# ── what they show ──


@pytest.mark.parametrize(
    ("turns", "size", "wanted"),
    [
        ((), (120, 80), (RED, GREEN, BLUE, WHITE)),
        ((heic.irot(1),), (80, 120), (GREEN, WHITE, RED, BLUE)),
        ((heic.irot(2),), (120, 80), (WHITE, BLUE, GREEN, RED)),
        ((heic.irot(3),), (80, 120), (BLUE, RED, WHITE, GREEN)),
        ((heic.imir(0),), (120, 80), (BLUE, WHITE, RED, GREEN)),
        ((heic.imir(1),), (120, 80), (GREEN, RED, WHITE, BLUE)),
    ],
)
@pytest.mark.parametrize("make", [heic.single, lambda *a, **o: heic.grid(a[0], 64, *a[1:], **o)])
def test_a_heic_is_turned_by_its_own_properties_and_not_again_by_exif(
    make: Callable[..., bytes],
    turns: tuple[bytes, ...],
    size: tuple[int, int],
    wanted: tuple[tuple[int, ...], ...],
) -> None:
    data = make(PIXELS, *turns, exif=exif(orientation=6, taken=TAKEN))
    header = read_header(data, max_pixels=LIMIT)
    assert (header.format, header.width, header.height) == (ImageFormat.HEIC, *size)
    assert header.taken_at == datetime(2024, 5, 17, 13, 45, 10, tzinfo=UTC)
    picture = decode(data, max_pixels=LIMIT)
    assert picture.pixels.shape == (size[1], size[0], 3)
    assert_near(corners(picture), wanted, 12)
    largest = render(data, max_pixels=LIMIT).variants[0]
    assert (largest.width, largest.height) == size


@pytest.mark.parametrize("format", ["HEIC", "AVIF", "TIFF"])
def test_their_colour_profiles_are_applied(format: str) -> None:
    """Red and green are exchanged by a matrix profile of our own making."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ") + 4, profile.index(b"gXYZ") + 4
    profile[red : red + 4], profile[green : green + 4] = (
        profile[green : green + 4],
        profile[red : red + 4],
    )
    if format == "HEIC":
        data = heic.single(PIXELS, heic.icc(bytes(profile)))
    else:
        options = {"quality": 95} if format == "AVIF" else {}
        data = saved(quarters(), format, icc_profile=bytes(profile), **options)
    plain = corners(decode(saved(quarters(), "PNG"), max_pixels=LIMIT))
    seen = corners(decode(data, max_pixels=LIMIT))
    assert seen[0][1] > seen[0][0], (plain, seen)
    assert seen[1][0] > seen[1][1]


def test_time_and_size_of_a_tiff() -> None:
    block = Image.Exif()
    block[0x0112], block[0x0132] = 6, TAKEN
    data = saved(quarters().transpose(Image.Transpose.ROTATE_90), "TIFF", exif=block)
    header = read_header(data, max_pixels=LIMIT)
    assert (header.width, header.height) == (120, 80)
    assert header.taken_at == datetime(2024, 5, 17, 13, 45, 10, tzinfo=UTC)


def bmp(depth: int, rows: bytes, *, compression: int = 0, masks: bytes = b"", top: bool = False,
        palette: bytes = b"", size: tuple[int, int] = (2, 2)) -> bytes:  # fmt: skip
    width, height = size
    head = struct.pack("<IiiHHIIiiII", 40, width, -height if top else height, 1, depth,
                       compression, 0, 0, 0, 0, 0)  # fmt: skip
    start = 14 + len(head) + len(masks) + len(palette)
    file = struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start)
    return file + head + masks + palette + rows


GRID = [[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (255, 255, 255)]]


@pytest.mark.parametrize(
    "data",
    [
        bmp(16, struct.pack("<4H", 0x1F, 0x7FFF, 0x7C00, 0x3E0)),
        bmp(16, struct.pack("<4H", 0x1F, 0xFFFF, 0xF800, 0x7E0), compression=3,
            masks=struct.pack("<3I", 0xF800, 0x7E0, 0x1F)),
        bmp(32, struct.pack("<4I", 0xFF0000, 0x00FF00, 0x0000FF, 0xFFFFFF), top=True),
        bmp(32, struct.pack("<4I", 0xFF, 0xFF00, 0xFF0000, 0xFFFFFF), top=True, compression=3,
            masks=struct.pack("<3I", 0xFF, 0xFF00, 0xFF0000)),
        bmp(4, b"\x23\0\0\0\x01\0\0\0",
            palette=b"\0\0\xff\0" + b"\0\xff\0\0" + b"\xff\0\0\0" + b"\xff\xff\xff\0"),
    ],
    ids=["16", "16 with masks", "32 from the top", "32 with masks", "4 with a short palette"],
)  # fmt: skip
def test_the_kinds_of_bmp_that_pillow_does_not_write(data: bytes) -> None:
    assert decode(data, max_pixels=LIMIT).pixels.tolist() == [
        [list(pixel) for pixel in row] for row in GRID
    ]


def test_one_bit_is_black_and_white() -> None:
    image = Image.new("1", (20, 10), 1)
    image.paste(0, (0, 0, 10, 10))
    for format, options in (("BMP", {}), ("TIFF", {"compression": "group4"})):
        pixels = decode(saved(image, format, **options), max_pixels=LIMIT).pixels
        assert pixels[5, 2].tolist() == [0, 0, 0]
        assert pixels[5, 17].tolist() == [255, 255, 255]


@pytest.mark.parametrize("part", [0.3, 0.9, 0.995])
@pytest.mark.parametrize("format", ["HEIC", "AVIF", "TIFF", "BMP"])
def test_cut_files_are_errors(format: str, part: float) -> None:
    image = noise(200, 160)
    data = heic.grid(np.asarray(image), 64) if format == "HEIC" else saved(image, format)
    with pytest.raises(AnalysisFailed, match=r"incomplete|damaged") as failure:
        decode(data[: int(len(data) * part)], max_pixels=LIMIT)
    assert failure.value.type is FailureType.VALIDATION


# ── hostile ones ──


def tiff(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """A directory of (tag, type, count, value), and no pixels."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return (
        b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + struct.pack("<I", following)
        + bytes(64)
    )  # fmt: skip


SOUND = {256: (256, 4, 1, 8), 257: (257, 4, 1, 8), 273: (273, 4, 1, 8), 279: (279, 4, 1, 8)}


def with_(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    return tiff(*{**SOUND, **{e[0]: e for e in entries}}.values(), following=following)


DAMAGED = "cannot be read"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (with_(following=8), DAMAGED),
        (with_((256, 4, 1, 2**31)), DAMAGED),
        (with_((256, 4, 1, 0)), DAMAGED),
        (with_((256, 4, 1, 100_000), (257, 4, 1, 100_000)), "pixels"),
        (with_((279, 4, 1, 10**6)), DAMAGED),
        (with_((273, 4, 2**30, 8)), DAMAGED),
        (with_((322, 3, 1, 0), (323, 3, 1, 16), (324, 4, 1, 8)), DAMAGED),
        (with_((322, 4, 1, 2**31), (323, 4, 1, 2**31), (324, 4, 1, 8)), "memory"),
        (with_((324, 4, 1, 8)), DAMAGED),
        (with_((259, 3, 1, 6)), "rare compression, or a camera raw"),
        (with_((259, 3, 1, 34892)), "rare compression"),
        (with_((262, 3, 1, 32803)), "camera raw"),
        (with_((254, 4, 1, 1)), "camera raw"),
        (with_((50706, 1, 4, 1)), "camera raw"),
        (with_((339, 3, 1, 3)), "measurements"),
        (with_((258, 3, 1, 32)), "measurements"),
        (with_((277, 3, 1, 0)), DAMAGED),
        (b"II*\0" + struct.pack("<I", 0), DAMAGED),
        (b"II*\0" + struct.pack("<I", 2**32 - 1), DAMAGED),
        (b"II+\0\4\0\0\0" + bytes(40), DAMAGED),
        (b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**63), DAMAGED),
    ],
)
def test_tiffs_that_make_no_sense(data: bytes, says: str) -> None:
    refused(data, says)


def test_a_tiff_of_very_many_pages_or_in_a_circle() -> None:
    first = with_()
    at = len(first)
    chain = b"".join(
        struct.pack("<HHHIII", 1, 256, 4, 1, 8, at + 18 * (number + 1)) for number in range(5_000)
    )
    linked = with_(following=at)
    refused(linked + chain, DAMAGED)
    few = linked + struct.pack("<HHHIII", 1, 256, 4, 1, 8, 0)
    assert read_header(few, max_pixels=LIMIT).width == 8
    refused(linked + struct.pack("<HHHIII", 1, 256, 4, 1, 8, at), DAMAGED)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (bmp(24, b"", size=(100_000, 100_000)), "cannot be read|pixels"),
        (bmp(24, bytes(16), size=(-2, 2)), DAMAGED),
        (bmp(24, bytes(16), size=(2, 0)), DAMAGED),
        (bmp(24, bytes(16), size=(2, -(2**31) + 1)), DAMAGED),
        (bmp(24, bytes(15)), DAMAGED),
        (bmp(7, bytes(16)), DAMAGED),
        (bmp(8, bytes(16), compression=1), "compressed BMP"),
        (bmp(24, bytes(16), compression=4), "compressed BMP"),
        (bmp(16, bytes(8), compression=3, masks=struct.pack("<3I", 0xF0F, 0, 0)), DAMAGED),
        (b"BM" + bytes(8) + struct.pack("<II", 54, 40), DAMAGED),
    ],
)
def test_bmps_that_make_no_sense(data: bytes, says: str) -> None:
    refused(data, says)


HEAD = box(b"ftyp", b"heic", bytes(4), b"mif1heic")


def meta(*boxes: bytes) -> bytes:
    return HEAD + full(b"meta", 0, 0, *boxes) + box(b"mdat", bytes(64))


PRIMARY = full(b"pitm", 0, 0, struct.pack(">H", 1))


def items(*kinds: bytes) -> bytes:
    infos = [
        full(b"infe", 2, 0, struct.pack(">HH4s", number, 0, kind), b"\0")
        for number, kind in enumerate(kinds, 1)
    ]
    return full(b"iinf", 0, 0, struct.pack(">H", len(infos) & 0xFFFF), *infos)


def sized(width: int, height: int, *more: bytes) -> bytes:
    """Item 1 has this size, and other properties."""
    indices = bytes(range(1, 2 + len(more)))
    return box(
        b"iprp",
        box(b"ipco", heic.ispe(width, height), *more),
        full(b"ipma", 0, 0, struct.pack(">IHB", 1, 1, len(indices)) + indices),
    )


def grid_item(rows: int, columns: int, width: int, height: int, tiles: list[int]) -> bytes:
    head = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    place = full(b"iloc", 1, 0, b"\x44\0\0\1" + struct.pack(">HHHHII", 1, 1, 0, 1, 0, len(head)))
    reference = box(b"dimg", struct.pack(f">HH{len(tiles)}H", 1, len(tiles), *tiles))
    return box(b"idat", head) + place + full(b"iref", 0, 0, reference)


HEVC_1 = PRIMARY + items(b"hvc1")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (HEAD, DAMAGED),
        (HEAD + struct.pack(">I4s", 4, b"meta"), DAMAGED),
        (HEAD + struct.pack(">I4sQ", 1, b"free", 2**63), DAMAGED),
        (HEAD + struct.pack(">I4sQ", 1, b"free", 3), DAMAGED),
        (HEAD + box(b"free") * 100_000, DAMAGED),
        (meta(), DAMAGED),
        (meta(PRIMARY), DAMAGED),
        (meta(HEVC_1), DAMAGED),
        (meta(HEVC_1, sized(0, 8)), DAMAGED),
        (meta(HEVC_1, sized(2**31, 8)), DAMAGED),
        (meta(HEVC_1, sized(100_000, 100_000)), "pixels"),
        (meta(PRIMARY, items(b"iovl"), sized(8, 8)), "HEIF file of the kind 'iovl'"),
        (meta(PRIMARY, items(b"av01"), sized(8, 8)), "HEIF file of the kind 'av01'"),
        (meta(PRIMARY, items(*[b"hvc1"] * 5_000), sized(8, 8)), DAMAGED),
        (meta(HEVC_1, box(b"iprp", box(b"ipco", *[box(b"free")] * 20_000))), DAMAGED),
        (meta(PRIMARY, items(b"grid"), sized(8, 8)), DAMAGED),
        (meta(PRIMARY, items(b"grid"), sized(8, 8), grid_item(1, 1, 8, 8, [1])), "another kind"),
        (meta(PRIMARY, items(b"grid"), sized(8, 8), grid_item(256, 256, 8, 8, [1, 1])), DAMAGED),
        (meta(PRIMARY, items(b"grid", b"hvc1"), sized(8, 8), grid_item(1, 1, 9, 8, [2])), DAMAGED),
        (meta(PRIMARY, items(b"grid", b"hvc1"), sized(8, 8), grid_item(1, 1, 8, 8, [2])), DAMAGED),
        (meta(HEVC_1, sized(8, 8, box(b"clap", struct.pack(">8I", *[0, 1] * 4)))), DAMAGED),
        (meta(HEVC_1, sized(8, 8, box(b"hvcC", b"\1"))), DAMAGED),
        (meta(box(b"moov", box(b"trak", box(b"mdia", box(b"minf"))))), DAMAGED),
        (HEAD + full(b"meta", 0, 0, bytes(3 * 1024 * 1024)), DAMAGED),
    ],
)
def test_heifs_that_make_no_sense(data: bytes, says: str) -> None:
    refused(data, says)


def test_extents_that_take_no_room_cost_none() -> None:
    """24 KB that name 260 million places; one by one they would take minutes."""
    places = struct.pack(">HHH", 1, 0, 65_535) * 4_000
    iloc = full(b"iloc", 0, 0, b"\0\0", struct.pack(">H", 4_000), places)
    refused(meta(PRIMARY, iloc, items(b"iovl"), sized(8, 8)), "iovl")


def test_numbers_of_64_bits_that_lead_nowhere() -> None:
    far = struct.pack(">HHHQQ", 1, 0, 1, 2**64 - 1, 2**64 - 1)
    iloc = full(b"iloc", 0, 0, b"\x88\0", struct.pack(">H", 1), far)
    refused(meta(PRIMARY, iloc, items(b"hvc1"), sized(8, 8)), DAMAGED)
    refused(b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**64 - 1) + bytes(40), DAMAGED)


def test_what_the_codec_says_against_the_boxes_costs_no_more_than_they_said() -> None:
    """The boxes name 64 × 64 pixels; the codec inside would decode 3,000 × 3,000."""
    config, slices = heic.hevc(np.zeros((3_000, 3_000, 3), np.uint8))
    data = heic.heif([heic.Item(b"hvc1", slices, [config, heic.ispe(64, 64), heic.nclx()])])
    assert read_header(data, max_pixels=LIMIT).width == 64
    try:
        pixels = decode(data, max_pixels=LIMIT).pixels
    except AnalysisFailed as failure:
        assert failure.type in (FailureType.VALIDATION, FailureType.RESOURCE_LIMIT)
    else:
        assert max(pixels.shape) <= 3_000


# ── one list of formats ──


def test_the_sdk_knows_the_same_formats() -> None:
    assert set(_files.SUPPORTED_CONTENT_TYPES) == {each.content_type for each in ImageFormat}
    assert _files.SUPPORTED_CONTENT_TYPES <= CONTENT_TYPES
    assert all(_files.is_supported(f"a{each.suffix}") for each in ImageFormat)
    assert all(each.label in FORMATS for each in ImageFormat)
    for page in ("chat.md", "sdk/uploading.md"):
        text = (Path(__file__).parents[2] / "docs" / page).read_text()
        assert all(each.label in text for each in ImageFormat), page


@pytest.mark.parametrize("format", ["heic", "avif", "tiff", "bmp", "png"])
def test_base64_without_a_head_is_a_picture(format: str) -> None:
    import base64

    made = {
        "heic": lambda: heic.single(PIXELS),
        "avif": lambda: saved(quarters(), "AVIF"),
        "tiff": lambda: saved(quarters(), "TIFF"),
        "bmp": lambda: saved(quarters(), "BMP"),
        "png": lambda: saved(quarters(), "PNG"),
    }[format]()
    assert is_bare_base64(base64.b64encode(made).decode())
    assert not is_bare_base64("https://example.com/a.heic")
    assert not is_bare_base64("QkJDQkJD" * 20)


def test_corners_of_a_photograph_of_a_phone() -> None:
    """12 megapixels in tiles of 512, turned, with EXIF: as an iPhone writes it."""
    data = heic.grid(np.asarray(quarters(2016, 1512)), 512, heic.irot(3), exif=exif(orientation=6))
    picture = decode(data, max_pixels=LIMIT, max_side=512)
    assert (picture.width, picture.height) == (1512, 2016)
    assert_near(corners(picture), (BLUE, RED, WHITE, GREEN), 12)
