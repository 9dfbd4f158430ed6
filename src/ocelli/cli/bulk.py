"""``ocelli bulk``: pictures by the million into Parquet files, on this machine or an engine.

Exit codes: 0 when every source has its row, whatever is in it; FAILED when the run ended early or
its account does not sum.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from aion import UploadError, ValidationError
from aion._files import SUPPORTED_EXTENSIONS, walk
from aion.resources.vocabularies import text_of
from ocelli.bulk import account, feed, shards
from ocelli.bulk.buckets import BucketFailed
from ocelli.bulk.history import History
from ocelli.bulk.manifest import WrongOutput, locked, settle
from ocelli.bulk.plan import VocabularyText, WorkerPlan
from ocelli.bulk.progress import Progress, cost_text
from ocelli.bulk.run import EngineFailed, Run
from ocelli.bulk.sources import BadSource, Source
from ocelli.cli.model_process import NoModel, running_model
from ocelli.cli.options import load_settings, to_environment
from ocelli.cli.output import (
    CANNOT_RUN,
    FAILED,
    WRONG_USE,
    fail,
    print_json,
    printable,
)
from ocelli.cli.signals import end_as_by_ctrl_c
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.choosing import Mode
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.languages import language_named
from ocelli.domain.questions import MAX_PROMPT, Question, Role
from ocelli.wiring import bulk as wiring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ocelli.bulk.run import Engine
    from ocelli.bulk.tasks import Entry
    from ocelli.settings import Settings

LINE_EVERY = 30.0  # seconds, where standard error is no terminal
INTERRUPTED = 130
BUILD = wiring.build_picture_worker
CHILD = (sys.executable, "-m", "ocelli.cli.child", "bulk")


class WrongUse(Exception):
    """An option has a value that it cannot have."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkOptions:
    """What the command line says. ``retry`` is ``failed``, ``retryable`` or None."""

    source: str
    output: Path
    level: str
    column: str | None = None
    role: str | None = None
    language: str | None = None
    prompt: str | None = None
    backend: str | None = None
    vocabulary: Path | None = None
    vocabulary_mode: str | None = None
    engine: str = "local"
    address: str | None = None
    workers: int | None = None
    new: bool = False
    retry: str | None = None
    limit: int | None = None
    sample: int | None = None
    budget: str | None = None
    max_failures: int | None = None
    as_json: bool = False


def bulk(options: BulkOptions, **settings: Any) -> int:
    """Do a run; print its account. Returns the exit code."""
    end_as_by_ctrl_c()
    try:
        with running_model(load_settings(**settings)) as loaded:
            return _run(options, loaded)
    except (WrongUse, BadSource, WrongOutput) as error:
        fail(str(error), error.hint)
        return WRONG_USE
    except (UploadError, ValidationFailed) as error:
        fail(error.message)
        return WRONG_USE
    except (EngineFailed, shards.UnreadableShard, BucketFailed) as error:
        fail(str(error))
        return CANNOT_RUN
    except OSError as error:  # the disk is full, or the output is not ours to write
        fail(
            f"{error.strerror or error}: {printable(str(error.filename or options.output))}",
            "the same command continues",
        )
        return CANNOT_RUN
    except NoModel as error:
        return error.code


def _run(options: BulkOptions, settings: Settings) -> int:
    question, level, vocabulary = _question(options, settings)
    limits = _limits(options, settings, question, level)
    engine = _engine(options, settings, question, level, vocabulary)
    source = Source(
        options.source,
        lambda folder: walk(folder, recursive=True, include_hidden=False),
        frozenset(SUPPORTED_EXTENSIONS),
        options.column,
        settings.max_upload_bytes,
    )
    source.check()
    with locked(options.output):
        shards.remove_unfinished(options.output)
        parts = wiring.answer_parts(settings, question, level, vocabulary)
        fingerprint = settle(options.output, parts, new=options.new)
        if options.retry:
            shards.drop_failed(options.output, retryable_only=options.retry == "retryable")
        history = History()
        history.load(options.output)
        writer = shards.ShardWriter(
            options.output,
            fingerprint,
            rows=settings.bulk_shard_rows,
            seconds=settings.bulk_shard_seconds,
        )

        def listing() -> Iterator[Entry]:
            return (
                feed.sample(source.entries, options.sample) if options.sample else source.entries()
            )

        run = Run(listing(), history, writer, limits, holds_bytes=source.holds_bytes)
        progress = Progress(run.account)
        if options.limit is None:  # it counts new ones alone, and how many are new is not known
            progress.expect(source.count, options.sample)
        code = _watched(run, engine, progress)
        if not run.is_complete(options.output):
            fail("The account does not sum: a source has no row, or a row no source.")
            code = code or FAILED
    _print_account(run, options)
    return code


def _watched(run: Run, engine: Engine, progress: Progress) -> int:
    """Do a run, and print how far it is; return the exit code."""
    show = _live if sys.stderr.isatty() else _logged
    try:
        show(run.steps(engine), progress)
    except KeyboardInterrupt:
        left = run.abandon()
        fail(f"interrupted; {left:,} pictures were under way", "the same command continues")
        return INTERRUPTED
    reason = run.feed.stopped_by
    if reason in (None, "limit"):
        return 0
    fail(f"ended early: {'the budget is spent' if reason == 'budget' else 'too many failures'}")
    return FAILED


def _live(steps: Iterator[None], progress: Progress) -> None:
    shown = 0.0
    for _ in steps:
        if time.monotonic() - shown >= 1.0:
            shown = time.monotonic()
            sys.stderr.write(f"\r\x1b[K{progress.line()}")
            sys.stderr.flush()
    sys.stderr.write("\r\x1b[K")


def _logged(steps: Iterator[None], progress: Progress) -> None:
    shown = time.monotonic()
    progress.line()  # the rate is measured from here
    for _ in steps:
        if time.monotonic() - shown >= LINE_EVERY:
            shown = time.monotonic()
            sys.stderr.write(f"{progress.line()}\n")
            sys.stderr.flush()


def _print_account(run: Run, options: BulkOptions) -> None:
    if options.as_json:
        print_json({**run.account.as_dict(), "stopped_by": run.feed.stopped_by})
    else:
        sys.stdout.write(f"{cost_text(run.account)}\n{run.account}\n")


def _question(
    options: BulkOptions, settings: Settings
) -> tuple[Question, VerificationLevel, VocabularyText | None]:
    level = _one_of("level", VerificationLevel, options.level)
    role = _one_of("role", Role, options.role or Role.GENERAL)
    if options.prompt and len(options.prompt) > MAX_PROMPT:
        raise WrongUse(f"--prompt has more than {MAX_PROMPT:,} characters")
    backend = options.backend or wiring.default_backend(settings)
    known = wiring.backends(settings)
    if backend not in known:
        raise WrongUse(f"no such backend: {backend}", f"backends are {', '.join(known)}")
    question = Question(
        role=role,
        language=language_named(options.language) if options.language else Question().language,
        prompt=options.prompt or None,
        backends=(backend,),
    )
    return question, level, _vocabulary(options)


def _one_of(name: str, kind: Callable[[str], Any], value: str) -> Any:
    try:
        return kind(value)
    except ValueError as error:
        raise WrongUse(f"--{name}: {error}", f"one of {', '.join(kind)}") from error  # type: ignore[arg-type]


def _vocabulary(options: BulkOptions) -> VocabularyText | None:
    from ocelli.domain.vocabulary_files import read

    path = options.vocabulary
    mode = _one_of("vocabulary-mode", Mode, options.vocabulary_mode or Mode.STRICT)
    if path is None or mode is Mode.OFF:
        return None
    try:
        text = text_of(path)
        read(text)
    except OSError as error:
        raise WrongUse(f"{printable(path)}: {error.strerror}") from error
    except (ValidationError, ValidationFailed) as error:
        raise WrongUse(f"{printable(path)}: {error.message}") from error
    return VocabularyText(path.stem, text, mode)


def _limits(
    options: BulkOptions, settings: Settings, question: Question, level: VerificationLevel
) -> account.Limits:
    if options.retry not in (None, "failed", "retryable"):
        raise WrongUse(f"--retry: no {options.retry}", "failed, or retryable")
    if options.budget is None:
        return account.Limits(options.limit, None, options.max_failures)
    try:
        budget = account.parse_budget(options.budget)
    except ValueError as error:
        raise WrongUse(f"--budget: {error}") from error
    cost, unpriced = wiring.highest_cost(settings, question, level)
    if unpriced:
        raise WrongUse(
            f"--budget needs the prices of {', '.join(unpriced)}",
            "input_price and output_price in [backends.NAME]",
        )
    return account.Limits(options.limit, budget, options.max_failures, cost)


def _engine(
    options: BulkOptions,
    settings: Settings,
    question: Question,
    level: VerificationLevel,
    vocabulary: VocabularyText | None,
) -> Engine:
    def plans(workers: int) -> list[WorkerPlan]:
        several = settings.model_copy(update={"workers": workers})
        return [
            WorkerPlan(
                to_environment(each), question, level, vocabulary, each.analyses_at_once or 1
            )
            for each in wiring.shared(several, question, level)
        ]

    if options.engine in ("ray", "daft") and find_spec(options.engine) is None:
        raise ModuleNotFoundError(f"No module named {options.engine}", name=options.engine)
    if options.engine == "local":
        from ocelli.bulk.engines.local import LocalEngine

        return LocalEngine(plans(settings.workers), CHILD)
    if settings.model is not None and options.engine == "ray":
        raise WrongUse(
            "--model runs on this machine, and workers of a cluster do not reach it.",
            "a model server of its own, in [backends.NAME]",
        )
    if options.engine == "ray":
        from ocelli.bulk.engines.ray import RayEngine

        return RayEngine(plans, BUILD, address=options.address, workers=options.workers)
    if options.engine == "daft":
        from ocelli.bulk.engines.daft import DaftEngine

        return DaftEngine(plans(settings.workers), BUILD)
    raise WrongUse(f"no such engine: {options.engine}", "local, daft, or ray")
