"""How often a picture is looked at, by whom, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.claims import Claim, ClaimCheck, ClaimType, Ruling, Stand, Verdict
from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.domain.findings import Feature, Findings, Tag
from ocelli.domain.questions import Question
from ocelli.domain.verification import Calibration
from ocelli.usecases.verification_engine import Engine, answer_key

CUP = Claim("There is a cup.", ClaimType.OBJECT, subject="cup", sentence=0)
MOUSE = Claim("There is a mouse.", ClaimType.OBJECT, subject="mouse", sentence=1)
SAID = Findings(
    "a", "1", description="There is a cup. There is a mouse.", claims=(CUP, MOUSE),
    tags=(Tag("cup", 0.9), Tag("mouse", 0.8)),
)  # fmt: skip


@dataclass
class Scripted:
    """Says ``says``; contradicts claims about ``against``."""

    name: str
    says: Findings = SAID
    against: frozenset[str] = frozenset()
    revised: str | None = None
    fails: AnalysisFailed | None = None
    sure: float | None = None
    model_version: str = "1"
    capabilities: frozenset[Feature] = frozenset({Feature.DESCRIPTIONS, Feature.TAGS})
    calls: list[Any] = field(default_factory=list)

    async def look(self, picture: Any, question: Question, *, thorough: bool = False) -> Findings:
        self.calls.append(("look", thorough))
        if self.fails:
            raise self.fails
        return replace(self.says, source=self.name)

    async def check(self, picture: Any, claims: Any, **more: Any) -> ClaimCheck:
        self.calls.append(("check", more["nth"], more["thorough"], [c.subject for c in claims]))
        if self.fails:
            raise self.fails
        verdicts = (
            Ruling.CONTRADICTED if c.subject in self.against else Ruling.SUPPORTED for c in claims
        )
        return ClaimCheck(
            self.name, "1", tuple(Verdict(v, self.name, "seen") for v in verdicts), self.revised
        )

    def reword(self, findings: Any, dropped: Any, question: Any) -> str | None:
        return None

    def confidence(self, claims: Any) -> float | None:
        return self.sure


class Several:
    """``ports_backends.Backends`` of those given."""

    def __init__(self, *backends: Scripted) -> None:
        self.all = backends
        self.default = backends[0]
        self.names = [each.name for each in backends]

    def get(self, name: str) -> Scripted | None:
        return next((each for each in self.all if each.name == name), None)

    def checker(self, *checkers_of: str) -> Scripted:
        return next((each for each in self.all if each.name not in checkers_of), self.all[0])


class Eyes:
    """Evidence that knows of some things that they are there, or not."""

    name = "local"

    def __init__(self, *absent: str, present: tuple[str, ...] = ()) -> None:
        self.absent = absent
        self.present = present

    async def gather(self, picture: Any) -> Findings:
        return Findings("local", "1")

    def judge(self, claim: Claim, findings: Findings) -> Verdict | None:
        if claim.subject in self.absent:
            return Verdict(Ruling.CONTRADICTED, "local", "none", Stand.EVIDENCE, 0.9)
        if claim.subject in self.present:
            return Verdict(Ruling.SUPPORTED, "local", "seen", Stand.EVIDENCE, 0.5)
        return None


async def ask(engine: Engine, level: VerificationLevel, **question: Any) -> Any:
    return await engine.answer(None, Question(**question), level)  # type: ignore[arg-type]


@pytest.mark.parametrize(("level", "looks"), [(each, each.looks) for each in VerificationLevel])
async def test_every_level_makes_exactly_its_looks(level: VerificationLevel, looks: int) -> None:
    backends = [Scripted("a"), Scripted("b"), Scripted("c")]
    answer = await ask(Engine(Several(*backends)), level)
    assert answer.looks == looks == sum(len(each.calls) for each in backends)
    assert [len(each.calls) for each in backends] == [1, int(looks > 1), int(looks > 2)]
    assert {call[1] for call in backends[0].calls} == {level is VerificationLevel.THOROUGH}


async def test_one_backend_alone_looks_again_itself() -> None:
    alone = Scripted("a", against=frozenset({"mouse"}))
    answer = await ask(Engine(Several(alone)), VerificationLevel.CRITICAL)
    assert [call[0] for call in alone.calls] == ["look", "check", "check"]
    assert answer.description == "There is a cup."


async def test_what_is_contradicted_leaves_description_and_tags_and_stays_in_the_record() -> None:
    checker = Scripted("b", against=frozenset({"mouse"}))
    answer = await ask(Engine(Several(Scripted("a"), checker)), VerificationLevel.STANDARD)
    assert (answer.description, answer.tags) == ("There is a cup.", ("cup",))
    assert [(c.claim.subject, c.kept) for c in answer.claims] == [("cup", True), ("mouse", False)]
    assert [v.source for v in answer.claims[1].verdicts] == ["b"]
    assert answer.findings[0].description == answer.description


async def test_the_models_own_revision_is_used_only_if_it_drops_exactly_that() -> None:
    checker = Scripted("b", against=frozenset({"mouse"}), revised="Only a cup.")
    describer = Scripted("a")
    answer = await ask(Engine(Several(describer, checker)), VerificationLevel.STANDARD)
    assert answer.description == "Only a cup."
    more = Engine(Several(describer, checker), Eyes("cup"))
    assert (await ask(more, VerificationLevel.STANDARD)).description != "Only a cup."


async def test_the_judge_sees_what_is_open_and_can_overrule() -> None:
    doubts, judge = Scripted("b", against=frozenset({"mouse"})), Scripted("c")
    engine = Engine(Several(Scripted("a"), doubts, judge), Eyes(present=("cup",)))
    answer = await ask(engine, VerificationLevel.CRITICAL)
    assert judge.calls == [("check", 2, False, ["mouse"])]
    assert "mouse" in answer.description


async def test_the_judge_has_a_look_even_where_nobody_disagrees() -> None:
    judge = Scripted("c")
    answer = await ask(
        Engine(Several(Scripted("a"), Scripted("b"), judge)), VerificationLevel.CRITICAL
    )
    assert (answer.looks, judge.calls[0][3]) == (3, ["cup", "mouse"])


async def test_evidence_drops_what_the_checker_misses_and_costs_no_look() -> None:
    engine = Engine(Several(Scripted("a"), Scripted("b")), Eyes("mouse"))
    answer = await ask(engine, VerificationLevel.STANDARD)
    assert (answer.description, answer.looks) == ("There is a cup.", 2)


async def test_a_checker_that_fails_is_a_look_less() -> None:
    gone = AnalysisFailed(FailureType.TIMEOUT, "too slow", retryable=True)
    engine = Engine(Several(Scripted("a"), Scripted("b", fails=gone)))
    answer = await ask(engine, VerificationLevel.STANDARD)
    assert (answer.looks, answer.description) == (1, SAID.description)
    assert [(e.source, e.message, e.retryable) for e in answer.errors] == [("b", "too slow", True)]


async def test_a_backend_that_fails_does_not_hold_up_the_others() -> None:
    broken = AnalysisFailed(FailureType.VLM_ERROR, "no", retryable=False)
    engine = Engine(Several(Scripted("a"), Scripted("b", fails=broken)))
    answer = await ask(engine, VerificationLevel.QUICK, backends=("b", "a"))
    assert [each.source for each in answer.findings] == ["a"]
    assert [each.source for each in answer.errors] == ["b"]


async def test_if_all_fail_the_analysis_fails_as_the_one_that_can_be_tried_again() -> None:
    engine = Engine(
        Several(
            Scripted("a", fails=AnalysisFailed(FailureType.VLM_ERROR, "no", retryable=False)),
            Scripted("b", fails=AnalysisFailed(FailureType.RATE_LIMIT, "later", retryable=True)),
        )
    )
    with pytest.raises(AnalysisFailed) as caught:
        await ask(engine, VerificationLevel.QUICK, backends=("a", "b"))
    assert (caught.value.type, caught.value.retryable) == (FailureType.RATE_LIMIT, True)


async def test_who_is_not_configured_is_stood_in_for_and_that_is_said() -> None:
    first = Scripted("a")
    answer = await ask(
        Engine(Several(first)), VerificationLevel.QUICK, backends=("openai", "claude")
    )
    assert [each.source for each in answer.findings] == ["a"]
    assert [each.source for each in answer.errors] == ["openai", "claude"]
    assert len(first.calls) == 1


async def test_an_error_of_our_own_is_not_hidden() -> None:
    class Broken(Scripted):
        async def look(self, *_: Any, **__: Any) -> Findings:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ask(Engine(Several(Broken("a"))), VerificationLevel.QUICK)


@pytest.mark.parametrize(("level", "looks"), [(each, each.looks) for each in VerificationLevel])
async def test_a_statement_is_checked_as_often_as_the_level_says(
    level: VerificationLevel, looks: int
) -> None:
    backends = [Scripted(n, against=frozenset({"mouse"})) for n in "abc"]
    statement = "There are two cups. There is one mouse."
    answer = await ask(Engine(Several(*backends)), level, statement=statement)
    assert answer.looks == looks == sum(len(each.calls) for each in backends)
    assert answer.description is None
    assert [each.kept for each in answer.claims] == [True, False]


def test_a_key_changes_with_everything_that_can_change_the_answer() -> None:
    base = (b"picture", Question(), VerificationLevel.QUICK, ("a=1",))
    changed = [
        (b"other", *base[1:]),
        *((base[0], q, *base[2:]) for q in (
            Question(prompt="x"), Question(language="German"), Question(backends=("a",)),
            Question(statement="x"), Question(features=frozenset({Feature.TAGS})),
        )),
        (*base[:2], VerificationLevel.STANDARD, base[3]),
        (*base[:3], ("a=2",)),
    ]  # fmt: skip
    keys = {answer_key(*each) for each in (base, *changed)}
    assert len(keys) == len(changed) + 1
    assert answer_key(*base) == answer_key(*base)


async def test_each_level_has_a_calibration_of_its_own() -> None:
    levels = {"standard": Calibration(((0.0, 0.25), (1.0, 0.25)))}
    engine = Engine(Several(Scripted("a"), Scripted("b")), calibration=Calibration((), levels))
    quick = await ask(engine, VerificationLevel.QUICK)
    standard = await ask(engine, VerificationLevel.STANDARD)
    assert {each.probability for each in quick.claims} == {0.8}
    assert {each.probability for each in standard.claims} == {0.25}
