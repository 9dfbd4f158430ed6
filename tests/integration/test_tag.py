"""``ocelli tag``, and what ExifTool and Exiv2 read of it and make of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import OCELLI, Server
from tests.unit.xmp_samples import IMMICH, LIGHTROOM, SAMPLES
from tests.waiting import PATIENCE
from typer.testing import CliRunner, Result

from ocelli.cli import describer_process
from ocelli.cli.main import app
from ocelli.xmp.files import OUTSIDE
from ocelli.xmp.packet import Packet
from ocelli.xmp.words import DESCRIPTION, IMAGE_DESCRIPTION, SUBJECTS, TAGS, Property

# A process of `ocelli describe` that looks at nothing.
DESCRIBER = """
import sys
from multiprocessing.connection import Connection
from ocelli.cli.describer import DescribedFile
from ocelli.domain.analysis import AnalysisAnswer
from ocelli.domain.findings import Findings
connection = Connection(int(sys.argv[1]))
_, environment, level, tags_from = connection.recv()
findings = Findings("a model", "1")
while True:
    try:
        path = connection.recv()
    except EOFError:
        break
    if path.read_bytes() == b"broken":
        connection.send(DescribedFile(path, level, error="The file is truncated."))
    else:
        said = f"This is {path.stem}."
        tags = ("thing", "dark grey", "öl")  # a colour alone is no keyword
        answer = AnalysisAnswer((findings,), description=said, tags=tags, confidence=0.5)
        connection.send(DescribedFile(path, level, answer))
"""


@pytest.fixture
def describer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(describer_process, "COMMAND", (sys.executable, "-c", DESCRIBER))


@pytest.fixture
def folder(tmp_path: Path, photos: dict[str, Path]) -> Path:
    """Three pictures, one of them broken."""
    found = tmp_path / "photos"
    found.mkdir()
    shutil.copyfile(photos["rocket"], found / "a.jpg")
    shutil.copyfile(photos["coffee"], found / "b.png")
    (found / "broken.jpg").write_bytes(b"broken")
    return found


def program(name: str) -> str:
    """A program that CI installs, see .ci/run; elsewhere what needs it is skipped."""
    found = shutil.which(name)
    if found is None:
        assert "CI" not in os.environ, f"{name} is not installed"
        pytest.skip(f"{name} is not installed")
    return found


def tag(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["tag", str(folder), "--workers", "1", *options])


def lines(result: Result) -> dict[str, dict[str, Any]]:
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    return {Path(row["file"]).name: row for row in rows}


def texts(path: Path, property: Property) -> list[str]:
    return Packet(path.read_bytes()).texts(property.uri, property.name)


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.mark.usefixtures("describer")
def test_printed_written_and_not_again(folder: Path) -> None:
    before = state(folder)
    printed = tag(folder)
    assert printed.exit_code == 1, "one is broken"
    assert state(folder) == before
    assert "a.jpg.xmp: planned" in printed.stdout
    assert "+ digiKam:TagsList: thing, öl" in printed.stdout
    assert printed.stderr == f"ocelli: {folder / 'broken.jpg'}: The file is truncated.\n"

    (folder / "b.png.xmp").write_text(IMMICH, encoding="utf-8")
    rows = lines(tag(folder, "--write-xmp", "--jsonl"))
    assert {name: row["status"] for name, row in rows.items()} == {
        "a.jpg": "written",
        "b.png": "written",
        "broken.jpg": "failed",
    }
    assert texts(folder / "a.jpg.xmp", DESCRIPTION) == ["This is a."]
    assert texts(folder / "b.png.xmp", TAGS.property) == ["thing", "öl"]
    assert "<xmp:Rating>5</xmp:Rating>" in (folder / "b.png.xmp").read_text(encoding="utf-8")

    (folder / "broken.jpg").unlink()
    written = state(folder)
    second = tag(folder, "--write-xmp")
    assert (second.exit_code, second.stdout) == (0, "ocelli: 2 done before\n")
    again = tag(folder, "--write-xmp", "--all")
    assert (again.exit_code, "2 with nothing to change" in again.stdout) == (0, True)
    assert state(folder) == written


def test_a_server_is_asked_without_the_libraries_of_one() -> None:
    code = """
import sys
for name in ("pydantic_settings", "numpy", "regex", "anyascii", "pyvips", "fastapi", "cv2"):
    sys.modules[name] = None
import ocelli.cli.tag, ocelli.cli.watch
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)


@pytest.mark.usefixtures("describer")
def test_what_cannot_be_written_is_one_line_and_the_others_go_on(folder: Path) -> None:
    (folder / "broken.jpg").unlink()
    (folder / "a.jpg.xmp").write_text("no XMP")
    (folder / "z.jpg").symlink_to("/etc/passwd")
    done = tag(folder, "--write-xmp")
    assert done.exit_code == 1
    assert sorted(done.stderr.splitlines()) == [
        f"ocelli: {folder / 'a.jpg'}: a.jpg.xmp is not XMP, it is not XML: syntax error: line 1, "
        "column 0: left alone",
        f"ocelli: {folder / 'z.jpg'}: {OUTSIDE}",
    ]
    assert (folder / "a.jpg.xmp").read_text() == "no XMP"
    assert texts(folder / "b.png.xmp", DESCRIPTION) == ["This is b."]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--level", "deep"], "no such level"),
        (["--write-xmp", "--embed"], "either beside"),
        (["--vocabulary", "/no/such/file"], "No such file"),
    ],
)
def test_wrong_use(folder: Path, options: list[str], said: str) -> None:
    if "--embed" in options:
        program("exiftool")
    done = tag(folder, *options)
    assert (done.exit_code, said in done.stderr) == (2, True)
    assert tag(folder / "gone").exit_code == 2


@pytest.mark.usefixtures("describer")
def test_embedding_needs_exiftool(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    done = tag(folder, "--embed")
    assert (done.exit_code, "ExifTool" in done.stderr) == (3, True)


@pytest.mark.usefixtures("describer")
def test_exiftool_and_exiv2_read_and_keep_what_was_written(folder: Path) -> None:
    """Both write a rating afterwards: then our own words are still known as such."""
    exiftool, exiv2 = program("exiftool"), program("exiv2")
    for name in ("b.png", "broken.jpg"):
        (folder / name).unlink()
    for name, sample in SAMPLES.items():
        shutil.copyfile(folder / "a.jpg", folder / f"{name}.jpg")
        (folder / f"{name}.jpg.xmp").write_text(sample, encoding="utf-8")
    assert tag(folder, "--write-xmp").exit_code == 0
    sidecars = sorted(str(path) for path in folder.glob("*.xmp"))
    tags = [texts(Path(each), TAGS.property) for each in sidecars]
    assert all(each[-2:] == ["thing", "öl"] for each in tags)
    command = [exiftool, "-json", "-TagsList", *sidecars]
    said = subprocess.run(command, capture_output=True, check=True).stdout
    assert [each["TagsList"] for each in json.loads(said)] == tags
    kinds = {"Xmp.digiKam.TagsList": "XmpSeq", "Xmp.lr.hierarchicalSubject": "XmpBag"}
    for each in sidecars:
        said = subprocess.run([exiv2, "-PXky", each], capture_output=True, check=True).stdout
        assert (
            kinds.items() <= dict(line.split()[:2] for line in said.decode().splitlines()).items()
        )
    for command in (
        [exiftool, "-q", "-overwrite_original", "-XMP-xmp:Rating=3", *sidecars],
        [exiv2, "-M", "set Xmp.xmp.Rating 2", *sidecars],
    ):
        subprocess.run(command, check=True)
        before = state(folder)
        again = tag(folder, "--write-xmp", "--all")
        assert "5 with nothing to change" in again.stdout
        assert state(folder) == before


@pytest.mark.usefixtures("describer")
def test_embedding_changes_the_xmp_alone(folder: Path) -> None:
    exiftool = program("exiftool")
    (folder / "broken.jpg").unlink()
    picture = folder / "a.jpg"
    os.utime(picture, ns=(10**18, 10**18))
    (folder / "mine.xmp").write_text(LIGHTROOM, encoding="utf-8")
    command = [
        exiftool,
        "-q",
        "-overwrite_original",
        f"-XMP<={folder / 'mine.xmp'}",
        "-P",
        str(picture),
    ]
    subprocess.run(command, check=True)
    (folder / "mine.xmp").unlink()

    def without_xmp() -> bytes:
        command = [exiftool, "-XMP:all=", "-o", "-", str(picture)]
        return subprocess.run(command, capture_output=True, check=True).stdout

    pixels = without_xmp()
    assert tag(folder, "--embed").exit_code == 0
    read = subprocess.run(
        [exiftool, "-b", "-XMP", str(picture)], capture_output=True, check=True
    ).stdout
    packet = Packet(read)
    assert packet.texts(DESCRIPTION.uri, DESCRIPTION.name) == ["This is a."]
    has = packet.texts(SUBJECTS.property.uri, SUBJECTS.property.name)
    assert has == ["Alps", "Places", "thing", "öl"]
    assert b'crs:Exposure2012="+0.35"' in read
    assert without_xmp() == pixels
    assert picture.stat().st_mtime_ns == 10**18
    before = state(folder)
    assert sorted(before) == ["a.jpg", "b.png"]
    assert tag(folder, "--embed").stdout == "ocelli: 2 done before\n"
    assert state(folder) == before


@pytest.mark.usefixtures("describer")
def test_xmp_that_exiftool_would_not_replace_stays_alone(folder: Path) -> None:
    """A second packet would be beside it, and each program would read another one."""
    program("exiftool")
    for name in ("b.png", "broken.jpg"):
        (folder / name).unlink()
    picture = folder / "a.jpg"
    body = b"of an unknown kind\0" + LIGHTROOM.encode()
    segment = b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
    data = picture.read_bytes()
    picture.write_bytes(data[:2] + segment + data[2:])
    before = state(folder)
    done = tag(folder, "--embed")
    assert (done.exit_code, "does not replace" in done.stderr) == (1, True)
    assert state(folder) == before


def test_by_the_models_of_this_machine(folder: Path) -> None:
    """The processes of the command itself, one picture."""
    for name in ("b.png", "broken.jpg"):
        (folder / name).unlink()
    command = [*OCELLI, "tag", str(folder), "--write-xmp", "--level", "quick", "--jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert row["model"].startswith("ocelli-local ")
    assert texts(folder / "a.jpg.xmp", IMAGE_DESCRIPTION) == [row["description"]]
    assert texts(folder / "a.jpg.xmp", SUBJECTS.property) == row["tags"]


def test_by_a_server(folder: Path, server: Server) -> None:
    for name in ("b.png",):
        (folder / name).unlink()
    where = ["--server", server.url, "--key", server.new_key("tagging"), "--level", "quick"]
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(tag, folder, "--write-xmp", "--jsonl", *where).result(PATIENCE)
    rows = lines(done)
    assert (rows["broken.jpg"]["status"], done.exit_code) == ("failed", 1)
    assert rows["a.jpg"]["model"].startswith("ocelli-local ")
    assert texts(folder / "a.jpg.xmp", DESCRIPTION) == [rows["a.jpg"]["description"]]
