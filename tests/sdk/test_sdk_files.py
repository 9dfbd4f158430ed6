"""Which files a call means, and sending exactly what was announced."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aion import UploadError, ValidationError
from aion._bodies import FileBody, Multipart
from aion._files import PIECE, FileFailed, Source, expand, is_supported, one_source, read, walk
from aion.resources._analysis import picture_inputs
from ocelli.api.multipart_parser import FormParser, Part, boundary_of

Photos = Callable[..., list[Path]]


def names(sources: list[Source]) -> list[str]:
    return [s.filename for s in sources]


def test_folders(photos: Photos, tmp_path: Path) -> None:
    photos("b.JPG", "a.png", "sub/c.webp", "sub/.hidden.gif", ".cache/d.jpeg", "sub/.x/y.jpg")
    for other in ("n.pdf", "v.mp4", "README", ".jpg"):
        (tmp_path / other).write_text("x")
    assert names(expand(tmp_path)) == ["a.png", "b.JPG", "c.webp"]
    assert names(expand(tmp_path, recursive=False)) == ["a.png", "b.JPG"]
    everything = {"a.png", "b.JPG", "c.webp", ".hidden.gif", "d.jpeg", "y.jpg"}
    assert set(names(expand(str(tmp_path), include_hidden=True))) == everything
    # Hidden is what is hidden below the folder that was asked for.
    assert names(expand(tmp_path / ".cache")) == ["d.jpeg"]


def test_files_of_rarer_names(photos: Photos, tmp_path: Path) -> None:
    rare = ["a.JFIF", "b.jpe", "c.jif", "d.pjpeg", "e.apng", "f.mpo"]
    photos(*rare, os.fsdecode(b"\xe9.jpg"))
    os.mkfifo(tmp_path / "pipe.jpg")
    found = expand(tmp_path)
    assert names(found) == [*rare, "?.jpg"]
    assert [each.content_type for each in found[:2]] == ["image/jpeg", "image/jpeg"]
    assert all(read(each).size for each in found)
    with pytest.raises(ValidationError, match="regular file"):
        one_source(tmp_path / "pipe.jpg")


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_names_arrive_as_they_are(name: str) -> None:
    body = Multipart({}, [("file", Source(f"{name}.jpg", content=b"x"), 1)])
    parts: list[Part] = []
    reader = FormParser(boundary_of(body.content_type), parts.append)
    for piece in body.pieces():
        reader.feed(piece)
    assert [part.filename for part in parts] == [f"{name}.jpg"]


def test_mixed_lists_keep_their_order(photos: Photos, tmp_path: Path) -> None:
    photos("z.jpg", "sub/a.jpg", "sub/b.jpg")
    mixed = expand(
        [tmp_path / "z.jpg", str(tmp_path / "sub"), b"abc"], filenames=["q.png", "", "n.gif"]
    )
    assert names(mixed) == ["q.png", "a.jpg", "b.jpg", "n.gif"]


def test_symlink_loops_end(photos: Photos, tmp_path: Path) -> None:
    photos("sub/a.jpg")
    (tmp_path / "sub/loop").symlink_to(tmp_path)
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    (tmp_path / "alias").symlink_to(tmp_path / "sub")
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nothing")
    assert names(expand(tmp_path)) == ["a.jpg"]


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/self").exists(), reason="needs /proc")
def test_a_folder_without_permission(photos: Photos, tmp_path: Path) -> None:
    photos("open/a.jpg", "closed/b.jpg")
    (tmp_path / "closed").chmod(0)
    try:
        if os.geteuid() == 0:  # root may read everything: a folder that vanishes is refused alike
            with pytest.raises(UploadError, match="cannot be read"):
                list(walk(tmp_path / "gone", recursive=True, include_hidden=False))
        else:
            with pytest.raises(UploadError, match="closed"):
                expand(tmp_path)
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_too_many(photos: Photos) -> None:
    [path] = photos(1)
    assert len(expand([path] * 10_000)) == 10_000
    with pytest.raises(ValidationError, match="10,000"):
        expand([path] * 10_001)


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ("missing.jpg", {}, "does not exist"),
        (["notes.txt"], {}, "not a supported picture"),
        (b"abc", {}, "filename is needed"),
        (b"abc", {"filename": "a.pdf"}, "not a supported"),
        (b"", {"filename": "a.jpg"}, "empty"),
        ([b"abc", b"abd"], {"filenames": ["a.jpg"]}, "1 filenames for 2"),
        ([b"abc"], {"filename": "a.jpg"}, "use filenames"),
        (3, {}, "not iterable|not int"),
        ([3], {}, "not int"),
    ],
)
def test_refused_at_once(
    files: object,
    options: dict[str, Any],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises((ValidationError, TypeError), match=message):
        expand(files, **options)  # type: ignore[arg-type]


def test_one_file(photos: Photos, tmp_path: Path) -> None:
    [path] = photos(1)
    assert one_source(path, "x/other.png").filename == "other.png"
    with pytest.raises(ValidationError, match="folder"):
        one_source(tmp_path)


def test_nothing_in_a_folder(tmp_path: Path) -> None:
    assert expand(tmp_path) == []
    assert expand([]) == []


@given(st.text(max_size=20))
def test_supported_by_name(name: str) -> None:
    assert is_supported(f"{name}a.jpg")
    assert not is_supported(f"{name}.pdf")


def test_reading(photos: Photos, tmp_path: Path) -> None:
    [path] = photos(1)
    good = read(Source(path.name, path=path))
    assert (good.size, len(good.sha256), good.failure) == (path.stat().st_size, 64, None)
    gone = read(Source("x.jpg", path=tmp_path / "x.jpg"))
    assert gone.failure == "the file does not exist any more"
    (tmp_path / "empty.jpg").touch()
    assert read(Source("e.jpg", path=tmp_path / "empty.jpg")).failure == "the file is empty"


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,9}", fullmatch=True), st.text(max_size=20), max_size=3
    ),
    st.lists(st.tuples(st.text(max_size=12), st.binary(min_size=1, max_size=2000)), max_size=5),
)
def test_multipart_is_as_long_as_it_says(
    fields: dict[str, str], files: list[tuple[str, bytes]]
) -> None:
    sources = [Source(f"x{name.replace('/', '')}.jpg", content=content) for name, content in files]
    body = Multipart(fields, [("files", s, len(s.content or b"")) for s in sources])
    sent = b"".join(body.pieces())
    assert len(sent) == body.length
    head = f"Content-Type: {body.content_type}\r\n\r\n".encode()
    parts = BytesParser().parsebytes(head + sent)
    count = len(parts.get_payload()) if parts.is_multipart() else 0
    assert count == len(fields) + len(files)
    for _, content in files:
        assert content in sent


def test_names_cannot_break_the_header() -> None:
    body = Multipart({}, [("file", Source('a"\r\nX: y\ud800.jpg', content=b"x"), 1)])
    sent = b"".join(body.pieces())
    assert b'filename="a%22%0D%0AX: y?.jpg"' in sent
    assert len(sent) == body.length


def test_a_growing_file_is_refused_or_sent_as_announced(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x" * (3 * PIECE))
    source = Source("a.jpg", path=path)
    size = source.size()
    pieces = FileBody(source, size, "image/jpeg").pieces()
    sent = len(next(pieces))
    with path.open("ab") as file:
        file.write(b"more")
    assert sent + sum(map(len, pieces)) == size  # it grew while it was being sent
    with pytest.raises(FileFailed, match="changed"):
        next(source.pieces(size))  # it had grown before


def test_a_shrinking_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x" * (3 * PIECE))
    source = Source("a.jpg", path=path)
    pieces = source.pieces(source.size())
    next(pieces)
    os.truncate(path, PIECE)
    with pytest.raises(FileFailed, match="shrank"):
        list(pieces)


async def test_bodies_do_not_block(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(os.urandom(PIECE + 5))
    body = FileBody(Source("a.jpg", path=path), PIECE + 5, "image/jpeg")
    assert b"".join([piece async for piece in body]) == path.read_bytes()
    iterator = aiter(body)
    await anext(iterator)
    await iterator.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0)


def test_a_large_file_that_is_no_picture_is_not_read(tmp_path: Path) -> None:
    film, large = tmp_path / "film.jpg", tmp_path / "large.jpg"
    film.touch()
    large.write_bytes(b"\xff\xd8\xff\xe0")
    for path in (film, large):
        os.truncate(path, 20 * 1024**3)
    said = read(Source("film.jpg", path=film)).failure
    assert said == "the file of 21,474,836,480 bytes begins like no supported picture"
    with pytest.raises(ValidationError, match=r"film\.jpg: .* like no supported picture"):
        picture_inputs(film, None, None)
    with pytest.raises(ValidationError, match="larger than 200 MB"):
        picture_inputs(large, None, None)
