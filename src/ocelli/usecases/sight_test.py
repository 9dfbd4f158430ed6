"""The sight test of one backend: at most four looks; see domain.sight."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ocelli.domain.errors import AnalysisFailed
from ocelli.domain.questions import Question
from ocelli.domain.sight import SightReport, TrialAnswer, draw_trials, next_trial, verdict
from ocelli.media.sight_pictures import draw

if TYPE_CHECKING:
    import random

    from ocelli.domain.findings import Findings
    from ocelli.domain.ports_backends import Backend
    from ocelli.domain.sight import Trial


async def run_sight_test(
    backend: Backend, rng: random.Random, *, complete: bool = False
) -> SightReport:
    """Return what the backend's answers show. ``complete`` asks about all pictures, for people.

    Raises AnalysisFailed if it cannot be asked: that shows nothing.
    """
    trials = draw_trials(rng)
    answers: list[TrialAnswer] = []
    while (report := verdict(trials, answers)) is None:
        trial = next_trial(trials, answers)
        answers.append(TrialAnswer(trial, await _answer(backend, trial, trials.blank, rng)))
    if complete:
        asked = {each.trial.name for each in answers}
        more = [each for each in (*trials.shown, trials.blank) if each.name not in asked]
        answers += [
            TrialAnswer(trial, await _answer(backend, trial, trials.blank, rng)) for trial in more
        ]
    return SightReport(report.sees, report.reason, tuple(answers))


async def _answer(backend: Backend, trial: Trial, blank: Trial, rng: random.Random) -> str:
    picture = await asyncio.to_thread(draw, trial, rng)
    try:
        return _said(await backend.look(picture, Question(prompt=trial.question)))
    except AnalysisFailed as failed:
        if trial is blank and not failed.retryable:
            return ""  # there is nothing to say about it
        raise


def _said(found: Findings) -> str:
    lines = (line.text for line in found.texts)
    return "\n".join((found.description or "", *lines))
