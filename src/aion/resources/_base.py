"""What all resources share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aion.exceptions import ValidationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from datetime import date
    from typing import ParamSpec, TypeVar

    from aion._http import Http
    from aion.config import ClientConfig
    from aion.types.common import VerificationLevel
    from aion.types.vocabularies import VocabularyMode

    P = ParamSpec("P")
    T = TypeVar("T")


class Resource:
    """A part of the API; ``connect`` gives the open connection."""

    def __init__(self, config: ClientConfig, connect: Callable[[], Http]) -> None:
        self._config = config
        self._connect = connect

    @property
    def _http(self) -> Http:
        return self._connect()


def require(condition: bool, message: str, field: str) -> None:
    """Refuse an argument before anything is sent."""
    if not condition:
        raise ValidationError(message, details={"field": field})


def given(**values: Any) -> dict[str, Any]:
    """The values that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def level_name(level: VerificationLevel | str) -> str:
    """The name of a verification level. Raises ValidationError if there is none of it."""
    from aion.types.common import VerificationLevel

    levels = list(VerificationLevel)
    message = f"verification_level must be one of {', '.join(levels)}, not {level!r}"
    require(level in levels, message, "verification_level")
    return VerificationLevel(level).value


def moment(value: date | str | None) -> str | None:
    """A day or a moment as the API wants it."""
    return value if value is None or isinstance(value, str) else value.isoformat()


def flag(value: bool) -> str:
    """A boolean as the API wants it in queries and forms."""
    return "true" if value else "false"


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that reads the disk without holding up the event loop."""
    import asyncio  # here, because it is half of this package's import time

    return await asyncio.to_thread(function, *args, **kwargs)


async def pages(
    fetch: Callable[[dict[str, Any]], Awaitable[tuple[Sequence[T], bool, str | None]]],
) -> AsyncIterator[T]:
    """All items of a paged list.

    ``fetch(where)`` asks for the page that begins there, and gives its items, whether others
    follow, and the cursor behind it. A server without cursors is asked by offset, which skips and
    repeats items when others are deleted or added meanwhile.
    """
    where: dict[str, Any] = {"offset": 0}
    seen = 0
    while True:
        items, more, cursor = await fetch(where)
        for item in items:
            yield item
        seen += len(items)
        if cursor is not None:
            where = {"cursor": cursor}
        elif more and items and "cursor" not in where:
            where = {"offset": seen}
        else:
            return


def upload_fields(
    level: VerificationLevel | str | None,
    vocabulary: str | None,
    mode: VocabularyMode | None,
    policy: str | None,
) -> dict[str, str]:
    """The form fields of an upload that are sent only if the caller asked for them."""
    return given(
        verification_level=None if level is None else level_name(level),
        vocabulary=vocabulary,
        vocabulary_mode=mode,
        escalation_policy=policy,
    )
