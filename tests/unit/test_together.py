"""Many served at once: nobody waits for nothing, nobody pays for another's mistake."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from ocelli.domain.errors import Unavailable
from ocelli.usecases.together import AT_ONCE, Shared, Together


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
    together = Together(serve)
    assert await asyncio.gather(*(together("a", n) for n in range(1, 11))) == [
        n * n for n in range(1, 11)
    ]
    assert sum(map(len, serve.groups)) == 10
    assert len(serve.groups) <= 2
    assert await together("a", 7) == 49
    assert serve.groups[-1] == [7]


async def test_keys_do_not_mix() -> None:
    serve = Squares()
    together = Together(serve)
    await asyncio.gather(*(together(n % 2, n) for n in range(1, 9)))
    assert all(len({n % 2 for n in group}) == 1 for group in serve.groups)


async def test_a_mistake_is_its_makers_alone() -> None:
    together = Together(Squares())
    answers = await asyncio.gather(
        *(together("a", n) for n in (3, 0, 4, 0, 5)), return_exceptions=True
    )
    assert [type(each) for each in answers] == [int, ValueError, int, ValueError, int]
    assert [each for each in answers if isinstance(each, int)] == [9, 16, 25]


async def test_what_is_down_is_not_asked_for_each() -> None:
    serve = Squares()
    serve.down = True
    together = Together(serve)
    answers = await asyncio.gather(
        *(together("a", n) for n in range(1, 21)), return_exceptions=True
    )
    assert all(isinstance(each, Unavailable) for each in answers)
    assert len(serve.groups) <= 2


async def test_groups_are_bounded() -> None:
    serve = Squares()
    together = Together(serve)
    await asyncio.gather(*(together("a", n) for n in range(1, 3 * AT_ONCE)))
    assert max(map(len, serve.groups)) <= AT_ONCE


async def test_one_who_leaves_disturbs_nobody() -> None:
    together = Together(Squares())
    leaving = asyncio.create_task(together("a", 2))
    staying = [asyncio.create_task(together("a", n)) for n in (3, 4)]
    await asyncio.sleep(0)
    leaving.cancel()
    assert await asyncio.gather(*staying) == [9, 16]
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_nobody_hears_what_was_true_before_asking() -> None:
    shared: Shared[int] = Shared()
    now = 0
    looked = 0

    async def look() -> int:
        nonlocal looked
        looked += 1
        seen = now
        for _ in range(20):
            await asyncio.sleep(0)
        return seen

    async def ask() -> None:
        asked_at = now
        assert await shared("it", look) >= asked_at

    asking = []
    for _ in range(200):
        now += 1
        asking.append(asyncio.create_task(ask()))
        await asyncio.sleep(0)
    await asyncio.gather(*asking)
    assert looked < 50


async def test_one_error_for_all_who_asked() -> None:
    shared: Shared[int] = Shared()
    looked = 0

    async def look() -> int:
        nonlocal looked
        looked += 1
        raise KeyError("nothing")

    answers = await asyncio.gather(*(shared("it", look) for _ in range(10)), return_exceptions=True)
    assert all(isinstance(each, KeyError) for each in answers)
    assert looked <= 2


async def test_an_answer_serves_until_something_changes_or_it_is_too_old() -> None:
    version = looked = 0

    async def look() -> int:
        nonlocal looked
        looked += 1
        return looked

    shared: Shared[int] = Shared(lambda: version, seconds=0.2)
    assert [await shared("it", look) for _ in range(5)] == [1] * 5
    version += 1
    assert [await shared("it", look) for _ in range(5)] == [2] * 5
    assert await shared("another", look) == 3
    await asyncio.sleep(0.25)
    assert await shared("it", look) == 4


async def test_a_change_while_it_is_looked_up_is_not_missed() -> None:
    version = 0

    async def look() -> int:
        nonlocal version
        seen = version
        if version == 0:
            version += 1  # somebody else's commit, which this look no longer saw
        await asyncio.sleep(0.001)
        return seen

    shared: Shared[int] = Shared(lambda: version, seconds=10.0)
    await shared("it", look)
    assert await shared("it", look) == 1


async def test_who_asks_while_it_is_looked_up_takes_that_answer_if_nothing_changed() -> None:
    version = looked = 0

    async def look() -> int:
        nonlocal looked
        looked += 1
        seen = version
        await asyncio.sleep(0.01)
        return seen

    shared: Shared[int] = Shared(lambda: version, seconds=10.0)
    first = asyncio.create_task(shared("it", look))
    await asyncio.sleep(0.001)
    before = [asyncio.create_task(shared("it", look)) for _ in range(5)]
    assert await asyncio.gather(first, *before) == [0] * 6
    assert looked == 1

    version = 1
    first = asyncio.create_task(shared("it", look))
    await asyncio.sleep(0.001)
    version = 2
    after = [asyncio.create_task(shared("it", look)) for _ in range(5)]
    assert await asyncio.gather(first, *after) == [1] + [2] * 5
    assert looked == 3


async def test_one_who_leaves_takes_nobody_elses_answer_away() -> None:
    async def look() -> int:
        await asyncio.sleep(0.01)
        return 7

    shared: Shared[int] = Shared()
    leaving = asyncio.create_task(shared("it", look))
    await asyncio.sleep(0.001)
    staying = asyncio.create_task(shared("it", look))
    await asyncio.sleep(0.001)
    leaving.cancel()
    assert await staying == 7


async def test_in_its_second_half_an_answer_is_renewed_and_nobody_waits() -> None:
    looked = 0

    async def look() -> int:
        nonlocal looked
        looked += 1
        await asyncio.sleep(0.02)
        return looked

    shared: Shared[int] = Shared(lambda: 0, seconds=3.0)
    await shared("it", look)
    await asyncio.sleep(1.6)
    assert await shared("it", look) == 1, "who waited for the look would have the second answer"
    await asyncio.sleep(0.5)
    assert await shared("it", look) == looked == 2


async def test_an_error_is_not_kept() -> None:
    fails = True

    async def look() -> int:
        if fails:
            raise KeyError("nothing")
        return 1

    shared: Shared[int] = Shared(lambda: 0, seconds=10.0)
    with pytest.raises(KeyError):
        await shared("it", look)
    fails = False
    assert await shared("it", look) == 1
