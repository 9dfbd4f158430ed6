"""``ocelli eval --policy``: quality against cost, and the threshold for a wanted error rate."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ocelli.cli.console import console
from ocelli.cli.output import fail, print_json
from ocelli.domain import tradeoff
from ocelli.domain.errors import AnalysisFailed, ValidationFailed
from ocelli.domain.escalation import check_steps, policy_from_json, policy_to_json
from ocelli.domain.questions import Question
from ocelli.domain.tradeoff import DescribedPicture, Share, Tradeoff
from ocelli.media.decode import decode
from ocelli.wiring.backends import build_engine, roster

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ocelli.domain.escalation import Policy, Step
    from ocelli.domain.evaluation import ReferenceLabel
    from ocelli.settings import Settings
    from ocelli.usecases.verification_engine import Engine

AT_ONCE = 8
ROWS = 9  # thresholds in the table
OF_A_SERVER = frozenset({"id", "name", "is_default", "spent", "created_at", "updated_at"})


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """What ``--policy`` measures; ``error`` is the wanted share of false claims."""

    policy: Policy
    error: float
    fit_to: Path | None
    plot_to: Path | None
    as_json: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What was found: ``fitted`` is the policy with threshold and calibration, if there is one."""

    alone: tuple[Tradeoff, Tradeoff]
    curve: Sequence[Tradeoff]
    found: Tradeoff | None
    is_sure: bool
    fitted: Policy
    on_fit: Tradeoff
    on_others: Tradeoff
    ece: tuple[float | None, float | None]
    accepted: tuple[tradeoff.Accepted, tradeoff.Accepted] | None
    accepted_is_sure: bool


def read_policy(path: Path) -> Policy:
    """Read the document of a policy, as ``/escalation-policies`` has it.

    Raises ValueError that says what is wrong.
    """
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise ValueError("a policy is an object")
    try:
        return policy_from_json({k: v for k, v in document.items() if k not in OF_A_SERVER})
    except ValidationFailed as error:
        raise ValueError(f"{error.details['field']}: {error.message}") from error


async def measure(
    settings: Settings, options: PolicyOptions, folder: Path, labels: Sequence[ReferenceLabel]
) -> list[DescribedPicture]:
    """Describe every picture by both steps. Raises AnalysisFailed, ValidationFailed."""
    known = roster(settings)
    check_steps(options.policy, known.names, known.default)
    with ThreadPoolExecutor(1) as compute:
        async with build_engine(settings, compute) as engine:
            for step in (options.policy.first, options.policy.second):
                if (why := engine.why_not(step.backends)) is not None:
                    raise ValidationFailed(why, field="backend")
            return await _described(engine, settings, options.policy, folder, labels)


async def _described(
    engine: Engine,
    settings: Settings,
    policy: Policy,
    folder: Path,
    labels: Sequence[ReferenceLabel],
) -> list[DescribedPicture]:
    semaphore = asyncio.Semaphore(AT_ONCE)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("evaluating", total=len(labels))

        async def one(label: ReferenceLabel) -> DescribedPicture | None:
            async with semaphore:
                try:
                    data = await asyncio.to_thread((folder / label.file).read_bytes)
                    picture = await asyncio.to_thread(decode, data, max_pixels=settings.max_pixels)

                    async def by(step: Step) -> Any:
                        question = Question(backends=step.backends)
                        return await engine.answer(picture, question, step.level)

                    first, second = await by(policy.first), await by(policy.second)
                except AnalysisFailed as failed:
                    fail(f"{label.file}: {failed.message}")
                    return None
                finally:
                    progress.advance(task)
            question = Question(backends=policy.first.backends)
            return DescribedPicture(label, question, first, second)

        done = await asyncio.gather(*(one(label) for label in labels))
    return [each for each in done if each is not None]


def find(policy: Policy, pictures: Sequence[DescribedPicture], error: float) -> Report:
    """Find the threshold on one half of the pictures, and measure it on the other."""
    fit, others = tradeoff.halves(pictures)
    found, is_sure = tradeoff.cheapest(tradeoff.curve(policy, fit), error)
    chosen = policy if found is None else tradeoff.at(policy, found.below or 0.0)
    fitted = tradeoff.fit_policy(chosen, fit)
    accepted, accepted_is_sure = tradeoff.widest(fitted, fit, error)
    return Report(
        alone=tradeoff.alone(pictures),
        curve=tradeoff.curve(policy, pictures),
        found=found,
        is_sure=is_sure,
        fitted=fitted,
        on_fit=tradeoff.measure(chosen, fit),
        on_others=tradeoff.measure(chosen, others),
        ece=(tradeoff.final_error(chosen, others), tradeoff.final_error(fitted, others)),
        accepted=None
        if accepted is None
        else (accepted, tradeoff.accepted(fitted, others, accepted.confidence)),
        accepted_is_sure=accepted_is_sure,
    )


def report(options: PolicyOptions, pictures: Sequence[DescribedPicture]) -> None:
    """Print table and findings, and write the plot and the fitted policy."""
    done = find(options.policy, pictures, options.error)
    written: dict[str, str] = {}
    if options.fit_to is not None:
        document = json.dumps(policy_to_json(done.fitted), indent=2)
        options.fit_to.write_text(document + "\n", encoding="utf-8")
        written["policy"] = str(options.fit_to)
    if options.plot_to is not None:
        plot(options.plot_to, done, options.error)
        written["plot"] = str(options.plot_to)
    if options.as_json:
        print_json(_figures(done, options.error) | written)
        return
    out = console()
    out.print(_table(done, len(pictures)))
    for line in _sentences(done, options):
        out.print(line, soft_wrap=True, markup=False, highlight=False)
    for what, where in written.items():
        out.print(f"{what} written to {where}", soft_wrap=True, markup=False, highlight=False)


def plot(path: Path, done: Report, error: float) -> None:
    """Write quality against cost: false claims over credits a picture, as PNG, SVG or PDF."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="credits a picture", ylabel="false claims, % of what is said")
    points = [each for each in done.curve if each.false.total]
    costs = [each.credits for each in points]
    bounds = [each.false.interval for each in points]
    axes.fill_between(
        costs, [100 * low for low, _ in bounds], [100 * high for _, high in bounds],
        color="C0", alpha=0.15, label="95 % interval",
    )  # fmt: skip
    axes.plot(
        costs, [_percent(each.false) for each in points], "C0.-", label="policy, by threshold"
    )
    for point, mark in zip(done.alone, ("s", "D"), strict=True):
        if point.false.total:
            axes.plot(point.credits, _percent(point.false), f"k{mark}", label=point.name)
    axes.axhline(100 * error, color="0.5", linestyle="--", label=f"wanted: {error:.0%}")
    if done.found is not None and done.on_others.false.total:
        axes.plot(
            done.on_others.credits, _percent(done.on_others.false), "C3*", markersize=14,
            label=f"threshold {done.found.below:.2f}, on other pictures",
        )  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.savefig(path, format=path.suffix.lower().lstrip("."), dpi=120)


def _table(done: Report, pictures: int) -> Table:
    table = Table(title=f"{pictures} pictures: quality against cost, by threshold")
    for name in ("confidence below", "again", "looks", "credits", "false claims", "true ones lost"):
        table.add_column(name, justify="right")
    first, second = done.alone
    for each in (first, *_some(done.curve), second):
        name = each.name if each.below is None else f"{each.below:.3f}"
        table.add_row(
            name, _percent_text(each.escalated), f"{each.looks:.2f}", f"{each.credits:.2f}",
            _with_interval(each.false), _with_interval(each.lost),
        )  # fmt: skip
    return table


def _some(points: Sequence[Tradeoff]) -> list[Tradeoff]:
    """Return so many points that their costs lie about evenly."""
    if len(points) <= ROWS:
        return list(points)
    low, high = points[0].credits, points[-1].credits
    wanted = [low + (high - low) * n / (ROWS - 1) for n in range(ROWS)]
    chosen = [min(points, key=lambda each: abs(each.credits - cost)) for cost in wanted]
    return list({each.below: each for each in chosen}.values())


def _sentences(done: Report, options: PolicyOptions) -> list[str]:
    wanted = f"at most {options.error:.1%} false claims"
    lines = []
    if done.found is None:
        best = min(done.curve, key=lambda each: each.false.value or 1.0)
        lines.append(
            f"No threshold reaches {wanted}; the best is {best.below:.3f} "
            f"with {_with_interval(best.false)}."
        )
    else:
        lines += [
            f"For {wanted}{_how(done.is_sure)}: confidence_below {done.found.below:.3f}.",
            f"  found on {_came_out(done.on_fit)}",
            f"  came out on {_came_out(done.on_others)}",
        ]
        second = done.alone[1]
        if second.credits <= done.on_others.credits:
            lines.append(
                f"  The second step alone costs {second.credits:.2f} credits a picture, with "
                f"{_with_interval(second.false)} false: no policy is needed."
            )
        limit, needed = options.policy.budget.share, done.on_others.escalated.value or 0.0
        if limit is not None and needed > limit:
            lines.append(f"  The policy's budget of a share of {limit:g} is less than that.")
    before, after = done.ece
    if before is not None and after is not None:
        lines.append(
            f"Calibration error of final probabilities on the others: {before:.3f}, "
            f"with the policy's own calibration {after:.3f}."
        )
    if done.accepted is None:
        lines.append(f"No final confidence marks descriptions with {wanted}.")
    else:
        on_fit, on_others = done.accepted
        how = _how(done.accepted_is_sure)
        lines += [
            f"Descriptions with a final confidence from {on_fit.confidence:.3f}: {wanted}{how}.",
            f"  found: {_with_interval(on_fit.false)}, "
            f"coverage {_with_interval(on_fit.coverage)} of the pictures",
            f"  came out: {_with_interval(on_others.false)}, "
            f"coverage {_with_interval(on_others.coverage)} of the pictures",
        ]
    return lines


def _how(is_sure: bool) -> str:
    return " (the interval's upper end)" if is_sure else " (to be expected, not sure)"


def _came_out(point: Tradeoff) -> str:
    return (
        f"{point.pictures} pictures: {_with_interval(point.false)} false, "
        f"{_with_interval(point.escalated)} looked at again, {point.credits:.2f} credits a picture"
    )


def _figures(done: Report, error: float) -> dict[str, Any]:
    return {
        "error": error,
        "alone": [each.figures() for each in done.alone],
        "curve": [each.figures() for each in done.curve],
        "confidence_below": None if done.found is None else done.found.below,
        "is_sure": done.is_sure,
        "found_on": done.on_fit.figures(),
        "came_out_on_others": done.on_others.figures(),
        "ece_before": done.ece[0],
        "ece_after": done.ece[1],
        "accepted": None
        if done.accepted is None
        else {
            "is_sure": done.accepted_is_sure,
            "found_on": done.accepted[0].figures(),
            "came_out_on_others": done.accepted[1].figures(),
        },
        "fitted": policy_to_json(done.fitted),
    }


def _percent(share: Share) -> float:
    return 100 * (share.value or 0.0)


def _percent_text(share: Share) -> str:
    return "-" if share.value is None else f"{share.value:.0%}"


def _with_interval(share: Share) -> str:
    if share.value is None:
        return "-"
    low, high = share.interval
    return f"{share.value:.1%} ({low:.1%} to {high:.1%})"
