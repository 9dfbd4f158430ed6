"""``ocelli eval``: the quality of the answers, on labelled pictures."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ocelli.cli.console import console
from ocelli.cli.model_process import NoModel, running_model
from ocelli.cli.options import load_settings
from ocelli.cli.output import CANNOT_RUN, FAILED, WRONG_USE, fail, print_json, printable
from ocelli.domain.errors import AnalysisFailed, ValidationFailed
from ocelli.domain.evaluation import ReferenceLabel, Score, fit, reliability
from ocelli.domain.questions import Question
from ocelli.domain.verification import Calibration
from ocelli.media.decode import decode
from ocelli.wiring.backends import build_engine, write_calibration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ocelli.domain.analysis import VerificationLevel
    from ocelli.settings import Settings
    from ocelli.usecases.verification_engine import Engine

AT_ONCE = 8
PLOTS = (".png", ".svg", ".pdf")  # of a policy

LOWER_IS_BETTER = frozenset({"text_error_rate", "hallucination_rate", "true_claims_lost", "ece"})


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command."""

    folder: Path
    labels: Path
    levels: Sequence[VerificationLevel]
    backend: str | None
    fit_to: Path | None
    plot_to: Path | None
    as_json: bool
    policy: Path | None = None
    error: float = 0.05


def evaluate(options: Options, **given: Any) -> int:
    """Measure every level and report. Returns the exit code."""
    settings = load_settings(**given)
    try:
        labels = read_labels(options.labels)
    except (OSError, ValueError) as error:
        fail(
            f"{printable(options.labels)}: {getattr(error, 'strerror', None) or error}",
            'one JSON object a line: {"file": "a.jpg", "objects": {"cup": 2}, "text": ["EXIT"],'
            ' "tags": ["cup"]}',
        )
        return WRONG_USE
    missing = [each.file for each in labels if not (options.folder / each.file).is_file()]
    if missing:
        fail(f"{len(missing)} labelled pictures are not in {options.folder}, first {missing[0]}")
        return WRONG_USE
    if options.policy is not None:
        return _of_policy(settings, options, labels)
    try:
        with running_model(settings) as with_model:
            scores = asyncio.run(_measure(with_model, options, labels))
    except NoModel as error:
        return error.code
    except AnalysisFailed as failed:
        fail(failed.message, "ocelli doctor")
        return CANNOT_RUN
    _report(options, scores)
    return FAILED if any(score.failed for score in scores.values()) else 0


def _of_policy(settings: Settings, options: Options, labels: Sequence[ReferenceLabel]) -> int:
    from ocelli.cli import evaluate_policy as of_policy

    assert options.policy is not None
    try:
        policy = of_policy.read_policy(options.policy)
    except (OSError, ValueError) as error:
        fail(
            f"{printable(options.policy)}: {getattr(error, 'strerror', None) or error}",
            "`ocelli docs escalation` shows one",
        )
        return WRONG_USE
    chosen = of_policy.PolicyOptions(
        policy, options.error, options.fit_to, options.plot_to, options.as_json
    )
    try:
        with running_model(settings) as with_model:
            pictures = asyncio.run(of_policy.measure(with_model, chosen, options.folder, labels))
    except NoModel as error:
        return error.code
    except ValidationFailed as error:
        fail(error.message, "ocelli models --backends")
        return WRONG_USE
    except AnalysisFailed as failed:
        fail(failed.message, "ocelli doctor")
        return CANNOT_RUN
    if len(pictures) < 2:
        fail("At least two pictures must be described: one to find a threshold, one to try it.")
        return FAILED
    of_policy.report(chosen, pictures)
    return FAILED if len(pictures) < len(labels) else 0


def read_labels(path: Path) -> list[ReferenceLabel]:
    """Read the labels. Raises ValueError that names the line."""
    labels = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            try:
                labels.append(ReferenceLabel.from_json(json.loads(line)))
            except (ValueError, TypeError, AttributeError) as error:
                raise ValueError(f"line {number}: {error}") from error
    if not labels:
        raise ValueError("no labels")
    return labels


async def _measure(
    settings: Settings, options: Options, labels: Sequence[ReferenceLabel]
) -> dict[VerificationLevel, Score]:
    # What is fitted must be what was computed, not what an earlier fit made of it.
    raw = Calibration() if options.fit_to is not None else None
    with ThreadPoolExecutor(1) as compute:
        async with build_engine(settings, compute, calibration=raw) as engine:
            return await _levels(engine, settings, options, labels)


async def _levels(
    engine: Engine, settings: Settings, options: Options, labels: Sequence[ReferenceLabel]
) -> dict[VerificationLevel, Score]:
    scores: dict[VerificationLevel, Score] = {level: Score() for level in options.levels}
    semaphore = asyncio.Semaphore(AT_ONCE)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("evaluating", total=len(labels) * len(options.levels))

        async def one(label: ReferenceLabel, level: VerificationLevel) -> None:
            async with semaphore:
                await _one(engine, settings, options, label, level, scores[level])
            progress.advance(task)

        for level in options.levels:
            await asyncio.gather(*(one(label, level) for label in labels))
    return scores


async def _one(
    engine: Engine,
    settings: Settings,
    options: Options,
    label: ReferenceLabel,
    level: VerificationLevel,
    score: Score,
) -> None:
    question = Question(backends=(options.backend,) if options.backend else ())
    try:
        data = await asyncio.to_thread((options.folder / label.file).read_bytes)
        picture = await asyncio.to_thread(decode, data, max_pixels=settings.max_pixels)
        answer = await engine.answer(picture, question, level)
    except AnalysisFailed as failed:
        score.failed += 1
        fail(f"{label.file}: {failed.message}")
        return
    score.looks += answer.looks
    score.add(answer.claims, answer.tags, answer.visible_text or "", label)


def _report(options: Options, scores: dict[VerificationLevel, Score]) -> None:
    every = [sample for score in scores.values() for sample in score.all]
    written: dict[str, str] = {}
    if options.fit_to is not None and every:
        levels = {str(name): fit(score.all) for name, score in scores.items() if score.all}
        write_calibration(options.fit_to, replace(fit(every), levels=levels))
        written["calibration"] = str(options.fit_to)
    if options.plot_to is not None and every:
        plot(options.plot_to, scores)
        written["plot"] = str(options.plot_to)
    if options.as_json:
        print_json({"levels": {n: s.figures() for n, s in scores.items()}, **written})
        return
    grid = Table(title=f"{len(every)} claims that the labels can decide")
    grid.add_column("measure")
    for level in scores:
        grid.add_column(level, justify="right")
    figures: dict[VerificationLevel, dict[str, Any]] = {n: s.figures() for n, s in scores.items()}
    for name in next(iter(figures.values())):
        arrow = "↓" if name in LOWER_IS_BETTER else "↑" if name != "looks_per_picture" else " "
        cells = (figures[level][name] for level in scores)
        grid.add_row(f"{arrow} {name}", *("-" if c is None else f"{c:.3f}" for c in cells))
    out = console()
    out.print(grid)
    for what, where in written.items():
        out.print(f"{what} written to {where}", soft_wrap=True)


def plot(path: Path, scores: dict[VerificationLevel, Score]) -> None:
    """Write a reliability diagram: computed against observed probability, a line per level."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(
        xlim=(0, 1), ylim=(0, 1), xlabel="computed probability", ylabel="share that is true"
    )
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="perfect")
    for level, score in scores.items():
        bins = reliability(score.kept)
        axes.plot([b.probability for b in bins], [b.accuracy for b in bins], "o-", label=level)
    axes.legend()
    figure.savefig(path, format="png", dpi=120)
