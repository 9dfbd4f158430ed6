"""ExifTool, as a program: it writes XMP into pictures, and leaves the rest alone."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

from ocelli.xmp.errors import XmpError

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT = 60.0  # seconds for one picture
MAX_EMBEDDED = 60_000  # bytes; a segment of a JPEG holds no more
_HASHES = ("ImageDataHash", "ImageDataMD5")  # by newer and by older releases


def is_installed() -> bool:
    """Whether the program is there."""
    return shutil.which("exiftool") is not None


def read(picture: Path) -> tuple[bytes | None, str]:
    """Return the XMP of a picture, and the hash of its pixels, empty where ExifTool makes none.

    Raises XmpError.
    """
    tags = [f"-{name}" for name in ("XMP", "HasExtendedXMP", *_HASHES)]
    said = _run("-json", "-binary", *tags, str(picture.absolute()))
    try:
        found: dict[str, Any] = json.loads(said)[0]
        packet = _bytes(found["XMP"]) if "XMP" in found else None
    except (ValueError, LookupError, AttributeError) as error:
        raise XmpError("ExifTool's answer is not understood") from error
    if found.get("HasExtendedXMP"):
        raise XmpError("its XMP is in several parts (HasExtendedXMP): left alone")
    return packet, next((str(found[name]) for name in _HASHES if found.get(name)), "")


def write(picture: Path, packet: bytes) -> None:
    """Replace the XMP of a picture; the file's times stay. Raises XmpError."""
    if len(packet) > MAX_EMBEDDED:
        raise XmpError("its XMP is too long to be embedded")
    with tempfile.NamedTemporaryFile(suffix=".xmp") as file:
        file.write(packet)
        file.flush()
        _run(
            "-quiet",
            "-overwrite_original",
            "-preserve",
            f"-XMP<={file.name}",
            str(picture.absolute()),
        )


def _bytes(value: str) -> bytes:
    """Return a binary value: text if it is UTF-8, else in base64."""
    mark = "base64:"
    return base64.b64decode(value[len(mark) :]) if value.startswith(mark) else value.encode()


def _run(*arguments: str) -> bytes:
    command = ["exiftool", *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise XmpError(f"ExifTool did not end within {TIMEOUT:.0f} s") from error
    except OSError as error:
        raise XmpError(f"ExifTool cannot be run: {error.strerror}") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise XmpError(f"ExifTool: {lines[0]}")
    return done.stdout
