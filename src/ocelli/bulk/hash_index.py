"""A compact index from 64-bit hashes to numbers: 16 bytes an entry, whatever it stands for."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

# With a secret of the process: no file and no name can be made so that it equals another's.
# By chance that happens among ten million with a probability of 3 in a million.
_SECRET = secrets.token_bytes(16)
MERGED_AT = 65_536  # entries that are kept in a dictionary until they are sorted in


def hash_of(text: str) -> int:
    """Return the hash of a text, the same in this process alone."""
    data = text.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, key=_SECRET).digest(), "big")


def hashes_of(texts: Iterable[str]) -> NDArray[np.uint64]:
    """Return the hashes of several texts."""
    return np.fromiter((hash_of(text) for text in texts), np.uint64)


class HashIndex:
    """A hash may have several values; they keep their order."""

    def __init__(self) -> None:
        self._hashes = np.empty(0, np.uint64)
        self._values = np.empty(0, np.int64)
        self._recent: dict[int, list[int]] = {}
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
        counts = []
        for hash, sorted_in in zip(hashes.tolist(), (right - left).tolist(), strict=True):
            values = self._recent.setdefault(hash, [])
            counts.append(sorted_in + len(values))
            values.append(0)
        self._merge()
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

    def value_at(self, position: int) -> int:
        """Return a value by its position in a range."""
        return int(self._values[position])

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
