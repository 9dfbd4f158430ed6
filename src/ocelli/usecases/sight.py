"""Which backends have shown that they see: only these describe, check and judge.

Results are shared by all processes of an installation, and by all commands of a user without one
(``SightStore``). One process at a time tests a backend: it holds a claim, which ends with it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ocelli.domain.errors import AnalysisFailed, FailureType, Unavailable
from ocelli.domain.sight import Sight, SightState
from ocelli.usecases.sight_test import run_sight_test

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from ocelli.domain.ports_backends import Backend
    from ocelli.domain.sight import SightRecord

log = logging.getLogger(__name__)

CLAIM = 30.0  # seconds that a claim is held without being renewed
LONGEST_PAUSE = 60.0  # seconds between two tests of a backend that cannot be asked
POLL, SLOW_POLL = 1.0, 15.0  # seconds: while a result is awaited, and while all are there
NOT_YET = "It has not been tested yet."
OFF = "Its sight test is switched off."


@dataclass(frozen=True, slots=True)
class SightSubject:
    """A backend to be tested. ``key`` stands for its server, model and version.

    ``is_tested`` is False where the settings switch the test off. After ``failures`` failed looks
    in a row it has to show again that it sees.
    """

    name: str
    key: str
    is_tested: bool
    failures: int

    @property
    def initial(self) -> SightState:
        """What is known before any test."""
        if self.is_tested:
            return SightState(Sight.UNTESTED, NOT_YET)
        return SightState(Sight.UNPROVED, OFF)


class SightStore(Protocol):
    """Remembered results by key."""

    async def read(self, keys: Sequence[str]) -> Mapping[str, SightRecord]:
        """Return what is known of these."""
        ...

    async def claim(self, key: str, seconds: float) -> bool:
        """Take the right to test for ``seconds``; False if another process has it.

        False as well if a fresh result has come meanwhile.
        """
        ...

    async def hold(self, key: str, seconds: float, reason: str | None = None) -> None:
        """Keep a claim for ``seconds`` from now on, and say why there is no result."""
        ...

    async def write(self, key: str, *, sees: bool, reason: str) -> None:
        """Remember a result, and end the claim."""
        ...

    async def doubt(self, key: str, reason: str) -> None:
        """Forget the result: it has to be tested again."""
        ...


class SightGate:
    """Implements ports_backends.SightGate. ``backends`` are those of ``subjects``, by name."""

    def __init__(self, subjects: Sequence[SightSubject]) -> None:
        self._subjects = {each.name: each for each in subjects}
        self._states = {each.name: each.initial for each in subjects}
        self._in_a_row = dict.fromkeys(self._subjects, 0)
        self._doubted: dict[str, str] = {}
        self._tests: dict[str, asyncio.Task[None]] = {}
        self._pauses: dict[str, float] = {}
        self._unasked = set[str]()  # backends that could not be asked
        self._wake = asyncio.Event()

    @property
    def has_tests(self) -> bool:
        """Whether any backend has to show that it sees."""
        return any(each.is_tested for each in self._subjects.values())

    def state(self, name: str) -> SightState | None:
        """Return what is known; None of a backend that needs no test, the local one."""
        return self._states.get(name)

    def held_back(self, name: str) -> str | None:
        """See ports_backends.SightGate."""
        state = self._states.get(name)
        return None if state is None or state.sight.may_look else state.reason

    def looked(self, name: str, failure: AnalysisFailed | None) -> None:
        """See ports_backends.SightGate. What is wrong with a picture counts neither way."""
        subject = self._subjects.get(name)
        if subject is None or not subject.is_tested:
            return
        if failure is None:
            self._in_a_row[name] = 0
        elif failure.type is not FailureType.VALIDATION:
            self._in_a_row[name] += 1
        if self._in_a_row[name] < subject.failures or not self._states[name].sight.may_look:
            return
        reason = f"It failed {self._in_a_row[name]} times in a row, and has to show that it sees."
        self._in_a_row[name] = 0
        self._doubted[name] = reason
        self._set(name, SightState(Sight.UNTESTED, reason))
        self._wake.set()

    async def run(self, store: SightStore, backends: Mapping[str, Backend]) -> None:
        """Test, and follow the results of other processes, until cancelled."""
        try:
            while self.has_tests:
                await self._round(store, backends)
                awaited = any(each.sight is Sight.UNTESTED for each in self._states.values())
                self._wake.clear()
                try:
                    async with asyncio.timeout(POLL if awaited else SLOW_POLL):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            for test in self._tests.values():
                test.cancel()

    async def settle(self, store: SightStore, backends: Mapping[str, Backend]) -> None:
        """Return once each backend has a result, or could not be asked."""
        running = asyncio.create_task(self.run(store, backends))
        try:
            while not running.done() and not all(map(self._is_settled, self._subjects)):
                await asyncio.wait({running}, timeout=POLL / 10)
        finally:
            running.cancel()
            await asyncio.wait({running})

    def _is_settled(self, name: str) -> bool:
        return self._states[name].sight is not Sight.UNTESTED or name in self._unasked

    async def _round(self, store: SightStore, backends: Mapping[str, Backend]) -> None:
        try:
            await self._follow(store, backends)
        except Unavailable as error:
            log.warning("sight tests: %s", error)

    async def _follow(self, store: SightStore, backends: Mapping[str, Backend]) -> None:
        for name in list(self._doubted):
            await store.doubt(self._subjects[name].key, self._doubted[name])
            self._doubted.pop(name)
        tested = [each for each in self._subjects.values() if each.is_tested]
        known = await store.read([each.key for each in tested])
        for subject in tested:
            record = known.get(subject.key)
            if subject.name in self._doubted:  # since a moment ago
                continue
            if record is not None:
                self._set(subject.name, record.state)
            test = self._tests.get(subject.name)
            if test is not None and not test.done():
                await store.hold(subject.key, CLAIM)
            elif (record is None or not record.is_fresh) and await store.claim(subject.key, CLAIM):
                self._tests[subject.name] = asyncio.create_task(
                    self._test(store, subject, backends[subject.name])
                )

    async def _test(self, store: SightStore, subject: SightSubject, backend: Backend) -> None:
        name = subject.name
        started = time.monotonic()
        try:
            report = await run_sight_test(backend, random.Random())  # noqa: S311
        except Exception as failed:
            if isinstance(failed, AnalysisFailed):
                why = failed.message
            else:
                why = "It failed unexpectedly."
                log.exception("sight backend=%s", name)
            pause = self._pauses[name] = min(LONGEST_PAUSE, 2 * self._pauses.get(name, 1.0))
            reason = f"It could not be asked: {why}"
            log.info("sight backend=%s outcome=unknown again_in=%.0f", name, pause)
            await self._store(store.hold(subject.key, pause, reason))
            self._unasked.add(name)
        else:
            self._pauses.pop(name, None)
            log.log(
                logging.INFO if report.sees else logging.ERROR,
                "sight backend=%s outcome=%s calls=%d ms=%.0f%s",
                name,
                Sight.SEEING if report.sees else Sight.BLIND,
                len(report.answers),
                (time.monotonic() - started) * 1000,
                f" {report.reason}" if report.reason else "",
            )
            await self._store(store.write(subject.key, sees=report.sees, reason=report.reason))
            sight = Sight.SEEING if report.sees else Sight.BLIND
            self._set(name, SightState(sight, report.reason))
        self._wake.set()

    async def _store(self, writing: Awaitable[None]) -> None:
        try:
            await writing
        except Unavailable as error:  # the claim ends, and the next test comes
            log.warning("sight tests: %s", error)

    def _set(self, name: str, state: SightState) -> None:
        if self._states[name].sight is not state.sight:
            log.info("sight backend=%s is=%s", name, state.sight)
        self._states[name] = state


async def known_states(
    store: SightStore, subjects: Sequence[SightSubject]
) -> dict[str, SightState]:
    """Return what is known of each backend, by name."""
    known = await store.read([each.key for each in subjects if each.is_tested])
    return {
        each.name: known[each.key].state if each.is_tested and each.key in known else each.initial
        for each in subjects
    }
