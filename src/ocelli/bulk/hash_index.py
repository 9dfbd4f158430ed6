"""A compact index from 64-bit hashes to numbers: 16 bytes an entry, whatever it stands for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

MERGED_AT = 65_536  # entries that are kept in a dictionary until they are sorted in
_MASK = (1 << sys.hash_info.width) - 1


def hash_of(text: str) -> int:
    """Return the hash of a text, the same in this process alone.

    It is Python's own, keyed with a secret of the process: no name can be made to equal another's.
    By chance that happens among ten million with a probability of 3 in a million.
    """
    return hash(text) & _MASK


def hashes_of(texts: Iterable[str]) -> NDArray[np.uint64]:
    """Return the hashes of several texts."""
    return np.fromiter((hash_of(text) for text in texts), np.uint64)


class HashIndex:
    """A hash may have several values; they keep their order."""

    def __init__(self) -> None:
        self._hashes = np.empty(0, np.uint64)
        self._values = np.empty(0, np.int64)
        self._recent: dict[int, list[int]] = {}
        self._counts: dict[int, int] = {}  # of ``count_and_add``
        self._unsorted: list[tuple[NDArray[np.uint64], NDArray[np.int64]]] = []

    def extend(self, hashes: NDArray[np.uint64], values: NDArray[np.int64]) -> None:
        """Add many; they are sorted in with the next search."""
        self._unsorted.append((hashes, values))

    def add(self, hash: int, value: int) -> None:
        """Add one."""
        self._recent.setdefault(hash, []).append(value)
        self._merge()

    def count_and_add(self, hashes: NDArray[np.uint64]) -> list[int]:
        """Return how many values each has so far, and give it one more, which is 0."""
        left, right = self.ranges(hashes)
        recent = self._counts
        counts = []
        for hash, sorted_in in zip(hashes.tolist(), (right - left).tolist(), strict=True):
            more = recent.get(hash, 0)
            recent[hash] = more + 1
            counts.append(sorted_in + more)
        if len(recent) >= MERGED_AT:
            many = np.repeat(
                np.fromiter(recent.keys(), np.uint64, len(recent)),
                np.fromiter(recent.values(), np.int64, len(recent)),
            )
            recent.clear()
            self.extend(many, np.zeros(len(many), np.int64))
        return counts

    def first(self, hash: int) -> int | None:
        """Return the first value of a hash; None if it has none."""
        self._sort()
        at = int(np.searchsorted(self._hashes, np.uint64(hash)))
        if at < len(self._hashes) and int(self._hashes[at]) == hash:
            return int(self._values[at])
        return self._recent.get(hash, [None])[0]

    def ranges(self, hashes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where the values of each hash begin and end, of all but those that ``add`` keeps
        apart.
        """
        self._sort()
        return (
            np.searchsorted(self._hashes, hashes, "left"),
            np.searchsorted(self._hashes, hashes, "right"),
        )

    def values_at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return values by their positions in ranges; the last one for those beyond."""
        if not len(self._values):
            return np.zeros(len(positions), np.int64)
        return self._values[np.minimum(positions, len(self._values) - 1)]

    def _merge(self) -> None:
        if len(self._recent) < MERGED_AT:
            return
        pairs = [(key, each) for key, values in self._recent.items() for each in values]
        self._recent.clear()
        self.extend(
            np.fromiter((key for key, _ in pairs), np.uint64, len(pairs)),
            np.fromiter((each for _, each in pairs), np.int64, len(pairs)),
        )

    def _sort(self) -> None:
        if not self._unsorted:
            return
        hashes = np.concatenate([self._hashes, *(each for each, _ in self._unsorted)])
        values = np.concatenate([self._values, *(each for _, each in self._unsorted)])
        self._unsorted.clear()
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._values = hashes[order], values[order]
