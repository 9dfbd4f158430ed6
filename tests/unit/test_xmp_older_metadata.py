"""Words of a person in EXIF and IPTC, as ExifTool and Exiv2 write them: ours do not hide them."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests import heic
from tests.unit.test_xmp_merge import WORDS

from ocelli.xmp.files import FolderNames
from ocelli.xmp.older_metadata import OlderWords, read_older
from ocelli.xmp.packet import Packet
from ocelli.xmp.targets import Asked, SidecarTarget
from ocelli.xmp.words import DESCRIPTION, IMAGE_DESCRIPTION, SUBJECTS, TAGS, Property

CAPTION, KEYWORDS = "Großmutter im Garten", ("Öl", "Garten")
FORMATS = ("jpg", "png", "webp", "tif")


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        assert "CI" not in os.environ, f"{name} is not installed"
        pytest.skip(f"{name} is not installed")
    return found


def picture(folder: Path, suffix: str = "jpg") -> Path:
    path = folder / f"a.{suffix}"
    Image.new("RGB", (40, 30), "teal").save(path)
    return path


def exiftool(path: Path, *options: str) -> None:
    command = [program("exiftool"), "-q", "-overwrite_original", *options, str(path)]
    subprocess.run(command, check=True)


def sidecar_of(path: Path) -> Path:
    """Tag the picture, again if it has been."""
    found = SidecarTarget().look(
        path, FolderNames.of(path.parent), Asked(frozenset({"standard"}), again=True)
    )
    assert found is not None
    SidecarTarget().merge(found, WORDS, write=True)
    return found.target


def texts(path: Path, property: Property) -> list[str]:
    return Packet(path.read_bytes()).texts(property.uri, property.name)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("tag", "by_exiv2"),
    [
        ("EXIF:ImageDescription", "Exif.Image.ImageDescription"),
        ("EXIF:XPTitle", None),
        ("EXIF:XPComment", None),
        ("EXIF:UserComment", "Exif.Photo.UserComment"),
        ("IPTC:Caption-Abstract", "Iptc.Application2.Caption"),
        ("IPTC:Headline", "Iptc.Application2.Headline"),
    ],
)
def test_a_caption_of_a_person_keeps_ours_out(
    tmp_path: Path, suffix: str, tag: str, by_exiv2: str | None
) -> None:
    by_exiftool = None if tag.startswith("IPTC") and suffix == "webp" else tag
    if by_exiftool:
        path = picture(tmp_path, suffix)
        exiftool(path, f"-{tag}={CAPTION}")
        assert read_older(path).captions == (CAPTION,)
        sidecar = sidecar_of(path)
        assert texts(sidecar, DESCRIPTION) == texts(sidecar, IMAGE_DESCRIPTION) == []
        assert texts(sidecar, SUBJECTS.property), "tags are written all the same"
    if by_exiv2 and not (by_exiv2.startswith("Iptc") and suffix == "webp"):
        path = picture(tmp_path, suffix)
        charset = "charset=Unicode " if by_exiv2.endswith("UserComment") else ""
        command = [program("exiv2"), "-M", f"set {by_exiv2} {charset}{CAPTION}", str(path)]
        subprocess.run(command, check=True)
        assert read_older(path).captions == (CAPTION,)


@pytest.mark.parametrize("charset", ["UTF8", "Latin"])
@pytest.mark.parametrize("suffix", ["jpg", "tif", "png"])
def test_keywords_of_a_person_come_first(tmp_path: Path, charset: str, suffix: str) -> None:
    path = picture(tmp_path, suffix)
    options = [f"-IPTC:Keywords={each}" for each in KEYWORDS]
    named = ["-IPTC:CodedCharacterSet=UTF8"] if charset == "UTF8" else []
    exiftool(path, "-charset", f"iptc={charset}", *named, *options)
    assert read_older(path) == OlderWords((), KEYWORDS)
    sidecar = sidecar_of(path)
    ours = [path[-1] for path in WORDS.paths]
    assert texts(sidecar, SUBJECTS.property) == [*KEYWORDS, *ours]
    assert texts(sidecar, TAGS.property)[:2] == [*KEYWORDS]
    assert texts(sidecar, DESCRIPTION) == [WORDS.description]


def test_keywords_of_windows(tmp_path: Path) -> None:
    path = picture(tmp_path)
    exiftool(path, "-EXIF:XPKeywords=Öl;Garten")
    assert read_older(path) == OlderWords((), KEYWORDS)


def test_our_own_words_are_ours_where_a_program_has_copied_them_into_exif(tmp_path: Path) -> None:
    path = picture(tmp_path)
    before = sidecar_of(path)
    tags = texts(before, SUBJECTS.property)
    exiftool(
        path,
        f"-EXIF:ImageDescription={WORDS.description}",
        "-IPTC:CodedCharacterSet=UTF8",
        f"-IPTC:Caption-Abstract={WORDS.description}",
        *(f"-IPTC:Keywords={each}" for each in tags),
    )
    assert texts(sidecar_of(path), DESCRIPTION) == [WORDS.description]
    assert texts(before, SUBJECTS.property) == tags
    exiftool(path, f"-EXIF:ImageDescription={CAPTION}")
    assert texts(sidecar_of(path), DESCRIPTION) == [], "ours goes where a person has written one"


@pytest.mark.parametrize(
    "text", ["OLYMPUS DIGITAL CAMERA", "SONY DSC", "   ", r"DCIM\100MEDIA\DJI_0001.JPG", "oplus_0"]
)
def test_what_cameras_write_is_no_persons(tmp_path: Path, text: str) -> None:
    path = picture(tmp_path)
    exiftool(path, f"-EXIF:ImageDescription={text}", f"-EXIF:UserComment={text}")
    assert read_older(path) == OlderWords()


def test_of_heic(tmp_path: Path) -> None:
    jpeg, path = picture(tmp_path), tmp_path / "a.heic"
    exiftool(jpeg, f"-EXIF:ImageDescription={CAPTION}")
    with Image.open(jpeg) as opened:
        block = opened.info["exif"]
    pixels = np.full((64, 64, 3), 80, np.uint8)
    path.write_bytes(heic.single(pixels, exif=block.removeprefix(b"Exif\0\0")))
    assert read_older(path).captions == (CAPTION,)


def tiff(entries: int, tag: int, kind: int, count: int, value: int) -> bytes:
    entry = struct.pack("<HHII", tag, kind, count, value)
    return b"II*\0" + struct.pack("<IH", 8, entries) + entry * min(entries, 3)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff\xed\0\0",
        b"\xff\xd8" + b"\xff" * 100_000,
        b"\xff\xd8\xff\xed\xff\xffPhotoshop 3.0\0" + b"8BIM\x04\x04\0\0\xff\xff\xff\xff" * 9,
        b"\xff\xd8\xff\xed\0\x40Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x20\x1c\x02\x78\xff\xff",
        tiff(0xFFFF, 0x010E, 2, 0xFFFFFFFF, 0),
        tiff(3, 0x8769, 4, 1, 8),
        tiff(1, 33723, 4, 0xFFFFFFFF, 8),
        b"\x89PNG\r\n\x1a\n" + b"\0\0\0\x20zTXtRaw profile type iptc\0\0" + b"\xff" * 40,
        b"RIFF\0\0\0\0WEBPEXIF\xff\xff\xff\xff",
    ],
)
def test_what_is_damaged_or_hostile_says_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    assert read_older(path).keywords == ()


@settings(deadline=None)
@given(st.integers(0, 3_000), st.binary(min_size=1, max_size=8))
def test_a_damaged_file_of_a_person(annotated: Path, at: int, other: bytes) -> None:
    data = bytearray(annotated.read_bytes())
    data[at : at + len(other)] = other
    damaged = annotated.with_name("damaged.jpg")
    damaged.write_bytes(data)
    read_older(damaged)


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = picture(tmp_path_factory.mktemp("annotated"))
    exiftool(path, f"-EXIF:ImageDescription={CAPTION}", f"-IPTC:Keywords={CAPTION}")
    return path
