"""Urlencoded forms that are read a piece at a time, wherever the pieces are cut."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.api.fetch.request_body import MAX_TEXT, Received, _Reader
from ocelli.domain.errors import MalformedRequest, TooLarge
from ocelli.media.blob_writer import BlobFactory

FOLDER = Path("/nowhere")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def read(*pieces: bytes) -> list[tuple[str, str]]:
    with Received(BlobFactory(FOLDER)) as received:
        reader = _Reader(received, "")
        for piece in pieces:
            reader.feed(piece)
        reader.finish()
        return [
            (name, each)
            for name, value in received.values.items()
            for each in (value if isinstance(value, list) else [value])
        ]


@given(
    st.lists(st.tuples(st.sampled_from(["url", "a b", "é&"]), TEXTS), min_size=1),
    st.integers(1, 9),
)
def test_the_same_fields(fields: list[tuple[str, str]], size: int) -> None:
    text = urlencode(fields).encode()
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert sorted(read(*pieces)) == sorted(parse_qsl(text.decode(), keep_blank_values=True))


@pytest.mark.parametrize("text", [b"no form", b'"a=b"', b"<a=b>", b"a" * 5000, b"a=1&" * 1001])
def test_what_is_no_form_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedRequest):
        read(text)


def test_the_text_of_a_form_is_bounded() -> None:
    full = [b"A" * 65536] * (MAX_TEXT // 65536)
    assert len(read(b"prompt=", *full)[0][1]) == MAX_TEXT
    with pytest.raises(TooLarge):
        read(b"prompt=", *full[1:], b"%41" * 65537)
