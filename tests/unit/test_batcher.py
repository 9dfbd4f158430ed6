"""Many served at once: nobody waits for nothing, nobody pays for another's mistake."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from ocelli.domain.errors import Unavailable
from ocelli.usecases.batcher import AT_ONCE, Batcher


class Squares:
    """Serves numbers; notes how many came at once. Zero is a mistake."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.down = False

    async def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.groups.append(list(numbers))
        await asyncio.sleep(0.001)
        if self.down:
            raise Unavailable("gone")
        if 0 in numbers:
            raise ValueError("zero")
        return [number * number for number in numbers]


async def test_those_who_come_meanwhile_are_served_together() -> None:
    serve = Squares()
    together = Batcher(serve)
    assert await asyncio.gather(*(together("a", n) for n in range(1, 11))) == [
        n * n for n in range(1, 11)
    ]
    assert sum(map(len, serve.groups)) == 10
    assert len(serve.groups) <= 2
    assert await together("a", 7) == 49
    assert serve.groups[-1] == [7]


async def test_keys_do_not_mix() -> None:
    serve = Squares()
    together = Batcher(serve)
    await asyncio.gather(*(together(n % 2, n) for n in range(1, 9)))
    assert all(len({n % 2 for n in group}) == 1 for group in serve.groups)


async def test_a_mistake_is_its_makers_alone() -> None:
    together = Batcher(Squares())
    answers = await asyncio.gather(
        *(together("a", n) for n in (3, 0, 4, 0, 5)), return_exceptions=True
    )
    assert [type(each) for each in answers] == [int, ValueError, int, ValueError, int]
    assert [each for each in answers if isinstance(each, int)] == [9, 16, 25]


async def test_what_is_down_is_not_asked_for_each() -> None:
    serve = Squares()
    serve.down = True
    together = Batcher(serve)
    answers = await asyncio.gather(
        *(together("a", n) for n in range(1, 21)), return_exceptions=True
    )
    assert all(isinstance(each, Unavailable) for each in answers)
    assert len(serve.groups) <= 2


async def test_groups_are_bounded() -> None:
    serve = Squares()
    together = Batcher(serve)
    await asyncio.gather(*(together("a", n) for n in range(1, 3 * AT_ONCE)))
    assert max(map(len, serve.groups)) <= AT_ONCE


async def test_one_who_leaves_disturbs_nobody() -> None:
    together = Batcher(Squares())
    leaving = asyncio.create_task(together("a", 2))
    staying = [asyncio.create_task(together("a", n)) for n in (3, 4)]
    await asyncio.sleep(0)
    leaving.cancel()
    assert await asyncio.gather(*staying) == [9, 16]
    with pytest.raises(asyncio.CancelledError):
        await leaving
