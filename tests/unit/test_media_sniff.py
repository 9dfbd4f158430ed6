"""What the first bytes say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.domain.errors import ValidationFailed
from ocelli.domain.images import ImageFormat
from ocelli.media.sniff import sniff

HEIC = b"\0\0\0\x24ftypheic\0\0\0\0mif1MiPrmiafMiHBheic"
AVIF = b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miafMA1B"


@pytest.mark.parametrize(
    ("head", "format"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF", ImageFormat.JPEG),
        (b"\xff\xd8\xff\xe1", ImageFormat.JPEG),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", ImageFormat.PNG),
        (b"RIFF\x10\0\0\0WEBPVP8L", ImageFormat.WEBP),
        (b"GIF87a", ImageFormat.GIF),
        (b"GIF89a\x01\0\x01\0", ImageFormat.GIF),
        (HEIC, ImageFormat.HEIC),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf", ImageFormat.HEIC),
        (b"\0\0\0\x18ftypheix\0\0\0\0mif1heix", ImageFormat.HEIC),
        (AVIF, ImageFormat.AVIF),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", ImageFormat.AVIF),
        (b"II*\0\x08\0\0\0", ImageFormat.TIFF),
        (b"MM\0*\0\0\0\x08", ImageFormat.TIFF),
        (b"II+\0\x08\0\0\0", ImageFormat.TIFF),
        (b"BM" + bytes(12) + b"\x28\0\0\0", ImageFormat.BMP),
    ],
)
def test_accepted(head: bytes, format: ImageFormat) -> None:
    assert sniff(head) is format


@pytest.mark.parametrize(
    ("head", "what", "advice"),
    [
        (b"", "empty", "Upload it again"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1jpeg", "HEIF image of another kind", "Convert it"),
        (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2", "MP4", "single frames"),
        (b"\0\0\0\x14ftypqt  ", "QuickTime", "single frames"),
        (b"\x1aE\xdf\xa3\x01", "Matroska", "single frames"),
        (b"II*\0\x10\0\0\0CR\2\0", "camera raw", "Convert it"),
        (b"BM\x36\0\0\0", "bitmap of an unknown kind", "Convert it"),
        (b"\0\0\1\0\1\0", "ICO", "Convert it"),
        (b"\xff\x0a\x10", "JPEG XL", "Convert it"),
        (b"8BPS\0\1", "Photoshop", "Convert it"),
        (b"%PDF-1.7\n", "PDF", "Export its pages"),
        (b"PK\3\4\x14\0", "ZIP archive or an Office document", "in it"),
        (b"\x1f\x8b\x08", "gzip", "Unpack"),
        (b"RIFF\0\0\0\0AVI LIST", "AVI", "Upload a"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", "SVG", "Convert it"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x --><svg>", "SVG", "Convert it"),
        (b"\n <!DOCTYPE html><html>", "HTML", "Upload a"),
        (b"<HTML><body>", "HTML", "Upload a"),
        (b'{"error": "not found"}', "JSON", "Upload a"),
        (b"data:image/png;base64,iVBOR", "data URL", "Decode it"),
        (b"/9j/4AAQSkZJRg", "JPEG in base64", "Decode it"),
        (b"iVBORw0KGgoAAAANSUhEUg", "PNG in base64", "Decode it"),
        (b"hello", "plain text", "Upload a"),
        ("grüße".encode()[:3], "plain text", "Upload a"),  # ends within a character
        ("hello".encode("utf-16"), "plain text", "Upload a"),
        (b"\0" * 100, "zero bytes", "export it again"),
        (b"\xff\xd8", "unknown kind", "Convert it"),
        (b"\x89PNG\n\x1a\n", "unknown kind", "Convert it"),
        (b"\x7fELF\x02\x01\x01\0\0", "unknown kind", "Convert it"),
    ],
)
def test_refused_by_name_and_with_advice(head: bytes, what: str, advice: str) -> None:
    with pytest.raises(ValidationFailed) as failure:
        sniff(head)
    assert what in failure.value.message
    assert advice in failure.value.message
    assert failure.value.details["field"] == "file"


@given(st.binary(max_size=200))
def test_anything_has_an_answer(head: bytes) -> None:
    try:
        assert isinstance(sniff(head), ImageFormat)
    except ValidationFailed as failure:
        assert failure.message.endswith(".")
