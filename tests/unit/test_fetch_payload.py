"""Base64 in JSON that is taken apart while it arrives, wherever the pieces are cut."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocelli.api.fetch.base64_files import Base64File, JsonText
from ocelli.domain.errors import MalformedRequest, TooLarge
from ocelli.media.blob_writer import BlobFactory
from ocelli.media.data_url import NotBase64, decode_data_url

DATA = bytes(range(256)) * 5
TEXT = base64.b64encode(DATA).decode()


def decoded(folder: Path, *pieces: str, max_bytes: int = 10_000) -> bytes | Exception:
    file = Base64File(BlobFactory(folder), max_bytes=max_bytes)
    with file.staged:
        for piece in pieces:
            file.write(piece.encode())
        file.finish()
        return file.error or file.staged.path.read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.rstrip("="),
        TEXT + "\n",
        " " + TEXT,
        "\r\n".join(TEXT[i : i + 76] for i in range(0, len(TEXT), 76)),
        base64.urlsafe_b64encode(DATA).decode(),
        f"data:image/png;base64,{TEXT}",
        f"data:;base64,{TEXT}",
        f"DATA:text/html;charset=utf-8;BASE64,{TEXT}",
        f"  data:application/pdf;base64,\n{TEXT}",
    ],
)
@pytest.mark.parametrize("size", [1, 3, 64, 10_000])
def test_base64_as_it_comes(tmp_path: Path, text: str, size: int) -> None:
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert decoded(tmp_path, *pieces) == DATA
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=",
        "A",
        "AAAAA",
        "not base64!",
        "é",
        f"{TEXT}AAAA",
        f"AA==AA{TEXT}",
        "data:image/png;base64",
        "data:image/svg+xml,%3Csvg%3E",
        "data:" + "x" * 3000,
    ],
)
def test_what_is_not_base64(tmp_path: Path, text: str) -> None:
    assert isinstance(decoded(tmp_path, text), MalformedRequest)
    assert isinstance(decoded(tmp_path, *text), MalformedRequest)


def test_one_byte_too_many(tmp_path: Path) -> None:
    assert decoded(tmp_path, TEXT, max_bytes=len(DATA)) == DATA
    assert isinstance(decoded(tmp_path, TEXT, max_bytes=len(DATA) - 1), TooLarge)
    assert list(tmp_path.iterdir()) == []


HEADS = {
    "data:image/png;base64": True,
    "data:;base64": True,
    "DATA:image/png;name=a.png; BASE64 ": True,
    "data:image/png;base64;charset=utf-8": True,
    "data:image/png": False,
    "data:image/png;xbase64": False,
    "data:image/png;name=base64": False,
    "data:base64": False,
}


@pytest.mark.parametrize("head", HEADS)
def test_a_data_url_is_read_alike_in_files_and_in_conversations(tmp_path: Path, head: str) -> None:
    found = decoded(tmp_path, f"{head},{TEXT}")
    if HEADS[head]:
        assert found == decode_data_url(f"{head},{TEXT}") == DATA
    else:
        assert isinstance(found, MalformedRequest)
        with pytest.raises(NotBase64):
            decode_data_url(f"{head},{TEXT}")


class Small(JsonText):
    LONG = 50


BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=BODIES, ascii=st.booleans(), size=st.integers(1, 40))
def test_json_comes_through_unchanged(tmp_path: Path, body: object, ascii: bool, size: int) -> None:
    text = json.dumps(body, ensure_ascii=ascii).encode("utf-8", "surrogatepass")
    taken = JsonText(BlobFactory(tmp_path), "file ", max_bytes=100)
    for i in range(0, len(text), size):
        taken.feed(text[i : i + size])
    assert bytes(taken.rest) == text
    assert not taken.files


@pytest.mark.parametrize("slash", ["/", "\\/", "\\u002f"])
def test_files_in_json_at_every_cut(tmp_path: Path, slash: str) -> None:
    encoded = TEXT.replace("/", slash).replace("+", "\\u002B")
    text = f'{{"a": "\\\\", "file": ["{encoded}", "short", "{TEXT}"], "b": "\\"}}'.encode() + b'"}'
    for size in [*range(1, 20), 100, 1000]:
        taken = Small(BlobFactory(tmp_path), "file ", max_bytes=10_000)
        for i in range(0, len(text), size):
            taken.feed(text[i : i + size])
        body = json.loads(taken.rest)
        assert body == {"a": "\\", "file": ["file 0", "short", "file 1"], "b": '"}'}
        for file in taken.files.values():
            assert file.error is None
            assert file.staged.path.read_bytes() == DATA
        taken.close()
    assert list(tmp_path.iterdir()) == []
