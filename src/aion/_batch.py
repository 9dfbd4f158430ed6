"""How a call's files become requests, and how answers find their files again. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from aion._files import STREAM_LIMIT
from aion._shape import object_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from aion._files import Source
    from aion.exceptions import AionvisionError
    from aion.types.upload import UploadResult

T = TypeVar("T")

REQUEST_BYTES = 64 * 1024 * 1024  # a request with several files carries no more than this
DEFAULT_BATCH_SIZE = 10  # files per request that every plan allows
SESSION_STATES_DONE = frozenset({"completed", "failed", "expired", "cancelled", "partial"})


@dataclass(slots=True, eq=False)
class Slot:
    """One file of a call on its way: its place, its content, and what became of it."""

    index: int
    source: Source
    size: int = 0
    sha256: str = ""
    result: UploadResult | None = None
    arrived: bool = False
    described: bool = False
    cause: AionvisionError | None = None
    twins: list[Slot] = field(default_factory=list)  # files of this call with the same content


def plan_requests(
    slots: Sequence[Slot], max_files: int, max_bytes: int = REQUEST_BYTES
) -> Iterator[list[Slot]]:
    """Groups of at most ``max_files`` files and ``max_bytes`` bytes; large files go alone."""
    group: list[Slot] = []
    size = 0
    for slot in slots:
        if slot.size > STREAM_LIMIT:
            yield [slot]
            continue
        if group and (len(group) >= max_files or size + slot.size > max_bytes):
            yield group
            group, size = [], 0
        group.append(slot)
        size += slot.size
    if group:
        yield group


def in_chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Pieces of at most ``size`` items.

    >>> list(in_chunks([1, 2, 3], 2))
    [[1, 2], [3]]
    """
    for start in range(0, len(items), size):
        yield items[start : start + size]


def match_answers(
    items: Iterable[Mapping[str, Any]], slots: Sequence[Slot]
) -> list[tuple[Slot, Mapping[str, Any]]]:
    """Which item of an answer is about which file of its request.

    By ``index`` (the position in the request) where the server sends it; otherwise by name, and
    the second item of a name is about the second file of that name.
    """
    by_name: dict[str, list[Slot]] = defaultdict(list)
    for slot in reversed(slots):
        by_name[slot.source.filename].append(slot)
    pairs = []
    for item in items:
        index = item.get("index", item.get("file_index"))
        namesakes = by_name[str(item.get("filename"))]
        if isinstance(index, int) and 0 <= index < len(slots):
            slot = slots[index]
            if slot in namesakes:
                namesakes.remove(slot)
            pairs.append((slot, item))
        elif namesakes:
            pairs.append((namesakes.pop(), item))
    return pairs


def existing_ids(answer: Mapping[str, Any]) -> dict[str, str]:
    """Hash → picture of a duplicate check.

    ``duplicates`` may hold objects, or hashes with ``existing`` beside them.

    >>> existing_ids({"duplicates": ["ab"], "existing": {"ab": "1"}, "unique": []})
    {'ab': '1'}
    >>> existing_ids({"duplicates": [{"hash": "ab", "image_id": "1"}]})
    {'ab': '1'}
    """
    found = dict(object_of(answer).get("existing") or {})
    for item in answer.get("duplicates") or []:
        if isinstance(item, dict):
            digest = item.get("hash") or item.get("sha256")
            found[digest] = item.get("image_id") or item.get("existing_image_id") or item.get("id")
    return {k: v for k, v in found.items() if isinstance(k, str) and isinstance(v, str)}
