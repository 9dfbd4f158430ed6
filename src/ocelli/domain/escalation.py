"""Escalation policies: describe with a cheap step, and again with a second one only where that is
doubtful, within a budget. Pure.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ocelli.domain import grammar
from ocelli.domain.analysis import AnalysisAnswer, VerificationLevel
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.pricing import call_price
from ocelli.domain.questions import Role
from ocelli.domain.verification import Calibration, confidence, is_disputed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from ocelli.domain.questions import Question

OFF = "none"  # what a request names to get no policy, not even the default one
MAX_POLICIES = 100
MAX_NAME = 64
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
LARGEST_BUDGET = 10**9

UNKNOWN_CONFIDENCE = 0.5  # of an answer that says none
TEXT_HEAVY_WORDS = 20
TEXT_HEAVY_AREA = 0.1
PRODUCT_AREA = 0.25

_PEOPLE_NOUNS = """
person man woman boy girl child baby toddler kid adult lady gentleman crowd player rider pedestrian
bride groom worker musician face
"""
_PRODUCT_NOUNS = """
product package packaging bottle can box carton jar tube label shoe sneaker boot sandal shirt
t-shirt dress jacket coat hat handbag backpack suitcase wallet watch wristwatch ring necklace
sunglasses perfume lipstick lotion toy laptop phone cellphone headphone camera keyboard mug cup
chair sofa lamp
"""
_PEOPLE = frozenset(_PEOPLE_NOUNS.split())
_PRODUCTS = frozenset(_PRODUCT_NOUNS.split())


class Kind(StrEnum):
    """Kinds of pictures that a policy can name.

    ``TEXT``: at least 20 words are legible, or text covers a tenth of the picture. ``PEOPLE``: a
    face or a person is named. ``PRODUCTS``: a brand is named, the role is ``ecommerce``, or a thing
    that is sold fills a quarter of the picture (its size does not count where it is not known).
    """

    TEXT = "text"
    PEOPLE = "people"
    PRODUCTS = "products"


class EscalationReason(StrEnum):
    """Why the first answer is doubtful."""

    LOW_CONFIDENCE = "low_confidence"
    DISPUTED_CLAIMS = "disputed_claims"
    TEXT = "text"
    PEOPLE = "people"
    PRODUCTS = "products"


class EscalationOutcome(StrEnum):
    """What became of a policy for one picture. Only for ``ESCALATED`` the second step answered."""

    ESCALATED = "escalated"
    NOT_NEEDED = "not_needed"
    BUDGET_EXHAUSTED = "budget_exhausted"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"
    POLICY_DELETED = "policy_deleted"


@dataclass(frozen=True, slots=True)
class Step:
    """Who is asked, and how thoroughly; without ``backend`` the server's default one."""

    backend: str | None = None
    level: VerificationLevel = VerificationLevel.QUICK

    @property
    def backends(self) -> tuple[str, ...]:
        """The backends of a question."""
        return (self.backend,) if self.backend else ()


@dataclass(frozen=True, slots=True)
class Triggers:
    """What makes an answer doubtful; any of them is enough.

    ``confidence_below``: 0 is never, 1 is always but for an answer that is certain.
    """

    confidence_below: float | None = None
    disputed_claims: bool = False
    kinds: frozenset[Kind] = frozenset()


@dataclass(frozen=True, slots=True)
class Budget:
    """What second steps may take in a calendar month (UTC), or for one request.

    ``calls``: model calls. ``credits``: one is a cent, by the price list. ``share``: of the
    pictures that the first step described so far, this one included.
    """

    calls: int | None = None
    credits: int | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Spending:
    """What was spent, or is to be; ``hundredths`` of a credit."""

    pictures: int = 0
    escalated: int = 0
    calls: int = 0
    hundredths: int = 0

    def __add__(self, more: Spending) -> Spending:
        return Spending(
            self.pictures + more.pictures,
            self.escalated + more.escalated,
            self.calls + more.calls,
            self.hundredths + more.hundredths,
        )

    def __sub__(self, less: Spending) -> Spending:
        return self + Spending(-less.pictures, -less.escalated, -less.calls, -less.hundredths)


@dataclass(frozen=True, slots=True)
class PolicyCalibration:
    """How the claims' final probabilities become observed ones, by the step that answered.

    Looking again breaks the calibration of a level: what it is applied to was selected.
    """

    first: Calibration = field(default_factory=Calibration)
    second: Calibration = field(default_factory=Calibration)


@dataclass(frozen=True, slots=True)
class Policy:
    """Describe by ``first``; where that is doubtful by ``second``, while the budget lasts."""

    first: Step
    second: Step
    when: Triggers
    budget: Budget
    calibration: PolicyCalibration | None = None


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """A policy of a tenant; without a name it belongs to one request."""

    id: UUID
    tenant_id: UUID
    name: str | None
    policy: Policy
    is_default: bool
    created_at: datetime
    updated_at: datetime
    spent: Spending = Spending()

    @property
    def period(self) -> date:
        """The first day of the period whose budget counts now."""
        day = self.created_at if self.name is None else datetime.now(UTC)
        return day.astimezone(UTC).date().replace(day=1)


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step: who answered, or would have; ``confidence`` is None where nothing came of it."""

    level: VerificationLevel
    backend: str | None = None
    confidence: float | None = None
    looks: int = 0


@dataclass(frozen=True, slots=True)
class Escalation:
    """The record of a policy for one picture: who answered, and why.

    ``message`` says why the second step did not answer, where it should have.
    """

    policy: str | None
    outcome: EscalationOutcome
    reasons: tuple[EscalationReason, ...] = ()
    first: StepResult | None = None
    second: StepResult | None = None
    message: str | None = None

    @property
    def answered(self) -> StepResult | None:
        """The step whose answer it is."""
        return self.second if self.outcome is EscalationOutcome.ESCALATED else self.first


def reasons(
    when: Triggers, answer: AnalysisAnswer, question: Question
) -> tuple[EscalationReason, ...]:
    """Return why an answer is doubtful; nothing if it is not."""
    sure = UNKNOWN_CONFIDENCE if answer.confidence is None else answer.confidence
    kinds = [each for each in Kind if each in when.kinds and _IS[each](answer, question)]
    below = when.confidence_below
    return (
        *([EscalationReason.LOW_CONFIDENCE] if below is not None and sure < below else ()),
        *(
            [EscalationReason.DISPUTED_CLAIMS]
            if when.disputed_claims and any(is_disputed(each) for each in answer.claims)
            else ()
        ),
        *(EscalationReason(each) for each in kinds),
    )


def exhausted(budget: Budget, spent: Spending, more: Spending) -> str | None:
    """Return which part of the budget ``more`` would exceed; None if it is within.

    ``more`` counts the picture itself, if it was not counted before.
    """
    after = spent + more
    if budget.calls is not None and after.calls > budget.calls:
        return f"{spent.calls} of {budget.calls} calls of the budget are used"
    if budget.credits is not None and after.hundredths > budget.credits * 100:
        return f"{spent.hundredths / 100:g} of {budget.credits} credits of the budget are used"
    # Not escalated / pictures > share: a product of a fraction and a whole number may be too small.
    if budget.share is not None and after.escalated - budget.share * after.pictures > 1e-9:
        return (
            f"{spent.escalated} of {after.pictures} pictures were looked at again; "
            f"the budget is a share of {budget.share:g}"
        )
    return None


def cost(backends: Iterable[str]) -> Spending:
    """Return what calls of these backends take, a name for each call."""
    names = list(backends)
    return Spending(0, 1, len(names), sum(call_price(each) for each in names))


def merged(first: AnalysisAnswer, second: AnalysisAnswer) -> AnalysisAnswer:
    """Return the answer of the second step, with what only the first one found."""
    sources = {each.source for each in second.findings}
    return replace(
        second,
        findings=(
            *second.findings,
            *(each for each in first.findings if each.source not in sources),
        ),
        calls=(*first.calls, *second.calls),
        visible_text=second.visible_text or first.visible_text,
        tags=second.tags or (() if second.tagging else first.tags),
        errors=tuple(dict.fromkeys((*first.errors, *second.errors))),
    )


def calibrated(answer: AnalysisAnswer, calibration: Calibration) -> AnalysisAnswer:
    """Return the answer with its claims' probabilities, and so its confidence, calibrated."""
    if not calibration.knots or not answer.claims:
        return answer
    claims = tuple(
        replace(each, probability=round(calibration(each.probability), 4)) for each in answer.claims
    )
    return replace(answer, claims=claims, confidence=confidence(claims, calibration))


def check_steps(policy: Policy, backends: Sequence[str], default: str) -> None:
    """Raise ValidationFailed for a backend that is not one of these, and for equal steps."""
    for name, step in (("first", policy.first), ("second", policy.second)):
        if step.backend is not None and step.backend not in backends:
            raise ValidationFailed(
                f"{step.backend} is not configured here, only {', '.join(backends)}: "
                "the setting `backends` adds others.",
                field=f"{name}.backend",
            )
    if same_steps(policy, default):
        raise ValidationFailed(
            "The second step is the same as the first: another backend or level is needed.",
            field="second",
        )


def same_steps(policy: Policy, default: str) -> bool:
    """Return whether both steps ask the same."""
    return policy.first.level is policy.second.level and (policy.first.backend or default) == (
        policy.second.backend or default
    )


def policy_from_json(document: Mapping[str, Any]) -> Policy:
    """Return the policy of a document. Raises ValidationFailed, with the field."""
    _known(document, "", {"first", "second", "when", "budget", "calibration"})
    return Policy(
        first=_step(document.get("first") or {}, "first"),
        second=_step(document.get("second"), "second"),
        when=_triggers(document.get("when")),
        budget=_budget(document.get("budget")),
        calibration=_calibration(document.get("calibration")),
    )


def policy_to_json(policy: Policy) -> dict[str, Any]:
    """Return the document of a policy."""
    document = asdict(policy)
    document["when"]["kinds"] = sorted(policy.when.kinds)
    calibration = policy.calibration
    document["calibration"] = calibration and {
        "first": [list(knot) for knot in calibration.first.knots],
        "second": [list(knot) for knot in calibration.second.knots],
    }
    return document


def _step(value: Any, field: str) -> Step:
    _known(value, field, {"backend", "level"})
    backend, level = value.get("backend"), value.get("level") or VerificationLevel.QUICK
    if backend is not None and not (isinstance(backend, str) and 0 < len(backend) <= MAX_NAME):
        raise ValidationFailed("A backend is a name.", field=f"{field}.backend")
    if level not in tuple(VerificationLevel):
        raise ValidationFailed(
            f"A level is one of {', '.join(VerificationLevel)}.", field=f"{field}.level"
        )
    return Step(backend, VerificationLevel(level))


def _triggers(value: Any) -> Triggers:
    _known(value, "when", {"confidence_below", "disputed_claims", "kinds"})
    disputed = value.get("disputed_claims") or False
    kinds = value.get("kinds") or ()
    if not isinstance(disputed, bool):
        raise ValidationFailed("true or false", field="when.disputed_claims")
    if not isinstance(kinds, list | tuple) or any(each not in tuple(Kind) for each in kinds):
        raise ValidationFailed(f"Kinds are {', '.join(Kind)}.", field="when.kinds")
    below = _number(value.get("confidence_below"), "when.confidence_below", most=1.0)
    if below is None and not disputed and not kinds:
        raise ValidationFailed(
            "Give at least one of confidence_below, disputed_claims and kinds.", field="when"
        )
    return Triggers(below, disputed, frozenset(Kind(each) for each in kinds))


def _budget(value: Any) -> Budget:
    _known(value, "budget", {"calls", "credits", "share"})
    calls = _number(value.get("calls"), "budget.calls", most=LARGEST_BUDGET)
    credits = _number(value.get("credits"), "budget.credits", most=LARGEST_BUDGET)
    share = _number(value.get("share"), "budget.share", most=1.0)
    if calls is None and credits is None and share is None:
        raise ValidationFailed(
            "A policy needs a budget: at least one of calls, credits and share "
            "(share 1: every doubtful picture).",
            field="budget",
        )
    for name, amount in (("calls", calls), ("credits", credits)):
        if amount is not None and amount != int(amount):
            raise ValidationFailed("A whole number is needed.", field=f"budget.{name}")
    return Budget(
        None if calls is None else int(calls), None if credits is None else int(credits), share
    )


def _calibration(value: Any) -> PolicyCalibration | None:
    if value is None:
        return None
    _known(value, "calibration", {"first", "second"})
    return PolicyCalibration(*(_knots(value.get(name), name) for name in ("first", "second")))


def _knots(value: Any, name: str) -> Calibration:
    field = f"calibration.{name}"
    try:
        knots = tuple((float(x), float(y)) for x, y in value or ())
    except (TypeError, ValueError) as error:
        raise ValidationFailed("Pairs of numbers are needed.", field=field) from error
    inside = all(0 <= each <= 1 for knot in knots for each in knot)
    if not inside or len(knots) > 1_000 or [*knots] != sorted(knots):
        raise ValidationFailed("Knots are pairs from 0 to 1 that rise.", field=field)
    if [y for _, y in knots] != sorted(y for _, y in knots):
        raise ValidationFailed("Knots are pairs from 0 to 1 that rise.", field=field)
    return Calibration(knots)


def _number(value: Any, field: str, *, most: float) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValidationFailed("A number is needed.", field=field)
    if not 0 <= value <= most:
        raise ValidationFailed(f"A number from 0 to {most:g} is needed.", field=field)
    return float(value)


def _known(value: Any, field: str, names: set[str]) -> None:
    if not isinstance(value, dict):
        raise ValidationFailed(f"`{field}` is missing, or is no object.", field=field)
    if unknown := sorted(str(each) for each in set(value) - names):
        where = f"{field}." if field else ""
        raise ValidationFailed(
            f"There is no field `{where}{unknown[0]}`.", field=f"{where}{unknown[0]}"
        )


def _is_text_heavy(answer: AnalysisAnswer, question: Question) -> bool:
    del question
    area = max((sum(t.box.area for t in each.texts) for each in answer.findings), default=0.0)
    words = len(re.findall(r"\w+", answer.visible_text or ""))
    return words >= TEXT_HEAVY_WORDS or area >= TEXT_HEAVY_AREA


def _shows_people(answer: AnalysisAnswer, question: Question) -> bool:
    del question
    names = {each.name for found in answer.findings for each in found.objects}
    has_face = any(found.faces for found in answer.findings)
    return has_face or not _PEOPLE.isdisjoint(map(_noun, names | _said(answer)))


def _shows_products(answer: AnalysisAnswer, question: Question) -> bool:
    if question.role is Role.ECOMMERCE or any(found.brands for found in answer.findings):
        return True
    objects = [each for found in answer.findings for each in found.objects]
    placed = {_noun(each.name) for each in objects}
    large = {_noun(each.name) for each in objects if each.box.area >= PRODUCT_AREA}
    unplaced = {_noun(each) for each in _said(answer)} - placed if not objects else set()
    return not _PRODUCTS.isdisjoint(large | unplaced)


_IS = {
    Kind.TEXT: _is_text_heavy,
    Kind.PEOPLE: _shows_people,
    Kind.PRODUCTS: _shows_products,
}


def _said(answer: AnalysisAnswer) -> set[str]:
    """Return the things that tags and kept claims name."""
    subjects = {each.claim.subject for each in answer.claims if each.kept and each.claim.subject}
    chosen = answer.tagging
    said = answer.tags if chosen is None else (t.word for t in chosen.tags if t.kept)
    return {*said, *subjects}


def _noun(name: str) -> str:
    """Return the last word of a name, in the singular: what the thing is."""
    words = name.lower().split()
    return grammar.singular(words[-1]) if words else ""
