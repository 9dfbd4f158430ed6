"""Files past the page cache: the same bytes, whatever their sizes and the file system."""

from __future__ import annotations

import errno
import fcntl
import os
import uuid
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.usecases.buffers import BUFFER
from ocelli.usecases.direct import BLOCK, DirectFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SIZES = st.one_of(
    st.integers(0, 3 * BLOCK),
    st.sampled_from([BUFFER - 1, BUFFER, BUFFER + 1, BUFFER + BLOCK, 2 * BUFFER + 1]),
)


def pieces_of(sizes: Sequence[int]) -> list[bytes]:
    return [os.urandom(size) for size in sizes]


def write(path: Path, pieces: Sequence[bytes]) -> bytes | None:
    """What was in hand before the end."""
    file = DirectFile(path)
    for piece in pieces:
        file.write(memoryview(piece))
    in_hand = bytes(file.in_hand.content) if file.in_hand else None
    file.finish()
    return in_hand


@given(st.lists(SIZES, max_size=6))
def test_what_is_written_is_there(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    path = tmp_path_factory.getbasetemp() / uuid.uuid4().hex
    pieces = pieces_of(sizes)
    whole = b"".join(pieces)

    in_hand = write(path, pieces)

    assert path.read_bytes() == whole
    assert in_hand == (whole if len(whole) < BUFFER else None)
    path.unlink()


def test_a_buffer_that_was_used_before_leaves_nothing_behind(tmp_path: Path) -> None:
    write(tmp_path / "long", [b"x" * (BUFFER - 1)])
    write(tmp_path / "short", [b"y" * 10])
    assert (tmp_path / "short").read_bytes() == b"y" * 10


@pytest.mark.skipif(not hasattr(os, "O_DIRECT"), reason="no O_DIRECT here")
def test_a_file_system_that_promises_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O_DIRECT may be set, but a write with it is refused."""
    refused = 0
    real = os.write

    def picky(descriptor: int, data: bytes) -> int:
        nonlocal refused
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            refused += 1
            raise OSError(errno.EINVAL, "no")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", picky)
    pieces = pieces_of([BUFFER + 5, BUFFER, 7])
    write(tmp_path / "file", pieces)
    assert refused == 1
    assert (tmp_path / "file").read_bytes() == b"".join(pieces)


def test_a_name_that_is_taken_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        DirectFile(tmp_path / "file").finish()
    assert (tmp_path / "file").read_bytes() == b"mine"
