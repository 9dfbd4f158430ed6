"""The sight test: its pictures, its rules, and its verdict on servers that see and that do not."""

from __future__ import annotations

import io
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.upstream.sighted import SightedServer

from ocelli.backends.local.backend import LocalBackend
from ocelli.backends.registry import configure, registry
from ocelli.domain.errors import AnalysisFailed
from ocelli.domain.sight import (
    COLORS,
    SHAPES,
    WORDS,
    Kind,
    SightRecord,
    SightReport,
    Trial,
    TrialAnswer,
    Trials,
    draw_trials,
    verdict,
)
from ocelli.media.sight_pictures import draw
from ocelli.usecases.sight import SightGate, SightSubject
from ocelli.usecases.sight_test import run_sight_test

COUNTS = Trial("counts", "?", kinds=(Kind("circle", "red", 3), Kind("square", "blue", 2)))
SIDES = Trial("sides", "?", kinds=(Kind("circle", "red"), Kind("square", "blue")), sides=True)


@given(st.integers())
def test_no_question_holds_its_answer(seed: int) -> None:
    trials = draw_trials(random.Random(seed))
    for trial in (*trials.shown, trials.blank):
        assert not any(each.leaks(trial.question) for each in trials.shown)
        for name in (*WORDS, *COLORS, *SHAPES):
            assert name.casefold() not in trial.question.casefold().split()


def test_pictures_are_large_and_new_each_time() -> None:
    files = set()
    for seed in range(3):
        rng = random.Random(seed)
        trials = draw_trials(rng)
        for trial in trials.shown:
            drawn = draw(trial, rng)
            with Image.open(io.BytesIO(drawn.data)) as opened:
                assert opened.size == (drawn.width, drawn.height)
                assert min(opened.size) >= 256
            files.add(drawn.data)
        assert draw(trials.blank, rng).pixels.min() == 255
    assert len(files) == 9


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("There are three red circles and two blue squares.", True),
        ("3 red circles, 2 blue squares", True),
        ("1. Red circles: 3\n2. Blue squares: 2", True),
        ("Circles (red): 3; squares (blue): 2", True),
        ("- Red circle × 3\n- Blue square × 2", True),
        ("I see three circles that are red, and two squares in blue.", True),
        ("There are two red circles and three blue squares.", False),
        ("There are three or four red circles and two blue squares: 4 circles.", False),
        ("Three red circles, two blue squares, and a green triangle.", False),
        ("Some circles and squares.", False),
        ("", False),
    ],
)
def test_counts(answer: str, right: bool) -> None:
    assert COUNTS.is_right(answer) is right


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("On the left is a red circle, and on the right is a blue square.", True),
        ("On the left, there is a red circle. On the right, there is a blue square.", True),
        ("A red circle is to the left of a blue square.", True),
        ("A blue square is on the right of a red circle.", True),
        ("Left: red circle\nRight: blue square", True),
        ("The circle is red and stands on the left; the square is blue and on the right.", True),
        ("The shape on the left is a circle and is red. The right one is a blue square.", True),
        ("A blue square on the left and a red circle on the right.", False),
        ("A red circle and a blue square.", False),
        ("A red circle on the left, a blue square and a green triangle on the right.", False),
    ],
)
def test_sides(answer: str, right: bool) -> None:
    assert SIDES.is_right(answer) is right


def test_the_rules() -> None:
    """Two of three, or all words; and a blank picture that yields nothing of it."""
    words = Trial("words", "?", words=("LADDER", "TIGER", "WALNUT"))
    trials = Trials((words, COUNTS, SIDES), Trial("blank", "?"))
    right = {
        "words": "Ladder and tiger.",
        "counts": "Three red circles and two blue squares.",
        "sides": "Left: red circle. Right: blue square.",
        "blank": "Nothing at all.",
    }

    def judged(**answers: str) -> SightReport | None:
        pairs = {each.name: each for each in (*trials.shown, trials.blank)}
        return verdict(trials, [TrialAnswer(pairs[name], said) for name, said in answers.items()])

    wrong = {"words": "A cat.", "counts": "A dog.", "sides": "A cow."}
    assert judged() is None
    assert judged(words=right["words"]) is None
    blind = judged(words=wrong["words"], counts=wrong["counts"])
    assert blind is not None
    assert not blind.sees
    assert "none of 2" in blind.reason
    once = judged(**{**wrong, "words": right["words"]})
    assert once is not None
    assert not once.sees
    seen = judged(**{**right, "sides": wrong["sides"], "blank": right["blank"]})
    assert seen == SightReport(True, "", seen.answers if seen else ())
    read = judged(words="LADDER TIGER WALNUT", blank="A white picture.")
    assert read is not None
    assert read.sees
    for leak in ("Ladder", right["counts"], right["sides"]):
        found = judged(words="LADDER TIGER WALNUT", blank=leak)
        assert found is not None
        assert not found.sees
        assert "blank" in found.reason


@pytest.fixture(scope="module")
def upstream() -> Iterator[SightedServer]:
    with SightedServer() as server:
        yield server


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def report_of(
    session: aiohttp.ClientSession, upstream: SightedServer, model: str, seed: int = 0
) -> SightReport:
    given: dict[str, Any] = upstream.backend(model)
    backend = registry(LocalBackend(), [configure(model, given, {})], session).get(model)
    assert backend is not None
    return await run_sight_test(backend, random.Random(seed))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("model", "sees"),
    [
        ("sighted", True),
        ("prose", True),
        ("mostly", True),
        ("blind", False),
        ("lister", False),
        ("echo", False),
        ("sometimes", False),
    ],
)
async def test_who_sees(
    session: aiohttp.ClientSession, upstream: SightedServer, model: str, sees: bool, seed: int
) -> None:
    upstream.asked.clear()
    upstream.rewind()
    report = await report_of(session, upstream, model, seed)
    assert report.sees is sees, report
    assert bool(report.reason) is not sees
    assert len(report.answers) == upstream.calls(model) <= 4


async def test_one_that_cannot_be_asked_shows_nothing(
    session: aiohttp.ClientSession, upstream: SightedServer
) -> None:
    upstream.broken = True
    try:
        with pytest.raises(AnalysisFailed):
            await report_of(session, upstream, "shaky")
    finally:
        upstream.broken = False


class _Remembering:
    """A store that gives nothing back yet."""

    def __init__(self) -> None:
        self.written: list[bool] = []

    async def read(self, keys: Sequence[str]) -> dict[str, SightRecord]:
        return {}

    async def claim(self, key: str, seconds: float) -> bool:
        return not self.written

    async def hold(self, key: str, seconds: float, reason: str | None = None) -> None: ...

    async def write(self, key: str, *, sees: bool, reason: str) -> None:
        self.written.append(sees)

    async def doubt(self, key: str, reason: str) -> None: ...


async def test_a_result_counts_before_it_is_read_back(
    session: aiohttp.ClientSession, upstream: SightedServer
) -> None:
    gate = SightGate([SightSubject("sighted", "key", is_tested=True, failures=2)])
    given = [configure("sighted", upstream.backend("sighted"), {})]
    backends = registry(LocalBackend(), given, session, sight=gate)
    store = _Remembering()
    await gate.settle(store, backends.configured)
    assert store.written == [True]
    assert backends.default.name == "sighted"
