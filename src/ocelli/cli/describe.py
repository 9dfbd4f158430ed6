"""``ocelli describe``: a temporary installation for one command.

Postgres and the workers live in a temporary folder; pictures take the same way as with a server:
upload use case, queue, worker, result. What this process needs for that is imported once the
workers are on their way: no start takes longer.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aion import UploadError
from aion._files import SUPPORTED_EXTENSIONS, walk
from ocelli.backends.local.runtime import cache_folder
from ocelli.cli.main import CANNOT_RUN, FAILED, WRONG_USE, fail, print_json, printable
from ocelli.cli.options import load_settings, to_environment
from ocelli.cli.processes import ChildrenFailed, Supervisor
from ocelli.domain.analysis import VerificationLevel
from ocelli.storage.embedded import EmbeddedPostgres, EmbeddedPostgresError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

    from ocelli.cli.pictures import DescribedFile
    from ocelli.settings import Settings

WORKERS_LOG = "workers.log"


def describe(paths: Sequence[Path], *, as_json: bool, level: str, **options: Any) -> int:
    """Describe pictures; print a table or JSON. Returns the exit code."""
    try:
        verification_level = VerificationLevel(level)
    except ValueError as error:
        fail(str(error), f"levels are {', '.join(VerificationLevel)}")
        return WRONG_USE
    try:
        files = list(expand(paths))
    except UploadError as error:
        fail(error.message)
        return WRONG_USE
    missing = [path for path in paths if not path.exists()]
    for path in missing:
        fail(f"no such file or folder: {printable(path)}")
    if missing or not files:
        if not missing:
            fail(
                "no pictures found", f"files that end in {', '.join(sorted(SUPPORTED_EXTENSIONS))}"
            )
        return WRONG_USE
    show = _silent if as_json else _table
    try:
        results = run(files, show, verification_level, **options)
    except (EmbeddedPostgresError, ChildrenFailed) as error:
        fail(str(error))
        return CANNOT_RUN
    if as_json:
        print_json([result.as_dict() for result in results])
    return FAILED if any(result.failed for result in results) else 0


def run(
    files: Sequence[Path],
    show: Callable[[Iterator[DescribedFile], int], None],
    level: VerificationLevel,
    **options: Any,
) -> list[DescribedFile]:
    """Describe ``files``; ``show`` gets an iterator of the outcomes, and their number."""
    with tempfile.TemporaryDirectory(prefix="ocelli-") as folder:
        settings = load_settings(data=Path(folder), **_with_limits(options, len(files)))
        if settings is None:
            raise SystemExit(CANNOT_RUN)
        with _system(settings) as (dsn, check):
            from ocelli.cli.pictures import describe_all

            results: list[DescribedFile] = []

            def collected() -> Iterator[DescribedFile]:
                with asyncio.Runner() as runner:
                    stream = describe_all(settings, dsn, files, level, check)
                    while (result := runner.run(_next(stream))) is not None:
                        results.append(result)
                        yield result

            show(collected(), len(files))
    return results


def expand(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield files as given, and the pictures in folders, sorted, without hidden ones.

    Raises UploadError for a folder that cannot be read.
    """
    for path in paths:
        if path.is_dir():
            yield from walk(path, recursive=True, include_hidden=False)
        elif path.exists():
            yield path


@contextlib.contextmanager
def _system(settings: Settings) -> Iterator[tuple[str, Callable[[], None]]]:
    """Run Postgres and workers for the block; gives the DSN, and a check that they run."""
    postgres = EmbeddedPostgres(settings.data / "postgres", durable=False)
    stop = threading.Event()
    failures: list[ChildrenFailed] = []

    def keep_running() -> None:
        try:
            supervisor.keep_running(dsn, stop)
        except ChildrenFailed as error:
            failures.append(error)

    def check() -> None:
        if failures:
            worker_log = (settings.data / WORKERS_LOG).read_text(errors="replace")
            raise ChildrenFailed(f"{failures[0]}\n{worker_log[-2000:]}")

    with contextlib.ExitStack() as stack:
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        stack.callback(postgres.stop)
        supervisor = Supervisor(postgres, log_file=settings.data / WORKERS_LOG)
        stack.callback(supervisor.stop)
        for number in range(settings.workers):
            supervisor.add(
                f"worker {number + 1}", ["worker", str(number + 1)], to_environment(settings)
            )
        dsn = postgres.start()  # takes as long as the workers need to load
        from ocelli.wiring.adapters import objects
        from ocelli.wiring.installation import prepare

        prepare(settings, dsn)
        objects(settings)
        keeper = threading.Thread(target=keep_running, daemon=True)
        keeper.start()
        stack.callback(keeper.join)
        stack.callback(stop.set)
        yield dsn, check


async def _next(stream: AsyncIterator[DescribedFile]) -> DescribedFile | None:
    return await anext(stream, None)


def _with_limits(options: dict[str, Any], files: int) -> dict[str, Any]:
    """Limit the workers to the pictures, and set a cache that outlives the command."""
    settings = load_settings(**options)
    if settings is None:
        return options
    workers = max(1, min(settings.workers, files))
    return {**options, "workers": workers, "cache": settings.cache or cache_folder()}


def _silent(results: Iterator[DescribedFile], total: int) -> None:
    del total
    for _ in results:
        pass


def _table(results: Iterator[DescribedFile], total: int) -> None:
    from ocelli.cli.table import show

    show(results, total)
