"""Memory for files that are still arriving, which a child process can see too."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from heapq import heappop, heappush
from mmap import mmap
from typing import TYPE_CHECKING

from ocelli.domain.accounts import MEGABYTE

if TYPE_CHECKING:
    from collections.abc import Callable

BUFFER = MEGABYTE
SHARED = 128  # buffers that children can see; whoever comes when they are taken gets one of its own
KEPT = 32  # those beyond so many, which only a crowd takes, give their pages back to the system


class Buffer:
    """A megabyte, from an address that is a multiple of a page. To be given back, once."""

    def __init__(self) -> None:
        arena = _own()
        self._arena = arena if arena is not None and arena.free else None
        if self._arena is None:
            self.view = memoryview(mmap(-1, BUFFER))
        else:
            self._number = heappop(self._arena.free)
            self.view = self._arena.at(self._number)

    def give_back(self) -> None:
        """Nobody looks at it any more: it is for the next one."""
        if self._arena is not None:
            self._arena.give_back(self._number)

    @property
    def shared_as(self) -> tuple[str, int] | None:
        """Where a child finds it: the arena's path, and its number there."""
        return None if self._arena is None else (self._arena.path, self._number)


@dataclass(frozen=True, slots=True)
class InHand:
    """The whole content of a small file, which is on no disk yet; implements ports.Small.

    Sent to a child process it is the same memory there, or a copy where that cannot be had.
    """

    buffer: Buffer
    size: int

    @property
    def content(self) -> memoryview:
        """See ports.Small."""
        return self.buffer.view[: self.size]

    def give_back(self) -> None:
        """See ports.Small."""
        self.buffer.give_back()

    def __reduce__(self) -> tuple[Callable[..., _Elsewhere], tuple[object, ...]]:
        if shared := self.buffer.shared_as:
            return _shared, (*shared, self.size)
        return _copied, (bytes(self.content),)


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """InHand, for a child of the process that has it."""

    content: memoryview

    def give_back(self) -> None:
        """It is not ours."""


class _Arena:
    """Buffers side by side in a file that is nowhere but in memory."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self.free = list(range(SHARED))  # a heap: the same few are used again and again
        self._memory = mmap(descriptor, SHARED * BUFFER)
        self._view = memoryview(self._memory)

    def at(self, number: int) -> memoryview:
        return self._view[number * BUFFER : (number + 1) * BUFFER]

    def give_back(self, number: int) -> None:
        if number >= KEPT:
            from mmap import MADV_REMOVE  # Linux has it, as it has memfd_create

            self._memory.madvise(MADV_REMOVE, number * BUFFER, BUFFER)
        heappush(self.free, number)  # in C, and so in one piece: threads share it


@cache
def _own() -> _Arena | None:
    """This process's; None where the system has no such files."""
    if not hasattr(os, "memfd_create"):
        return None
    descriptor = os.memfd_create("ocelli-arriving")
    os.ftruncate(descriptor, SHARED * BUFFER)
    return _Arena(f"/proc/{os.getpid()}/fd/{descriptor}", descriptor)


@cache
def _of_parent(path: str) -> _Arena:
    descriptor = os.open(path, os.O_RDWR)
    try:
        return _Arena(path, descriptor)
    finally:
        os.close(descriptor)


def _shared(path: str, number: int, size: int) -> _Elsewhere:
    return _Elsewhere(_of_parent(path).at(number)[:size])


def _copied(content: bytes) -> _Elsewhere:
    memory = mmap(-1, BUFFER)
    memory[: len(content)] = content
    return _Elsewhere(memoryview(memory)[: len(content)])
