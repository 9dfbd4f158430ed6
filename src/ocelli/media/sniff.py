"""The format of a file by its first bytes; names and declared types are ignored."""

from __future__ import annotations

from codecs import getincrementaldecoder

from ocelli.domain.errors import ValidationFailed
from ocelli.domain.images import FORMATS, ImageFormat

HEAD_BYTES = 1024
"""The bytes that ``sniff`` needs; fewer only for a smaller file."""

_CONVERT = "Convert it to JPEG or PNG and upload it again."
_NOT_A_PICTURE = f"Upload a picture: {FORMATS}."

_EBML = b"\x1aE\xdf\xa3"
_ISO_VIDEO = "an MP4 or QuickTime video"
_OLD_MOV = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip"})  # files without a brand

# (first bytes, what such a file is, what to do about it)
_REFUSED: tuple[tuple[bytes, str, str], ...] = (
    (b"BM", "a bitmap of an unknown kind", _CONVERT),
    (b"II*\0", "a camera raw image", _CONVERT),
    (b"\0\0\1\0", "an ICO icon", _CONVERT),
    (b"\xff\x0a", "a JPEG XL image", _CONVERT),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image", _CONVERT),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image", _CONVERT),
    (b"8BPS", "a Photoshop document", _CONVERT),
    (b"%PDF-", "a PDF document", "Export its pages as PNG or JPEG and upload those."),
    (b"PK\3\4", "a ZIP archive or an Office document", "Upload each picture in it."),
    (b"\x1f\x8b", "a gzip archive", "Unpack it and upload each picture in it."),
    (_EBML, "a WebM or Matroska video", "Upload single frames as pictures."),
    (b"RIFF", "an AVI video or a WAV sound", _NOT_A_PICTURE),
)

# Brands of the ISO container (bytes 8 to 12); any other brand is a video.
_HEVC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = _HEVC_BRANDS | _AVIF_BRANDS | {b"mif1", b"msf1", b"miaf"}
# Sizes of the header that follows: text may begin with BM, too.
_BMP_HEADERS = frozenset(size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124))

_TEXTS: tuple[tuple[str, str, str], ...] = (
    ("data:", "a data URL", "Decode it and upload the bytes."),
    ("/9j/", "a JPEG in base64", "Decode it and upload the bytes."),
    ("ivborw0kggo", "a PNG in base64", "Decode it and upload the bytes."),
    ("<!doctype html", "an HTML page", _NOT_A_PICTURE),
    ("<html", "an HTML page", _NOT_A_PICTURE),
    ("{", "JSON text", _NOT_A_PICTURE),
    ("[", "JSON text", _NOT_A_PICTURE),
)


def sniff(head: bytes) -> ImageFormat:
    """Return the format of the file that begins with ``head`` (``HEAD_BYTES``, or all of it).

    Raises ValidationFailed (field ``file``) for everything that we do not accept; its message
    names what the content seems to be and what to do.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return ImageFormat.JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ImageFormat.PNG
    if head.startswith((b"GIF87a", b"GIF89a")):
        return ImageFormat.GIF
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return ImageFormat.WEBP
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")) and head[8:10] != b"CR":
        return ImageFormat.TIFF
    if head.startswith(b"BM") and head[14:18] in _BMP_HEADERS:
        return ImageFormat.BMP
    if head[4:8] == b"ftyp" and (heif := _heif_format(head)):
        return heif
    raise _refusal(head)


def is_video(head: bytes) -> bool:
    """Return whether the file that begins so is an MP4, MOV, WebM, MKV or AVI."""
    if head.startswith(_EBML) or (head.startswith(b"RIFF") and head[8:12] == b"AVI "):
        return True
    if head[4:8] == b"ftyp":
        return _iso_container(head)[0] == _ISO_VIDEO
    return head[4:8] in _OLD_MOV


def _refusal(head: bytes) -> ValidationFailed:
    if not head:
        return ValidationFailed("The file is empty (0 bytes). Upload it again.", field="file")
    what, advice = _known_binary(head) or _known_text(head) or ("of an unknown kind", _CONVERT)
    return ValidationFailed(
        f"The file is {what}, which is not supported. {advice}",
        field="file",
        issue=f"unsupported content: {what}",
    )


def _known_binary(head: bytes) -> tuple[str, str] | None:
    if head[4:8] == b"ftyp":
        return _iso_container(head)
    if not head.strip(b"\0"):
        return "nothing but zero bytes", "It was probably saved incompletely; export it again."
    return next(
        ((what, advice) for magic, what, advice in _REFUSED if head.startswith(magic)), None
    )


def _heif_format(head: bytes) -> ImageFormat | None:
    """Return the format by the brands of the ISO container; None for a video."""
    size = int.from_bytes(head[:4], "big")
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(size, len(head)), 4))]
    if not _HEIF_BRANDS.intersection(brands[:1]):
        return None
    # The general brand of HEIF says nothing about the codec; the compatible ones after it do.
    for brand in brands:
        if brand in _AVIF_BRANDS or brand in _HEVC_BRANDS:
            return ImageFormat.AVIF if brand in _AVIF_BRANDS else ImageFormat.HEIC
    return None


def _iso_container(head: bytes) -> tuple[str, str]:
    if head[8:12] in _HEIF_BRANDS:
        return "a HEIF image of another kind than HEIC and AVIF", _CONVERT
    return _ISO_VIDEO, "Upload single frames as pictures."


def _known_text(head: bytes) -> tuple[str, str] | None:
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        # Incremental, because the head may end within a character.
        text = getincrementaldecoder(encoding)().decode(head).lstrip().lower()
    except UnicodeDecodeError:
        return None
    if any(ord(letter) < 9 for letter in text):
        return None
    if text.startswith("<") and "<svg" in text:
        return "an SVG drawing", _CONVERT
    for start, what, advice in _TEXTS:
        if text.startswith(start):
            return what, advice
    return "plain text", _NOT_A_PICTURE
