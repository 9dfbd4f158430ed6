"""Memory that is handed around: nobody gets what somebody else still has."""

from __future__ import annotations

import mmap
import os
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.usecases import buffers
from ocelli.usecases.buffers import BUFFER, KEPT, SHARED, Buffer, InHand

linux = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no memory to share here")

# What a child sees of each of its arguments.
CHILD = """
import pickle, sys
for small in pickle.load(sys.stdin.buffer):
    sys.stdout.buffer.write(bytes(small.content))
    small.content[:] = bytes(len(small.content))
    small.give_back()
"""


def seen_by_a_child(*those: InHand) -> bytes:
    return subprocess.run(
        [sys.executable, "-c", CHILD], input=pickle.dumps(those), capture_output=True, check=True
    ).stdout


def in_hand(content: bytes) -> InHand:
    small = InHand(Buffer(), len(content))
    small.content[:] = content
    return small


@given(st.lists(st.booleans(), max_size=3 * SHARED))
def test_no_two_have_the_same(steps: list[bool]) -> None:
    """Whatever is taken and given back in whatever order."""
    mine: list[Buffer] = []
    try:
        for number, take in enumerate(steps):
            if take or not mine:
                mine.append(Buffer())
                mine[-1].view[:8] = mine[-1].view[-8:] = number.to_bytes(8, "big")
                assert len(mine[-1].view) == BUFFER
            else:
                mine.pop(len(mine) // 2).give_back()
        marks = [bytes(each.view[:8]) for each in mine]
        assert len(set(marks)) == len(mine)
        assert marks == [bytes(each.view[-8:]) for each in mine]
    finally:
        for each in mine:
            each.give_back()


@linux
def test_a_child_sees_the_same_memory() -> None:
    first, second = in_hand(b"one" * 1000), in_hand(b"two")
    assert seen_by_a_child(first, second) == b"one" * 1000 + b"two"
    assert bytes(first.content) == bytes(3000)  # what it wrote is here
    first.give_back()
    second.give_back()


def test_beyond_what_is_shared_a_child_sees_a_copy() -> None:
    taken = [Buffer() for _ in range(SHARED)]
    last = in_hand(b"the last")
    assert last.buffer.shared_as is None
    assert seen_by_a_child(last) == b"the last"
    assert bytes(last.content) == b"the last"
    for each in taken:
        each.give_back()
    last.give_back()


@linux
def test_memory_of_a_crowd_goes_back_to_the_system() -> None:
    taken = [Buffer() for _ in range(SHARED)]
    for each in taken:
        each.view[:] = b"x" * BUFFER
    for each in taken:
        each.give_back()
    again = [Buffer() for _ in range(SHARED)]
    kept = {each.shared_as[1] for each in again if each.shared_as and each.view[0] == ord("x")}
    for each in again:
        each.give_back()
    assert kept <= set(range(KEPT))
    assert len(kept) > KEPT // 2  # those of other tests may still be taken


@linux
@pytest.mark.parametrize("refused", ["memfd_create", "ftruncate"])
def test_a_system_that_allows_no_such_files(monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(refused)

    monkeypatch.setattr(os, refused, refuse)
    buffers._own.cache_clear()
    try:
        small = in_hand(b"content")
        assert small.buffer.shared_as is None
        assert seen_by_a_child(small) == b"content"
        small.give_back()
    finally:
        buffers._own.cache_clear()


@linux
def test_a_system_that_takes_no_memory_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(mmap, "MADV_REMOVE")
    taken = [Buffer() for _ in range(SHARED)]
    numbers = {each.shared_as for each in taken}
    for each in (*taken, *taken):
        each.give_back()
    again = [Buffer() for _ in range(SHARED)]
    assert {each.shared_as for each in again} == numbers
    for each in again:
        each.give_back()
