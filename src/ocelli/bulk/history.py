"""What the shards of an output hold already: sources that have a row, and contents by their key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ocelli.bulk.hash_index import HashIndex, hash_of, hashes_of
from ocelli.bulk.rows import RowStatus
from ocelli.bulk.shards import read, shards

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ocelli.bulk.rows import Row

_STATUSES = tuple(RowStatus)
_COMPACTED_AT = 65_536


class History:
    """About 100 bytes for each row, whatever is in it."""

    def __init__(self) -> None:
        self._by_source = HashIndex()  # → number of the status
        self._by_key = HashIndex()  # → number of the source
        self._listed = HashIndex()
        self._sources: list[pa.Array] = []
        self._offsets: list[int] = [0]
        self._recent: list[str] = []
        self.rows = 0

    def load(self, folder: Path) -> None:
        """Read all shards. Raises UnreadableShard."""
        for path in shards(folder):
            table = read(path, ["source", "key", "status"]).combine_chunks()
            sources, keys, status = table["source"], table["key"], table["status"]
            numbers = pc.index_in(status, pa.array([each.value for each in _STATUSES]))
            self._by_source.extend(
                hashes_of(sources.to_pylist()), numbers.to_numpy().astype(np.int64)
            )
            is_first = pc.and_(keys.is_valid(), pc.not_equal(status, RowStatus.DUPLICATE.value))
            firsts = sources.filter(is_first).cast(pa.binary()).combine_chunks()
            start = self._offsets[-1]
            self._by_key.extend(
                hashes_of(keys.filter(is_first).to_pylist()),
                np.arange(start, start + len(firsts), dtype=np.int64),
            )
            self._keep(firsts)
            self.rows += len(sources)

    def take(self, sources: Sequence[str]) -> list[RowStatus | None]:
        """Return for each listed source the status of its row; None if it has none yet.

        A source that is listed for the second time has the second one of its rows.
        """
        hashes = hashes_of(sources)
        left, right = self._by_source.ranges(hashes)
        positions = left + np.array(self._listed.count_and_add(hashes), np.int64)
        numbers = self._by_source.values_at(positions).tolist()
        return [
            _STATUSES[number] if is_held else None
            for number, is_held in zip(numbers, (positions < right).tolist(), strict=True)
        ]

    def first_with(self, key: str) -> str | None:
        """Return the source of the row that describes this content; None if there is none."""
        number = self._by_key.first(hash_of(key))
        return None if number is None else self._source(number)

    def add(self, row: Row) -> None:
        """Remember the content of a new row that is no duplicate."""
        if row.key is None:
            return
        self._by_key.add(hash_of(row.key), self._offsets[-1] + len(self._recent))
        self._recent.append(row.source)
        if len(self._recent) >= _COMPACTED_AT:
            texts = [each.encode("utf-8", "backslashreplace") for each in self._recent]
            self._keep(pa.array(texts, pa.binary()))
            self._recent = []

    def _keep(self, sources: pa.Array) -> None:
        self._sources.append(sources)
        self._offsets.append(self._offsets[-1] + len(sources))

    def _source(self, number: int) -> str:
        if number >= self._offsets[-1]:
            return self._recent[number - self._offsets[-1]]
        at = int(np.searchsorted(self._offsets, number, "right")) - 1
        text: bytes = self._sources[at][number - self._offsets[at]].as_py()
        return text.decode()
