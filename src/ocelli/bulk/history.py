"""What the shards of an output hold already: sources that have a row, and contents by their key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

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
            sources = table["source"].to_pylist()
            statuses = np.fromiter(
                (_STATUSES.index(each) for each in table["status"].to_pylist()), np.int64
            )
            self._by_source.extend(hashes_of(sources), statuses)
            firsts = [
                (source, key)
                for source, key, status in zip(
                    sources, table["key"].to_pylist(), statuses.tolist(), strict=True
                )
                if key is not None and _STATUSES[status] is not RowStatus.DUPLICATE
            ]
            start = self._offsets[-1]
            self._by_key.extend(
                hashes_of(key for _, key in firsts),
                np.arange(start, start + len(firsts), dtype=np.int64),
            )
            self._keep([source for source, _ in firsts])
            self.rows += len(sources)

    def take(self, sources: Sequence[str]) -> list[RowStatus | None]:
        """Return for each listed source the status of its row; None if it has none yet.

        A source that is listed for the second time has the second one of its rows.
        """
        hashes = hashes_of(sources)
        left, right = (each.tolist() for each in self._by_source.ranges(hashes))
        earlier = self._listed.count_and_add(hashes)
        return [
            _STATUSES[self._by_source.value_at(begin + nth)] if begin + nth < end else None
            for begin, end, nth in zip(left, right, earlier, strict=True)
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
            self._keep(self._recent)
            self._recent = []

    def _keep(self, sources: list[str]) -> None:
        texts = [each.encode("utf-8", "backslashreplace") for each in sources]
        self._sources.append(pa.array(texts, pa.binary()))
        self._offsets.append(self._offsets[-1] + len(sources))

    def _source(self, number: int) -> str:
        if number >= self._offsets[-1]:
            return self._recent[number - self._offsets[-1]]
        at = int(np.searchsorted(self._offsets, number, "right")) - 1
        text: bytes = self._sources[at][number - self._offsets[at]].as_py()
        return text.decode()
