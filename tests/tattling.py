"""A picture that says more than it shows: where it was taken, by whom, and words behind its end."""

from __future__ import annotations

import io

import numpy as np
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from tests import heic

SECRET = b"where-i-live"
WIDTH, HEIGHT = 80, 48  # as stored; upright it is the other way round, but for GIF
# Start of scan ends the header; before it only what is needed to decode, and JFIF's own mark.
_NEEDED = {0xE0, 0xDB, 0xC0, 0xC2, 0xC4, 0xDD, 0xDA}


def picture(format: str) -> bytes:
    """The left half red; on its side, with EXIF, GPS, XMP, a profile, comments, and a tail."""
    image = Image.new("RGB", (WIDTH, HEIGHT), (0, 0, 200))
    image.paste((200, 0, 0), (0, 0, WIDTH // 2, HEIGHT))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Artist] = SECRET.decode()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAreaInformation] = SECRET
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + SECRET
    options = {
        "JPEG": {"exif": exif, "icc_profile": profile, "comment": SECRET, "xmp": _xmp()},
        "PNG": {"exif": exif, "icc_profile": profile, "pnginfo": _texts()},
        "WEBP": {"exif": exif, "icc_profile": profile, "xmp": _xmp(), "lossless": True},
        "GIF": {"comment": SECRET},
        "TIFF": {"exif": exif, "icc_profile": profile, "description": SECRET.decode()},
        "BMP": {},
        "AVIF": {"exif": exif, "icc_profile": profile, "xmp": _xmp(), "quality": 90},
    }
    if format == "HEIC":
        more = (heic.irot(3), heic.icc(profile))
        return heic.single(np.asarray(image), *more, exif=exif.tobytes()) + b"\0\0" + SECRET
    stream = io.BytesIO()
    image.save(stream, format, **options[format])  # type: ignore[arg-type]
    assert SECRET in stream.getvalue() or format == "BMP"
    return stream.getvalue() + b"\0\0" + SECRET


def check(sent: bytes, format: str) -> None:
    """What was made of ``picture(format)`` and left the house: a JPEG of its pixels alone."""
    assert SECRET not in sent
    assert _markers(sent) <= _NEEDED
    assert sent.endswith(b"\xff\xd9")
    with Image.open(io.BytesIO(sent)) as image:
        assert image.mode == "RGB"
        size = (WIDTH, HEIGHT) if format in ("GIF", "BMP") else (HEIGHT, WIDTH)
        assert image.size == size
        red, _, blue = image.getpixel((2, 2))  # type: ignore[misc]
        assert red > 150 > 50 > blue


def _markers(data: bytes) -> set[int]:
    """Of all segments before the compressed pixels."""
    assert data[:2] == b"\xff\xd8"
    found, at = set(), 2
    while data[at + 1] != 0xDA:
        found.add(data[at + 1])
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return found


def _xmp() -> bytes:
    return b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + SECRET + b"</x:xmpmeta>"


def _texts() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", SECRET.decode())
    info.add_itxt("XML:com.adobe.xmp", _xmp().decode())
    return info
