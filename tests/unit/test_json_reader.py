"""JSON that is taken apart before it is parsed: the same values, and an end to everything."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.api import json_reader
from ocelli.domain.errors import TooLarge

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('ab\\"é', max_size=5), inner),
    max_leaves=20,
)


@given(JSON, st.booleans())
def test_the_same_values(value: Any, ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_reader, "CHUNK_BYTES", 7)
        patch.setattr(json_reader, "LONG_STRING_BYTES", 3 if not _has_long_keys(value) else 10**6)
        assert json_reader.parse(text) == value


def _has_long_keys(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_has_long_keys, value))
    if not isinstance(value, dict):
        return False
    return any(len(json.dumps(key)) > 5 for key in value) or any(
        map(_has_long_keys, value.values())
    )


LONG = "data:image/png;base64," + "iVBORw0KGgo/" * 100_000


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"url": LONG}),
        json.dumps({"url": LONG}).replace("/", "\\/"),
        json.dumps({"url": LONG.replace("/", "\\/"), "b": [LONG, "a" * 5000]}),
        json.dumps({"text": 'said "yes" \\ é 😀\n' * 30_000}),
        json.dumps({"text": "é" * 300_000}, ensure_ascii=False),
    ],
)
def test_long_strings(text: str) -> None:
    assert json_reader.parse(text.encode()) == json.loads(text)


MEGABYTE = 1024 * 1024


@pytest.mark.parametrize(
    "text",
    [
        b"[" + b"[]," * MEGABYTE + b"]",
        b"[" * MEGABYTE,
        b'"' * MEGABYTE,
        b'{"a":' + b" " * 9 * MEGABYTE + b"1}",
        b'{"a":"' + b"\\n" * 3 * MEGABYTE + b'"}',
        b'{"a":"' + "é".encode() * 3 * MEGABYTE + b'"}',
        b"[" + b",".join([b'"' + b"a" * 900 + b'"'] * 10_000) + b"]",
    ],
    ids=["lists", "depth", "quotes", "white space", "escapes", "letters", "short strings"],
)
def test_too_much_is_refused(text: bytes) -> None:
    with pytest.raises(TooLarge):
        json_reader.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":"' + b"a" * MEGABYTE,
        b'{"a":"' + b"\\" * (MEGABYTE + 1),
        b'{"' + b"a" * MEGABYTE + b'":1}',
        b'{"a":"' + b"a\n" * MEGABYTE + b'"}',
        b'{"a":"' + b"\\ud800" * MEGABYTE + b'"}',
        b'{"a":"' + b"\xff" * MEGABYTE + b'"}',
        b'{"a":"' + b"a" * MEGABYTE + b'"',
        b"",
        b"[NaN]",
        b"[-Infinity" + b" " * MEGABYTE + b"]",
    ],
    ids=[
        "cut",
        "cut escape",
        "key",
        "line feeds",
        "half a pair",
        "no UTF-8",
        "open",
        "empty",
        "no number",
        "no number of many bytes",
    ],
)
def test_what_is_no_json_is_said_to_be_none(text: bytes) -> None:
    with pytest.raises((ValueError, TooLarge)):
        json_reader.parse(text)


async def test_a_large_one_is_read_in_a_thread() -> None:
    import threading

    small, large = b"[]", b" " * (json_reader.INLINE_BYTES + 1)
    assert await json_reader.run_in_thread(small, threading.get_ident) == threading.get_ident()
    assert await json_reader.run_in_thread(large, threading.get_ident) != threading.get_ident()
