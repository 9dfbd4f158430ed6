"""``ocelli models check``: the sight test by hand."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import typer

from ocelli.backends.models.catalogue import backend_name
from ocelli.backends.models.store import Store
from ocelli.cli.model_process import NoModel, running_model
from ocelli.cli.options import load_settings
from ocelli.cli.output import FAILED, WRONG_USE, fail, print_json
from ocelli.domain.errors import AnalysisFailed
from ocelli.domain.findings import LOCAL
from ocelli.usecases.sight import known_states
from ocelli.usecases.sight_test import run_sight_test
from ocelli.wiring.backends import backend_names, build_backends
from ocelli.wiring.sight import sight_files, sight_store, sight_subjects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocelli.domain.sight import SightReport, SightState, TrialAnswer
    from ocelli.settings import Settings


def check(name: str, *, as_json: bool, **options: Any) -> int:
    """Test a backend, or a pulled model, on four pictures; print what was asked and answered.

    Returns the exit code. The result is remembered for the server that runs on the data folder,
    and for commands.
    """
    settings = load_settings(**options)
    if name not in backend_names(settings) and Store(settings.models_folder).get(name):
        settings = settings.model_copy(update={"model": name})
    own = backend_name(settings.model or "")
    names = tuple(dict.fromkeys((*([own] if own else ()), *backend_names(settings))))
    if name not in names:
        fail(f"there is no backend {name!r}", f"there are {', '.join(names)}")
        return WRONG_USE
    try:
        with running_model(settings) if name == own else nullcontext(settings) as running:
            report = asyncio.run(_tested(running, name))
    except NoModel as failed:
        return failed.code
    except AnalysisFailed as failed:
        fail(f"{name} could not be asked: {failed.message}")
        return FAILED
    if as_json:
        print_json(_as_dict(name, report))
    else:
        _print(name, report)
    return 0 if report.sees else FAILED


async def states(settings: Settings) -> Mapping[str, SightState]:
    """Return what is known of each backend, by name."""
    async with sight_store(settings) as store:
        return await known_states(store, sight_subjects(settings))


async def states_of_commands(settings: Settings) -> Mapping[str, SightState]:
    """The same as commands without a server have found."""
    return await known_states(sight_files(settings), sight_subjects(settings))


async def _tested(settings: Settings, name: str) -> SightReport:
    with ThreadPoolExecutor(1) as compute:
        async with build_backends(settings, compute) as backends:
            backend = backends.get(name)
            assert backend is not None
            report = await run_sight_test(backend, random.Random(), complete=True)  # noqa: S311
    if name != LOCAL:
        key = next(each.key for each in sight_subjects(settings) if each.name == name)
        async with sight_store(settings) as store:
            await store.write(key, sees=report.sees, reason=report.reason)
    return report


def _as_dict(name: str, report: SightReport) -> dict[str, Any]:
    return {
        "backend": name,
        "sees": report.sees,
        "reason": report.reason,
        "answers": [
            {
                "picture": each.trial.name,
                "shows": each.trial.truth,
                "question": each.trial.question,
                "answer": each.answer,
                "right": _is_right(each),
            }
            for each in report.answers
        ],
    }


def _print(name: str, report: SightReport) -> None:
    for each in report.answers:
        typer.echo(f"asked     {each.trial.question}")
        typer.echo(f"shown     {each.trial.truth}")
        for line in each.answer.splitlines() or [""]:
            typer.echo(f"answered  {line}")
        right = _is_right(each)
        typer.echo(f"          {'' if right is None else 'right' if right else 'not right'}\n")
    typer.echo(f"{name} sees" if report.sees else f"{name} does not see: {report.reason}")


def _is_right(answered: TrialAnswer) -> bool | None:
    """None for the blank picture, about which nothing has to be said."""
    trial = answered.trial
    return trial.is_right(answered.answer) if trial.words or trial.kinds else None
