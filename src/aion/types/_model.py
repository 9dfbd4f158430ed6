"""One mechanism that turns the server's JSON into frozen dataclasses, and back.

A field is filled from the key of its own name, or from the paths of its :class:`From`. Keys that
no field names are ignored, so a newer server never breaks an older client.
"""

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import UTC, date, datetime
from enum import Enum
from typing import Annotated, Any, ClassVar, Self, TypeVar

from aion.exceptions import ServerError

T = TypeVar("T")


@dataclass(frozen=True, init=False)
class From:
    """In ``Annotated[str, From("id", "counts.total")]``: fill the field from the first of these
    paths that holds something. A path is a key, or keys joined by dots; ``-1`` is a list's last.
    """

    paths: tuple[str, ...]

    def __init__(self, *paths: str) -> None:
        object.__setattr__(self, "paths", paths)


@dataclass(frozen=True)
class _Reader:
    """How one field is read."""

    name: str
    required: bool
    paths: tuple[str, ...]
    convert: Callable[[Any], Any]


@typing.dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """A frozen dataclass that takes what it can from :class:`Model`: half the time to import."""
    return dataclass(frozen=True, eq=False, repr=False)(cls)


class Model:
    """Base of every answer type: :meth:`from_api_response` reads it, :meth:`to_dict` writes it."""

    _read_by: ClassVar[tuple[_Reader, ...]]

    @classmethod
    def from_api_response(cls, data: Mapping[str, Any], **known: Any) -> Self:
        """Build the object from a decoded JSON object; ``known`` values win over ``data``.

        Raises:
            ServerError: the answer lacks a required field, or holds one of the wrong kind.
        """
        if not isinstance(data, Mapping):
            raise _unreadable(cls, f"a JSON object was expected, not {type(data).__name__}")
        values = dict(known)
        for reader in _readers(cls):
            if reader.name not in values:
                value = _pick(data, reader.paths)
                if value is not None:
                    values[reader.name] = _read(cls, reader, value)
        missing = [r.name for r in _readers(cls) if r.required and r.name not in values]
        if missing:
            raise _unreadable(cls, f"it lacks {', '.join(missing)}")
        return cls(**values)

    def __repr__(self) -> str:
        pairs = (f"{r.name}={getattr(self, r.name)!r}" for r in _readers(type(self)))
        return f"{type(self).__qualname__}({', '.join(pairs)})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, r.name) for r in _readers(type(self)))

    def to_dict(self, exclude_none: bool = True) -> dict[str, Any]:
        """The fields as JSON-serialisable values.

        Args:
            exclude_none: leave out fields that are ``None`` (also in nested objects).
        """
        pairs = ((r.name, getattr(self, r.name)) for r in _readers(type(self)))
        return {k: _plain(v, exclude_none) for k, v in pairs if not (exclude_none and v is None)}


def _unreadable(cls: type, why: str) -> ServerError:
    return ServerError(
        f"The server's answer cannot be read as {cls.__name__}: {why}", code="INVALID_RESPONSE"
    )


def _readers(cls: type[Model]) -> tuple[_Reader, ...]:
    if "_read_by" not in cls.__dict__:
        cls._read_by = tuple(map(_reader, fields(cls)))  # type: ignore[arg-type]
    return cls._read_by


def _reader(item: Field[Any]) -> _Reader:
    hint, paths = item.type, (item.name,)
    if typing.get_origin(hint) is Annotated:
        hint, source = typing.get_args(hint)
        paths = source.paths
    required = item.default is MISSING and item.default_factory is MISSING
    return _Reader(item.name, required, paths, _converter(hint))


def _pick(data: Mapping[str, Any], paths: tuple[str, ...]) -> Any:
    """The first value of these paths that is neither missing, null nor an empty list."""
    empty = None
    for path in paths:
        value = _follow(data, path)
        if value is None:
            continue
        if value != []:
            return value
        empty = value
    return empty


def _follow(data: Any, path: str) -> Any:
    for key in path.split("."):
        if isinstance(data, Mapping):
            data = data.get(key)
        elif isinstance(data, list) and data and key == "-1":
            data = data[-1]
        else:
            return None
    return data


def _read(cls: type[Model], reader: _Reader, value: Any) -> Any:
    try:
        return reader.convert(value)
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise _unreadable(cls, f"{reader.name} is {value!r}") from error


def _converter(hint: Any) -> Callable[[Any], Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        wanted = [a for a in arguments if a is not type(None)]
        return _converter(wanted[0]) if len(wanted) == 1 else _same
    if origin is list:
        convert = _converter(arguments[0])
        return lambda value: [convert(v) for v in _expect(list, value)]
    if origin is dict:
        convert = _converter(arguments[1])
        return lambda value: {k: convert(v) for k, v in _expect(dict, value).items()}
    if isinstance(hint, type):
        return _scalar(hint)
    return _same


def _scalar(hint: type) -> Callable[[Any], Any]:
    if issubclass(hint, Model):
        return hint.from_api_response
    if hint is datetime:
        return parse_time
    if hint is date:
        return date.fromisoformat
    if hint is bool:
        return lambda value: _expect(bool, value)
    if issubclass(hint, Enum) or hint in (int, float, str):
        return hint
    return _same


def _same(value: Any) -> Any:
    return value


def _expect(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{kind.__name__} expected")
    return value


def parse_time(text: str) -> datetime:
    """An ISO 8601 time as an aware datetime; one without a zone is UTC.

    >>> parse_time("2026-01-31T12:00:00")
    datetime.datetime(2026, 1, 31, 12, 0, tzinfo=datetime.timezone.utc)
    """
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _plain(value: Any, exclude_none: bool) -> Any:
    if isinstance(value, Model):
        return value.to_dict(exclude_none)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(v, exclude_none) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v, exclude_none) for k, v in value.items()}
    return value
