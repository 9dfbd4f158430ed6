"""Several files that are handed on together, and references to them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import field
from typing import Annotated, Any, NoReturn, Self, overload

from aion.types._model import From, Model, record

IMAGES, UNKNOWN, MIXED = "images", "unknown", "mixed"


@record
class FileRef(Model):
    """A file by its id; ``size_bytes`` and the rest as far as they are known."""

    id: Annotated[str, From("id", "image_id")]
    media_type: str = "application/octet-stream"
    filename: str | None = None
    size_bytes: int | None = None
    metadata: dict[str, Any] | None = field(default=None)

    def __hash__(self) -> int:
        return hash((self.id, self.media_type, self.filename, self.size_bytes))


class FileCollection:
    """An unchangeable sequence of files; a part of it is one again.

    Attributes:
        refs: the files.
        content_type: ``images``, ``documents``, ``mixed`` or ``unknown``.
        source_capability: what found them, e.g. ``search``; several are joined by ``+``.

    >>> pictures = FileCollection.from_ids(["a", "b", "c"], "images")
    >>> len(pictures), pictures[:2].ids, pictures[0].id
    (3, ['a', 'b'], 'a')
    """

    __slots__ = ("_content_type", "_refs", "_source_capability")

    def __init__(
        self,
        refs: Iterable[FileRef] | None = None,
        content_type: str = UNKNOWN,
        source_capability: str | None = None,
    ) -> None:
        object.__setattr__(self, "_refs", tuple(refs or ()))
        object.__setattr__(self, "_content_type", content_type)
        object.__setattr__(self, "_source_capability", source_capability)

    _refs: tuple[FileRef, ...]
    _content_type: str
    _source_capability: str | None

    @property
    def refs(self) -> tuple[FileRef, ...]:
        """The files."""
        return self._refs

    @property
    def ids(self) -> list[str]:
        """The ids of the files."""
        return [ref.id for ref in self._refs]

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self._refs)

    @property
    def content_type(self) -> str:
        """``images``, ``documents``, ``mixed`` or ``unknown``."""
        return self._content_type

    @property
    def source_capability(self) -> str | None:
        """What found them."""
        return self._source_capability

    @classmethod
    def from_ids(
        cls,
        ids: Iterable[str],
        content_type: str = UNKNOWN,
        source_capability: str | None = None,
    ) -> Self:
        """Build a collection of files of which only the ids are known."""
        refs = [FileRef(id, "image/*") if content_type == IMAGES else FileRef(id) for id in ids]
        return cls(refs, content_type, source_capability)

    @classmethod
    def merge(cls, *collections: "FileCollection") -> Self:
        """Put collections together, in order; of one file's references the fuller one stays."""
        refs: dict[str, FileRef] = {}
        for ref in (ref for it in collections for ref in it):
            if ref.id not in refs or _fullness(ref) > _fullness(refs[ref.id]):
                refs[ref.id] = ref
        kinds = {it.content_type for it in collections} - {UNKNOWN}
        kind = UNKNOWN if not kinds else kinds.pop() if len(kinds) == 1 else MIXED
        sources = dict.fromkeys(it.source_capability for it in collections if it.source_capability)
        return cls(refs.values(), kind, "+".join(sources) or None)

    def filter(self, predicate: Callable[[FileRef], bool]) -> "FileCollection":
        """Return the files for which ``predicate`` is true."""
        return self._part(ref for ref in self._refs if predicate(ref))

    def to_dict(self) -> dict[str, Any]:
        """The collection as JSON-serialisable values."""
        return {
            "refs": [ref.to_dict() for ref in self._refs],
            "count": self.count,
            "content_type": self._content_type,
            "source_capability": self._source_capability,
        }

    def _part(self, refs: Iterable[FileRef]) -> "FileCollection":
        return FileCollection(refs, self._content_type, self._source_capability)

    def __len__(self) -> int:
        return len(self._refs)

    def __iter__(self) -> Iterator[FileRef]:
        return iter(self._refs)

    @overload
    def __getitem__(self, index: int) -> FileRef: ...

    @overload
    def __getitem__(self, index: slice) -> "FileCollection": ...

    def __getitem__(self, index: int | slice) -> "FileRef | FileCollection":
        if isinstance(index, slice):
            return self._part(self._refs[index])
        return self._refs[index]

    def _values(self) -> tuple[Any, ...]:
        return self._refs, self._content_type, self._source_capability

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileCollection) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        return (
            f"FileCollection(count={self.count}, content_type={self._content_type!r}, "
            f"source_capability={self._source_capability!r})"
        )

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a FileCollection cannot be changed: {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a FileCollection cannot be changed: {name}")

    def __reduce__(self) -> tuple[Any, ...]:
        return FileCollection, self._values()


def _fullness(ref: FileRef) -> tuple[int, bool]:
    return len(ref.metadata or {}), ref.filename is not None
