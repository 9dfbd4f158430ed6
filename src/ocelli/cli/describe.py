"""``ocelli describe``: pictures of this machine, without a server.

Processes of this command run the decoders, the backends and the verification of a server's workers;
nothing is stored.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from aion import UploadError, ValidationError
from aion._files import SUPPORTED_EXTENSIONS, walk
from aion.resources.vocabularies import text_of
from ocelli.backends.local.runtime import cache_folder
from ocelli.cli.describer_pool import DescribersFailed, describe_all
from ocelli.cli.model_process import NoModel, running_model
from ocelli.cli.options import load_settings
from ocelli.cli.output import (
    CANNOT_RUN,
    FAILED,
    WRONG_USE,
    fail,
    print_json,
    print_line,
    printable,
    say_passed_over,
)
from ocelli.cli.signals import end_as_by_ctrl_c
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.vocabulary_files import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from ocelli.cli.describer import DescribedFile
    from ocelli.cli.describer_process import DescriberProcess
    from ocelli.settings import Settings


def describe(
    paths: Sequence[Path],
    *,
    as_json: bool,
    level: str,
    as_lines: bool = False,
    tolerant: bool = False,
    vocabulary: Path | None = None,
    vocabulary_mode: str | None = None,
    first: DescriberProcess | None = None,
    **options: Any,
) -> int:
    """Describe pictures; print a table or JSON, ``as_lines`` each as soon as it is described.

    ``first`` is a process that has been started already. Returns the exit code: FAILED if a
    picture could not be described, ``tolerant`` only if none could.
    """
    try:
        verification_level = VerificationLevel(level)
    except ValueError as error:
        fail(str(error), f"levels are {', '.join(VerificationLevel)}")
        return WRONG_USE
    if vocabulary is not None and (issue := unusable(vocabulary, vocabulary_mode)):
        fail(issue)
        return WRONG_USE
    passed_over: Counter[str] = Counter()
    try:
        files = list(expand(paths, passed_over))
    except UploadError as error:
        fail(error.message)
        return WRONG_USE
    say_passed_over(passed_over)
    missing = [path for path in paths if not path.exists()]
    for path in missing:
        fail(f"no such file or folder: {printable(path)}")
    if missing or not files:
        if not missing:
            fail(
                "no pictures found", f"files that end in {', '.join(sorted(SUPPORTED_EXTENSIONS))}"
            )
        return WRONG_USE
    show = _lines if as_lines else _silent if as_json else _table
    try:
        tags_from = None
        if vocabulary is not None and vocabulary_mode != "off":
            tags_from = vocabulary, vocabulary_mode or "strict"
        results = run(files, show, verification_level, tags_from, first, **options)
    except DescribersFailed as error:
        fail(str(error))
        return CANNOT_RUN
    except NoModel as error:
        return error.code
    if as_json and not as_lines:
        print_json([result.as_dict() for result in results])
    failed = [result.failed for result in results]
    return FAILED if (all(failed) if tolerant else any(failed)) else 0


def run(
    files: Sequence[Path],
    show: Callable[[Iterator[DescribedFile], int], None],
    level: VerificationLevel,
    tags_from: tuple[Path, str] | None = None,
    first: DescriberProcess | None = None,
    **options: Any,
) -> list[DescribedFile]:
    """Describe ``files``; ``show`` gets an iterator of the outcomes, and their number.

    ``tags_from``: the file of a vocabulary, and its mode.
    Raises DescribersFailed if no picture can be described here.
    """
    settings = settings_of_command(len(files), **options)
    results: list[DescribedFile] = []

    def collected() -> Iterator[DescribedFile]:
        for result in described(settings, files, level, tags_from, first):
            results.append(result)
            yield result

    show(collected(), len(files))
    return results


def settings_of_command(most: int | None = None, **options: Any) -> Settings:
    """Return the settings for describing without a server, with at most so many workers."""
    settings = load_settings(**options)
    workers = max(1, min(settings.workers, settings.workers if most is None else most))
    cache = settings.cache or cache_folder()  # outlives the command
    end_as_by_ctrl_c()
    return settings.model_copy(update={"workers": workers, "cache": cache})


def described(
    settings: Settings,
    files: Iterable[Path | None],
    level: VerificationLevel,
    tags_from: tuple[Path, str] | None = None,
    first: DescriberProcess | None = None,
) -> Iterator[DescribedFile]:
    """Yield outcomes as ``describe_all`` does, with the model of the settings running.

    Raises DescribersFailed, and NoModel if that model cannot run.
    """
    with running_model(settings) as with_model:
        yield from describe_all(with_model, files, level, tags_from, first)
        _tell_who_is_held_back(with_model)


def unusable(vocabulary: Path, mode: str | None) -> str | None:
    """Return why a file cannot be the vocabulary; None if it can."""
    from ocelli.domain.choosing import Mode
    from ocelli.domain.errors import ValidationFailed

    if mode is not None and mode not in list(Mode):
        return f"no such mode: {mode}; {', '.join(Mode)}"
    try:
        read(text_of(vocabulary))
    except OSError as error:
        return f"{printable(vocabulary)}: {error.strerror}"
    except (ValidationError, ValidationFailed) as error:
        return f"{printable(vocabulary)}: {error.message}"
    return None


def digest_of(vocabulary: Path) -> str:
    """Return the digest of the terms in a file, which has been read before."""
    return read(text_of(vocabulary)).digest


def expand(paths: Iterable[Path], passed_over: Counter[str] | None = None) -> Iterator[Path]:
    """Yield files as given, and the pictures in folders, sorted, without hidden ones.

    Other files in folders are counted in ``passed_over``, by their extension. Raises UploadError
    for a folder that cannot be read.
    """
    for path in paths:
        if path.is_dir():
            yield from walk(path, recursive=True, include_hidden=False, passed_over=passed_over)
        elif path.exists():
            yield path


def _tell_who_is_held_back(settings: Settings) -> None:
    """Say which backends have not shown that they see, and so did not describe."""
    if not settings.backends:
        return
    from ocelli.cli.sight import states_of_commands

    for name, state in asyncio.run(states_of_commands(settings)).items():
        if not state.sight.may_look:
            fail(f"{name} was not asked. {state.reason}", f"ocelli models check {name}")


def _silent(results: Iterator[DescribedFile], total: int) -> None:
    del total
    for _ in results:
        pass


def _lines(results: Iterator[DescribedFile], total: int) -> None:
    del total
    for result in results:
        print_line(result.as_dict())


def _table(results: Iterator[DescribedFile], total: int) -> None:
    from ocelli.cli.table import show

    show(results, total)
