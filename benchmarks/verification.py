"""What verification removes, and what it loses: generated scenes, a describer that errs.

The upstream of the tests answers from ground truth and errs at known rates: a fifth of what a
describer claims is wrong, a checker finds 85 % of it and doubts 5 % of what is true, a judge finds
90 % and doubts 3 %. Nothing here is by the clock.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.report import Bench, Row, Target
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.evaluation import Sample, calibration_error, fit
from ocelli.domain.questions import Question
from ocelli.domain.verification import Calibration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ocelli.domain.analysis import AnalysisAnswer
    from ocelli.domain.claims import Claim, Verdict
    from ocelli.domain.findings import Findings
    from ocelli.domain.ports_backends import Evidence, PictureLike

NAME = "verification"
SCENES, QUICK_SCENES = 300, 60
AT_ONCE = 8

CALIBRATED = Target(0.05, "at most", "value")
REMOVED = {
    VerificationLevel.STANDARD: 0.85,
    VerificationLevel.THOROUGH: 0.85,
    VerificationLevel.CRITICAL: 0.92,
}
LOST = {
    VerificationLevel.STANDARD: 0.04,
    VerificationLevel.THOROUGH: 0.04,
    VerificationLevel.CRITICAL: 0.02,
}


@dataclass(slots=True)
class Outcome:
    """What a level made of all scenes; ``samples`` are those of each scene."""

    samples: list[list[Sample]] = field(default_factory=list)
    looks: list[int] = field(default_factory=list)
    sentences: int = 0
    false_sentences: int = 0

    @property
    def all(self) -> list[Sample]:
        """Every claim."""
        return [sample for scene in self.samples for sample in scene]

    @property
    def removed(self) -> float:
        """The share of the false claims that were dropped."""
        return _share(not s.kept for s in self.all if not s.true)

    @property
    def lost(self) -> float:
        """The share of the true claims that were dropped."""
        return _share(not s.kept for s in self.all if s.true)


class Remembered:
    """Evidence that is gathered once for each picture, as every level asks for the same."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self.name = evidence.name
        self._gathered: dict[int, asyncio.Task[Findings]] = {}

    async def gather(self, picture: PictureLike) -> Findings:
        """See ports_backends.Evidence."""
        key = hash(picture.data)
        if key not in self._gathered:
            self._gathered[key] = asyncio.create_task(self._evidence.gather(picture))
        return await asyncio.shield(self._gathered[key])

    def judge(self, claim: Claim, findings: Findings) -> Verdict | None:
        """See ports_backends.Evidence."""
        return self._evidence.judge(claim, findings)


def run(bench: Bench) -> Iterator[Row]:
    """Every level on the same scenes; then without evidence; then calibration."""
    number = QUICK_SCENES if bench.quick else SCENES
    bench.say(f"{NAME}: {number} scenes at four levels, with and without evidence")
    outcomes = asyncio.run(measure(number))
    quick = outcomes[VerificationLevel.QUICK, True]
    for level in (
        VerificationLevel.STANDARD,
        VerificationLevel.THOROUGH,
        VerificationLevel.CRITICAL,
    ):
        with_, without = outcomes[level, True], outcomes[level, False]
        at_least, at_most = (
            Target(REMOVED[level], "at least", "value"),
            Target(LOST[level], "at most", "value"),
        )
        yield Row(NAME, f"{level}: false claims removed", with_.removed, "", target=at_least)
        yield Row(NAME, f"{level}: true claims lost", with_.lost, "", target=at_most)
        yield Row(
            NAME, f"{level}: false claims removed, no evidence", without.removed, "",
            with_.removed, "with evidence",
        )  # fmt: skip
        yield Row(
            NAME, f"{level}: true claims lost, no evidence", without.lost, "",
            with_.lost, "with evidence",
        )  # fmt: skip
        yield Row(NAME, f"{level}: false sentences left", _left(with_), "", _left(quick), "quick")
        yield Row(NAME, f"{level}: looks per picture", _mean(with_.looks), "")
        yield from _calibrated(level, with_)
    bench.say(f"{NAME}: captions with one noun, number or place changed")
    for kind, pairs in asyncio.run(foiled(number)).items():
        name = f"/verify tells a changed {kind} from a true caption: AUROC"
        yield Row(NAME, name, auroc(pairs), "")


def auroc(pairs: Sequence[tuple[float, float]]) -> float:
    """How often any true caption has a higher probability than any false one; a tie is half."""
    wins = [(true > false) + (true == false) / 2 for true, _ in pairs for _, false in pairs]
    return _mean(wins)


def foils(scene: Any) -> Iterator[tuple[str, str, str]]:
    """What is changed, a true caption of the scene, and a false one."""
    from tests.upstream.scenes import NUMBERS, SHAPES

    first, *_, last = scene.groups
    missing = next(noun for noun in SHAPES if scene.group(noun) is None)
    counted = (
        f"There are {{}} {first.noun}s." if first.count > 1 else f"There is {{}} {first.noun}."
    )
    yield "noun", f"There is a {last.noun}.", f"There is a {missing}."
    yield (
        "number",
        counted.format(NUMBERS[first.count]),
        f"There are {NUMBERS[first.count + 2]} {first.noun}s.",
    )
    yield "place", f"The {last.noun} is on the right.", f"The {last.noun} is on the left."


async def foiled(number: int) -> dict[str, list[tuple[float, float]]]:
    """By what was changed: the probabilities of true captions and of their foils."""
    from tests.upstream.scenes import picture, scene

    from ocelli.backends.local.backend import LocalBackend
    from ocelli.domain.sentences import claims_from_text
    from ocelli.domain.verification import ClaimVerdicts, probability
    from ocelli.media.decode import decode

    local = LocalBackend()
    found: dict[str, list[tuple[float, float]]] = {}
    for at in range(number):
        seen = await local.gather(decode(picture(at), max_pixels=10**7))

        def told(caption: str, seen: Findings = seen) -> float:
            (claim,) = claims_from_text(caption)
            return probability(claim, ClaimVerdicts(local.judge(claim, seen)), describer=None)

        for kind, true, false in foils(scene(at)):
            found.setdefault(kind, []).append((told(true), told(false)))
    return found


def _calibrated(level: VerificationLevel, outcome: Outcome) -> Iterator[Row]:
    """Fitted on one half of the scenes, measured on the other."""
    half = len(outcome.samples) // 2
    seen = [s for scene in outcome.samples[:half] for s in scene]
    unseen = [s for scene in outcome.samples[half:] for s in scene if s.kept]
    map_ = fit(seen)
    fitted = [Sample(map_(s.probability), s.true, s.kept) for s in unseen]
    before, after = calibration_error(unseen) or 0.0, calibration_error(fitted) or 0.0
    yield Row(NAME, f"{level}: ECE before fitting", before, "")
    yield Row(
        NAME, f"{level}: ECE after fitting", after, "", target=Target(0.05, "at most", "value")
    )


async def measure(number: int) -> dict[tuple[VerificationLevel, bool], Outcome]:
    """Levels, with and without evidence, over the first ``number`` scenes."""
    import aiohttp
    from tests.upstream.server import SceneServer

    from ocelli.backends.local.backend import LocalBackend
    from ocelli.backends.registry import configure, registry
    from ocelli.usecases.verification_engine import Engine

    outcomes: dict[tuple[VerificationLevel, bool], Outcome] = {}
    with SceneServer() as server, ThreadPoolExecutor(1) as compute:
        local = LocalBackend(compute)
        names = ("describer", "checker", "judge")
        configured = [
            configure(n, {"provider": "vllm", "base_url": server.url, "model": n}, {})
            for n in names
        ]
        async with aiohttp.ClientSession() as session:
            backends = registry(local, configured, session)
            evidence = Remembered(local)
            for with_evidence in (True, False):
                engine = Engine(backends, evidence if with_evidence else None, Calibration())
                for level in VerificationLevel:
                    outcomes[level, with_evidence] = await _level(engine, level, server, number)
    return outcomes


async def _level(engine: Any, level: VerificationLevel, server: Any, number: int) -> Outcome:
    from ocelli.media.decode import decode

    outcome, room = Outcome(), asyncio.Semaphore(AT_ONCE)

    async def one(scene: int) -> AnalysisAnswer:
        async with room:
            picture = decode(server.picture(scene), max_pixels=10**7)
            answer: AnalysisAnswer = await engine.answer(picture, Question(), level)
            return answer

    answers = await asyncio.gather(*(one(scene) for scene in range(number)))
    for scene, answer in enumerate(answers):
        _count(outcome, server.scene(scene), answer)
    return outcome


def _count(outcome: Outcome, scene: Any, answer: AnalysisAnswer) -> None:
    from tests.upstream.scenes import holds

    from ocelli.domain.sentences import sentences

    outcome.looks.append(answer.looks)
    outcome.samples.append(
        [
            Sample(each.probability, holds(scene, each.claim.text) is True, each.kept)
            for each in answer.claims
        ]
    )
    said = [holds(scene, sentence) for sentence in sentences(answer.description or "")]
    outcome.sentences += len(said)
    outcome.false_sentences += said.count(False)


def _left(outcome: Outcome) -> float:
    return outcome.false_sentences / outcome.sentences if outcome.sentences else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _share(those: Any) -> float:
    values = list(those)
    return sum(values) / len(values) if values else 0.0
