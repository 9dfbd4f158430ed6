"""Multipart bodies, cut anywhere."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.api.multipart_parser import MAX_HEAD_BYTES, BrokenForm, FormParser, Part, boundary_of


@dataclass
class Kept:
    part: Part
    data: bytes = b""
    complete: bool = False

    def write(self, data: memoryview) -> None:
        self.data += data

    def finish(self) -> None:
        self.complete = True


def parse(*pieces: bytes, boundary: bytes = b"b") -> list[Kept]:
    kept: list[Kept] = []

    def begin(part: Part) -> Kept:
        kept.append(Kept(part))
        return kept[-1]

    parts = FormParser(boundary, begin)
    for piece in pieces:
        parts.feed(piece)
    return kept


def outcome(*pieces: bytes) -> list[Kept] | None:
    try:
        return parse(*pieces)
    except BrokenForm:
        return None


def body(*parts: tuple[str, bytes], boundary: bytes = b"b") -> bytes:
    return b"".join(
        b"--%s\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n"
        % (boundary, disposition.encode(), data)
        for disposition, data in parts
    ) + (b"--%s--\r\n" % boundary)


def file(data: bytes) -> bytes:
    return body(('name="file"; filename="a.jpg"', data))


# Contents made of what boundaries are made of, and cut at any place.
near_boundaries = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"-", b"--", b"\r\n--", b"b", b"\r\n--c", b"x", b" "])
).map(b"".join)


@given(st.lists(near_boundaries, max_size=3), st.data())
def test_contents_survive_any_cut(contents: list[bytes], data: st.DataObject) -> None:
    boundary = b"bound"
    whole = body(*((f'name="{n}"', each) for n, each in enumerate(contents)), boundary=boundary)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    kept = parse(*pieces, boundary=boundary)
    assert [each.data for each in kept] == contents
    assert [each.part.name for each in kept] == [str(n) for n in range(len(contents))]
    assert all(each.complete for each in kept)


@given(near_boundaries)
def test_byte_by_byte_is_the_same(content: bytes) -> None:
    """Also where a content holds a real boundary, and the form is broken."""
    whole = file(content)
    assert outcome(*(whole[n : n + 1] for n in range(len(whole)))) == outcome(whole)


@given(st.binary(max_size=200), st.data())
def test_rubbish_never_does_more_than_fail(rubbish: bytes, data: st.DataObject) -> None:
    whole = file(b"content")
    at = data.draw(st.integers(0, len(whole)))
    with contextlib.suppress(BrokenForm):
        parse(whole[:at] + rubbish + whole[at:])


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('name="file"', None),
        ('name="file"; filename=""', ""),
        ("name=file; filename=a.jpg", "a.jpg"),
        ('name="file"; filename="two words; and=more.jpg"', "two words; and=more.jpg"),
        (r'name="file"; filename="say \"hi\".jpg"', 'say "hi".jpg'),
        (r'name="file"; filename="C:\photos\cat.jpg"', "C:\\photos\\cat.jpg"),
        ('name="file"; filename="ü😀.jpg"', "ü😀.jpg"),
        # RFC 7578 forbids filename* in forms; clients send it.
        ("name=\"file\"; filename*=utf-8''%C3%BC%20x.jpg", "ü x.jpg"),
        ("name=\"file\"; filename*=UTF-8'de'%e2%82%ac.jpg", "€.jpg"),
        ('name="file"; filename*="utf-8\'\'%C3%BC.jpg"', "ü.jpg"),
        ('name="file"; filename="a"; filename*=iso-8859-1\'en\'%FC', "ü"),
        ("filename*=utf-8''%C3%BC; name=\"file\"; filename=a", "ü"),
        ("name=file; filename*0*=utf-8''%C3%BC; filename*1=\"b.jpg\"", "üb.jpg"),
        ("name=file; filename*=utf-8''%FF", "ÿ"),
        ('name="file"; filename="=?UTF-8?B?w7wueDEuanBn?="', "ü.x1.jpg"),
        ('name="file"; filename="=?utf-8?q?a_=C3=BC?= =?iso-8859-1?Q?=FC.jpg?="', "a üü.jpg"),
        ('name="file"; filename="=?nothing?q?a?="', "=?nothing?q?a?="),
        ('NAME="file"; FileName="a.jpg"', "a.jpg"),
        ('name="file";filename="a.jpg";', "a.jpg"),
        ('name="file"; filename="a"; filename*=nothing\'\'b', "a"),
        ('name="file"; filename="a"; filename*=utf-8\'\'%FF', "a"),
        ('filename="b" ; name="file"', "b"),
    ],
)
def test_names(disposition: str, filename: str | None) -> None:
    (kept,) = parse(body((disposition, b"x")))
    assert kept.part == Part("file", filename)


def test_what_is_around_the_parts_is_skipped() -> None:
    (kept,) = parse(b"good morning\r\n", file(b"x"), b"good night\r\n--b\r\nmore")
    assert kept.data == b"x"


def test_other_headers_and_cases() -> None:
    whole = file(b"x").replace(b"Content-D", b"content-type: image/PNG\r\nX-Y:\r\nCONTENT-d")
    (kept,) = parse(whole)
    assert kept.part == Part("file", "a.jpg", "image/png")


def test_names_that_are_not_utf_8() -> None:
    (kept,) = parse(file(b"x").replace(b"a.jpg", "für.jpg".encode("latin-1")))
    assert kept.part.filename == "für.jpg"


def test_folded_headers() -> None:
    (kept,) = parse(file(b"x").replace(b"; filename", b";\r\n filename"))
    assert kept.part.filename == "a.jpg"


CONTENT = b"\x89PNG\r\n\x1a\n\n\r\n--not b\n--bc\r"


@pytest.mark.parametrize("padding", [b" ", b"\t", b"  \t ", b" " * 300])
def test_blanks_behind_boundaries(padding: bytes) -> None:
    whole = body(("name=a", CONTENT), ("name=b", b"")).replace(b"--b\r", b"--b" + padding + b"\r")
    whole = whole.replace(b"--b--", b"--b--" + padding)
    for size in (1, 2, 3, 7, len(whole)):
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        kept = parse(*pieces)
        assert [each.data for each in kept] == [CONTENT, b""]
        assert all(each.complete for each in kept)


HEAD = b"Content-Disposition: form-data; name=a\r\nContent-Type: image/png\r\n\r\n"


@pytest.mark.parametrize("first", [b"--b\r\n", b"--b\n", b"\r\n--b\r\n", b"\n--b\n", b"hi\n--b\n"])
@pytest.mark.parametrize("head", [HEAD, HEAD.replace(b"\r", b""), HEAD[:-4] + b"\n\r\n"])
@pytest.mark.parametrize("between", [b"\r\n--b\r\n", b"\n--b\n", b"\r\n--b\n"])
@pytest.mark.parametrize("last", [b"\r\n--b--\r\n", b"\n--b--\n", b"\r\n--b--"])
def test_line_feeds_alone(first: bytes, head: bytes, between: bytes, last: bytes) -> None:
    content = CONTENT + b"."
    whole = first + head + content + between + head + content + last
    for size in (1, 5, len(whole)):
        kept = parse(*(whole[at : at + size] for at in range(0, len(whole), size)))
        assert [each.data for each in kept] == [content, content]
        assert all(each.complete for each in kept)


def test_an_unfinished_part_is_not_complete() -> None:
    (kept,) = parse(file(b"x" * 100)[:-8])
    assert not kept.complete


def test_a_part_for_nobody_is_skipped() -> None:
    parts = FormParser(b"b", lambda part: None)
    parts.feed(file(b"x" * 100))


@pytest.mark.parametrize(
    "whole",
    [
        b"--b\r\n\r\nno headers\r\n--b--",
        b"--b\r\nContent-Type: text/plain\r\n\r\nno name\r\n--b--",
        b"--b\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--b--",
        b"--b\r\n" + b"X: y\r\n" * (MAX_HEAD_BYTES // 6 + 1),
        b"--b\r\n" + b"X: y\r\n" * (MAX_HEAD_BYTES // 6 + 1) + b"\r\n",
        b"x\r\n" * MAX_HEAD_BYTES + file(b"x"),
    ],
)
def test_broken_parts(whole: bytes) -> None:
    with pytest.raises(BrokenForm):
        parse(whole)


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=a-b_c", b"a-b_c"),
        ('Multipart/Form-Data; charset=utf-8; Boundary="a b;c"', b"a b;c"),
    ],
)
def test_boundaries(content_type: str, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain; boundary=x", "multipart/form-data", "multipart/form-data; boundary=", "\x80"],
)
def test_no_boundaries(content_type: str) -> None:
    with pytest.raises(BrokenForm):
        boundary_of(content_type)
