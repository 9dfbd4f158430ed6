"""What agents of one's own hand to each other, and how outputs of one type are merged."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self

from aion.types._model import Model, record
from aion.types.file_collection import FileCollection

MergeFunction = Callable[..., Any]


@record
class Category(Model):
    """Files that belong together; ``confidence`` from 0 to 1."""

    name: str
    description: str | None = None
    file_ids: tuple[str, ...] = ()
    document_ids: tuple[str, ...] = ()
    top_tags: tuple[str, ...] = ()
    confidence: float = 1.0

    @property
    def count(self) -> int:
        """How many files it has."""
        return len(self.file_ids) + len(self.document_ids)

    @property
    def content_type(self) -> str:
        """``images``, ``documents``, ``mixed`` or ``empty``."""
        if self.file_ids:
            return "mixed" if self.document_ids else "images"
        return "documents" if self.document_ids else "empty"

    def merge_with(self, other: "Category") -> "Category":
        """Return a category of the files of both, as sure as the less sure of them."""
        return replace(
            self,
            description=self.description or other.description,
            file_ids=_joined(self.file_ids, other.file_ids),
            document_ids=_joined(self.document_ids, other.document_ids),
            top_tags=_joined(self.top_tags, other.top_tags),
            confidence=min(self.confidence, other.confidence),
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build the category from what :meth:`to_dict` gave."""
        tuples = ("file_ids", "document_ids", "top_tags")
        return cls.from_api_response(data, **{name: tuple(data.get(name, ())) for name in tuples})


@record
class CategorizationResult(Model):
    """Files by category; ``status`` is ``success``, ``partial`` or ``failed``."""

    categories: tuple[Category, ...] = ()
    total_files: int = 0
    clustering_method: str = "unknown"
    status: str = "success"
    error_reason: str | None = None
    source_capability: str | None = None

    def merge(self, other: "CategorizationResult") -> "CategorizationResult":
        """Return the categories of both; those whose names differ in case only become one."""
        merged: dict[str, Category] = {}
        for category in (*self.categories, *other.categories):
            key = category.name.casefold()
            merged[key] = merged[key].merge_with(category) if key in merged else category
        files = {id for it in merged.values() for id in (*it.file_ids, *it.document_ids)}
        return replace(self, categories=tuple(merged.values()), total_files=len(files))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build the result from what :meth:`to_dict` gave."""
        categories = tuple(map(Category.from_dict, data.get("categories", ())))
        return cls.from_api_response(data, categories=categories)


@record
class AnalysisResult(Model):
    """What an analysis found."""

    summary: str
    findings: tuple[Any, ...] = ()
    document_id: str | None = None
    metadata: dict[str, Any] | None = None


@record
class TextResult(Model):
    """A text that an agent wrote."""

    text: str
    metadata: dict[str, Any] | None = None


@record
class CrossRefResult(Model):
    """How files of two groups belong together."""

    relationships: tuple[Any, ...] = ()
    source_files: tuple[str, ...] = ()
    target_files: tuple[str, ...] = ()
    summary: str = ""
    metadata: dict[str, Any] | None = None


@record
class FolderResult(Model):
    """What sorting into folders did."""

    folders_created: tuple[Any, ...] = ()
    files_moved: int = 0
    documents_moved: int = 0
    errors: tuple[str, ...] = ()
    success: bool = True


@record
class DataTypeDefinition(Model):
    """A type that agents hand on."""

    name: str
    description: str = ""
    mergeable: bool = False


class DataTypeRegistry:
    """The types that agents hand on, by name, and how several values of one become one."""

    def __init__(self) -> None:
        self._types: dict[str, DataTypeDefinition] = {}
        self._merging: dict[str, MergeFunction] = {}

    def register(
        self, definition: DataTypeDefinition, merge_fn: MergeFunction | None = None
    ) -> None:
        """Add a type, in the place of an older one; ``merge_fn`` takes the values to merge."""
        self._types[definition.name] = definition
        self._merging.pop(definition.name, None)
        if merge_fn is not None:
            self._merging[definition.name] = merge_fn

    def get(self, name: str) -> DataTypeDefinition | None:
        """Return a type, or None."""
        return self._types.get(name)

    def has_type(self, name: str) -> bool:
        """Return whether there is a type of this name."""
        return name in self._types

    def can_merge(self, name: str) -> bool:
        """Return whether values of this type can be merged."""
        return name in self._merging and self._types[name].mergeable

    def merge(self, name: str, *values: Any) -> Any:
        """Return one value for several.

        Raises:
            ValueError: there is no such type, or its values cannot be merged.
        """
        if not self.can_merge(name):
            raise ValueError(f"values of the type {name} cannot be merged")
        return self._merging[name](*values)

    def list_types(self) -> list[str]:
        """Return the names of all types."""
        return list(self._types)


def get_default_registry() -> DataTypeRegistry:
    """Return a new registry with the types of this package that can be merged."""
    registry = DataTypeRegistry()
    registry.register(
        DataTypeDefinition("file_collection", "files", mergeable=True), FileCollection.merge
    )
    registry.register(
        DataTypeDefinition("categorization_result", "files by category", mergeable=True),
        _merge_categorizations,
    )
    return registry


def _merge_categorizations(*results: CategorizationResult) -> CategorizationResult:
    merged = CategorizationResult()
    for number, result in enumerate(results):
        merged = merged.merge(result) if number else result
    return merged


def _joined(*ids: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(id for part in ids for id in part))
