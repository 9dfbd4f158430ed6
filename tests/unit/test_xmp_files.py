"""Which sidecar belongs to which picture, and writing it: whole, or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.test_xmp_merge import WORDS
from tests.unit.xmp_samples import LIGHTROOM

from aion._files import is_supported
from ocelli.domain.errors import TooLarge
from ocelli.media.files import read_regular
from ocelli.xmp import files, targets
from ocelli.xmp.errors import ChangedMeanwhile, XmpError
from ocelli.xmp.files import FolderNames, pictures, read_sidecar, write_sidecar
from ocelli.xmp.packet import Packet
from ocelli.xmp.record import Record
from ocelli.xmp.targets import Asked, EmbeddedTarget, Job, SidecarTarget

ASKED = Asked(frozenset({"standard", "critical"}))


@pytest.mark.parametrize(
    ("names", "sidecar"),
    [
        (["a.jpg"], "a.jpg.xmp"),
        (["a.jpg", "a.xmp"], "a.xmp"),
        (["a.jpg", "a.xmp", "a.jpg.xmp"], "a.jpg.xmp"),
        (["a.jpg", "b.jpg", "b.xmp"], "a.xmp"),
        (["a.jpg", "b.jpg", "b.jpg.xmp", "c.jpg", "c.xmp"], "a.jpg.xmp"),
        (["a.jpg", "a.nef", "a.xmp"], "a.jpg.xmp"),  # that is the raw file's
        (["a.jpg", "A.PNG", "b.png", "b.xmp"], "a.jpg.xmp"),
        (["a.jpg", "A.JPG.XMP"], "A.JPG.XMP"),
        (["a.jpg", "a.XMP"], "a.XMP"),
        (["a.jpg", "A.JPG", "A.JPG.XMP"], "a.jpg.xmp"),  # that is of A.JPG
    ],
)
def test_the_name_of_a_sidecar(names: list[str], sidecar: str) -> None:
    assert FolderNames(names).sidecars("a.jpg")[0] == sidecar


def job(picture: Path, asked: Asked = ASKED) -> Job | None:
    return SidecarTarget().look(picture, FolderNames.of(picture.parent), asked)


def tag(picture: Path) -> Path:
    found = job(picture)
    assert found is not None
    SidecarTarget().merge(found, WORDS, write=True)
    return found.target


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A file; that it is a picture is the describer's concern."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"pixels")
    path.chmod(0o440)
    return path


def test_a_sidecar_that_names_another_format_is_left_alone(picture: Path) -> None:
    of_raw = picture.with_name("a.xmp")
    named = LIGHTROOM.replace(
        "photoshop:City=", 'photoshop:SidecarForExtension="NEF" photoshop:City='
    )
    of_raw.write_text(named, encoding="utf-8")
    assert tag(picture).name == "a.jpg.xmp"
    assert of_raw.read_text(encoding="utf-8") == named


def test_a_second_run_leaves_the_file_as_it_is(picture: Path) -> None:
    sidecar = tag(picture)
    assert sidecar.stat().st_mode & 0o777 == 0o640, "who sees the picture sees its words"
    before = sidecar.read_bytes(), sidecar.stat()
    assert job(picture) is None
    os.utime(picture)
    assert job(picture) is None, "the same bytes"
    found = job(picture, Asked(ASKED.levels, again=True))
    assert found is not None
    merged = SidecarTarget().merge(found, WORDS, write=True)
    assert merged.data is not None, "the time of the picture is another one"
    assert tag_state(sidecar) == tag_state(before[0])
    os.utime(sidecar, ns=(0, 0))
    found = job(picture, Asked(ASKED.levels, again=True))
    assert found is not None
    assert SidecarTarget().merge(found, WORDS, write=True).data is None
    assert sidecar.stat().st_mtime_ns == 0


def tag_state(sidecar: Path | bytes) -> list[str]:
    data = sidecar if isinstance(sidecar, bytes) else sidecar.read_bytes()
    return sorted(Record.of(Packet(data)).words)


def test_what_is_described_again(picture: Path) -> None:
    tag(picture)
    assert job(picture, Asked(frozenset({"quick", "standard"}))) is None
    assert job(picture, Asked(frozenset({"critical"}))) is not None
    assert job(picture, Asked(ASKED.levels, vocabulary="other terms")) is not None
    picture.chmod(0o600)
    picture.write_bytes(b"other pixels")
    assert job(picture) is not None


def test_a_sidecar_that_changes_meanwhile_is_merged_again(
    picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sidecar = picture.with_name("a.jpg.xmp")
    found = job(picture)
    written = files._put
    versions = [LIGHTROOM, LIGHTROOM.replace("Alps", "Sea and beach")]

    def other_program_first(*arguments: Any) -> None:
        if versions:
            sidecar.write_text(versions.pop(0), encoding="utf-8")
        written(*arguments)

    monkeypatch.setattr(files, "_put", other_program_first)
    assert found is not None
    SidecarTarget().merge(found, WORDS, write=True)
    assert b"Sea and beach" in sidecar.read_bytes()
    assert b"A dog &amp; a cat" in sidecar.read_bytes()
    sidecar.unlink()
    versions += [LIGHTROOM, LIGHTROOM + " "] * targets.MAX_MERGES
    with pytest.raises(ChangedMeanwhile):
        SidecarTarget().merge(found, WORDS, write=True)
    assert sorted(each.name for each in picture.parent.iterdir()) == ["a.jpg", "a.jpg.xmp"]


def test_a_picture_that_changes_meanwhile_gets_no_words(picture: Path) -> None:
    found = job(picture)
    assert found is not None
    picture.chmod(0o600)
    picture.write_bytes(b"another picture")
    with pytest.raises(ChangedMeanwhile):
        SidecarTarget().merge(found, WORDS, write=True)
    assert not found.target.exists()


def test_a_new_sidecar_never_replaces_one_without_hard_links(
    picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", no_links)
    sidecar = read_sidecar(picture.with_name("a.jpg.xmp"))
    write_sidecar(sidecar, b"one", 0o644)
    with pytest.raises(ChangedMeanwhile):
        write_sidecar(sidecar, b"two", 0o644)
    assert sidecar.path.read_bytes() == b"one"


def test_sidecars_that_are_left_alone(picture: Path) -> None:
    sidecar = picture.with_name("a.jpg.xmp")
    other = picture.with_name("elsewhere")
    other.write_text(LIGHTROOM, encoding="utf-8")
    makers: dict[str, Callable[[], object]] = {
        "symbolic link": lambda: sidecar.symlink_to(other),
        "no file": sidecar.mkdir,
        "not XMP": lambda: sidecar.write_bytes(b"rating: 5"),
        "read-only": lambda: sidecar.touch(0o444),
    }
    for said, make in makers.items():
        make()
        with pytest.raises(XmpError, match=said) as told:
            job(picture)
        assert "\n" not in str(told.value)
        sidecar.rmdir() if sidecar.is_dir() else sidecar.unlink()


def test_a_folder_that_is_read_only_is_told_before_anything_is_described(
    picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write everywhere but on a file system that is mounted so."""
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != picture.parent)
    with pytest.raises(XmpError, match="folder is read-only"):
        job(picture)


def test_a_name_that_is_too_long_and_a_folder_that_is_gone(tmp_path: Path) -> None:
    long = tmp_path / f"{'x' * 250}.jpg"
    long.write_bytes(b"pixels")
    with pytest.raises(XmpError, match="too long"):
        job(long)
    with pytest.raises(XmpError):
        FolderNames.of(tmp_path / "gone")


def test_xmp_in_a_picture_is_found_wherever_it_lies(picture: Path) -> None:
    picture.chmod(0o600)
    packet = LIGHTROOM[LIGHTROOM.index("<x:xmpmeta") : LIGHTROOM.index("<?xpacket end")].strip()
    for before in (0, 7, files._PIECE - 5, files._PIECE - len(packet) + 3):
        picture.write_bytes(b"\0" * before + packet.encode() + b"\0" * 100)
        found = job(picture)
        assert found is not None
        assert found.embedded is not None, before
        assert found.state.hash == hashlib.sha256(picture.read_bytes()).hexdigest()
    picture.write_bytes(packet[:-5].encode())
    found = job(picture)
    assert found is not None
    assert found.embedded is None


def test_the_pictures_of_a_folder(tmp_path: Path) -> None:
    root, outside = tmp_path / "photos", tmp_path / "outside"
    for name in ("b/c.png", "a.jpg", "note.txt", "a.jpg.xmp", ".hidden/d.jpg", "z.jpg"):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"pixels")
    outside.mkdir()
    (outside / "e.jpg").write_bytes(b"pixels")
    (root / "inside.jpg").symlink_to("a.jpg")
    (root / "linked.jpg").symlink_to(outside / "e.jpg")
    (root / "linked").symlink_to(outside)
    (root / "loop").symlink_to(root)
    (root / "dangling.jpg").symlink_to("gone.jpg")
    (root / "circle.jpg").symlink_to("circle.jpg")
    (root / "circle").symlink_to("circle")
    for name in ("pipe.jpg", ".ocelli-abcdefgh.tmp"):
        os.mkfifo(root / name)
    unfinished = [root / ".ocelli-old_0000.tmp", root / ".ocelli-new_0000.tmp"]
    for file in (*unfinished, notes := root / ".ocelli-notes.tmp"):
        file.write_bytes(b"")
    told: list[str] = []
    others: Counter[str] = Counter()
    with unfinished[1].open("rb") as being_written:
        fcntl.flock(being_written, fcntl.LOCK_EX)
        found = pictures(root, is_supported, lambda path, _: told.append(path.name), others)
        names = [str(path.relative_to(root)) for path, _ in found]
    assert names == ["a.jpg", "inside.jpg", "z.jpg", "b/c.png"]
    assert sorted(told) == ["circle.jpg", "linked", "linked.jpg"]
    assert others == {".txt": 1}
    assert [file.exists() for file in unfinished] == [False, True], "of a process that was killed"
    assert notes.exists(), "of a person"


def sparse(path: Path, begin: bytes, size: int = 20 * 1024**3) -> Path:
    """A file of 20 GB that takes no room."""
    with path.open("wb") as file:
        file.write(begin)
        file.truncate(size)
    return path


def test_a_file_that_no_picture_is_as_large_as_is_not_read(tmp_path: Path) -> None:
    other = sparse(tmp_path / "film.jpg", b"")
    with pytest.raises(XmpError, match="nothing but zero bytes"):
        job(other)
    large = sparse(tmp_path / "a.jpg", b"\xff\xd8\xff\xe0")
    limited = Asked(ASKED.levels, max_bytes=50 * 1024**2)
    for target in (SidecarTarget(), EmbeddedTarget()):
        with pytest.raises(XmpError, match="larger than the limit of 50 MB"):
            target.look(large, FolderNames.of(tmp_path), limited)
    with pytest.raises(TooLarge):
        read_regular(large, 50 * 1024**2)
