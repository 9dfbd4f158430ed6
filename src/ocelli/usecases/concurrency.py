"""Bounded concurrency: a few items at a time, results in the order of the items."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from ocelli.domain.errors import OcelliError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

STORED_AT_ONCE = 4  # files of one request

T = TypeVar("T")
R = TypeVar("R")


async def bounded_map(
    work: Callable[[T], Awaitable[R]], items: Sequence[T], *, at_once: int
) -> list[R]:
    """Return the results of ``work``. The first error cancels the others and is raised."""
    if len(items) == 1:
        return [await work(items[0])]
    semaphore = asyncio.Semaphore(at_once)

    async def one(item: T) -> R:
        async with semaphore:
            return await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in items]
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__
    return [task.result() for task in tasks]


async def store_all(
    store: Callable[[T], Awaitable[R]],
    items: Sequence[T],
    on_error: Callable[[T, OcelliError], R],
) -> list[R]:
    """Store each item; an OcelliError of one does not affect the others.

    ``on_error`` returns the result in its place, or raises to fail all of them.
    """

    async def one(item: T) -> R:
        try:
            return await store(item)
        except OcelliError as error:
            return on_error(item, error)

    return await bounded_map(one, items, at_once=STORED_AT_ONCE)
