"""Headers, decoding and variants, on files made here by Pillow and libvips."""

from __future__ import annotations

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin
from PIL.TiffImagePlugin import IFDRational
from tests import heic, tattling
from tests.conftest import examples

from ocelli.domain.errors import AnalysisFailed, FailureType, ValidationFailed
from ocelli.domain.images import Coordinates, ImageFormat, VariantType
from ocelli.media._vips import vips
from ocelli.media.decode import Picture, decode
from ocelli.media.encode import jpeg
from ocelli.media.header import read_header
from ocelli.media.sanitize import sanitized
from ocelli.media.variants import render

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMIT = 50_000_000
RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 180, 60), (40, 60, 210), (255, 255, 255)
CORNERS = (RED, GREEN, BLUE, WHITE)

# ── files ──────────────────────────────────────────────────────────────────────────────────────


def quarters(width: int = 120, height: int = 80) -> Image.Image:
    """Red, green, blue and white quarters: every rotation and mirror image looks different."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    image.paste(WHITE, (width // 2, height // 2, width, height))
    return image


def noise(width: int = 640, height: int = 480) -> Image.Image:
    pixels = np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    if format == "JPEG":
        options = {"quality": 95, "subsampling": 0, **options}
    image.save(buffer, format, **options)
    return buffer.getvalue()


DRESDEN = {1: "N", 2: (51.0, 3.0, 0.0), 3: "E", 4: (13.0, 44.0, 0.0)}


def exif(**tags: Any) -> bytes:
    """EXIF with ``orientation``, ``taken``, ``offset`` and a place in Dresden."""
    block = Image.Exif()
    if "orientation" in tags:
        block[0x0112] = tags["orientation"]
    details = block.get_ifd(0x8769)
    if "taken" in tags:
        details[0x9003] = tags["taken"]
    for name, number in (("offset", 0x9011), ("digitized", 0x9004), ("offset_time", 0x9010)):
        if name in tags:
            details[number] = tags[name]
    if "changed" in tags:
        block[0x0132] = tags["changed"]
    block.get_ifd(0x8825).update(tags.get("gps", DRESDEN))
    return block.tobytes()


def animated(format: str, frames: int = 3) -> bytes:
    pictures = [
        quarters(),
        *(Image.new("RGB", (120, 80), (9 * n, 0, 90)) for n in range(1, frames)),
    ]
    options = {"lossless": True} if format == "WEBP" else {}
    return saved(
        pictures[0], format, save_all=True, append_images=pictures[1:], duration=40, **options
    )


def png_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def png_16_bit(width: int = 12, height: int = 8) -> bytes:
    """Pillow writes no RGB with 16 bits. Every sample is 0x8040, which is 0x80 in 8 bits."""
    rows = (b"\0" + b"\x80\x40" * 3 * width) * height
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return png_chunks((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))


def bomb_png(side: int = 60_000) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return png_chunks((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b""))


def jpeg_claiming(width: int, height: int) -> bytes:
    data = saved(quarters(8, 8), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


FILES: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: saved(quarters(), "JPEG"),
    "jpeg progressive": lambda: saved(quarters(), "JPEG", progressive=True),
    "jpeg cmyk": lambda: saved(quarters().convert("CMYK"), "JPEG"),
    "png": lambda: saved(quarters(), "PNG"),
    "png palette": lambda: saved(quarters().quantize(8), "PNG"),
    "png alpha": lambda: saved(quarters().convert("RGBA"), "PNG"),
    "webp": lambda: saved(quarters(), "WEBP", quality=95),
    "webp lossless": lambda: saved(quarters(), "WEBP", lossless=True),
    "webp animated": lambda: animated("WEBP"),
    "gif": lambda: saved(quarters().quantize(8), "GIF"),
    "gif animated": lambda: animated("GIF"),
    "heic": lambda: heic.single(np.asarray(quarters())),
    "heic in tiles": lambda: heic.grid(np.asarray(quarters()), 64),
    "heic of 10 bits": lambda: heic.single(np.asarray(quarters()), deep=True),
    "avif": lambda: by_vips("heif", compression="av1", Q=90),
    "avif of 10 bits": lambda: by_vips("heif", compression="av1", Q=90, bitdepth=10),
    "tiff": lambda: saved(quarters(), "TIFF"),
    "tiff packed": lambda: saved(quarters(), "TIFF", compression="tiff_lzw"),
    "tiff of a jpeg": lambda: saved(quarters(), "TIFF", compression="jpeg"),
    "tiff palette": lambda: saved(quarters().quantize(8), "TIFF"),
    "tiff cmyk": lambda: saved(quarters().convert("CMYK"), "TIFF"),
    "tiff in tiles": lambda: by_vips("tiff", tile=True, tile_width=64, tile_height=64),
    "tiff of 64 bits": lambda: by_vips("tiff", bigtiff=True),
    "tiff with pages": lambda: saved(
        quarters(), "TIFF", save_all=True, append_images=[Image.new("RGB", (9, 9))]
    ),
    "bmp": lambda: saved(quarters(), "BMP"),
    "bmp palette": lambda: saved(quarters().quantize(8), "BMP"),
    "bmp alpha": lambda: saved(quarters().convert("RGBA"), "BMP"),
}


def by_vips(format: str, **options: object) -> bytes:
    """Those kinds that Pillow does not write."""
    image = quarters()
    made = vips().Image.new_from_memory(image.tobytes(), *image.size, 3, "uchar")
    made = made.copy(interpretation="srgb")
    return bytes(getattr(made, f"{format}save_buffer")(**options))


def corners(picture: Picture) -> list[tuple[int, ...]]:
    """The colours in the middle of the four quarters: top left, top right, and below."""
    height, width, _ = picture.pixels.shape
    return [
        tuple(int(value) for value in picture.pixels[y, x])
        for y in (height // 4, height * 3 // 4)
        for x in (width // 4, width * 3 // 4)
    ]


def assert_near(seen: Any, wanted: Any, tolerance: int) -> None:
    assert np.abs(np.subtract(seen, wanted, dtype=int)).max() <= tolerance, (seen, wanted)


def colour(data: bytes) -> tuple[int, ...]:
    return tuple(int(value) for value in decode(data, max_pixels=LIMIT).pixels[0, 0])


# ── header ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", FILES)
def test_header_from_bytes_and_from_a_file_whatever_its_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / "holiday [shrink=2].txt"
    path.write_bytes(FILES[name]())
    header = read_header(path, max_pixels=LIMIT)
    assert header == read_header(path.read_bytes(), max_pixels=LIMIT)
    assert (header.format, header.width, header.height) == (name.split()[0], 120, 80)
    assert header.taken_at is None


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_come_out_upright(format: str, orientation: int) -> None:
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = quarters()
    stored = image.transpose(turns[orientation]) if orientation in turns else image
    data = saved(stored, format, exif=exif(orientation=orientation), quality=95)
    header = read_header(data, max_pixels=LIMIT)
    picture = decode(data, max_pixels=LIMIT, max_side=60)
    assert (header.width, header.height) == (picture.width, picture.height) == (120, 80)
    assert picture.pixels.shape == (40, 60, 3)
    assert_near(corners(picture), CORNERS, 12)
    variant = Image.open(io.BytesIO(render(data, max_pixels=LIMIT).variants[0].data))
    assert variant.size == (120, 80)
    assert_near(variant.convert("RGB").getpixel((30, 20)), RED, 16)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    ("gps", "place"),
    [
        (DRESDEN, Coordinates(51.05, 13.7333333)),
        ({**DRESDEN, 1: "S", 3: "W"}, Coordinates(-51.05, -13.7333333)),
        ({**DRESDEN, 1: "s "}, Coordinates(-51.05, 13.7333333)),
        ({**DRESDEN, 2: (51.0, 3.5, 30.0)}, Coordinates(51.0666667, 13.7333333)),
        ({**DRESDEN, 9: "A"}, Coordinates(51.05, 13.7333333)),
        ({**DRESDEN, 9: "V"}, None),
        ({}, None),
        ({1: "N", 2: (51.0, 3.0, 0.0)}, None),
        ({2: (51.0, 3.0, 0.0), 4: (13.0, 44.0, 0.0)}, None),
        ({**DRESDEN, 1: "up"}, None),
        ({**DRESDEN, 1: ""}, None),
        ({**DRESDEN, 2: (91.0, 0.0, 0.0)}, None),
        ({**DRESDEN, 4: (180.0, 1.0, 0.0)}, None),
        ({**DRESDEN, 2: (51.0, 3000.0, 0.0)}, None),
        ({**DRESDEN, 2: (51.0, 3.0)}, None),
        ({**DRESDEN, 2: (51.0, 3.0, IFDRational(0, 0))}, None),
        ({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)}, None),
    ],
)
def test_place_of_the_photograph(
    format: str, gps: dict[int, object], place: Coordinates | None
) -> None:
    header = read_header(saved(quarters(), format, exif=exif(gps=gps)), max_pixels=LIMIT)
    assert header.taken_where == place


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("tags", "taken_at"),
    [
        ({"taken": "2024:05:17 13:45:10"}, datetime(2024, 5, 17, 13, 45, 10, tzinfo=UTC)),
        (
            {"taken": "2024:05:17 13:45:10", "offset": "+02:00"},
            datetime(2024, 5, 17, 11, 45, 10, tzinfo=UTC),
        ),
        (
            {"taken": "2024:05:17 13:45:10", "offset": "+99:99"},
            datetime(2024, 5, 17, 13, 45, 10, tzinfo=UTC),
        ),
        ({"taken": "0000:00:00 00:00:00"}, None),
        ({"taken": "2024:02:31 13:45:10"}, None),
        ({"taken": "0001:01:01 00:00:00", "offset": "+05:30"}, None),
        ({"taken": "9999:12:31 23:59:59", "offset": "-05:00"}, None),
        (
            {"taken": "2024:05:17 13:45:10", "offset": "+16:00"},
            datetime(2024, 5, 17, 13, 45, 10, tzinfo=UTC),
        ),
        *(
            (tags, datetime(2024, 5, 17, 11, 45, 10, tzinfo=UTC))
            for tags in (
                {"taken": "2024:05:17 13:45:10", "offset_time": "+02:00"},
                {"taken": "2024:05:17 13:45:10", "offset": "+0200"},
                {"taken": "2024:05:17 11:45:10", "offset": "Z"},
                {"taken": "2024:05:17 13:45:10+02:00"},
                {"taken": "2024:05:17 13:45:10.25+0200"},
                {"taken": "2024-05-17T13:45:10 +02:00"},
                {"taken": "2024-05-17T11:45:10Z", "offset": "+05:00"},
                {"digitized": "2024:05:17 13:45:10", "offset_time": "+02:00"},
                {"changed": "2024:05:17 13:45:10", "offset_time": "+02:00"},
                {"taken": "0000:00:00 00:00:00", "changed": "2024/05/17 11:45:10"},
            )
        ),
        ({"taken": "yesterday"}, None),
        ({"taken": b"\xff\xfe\x80"}, None),
        ({"offset": "+02:00"}, None),
    ],
)
def test_time_of_the_photograph(
    format: str, tags: dict[str, object], taken_at: datetime | None
) -> None:
    header = read_header(saved(quarters(), format, exif=exif(**tags)), max_pixels=LIMIT)
    assert header.taken_at == taken_at
    if "offset" in tags and tags["offset"] == "+02:00" and header.taken_at:
        assert header.taken_at.utcoffset() == timedelta(hours=2)


def test_broken_exif_is_ignored() -> None:
    good = saved(quarters(), "JPEG", exif=exif(taken="2024:05:17 13:45:10"))
    at = good.index(b"Exif\0\0") + 6
    broken = good[:at] + b"\xa5" * 60 + good[at + 60 :]
    assert read_header(broken, max_pixels=LIMIT).taken_at is None
    assert decode(broken, max_pixels=LIMIT).pixels.shape == (80, 120, 3)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (bomb_png(), "3,600,000,000 pixels (60,000 × 60,000)"),
        (jpeg_claiming(65_000, 64_000), "4,160,000,000 pixels (65,000 × 64,000)"),
    ],
)
def test_a_bomb_is_refused_by_its_header(data: bytes, says: str) -> None:
    with pytest.raises(ValidationFailed) as failure:
        read_header(data, max_pixels=LIMIT)
    assert says in failure.value.message
    assert "the limit of 50,000,000" in failure.value.message
    assert failure.value.details["field"] == "file"
    for function in (decode, render):
        with pytest.raises(AnalysisFailed) as refusal:
            function(data, max_pixels=LIMIT)
        assert refusal.value.type is FailureType.VALIDATION
        assert says in refusal.value.message


@pytest.mark.parametrize("format", ["GIF", "WEBP"])
def test_of_an_animation_one_frame_counts(format: str) -> None:
    data = animated(format, frames=5)
    assert read_header(data, max_pixels=120 * 80).width == 120
    with pytest.raises(ValidationFailed, match="120 × 80"):
        read_header(data, max_pixels=120 * 80 - 1)


def with_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with these before its pixels."""
    plain = saved(quarters(), "PNG")
    pixels = plain.index(b"IDAT") - 4
    packed = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return plain[:pixels] + packed + plain[pixels:]


PLAIN = (b"tEXt", b"Comment\0" + b"x" * 1000)
PACKED = (b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 7_900_000))
PACKED_TOO = (b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(b"x" * 7_900_000))
READABLE = (b"iTXt", b"Comment\0\0\0\0\0" + b"x" * 1000)


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([PACKED] * 11, id="compressed"),
        pytest.param([PACKED_TOO] * 11, id="international"),
        pytest.param([PACKED, PACKED_TOO] * 50, id="both"),
        pytest.param([PLAIN] * 1001, id="too many of any kind"),
    ],
)
def test_a_png_with_a_bomb_of_texts(chunks: list[tuple[bytes, bytes]], tmp_path: Path) -> None:
    """Of a hundred libpng makes a gigabyte before anybody asks for one."""
    data = with_chunks(*chunks)
    (tmp_path / "file").write_bytes(data)
    for source in (data, tmp_path / "file"):
        with pytest.raises(ValidationFailed, match="more texts than pictures do") as caught:
            read_header(source, max_pixels=LIMIT)
        assert caught.value.details["issue"] == "too much metadata"
    with pytest.raises(AnalysisFailed, match="more texts"):
        decode(data, max_pixels=LIMIT)


@pytest.mark.parametrize(
    "chunks",
    [[PLAIN] * 900, [READABLE] * 900, [PACKED], [PACKED_TOO] * 2, [(b"tEXt", b"no end")]],
    ids=["plain", "international", "compressed", "two", "without a keyword"],
)
def test_a_png_with_metadata(chunks: list[tuple[bytes, bytes]], tmp_path: Path) -> None:
    data = with_chunks(*chunks)
    (tmp_path / "file").write_bytes(data)
    for source in (data, tmp_path / "file"):
        header = read_header(source, max_pixels=LIMIT)
        assert (header.width, header.height) == (120, 80)


def test_the_limit_itself_is_allowed() -> None:
    assert read_header(FILES["png"](), max_pixels=9600).height == 80
    with pytest.raises(ValidationFailed):
        read_header(FILES["png"](), max_pixels=9599)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_header(tmp_path / "none.jpg", max_pixels=LIMIT)


def test_text_named_jpg(tmp_path: Path) -> None:
    path = tmp_path / "cat.jpg"
    path.write_text("not a cat")
    with pytest.raises(ValidationFailed, match="plain text"):
        read_header(path, max_pixels=LIMIT)
    path.write_bytes(b"")
    with pytest.raises(ValidationFailed, match="empty"):
        read_header(path, max_pixels=LIMIT)


# ── decode ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_shows_the_same_picture(name: str) -> None:
    picture = decode(FILES[name](), max_pixels=LIMIT)
    assert (picture.width, picture.height) == (120, 80)
    assert picture.pixels.shape == (80, 120, 3)
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.flags.c_contiguous
    assert not picture.pixels.flags.writeable
    # CMYK without a profile has no exact colours; red must stay red.
    assert_near(corners(picture), CORNERS, 90 if "cmyk" in name else 12)


def test_16_bits_become_8() -> None:
    assert_near(colour(png_16_bit()), (128, 128, 128), 1)
    grey = Image.fromarray(np.full((8, 12), 0x8040, np.uint16))
    assert_near(colour(saved(grey, "PNG")), (128, 128, 128), 1)


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        (Image.new("L", (9, 9), 77), (77, 77, 77)),
        (Image.new("1", (9, 9), 1), WHITE),
        (Image.new("LA", (9, 9), (0, 0)), WHITE),
        (Image.new("RGBA", (9, 9), (0, 0, 0, 0)), WHITE),
        (Image.new("RGBA", (9, 9), (200, 0, 0, 128)), (227, 127, 127)),
    ],
    ids=["grey", "one bit", "grey and alpha", "transparent", "half transparent red"],
)
def test_grey_and_transparent(image: Image.Image, wanted: tuple[int, ...]) -> None:
    assert_near(colour(saved(image, "PNG")), wanted, 1)


def test_transparent_palettes() -> None:
    image = Image.new("P", (9, 9), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    assert_near(colour(saved(image, "PNG", transparency=1)), WHITE, 0)
    assert_near(colour(saved(image, "GIF", transparency=1)), WHITE, 0)


def test_colour_profiles_are_applied() -> None:
    import pyvips

    from ocelli.media._vips import vips

    vips()
    image = pyvips.Image.black(60, 40, bands=3).linear(1, [200, 100, 100]).cast("uchar")
    image = image.copy(interpretation="srgb")
    data = image.icc_transform("p3", input_profile="srgb").pngsave_buffer()
    stored = np.asarray(Image.open(io.BytesIO(data)))[0, 0]
    assert abs(int(stored[0]) - 200) > 5  # other numbers, same colour
    assert_near(colour(data), (200, 100, 100), 2)
    variant = Image.open(io.BytesIO(render(data, max_pixels=LIMIT).variants[0].data))
    assert_near(variant.getpixel((5, 5)), (200, 100, 100), 4)
    assert "icc_profile" not in variant.info


def test_an_hdr_jpeg_of_a_phone_is_its_ordinary_picture() -> None:
    import pyvips

    flat = pyvips.Image.black(128, 96, bands=3).linear(0, [0.5, 0.2, 0.1]).cast("float")
    data = flat.copy(interpretation="scrgb").uhdrsave_buffer()
    picture = decode(data, max_pixels=LIMIT)
    assert picture.pixels.shape == (96, 128, 3)
    base = Image.open(io.BytesIO(data))
    profile = ImageCms.ImageCmsProfile(io.BytesIO(base.info["icc_profile"]))
    srgb = ImageCms.profileToProfile(base, profile, ImageCms.createProfile("sRGB"))
    assert_near(picture.pixels, np.asarray(srgb), 4)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("profile", ["garbage", "wrong space"])
def test_a_useless_profile_is_ignored(mode: str, profile: str) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    icc = {"garbage": b"no profile" * 20, "wrong space": lab}[profile]
    plain = saved(quarters().convert(mode), "JPEG")
    assert_near(
        corners(decode(saved(quarters().convert(mode), "JPEG", icc_profile=icc), max_pixels=LIMIT)),
        corners(decode(plain, max_pixels=LIMIT)),
        3,
    )


@pytest.mark.parametrize(
    ("size", "max_side", "shape"),
    [
        ((1, 1), 2048, (1, 1)),
        ((1, 3000), 2048, (2048, 1)),
        ((3000, 1), 100, (1, 100)),
        ((2048, 5), 2048, (5, 2048)),
        ((2049, 1025), 2048, (1025, 2048)),
        ((1601, 1200), 200, (150, 200)),
    ],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_sizes(format: str, size: tuple[int, int], max_side: int, shape: tuple[int, int]) -> None:
    picture = decode(
        saved(Image.new("RGB", size, BLUE), format), max_side=max_side, max_pixels=LIMIT
    )
    assert (picture.width, picture.height) == size
    assert_near(picture.pixels.shape[:2], shape, 1)
    assert max(picture.pixels.shape[:2]) == max(shape)
    assert_near(picture.pixels, np.broadcast_to(BLUE, picture.pixels.shape), 20)


@cache
def noisy(name: str) -> bytes:
    format, *progressive = name.upper().split()
    return saved(noise(), format, quality=60, **({"progressive": True} if progressive else {}))


@pytest.mark.parametrize("part", [0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", ["jpeg", "jpeg progressive", "png", "webp", "gif"])
@pytest.mark.parametrize("max_side", [64, 2048])
def test_truncated_files_are_errors(name: str, part: float, max_side: int) -> None:
    data = noisy(name)
    cut = data[: int(len(data) * part)]
    with pytest.raises(AnalysisFailed, match=r"truncated|incomplete") as failure:
        decode(cut, max_side=max_side, max_pixels=LIMIT)
    assert failure.value.type is FailureType.VALIDATION
    assert not failure.value.retryable
    with pytest.raises(AnalysisFailed):
        render(cut, max_pixels=LIMIT)


def test_bytes_after_the_end_do_no_harm() -> None:
    for name in ("jpeg", "png", "gif"):
        assert_near(corners(decode(FILES[name]() + b"tail" * 99, max_pixels=LIMIT)), CORNERS, 12)


def test_damage_that_a_checksum_finds() -> None:
    data = bytearray(saved(noise(), "PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(AnalysisFailed, match="damaged"):
        decode(bytes(data), max_pixels=LIMIT)


def test_threads_do_not_disturb_one_another() -> None:
    good, bad = saved(noise(), "JPEG"), saved(noise(), "PNG")[:90_000]

    def outcome(data: bytes) -> str:
        try:
            return str(decode(data, max_pixels=LIMIT).pixels.sum())
        except AnalysisFailed as failure:
            return failure.message

    expected = [outcome(good), outcome(bad)] * 10
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(outcome, [good, bad] * 10)) == expected


def test_no_picture_at_all() -> None:
    for data in (b"", b"hello", b"%PDF-1.7", b"\xff\xd8\xff"):
        with pytest.raises(AnalysisFailed) as failure:
            decode(data, max_pixels=LIMIT)
        assert failure.value.type is FailureType.VALIDATION


# ── variants ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [(1600, 1000), (1000, 1600), (300, 200), (1, 1), (1, 3000)])
def test_variants_have_their_sizes_and_are_never_enlarged(size: tuple[int, int]) -> None:
    rendered = render(saved(quarters(*size), "PNG"), max_pixels=LIMIT)
    assert {variant.type for variant in rendered.variants} == set(VariantType) - {
        VariantType.ORIGINAL
    }
    for variant in rendered.variants:
        image = Image.open(io.BytesIO(variant.data))
        image.load()
        assert image.format == "WEBP"
        assert image.size == (variant.width, variant.height)
        assert max(image.size) == min(variant.type.side or 0, max(size))
        factor = max(image.size) / max(size)
        assert_near(image.size, [max(1, round(side * factor)) for side in size], 1)
    assert 6 <= len(rendered.blur_hash) <= 28


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_no_metadata_survives(format: str) -> None:
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>where-i-live</x:xmpmeta>"
    options: dict[str, object] = {"exif": exif(taken="2024:05:17 13:45:10", orientation=6)}
    if format == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        options["pnginfo"] = info
    else:
        options["xmp"] = xmp
    data = saved(quarters(300, 200), format, **options)
    assert Image.open(io.BytesIO(data)).getexif().get_ifd(0x8825)  # it was there
    for variant in render(data, max_pixels=LIMIT).variants:
        image = Image.open(io.BytesIO(variant.data))
        assert image.size == (variant.width, variant.height)
        assert not image.getexif()
        assert not {"exif", "xmp", "icc_profile"} & set(image.info)
        assert not any(mark in variant.data for mark in (b"EXIF", b"XMP ", b"ICCP", b"where-i"))


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIC"])
def test_what_a_backend_is_sent_tells_nothing_else(format: str, full: bool) -> None:
    """As a chat request passes it on, and as a look does, from the pixels or from the file."""
    data = tattling.picture(format)
    picture = decode(data, max_side=16 if full else 2048, max_pixels=LIMIT)
    tattling.check(jpeg(picture, side=512, quality=90, full=full), format)
    tattling.check(sanitized(data, max_side=None, max_bytes=None, max_pixels=LIMIT), format)


def test_variants_keep_transparency_and_the_blurhash_is_on_white() -> None:
    clear = render(saved(Image.new("RGBA", (90, 60), (0, 0, 0, 0)), "PNG"), max_pixels=LIMIT)
    white = render(saved(Image.new("RGB", (90, 60), WHITE), "PNG"), max_pixels=LIMIT)
    image = Image.open(io.BytesIO(clear.variants[0].data))
    assert image.convert("RGBA").getchannel("A").getpixel((9, 9)) == 0
    assert clear.blur_hash == white.blur_hash


@pytest.mark.parametrize("format", ["GIF", "WEBP"])
def test_variants_show_the_first_frame(format: str) -> None:
    rendered = render(animated(format), max_pixels=LIMIT)
    image = Image.open(io.BytesIO(rendered.variants[0].data))
    assert getattr(image, "n_frames", 1) == 1
    assert_near(image.convert("RGB").getpixel((30, 20)), RED, 16)


# ── whatever comes ─────────────────────────────────────────────────────────────────────────────

MAGICS = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x40\0\0\0WEBPVP8 ", b""),
    *(b"II*\0", b"MM\0+", b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"),
    b"\0\0\0\x14ftypheic\0\0\0\0mif1",
)
VALID = [
    *(make() for make in FILES.values()),
    saved(quarters(), "JPEG", exif=exif(orientation=6, taken="2024:05:17 13:45:10")),
    saved(quarters(), "PNG", exif=exif(orientation=6, taken="2024:05:17 13:45:10")),
    png_16_bit(),
]
several = examples(250)


def survives(data: bytes) -> None:
    """A right answer or our own error, from everything."""
    limit = 1_000_000
    try:
        header = read_header(data, max_pixels=limit)
    except ValidationFailed as refusal:
        assert refusal.details["field"] == "file"
        assert refusal.message
        header = None
    try:
        picture = decode(data, max_side=64, max_pixels=limit)
    except AnalysisFailed as failure:
        # What the codec of a HEIC or AVIF says may be far from what its boxes say.
        kinds = {FailureType.VALIDATION, FailureType.RESOURCE_LIMIT}
        assert failure.type in (kinds if data[4:8] == b"ftyp" else {FailureType.VALIDATION})
        assert failure.message
    else:
        assert header is not None
        assert (picture.width, picture.height) == (header.width, header.height)
        assert picture.pixels.dtype == np.uint8
        assert picture.pixels.shape[2] == 3
        assert max(picture.pixels.shape[:2]) <= 64


@several
@given(st.sampled_from(MAGICS), st.binary(max_size=400))
def test_random_bytes(magic: bytes, tail: bytes) -> None:
    survives(magic + tail)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(VALID)))
    # Half of the changes hit the first bytes, where the structure is.
    place = st.one_of(st.integers(0, 300), st.integers(0, len(data) - 1))
    for at, value in draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=8)):
        data[at % len(data)] = value
    start, length = draw(st.tuples(place, st.integers(0, 40)))
    kind = draw(st.sampled_from(["keep", "cut", "remove", "repeat"]))
    if kind == "cut":
        del data[start:]
    elif kind == "remove":
        del data[start : start + length]
    elif kind == "repeat":
        data[start:start] = data[start : start + length]
    return bytes(data)


@several
@given(mutated())
def test_damaged_pictures(data: bytes) -> None:
    survives(data)


def test_formats_are_those_of_the_domain() -> None:
    assert {name.split()[0] for name in FILES} == set(ImageFormat)
