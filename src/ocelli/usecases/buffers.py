"""Memory for files that are still arriving, which a child process can see too."""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from ocelli.domain.accounts import MEGABYTE

if TYPE_CHECKING:
    from collections.abc import Callable

BUFFER = MEGABYTE
SHARED = 128  # buffers that children can see; whoever comes when they are taken gets one of its own
KEPT = 32  # those beyond so many, which only a crowd takes, give their pages back to the system


class Buffer:
    """A megabyte, from an address that is a multiple of a page. To be given back in the end."""

    def __init__(self) -> None:
        self._arena = _own()
        self._number = self._arena.take() if self._arena is not None else None
        if self._arena is None or self._number is None:
            self.view = memoryview(mmap.mmap(-1, BUFFER))
        else:
            self.view = self._arena.at(self._number)

    def give_back(self) -> None:
        """It is not read any more: it is for the next one. Once is enough."""
        number, self._number = self._number, None
        if self._arena is not None and number is not None:
            self._arena.give_back(number)

    @property
    def shared_as(self) -> tuple[str, int] | None:
        """Where a child finds it: the arena's path, and its number there."""
        if self._arena is None or self._number is None:
            return None
        return self._arena.path, self._number


@dataclass(frozen=True, slots=True)
class InHand:
    """The whole content of a small file, which is on no disk yet; implements ports_storage.Small.

    Sent to a child process it is the same memory there, or a copy where that cannot be had.
    """

    buffer: Buffer
    size: int

    @property
    def content(self) -> memoryview:
        """See ports_storage.Small."""
        return self.buffer.view[: self.size]

    def give_back(self) -> None:
        """See ports_storage.Small."""
        self.buffer.give_back()

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        if shared := self.buffer.shared_as:
            return _Shared, (*shared, self.size)
        return _Copied, (bytes(self.content),)


# A child opens the memory when it is asked for, and not while it reads the message: an error there
# would leave half of that in the pipe, to be taken for the next one.


@dataclass(frozen=True, slots=True)
class _Shared:
    """InHand, for a child of the process that has it."""

    path: str
    number: int
    size: int

    @property
    def content(self) -> memoryview:
        return _of_parent(self.path).at(self.number)[: self.size]

    def give_back(self) -> None:
        """It is not ours."""


@dataclass(frozen=True, slots=True)
class _Copied:
    """InHand, where the memory itself cannot be had."""

    data: bytes

    @property
    def content(self) -> memoryview:
        memory = mmap.mmap(-1, BUFFER)
        memory[: len(self.data)] = self.data
        return memoryview(memory)[: len(self.data)]

    def give_back(self) -> None:
        """Do nothing: it is not shared."""


class _Arena:
    """Buffers side by side in a file that is nowhere but in memory."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._free = list(range(SHARED))  # a heap: the same few are used again and again
        self._memory = mmap.mmap(descriptor, SHARED * BUFFER)
        self._view = memoryview(self._memory)

    def at(self, number: int) -> memoryview:
        return self._view[number * BUFFER : (number + 1) * BUFFER]

    def take(self) -> int | None:
        with suppress(IndexError):  # heapq is in C, and each call in one piece: threads share it
            return heappop(self._free)
        return None

    def give_back(self, number: int) -> None:
        if number >= KEPT:
            with suppress(AttributeError, OSError):  # not everywhere; then it keeps its pages
                self._memory.madvise(mmap.MADV_REMOVE, number * BUFFER, BUFFER)
        heappush(self._free, number)


@cache
def _own() -> _Arena | None:
    """This process's; None where the system has, or allows, no such files."""
    try:
        descriptor = os.memfd_create("ocelli-arriving")
    except (AttributeError, OSError):
        return None
    try:
        os.ftruncate(descriptor, SHARED * BUFFER)
        return _Arena(f"/proc/{os.getpid()}/fd/{descriptor}", descriptor)
    except OSError:
        os.close(descriptor)
        return None


@cache
def _of_parent(path: str) -> _Arena:
    descriptor = os.open(path, os.O_RDWR)
    try:
        return _Arena(path, descriptor)
    finally:
        os.close(descriptor)
