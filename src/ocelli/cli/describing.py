"""Words for pictures, by the models of this machine or by a server."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from ocelli.cli.output import CANNOT_RUN
from ocelli.domain import grammar
from ocelli.xmp.words import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from pathlib import Path

    from aion import DescriptionResult, SyncAionVision
    from ocelli.cli.describer import DescribedFile
    from ocelli.domain.analysis import AnalysisAnswer
    from ocelli.settings import Settings

    Describe = Callable[[Iterable[Path | None]], Generator["Described", None, None]]

AT_ONCE = 8  # requests to a server
PAUSE = 0.2  # seconds until it is asked again whether there are more pictures


@dataclass(frozen=True, slots=True)
class Described:
    """The outcome for one picture: ``words``, or the ``error``."""

    path: Path
    words: Words | None
    error: str | None = None


class CannotDescribe(Exception):
    """No picture can be described; ``code`` is the exit code. Without a message all is said."""

    def __init__(
        self, message: str = "", advice: str | None = None, code: int = CANNOT_RUN
    ) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.code = code


def by_local_models(
    settings: Settings, level: str, tags_from: tuple[Path, str] | None = None
) -> Describe:
    """Return what describes pictures with processes of this command. It raises CannotDescribe."""
    from ocelli.cli.describe import described
    from ocelli.cli.describer_pool import DescribersFailed
    from ocelli.cli.model_process import NoModel
    from ocelli.domain.analysis import VerificationLevel

    def describe(files: Iterable[Path | None]) -> Generator[Described, None, None]:
        begun = _with_the_first(files)
        if begun is None:  # no process is needed
            return
        try:
            for file in described(settings, begun, VerificationLevel(level), tags_from):
                yield _from_models(file)
        except DescribersFailed as error:
            raise CannotDescribe(str(error)) from error
        except NoModel as error:
            raise CannotDescribe(code=error.code) from error

    return describe


def _with_the_first(files: Iterable[Path | None]) -> Iterable[Path | None] | None:
    """Wait for the first picture; None if there is none."""
    remaining = iter(files)
    for file in remaining:
        if file is not None:
            return chain([file], remaining)
        time.sleep(PAUSE)
    return None


def _from_models(file: DescribedFile) -> Described:
    answer = file.answer
    if answer is None:
        return Described(file.path, None, file.error)
    tagging = answer.tagging
    words = Words(
        answer.description or "",
        _paths(answer.tags, has_levels=tagging is not None),
        _models(answer),
        file.level,
        answer.confidence,
        tagging.digest if tagging else None,
    )
    return Described(file.path, words)


def _models(answer: AnalysisAnswer) -> str:
    return ", ".join(f"{each.source} {each.model_version}" for each in answer.findings)


def by_server(client: SyncAionVision, level: str, **options: Any) -> Describe:
    """Return what asks a server, which puts nothing into its library. It raises CannotDescribe."""
    from aion import AionvisionError
    from ocelli.cli.connection import hint

    def ask(path: Path) -> Described:
        try:
            result = client.describe(path, verification_level=level, **options)
        except AionvisionError as error:
            if advice := hint(error):
                raise CannotDescribe(error.message, advice) from error
            return Described(path, None, error.message)
        return Described(path, _from_server(result, level))

    def describe(files: Iterable[Path | None]) -> Generator[Described, None, None]:
        remaining = iter(files)
        running: set[Future[Described]] = set()
        is_exhausted = False
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            while running or not is_exhausted:
                while len(running) < AT_ONCE and not is_exhausted:
                    try:
                        path = next(remaining)
                    except StopIteration:
                        is_exhausted = True
                    else:
                        if path is None:
                            break
                        running.add(pool.submit(ask, path))
                if not running:
                    time.sleep(0 if is_exhausted else PAUSE)
                    continue
                done, running = wait(running, PAUSE, return_when=FIRST_COMPLETED)
                for each in done:
                    yield each.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    return describe


def _from_server(result: DescriptionResult, level: str) -> Words:
    models = result.metadata.get("models")
    named = models if isinstance(models, dict) else {}
    tagging = result.tagging
    return Words(
        result.description,
        _paths(result.tags, has_levels=tagging is not None),
        ", ".join(f"{source} {version}" for source, version in named.items()) or "server",
        level,
        result.confidence_score,
        tagging.digest if tagging else None,
    )


def _paths(tags: Sequence[str], *, has_levels: bool) -> tuple[tuple[str, ...], ...]:
    """Return tags as paths: those of a vocabulary have levels.

    Of other tags those that only name a colour are left out: every picture has some, and as
    keywords of a photo library they would bury what it shows.
    """
    if has_levels:
        return tuple(tuple(tag.split("/")) for tag in tags)
    return tuple((tag,) for tag in tags if not grammar.is_color(tag))
