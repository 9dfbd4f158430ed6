"""``ocelli describe``: the whole system for the length of one command.

Postgres and the workers live in a temporary folder; pictures take the same way as with a server:
upload use case, queue, worker, result.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocelli.cli.main import CANNOT_RUN, FAILED, fail, print_json
from ocelli.cli.options import load_settings, to_environment
from ocelli.cli.processes import ChildrenFailed, Supervisor
from ocelli.domain.analysis import Level
from ocelli.domain.errors import OcelliError
from ocelli.storage.embedded import EmbeddedPostgres, EmbeddedPostgresError
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.files import Files
from ocelli.usecases.quota import Quota
from ocelli.usecases.staging import StagedFile
from ocelli.usecases.stores import Stores
from ocelli.usecases.upload import Upload, UploadRequest
from ocelli.wiring import default_tenant, objects, prepare

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
    from uuid import UUID

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.analysis import Analysis
    from ocelli.settings import Settings

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif"})
IN_FLIGHT_PER_WORKER = 4
# Seconds, of a few pictures and of many: looking costs the workers' cores a share of a millisecond.
LOOK_EVERY, LOOK_AT_MANY_EVERY = 0.05, 0.25
MANY = 3
WORKERS_LOG = "workers.log"
WRONG_USE = 2


@dataclass(frozen=True)
class Described:
    """One picture's outcome: ``analysis`` if it was looked at, else ``error``."""

    path: Path
    analysis: Analysis | None = None
    error: str | None = None

    @property
    def failed(self) -> bool:
        """Whether there is no description."""
        return self.problem is not None

    @property
    def problem(self) -> str | None:
        """What went wrong, if anything did."""
        if self.analysis is not None and self.analysis.failure is not None:
            return self.analysis.failure.message
        return self.error

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        found = self.analysis
        return {
            "file": str(self.path),
            "status": "failed" if self.failed else "completed",
            "description": found and found.description,
            "tags": list(found.tags) if found else [],
            "visible_text": found and found.visible_text,
            "level": found and found.level,
            "looks": found.looks if found else 0,
            "dropped": [c.claim.text for c in found.claims if not c.kept] if found else [],
            "confidence": found and found.confidence and round(found.confidence, 4),
            "source": [each.source for each in found.findings] if found else [],
            "ms": found and found.processing_ms and round(found.processing_ms, 1),
            "error": self.problem,
        }


def describe(paths: Sequence[Path], *, as_json: bool, level: str, **options: Any) -> int:
    """Print a table as the pictures come in, or JSON at the end."""
    try:
        wanted = Level(level)
    except ValueError as error:
        fail(str(error), f"levels are {', '.join(Level)}")
        return WRONG_USE
    files = list(expand(paths))
    missing = [path for path in paths if not path.exists()]
    for path in missing:
        fail(f"no such file or folder: {path}")
    if missing or not files:
        if not missing:
            fail("no pictures found", f"files that end in {', '.join(sorted(SUFFIXES))}")
        return WRONG_USE
    show = _silent if as_json else _table()
    try:
        results = run(files, show, wanted, **options)
    except (EmbeddedPostgresError, ChildrenFailed) as error:
        fail(str(error))
        return CANNOT_RUN
    if as_json:
        print_json([result.as_dict() for result in results])
    return FAILED if any(result.failed for result in results) else 0


def run(
    files: Sequence[Path],
    show: Callable[[Iterator[Described], int], None],
    level: Level,
    **options: Any,
) -> list[Described]:
    """Describe ``files``; ``show`` is handed the outcomes as they come, and their number."""
    with tempfile.TemporaryDirectory(prefix="ocelli-") as folder:
        Path(folder).chmod(0o755)  # root's Postgres runs as another user
        settings = load_settings(data=Path(folder), **_few_workers(options, len(files)))
        if settings is None:
            raise SystemExit(CANNOT_RUN)
        with _system(settings) as (dsn, check):
            results: list[Described] = []

            def collected() -> Iterator[Described]:
                with asyncio.Runner() as runner:
                    stream = _describe_all(settings, dsn, files, level, check)
                    while (result := runner.run(_next(stream))) is not None:
                        results.append(result)
                        yield result

            show(collected(), len(files))
    return results


def expand(paths: Iterable[Path]) -> Iterator[Path]:
    """Files as given; folders as the pictures in them, hidden ones left out, sorted."""
    for path in paths:
        if path.is_dir():
            yield from sorted(
                file
                for file in path.rglob("*")
                if file.suffix.lower() in SUFFIXES
                and file.is_file()
                and not any(part.startswith(".") for part in file.relative_to(path).parts)
            )
        elif path.exists():
            yield path


@contextlib.contextmanager
def _system(settings: Settings) -> Iterator[tuple[str, Callable[[], None]]]:
    """Postgres and workers, for the length of the block; and a check that raises once they fail."""
    postgres = EmbeddedPostgres(settings.data / "postgres", durable=False)
    stop = threading.Event()
    failures: list[ChildrenFailed] = []

    def keep() -> None:
        try:
            supervisor.keep_running(dsn, stop)
        except ChildrenFailed as error:
            failures.append(error)

    def check() -> None:
        if failures:
            said = (settings.data / WORKERS_LOG).read_text(errors="replace")
            raise ChildrenFailed(f"{failures[0]}\n{said[-2000:]}")

    with contextlib.ExitStack() as stack:
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        stack.callback(postgres.stop)
        supervisor = Supervisor(postgres, log_file=settings.data / WORKERS_LOG)
        stack.callback(supervisor.stop)
        for number in range(settings.workers):
            supervisor.add(f"worker {number + 1}", ["worker"], to_environment(settings))
        dsn = postgres.start()  # takes as long as the workers need to load
        prepare(settings, dsn)
        objects(settings)
        keeper = threading.Thread(target=keep, daemon=True)
        keeper.start()
        stack.callback(keeper.join)
        stack.callback(stop.set)
        yield dsn, check


async def _describe_all(
    settings: Settings,
    dsn: str,
    files: Sequence[Path],
    level: Level,
    check: Callable[[], None],
) -> AsyncIterator[Described]:
    """In the order in which they finish; a bounded number at a time."""
    waiting = iter(files)
    running: set[asyncio.Task[Described]] = set()
    async with PostgresDatabase(dsn, max_connections=8) as database:
        one = _One(settings, database, await default_tenant(database), level)
        watcher = asyncio.create_task(one.watch())
        try:
            while True:
                room = IN_FLIGHT_PER_WORKER * settings.workers - len(running)
                for path in _take(waiting, room):
                    running.add(asyncio.create_task(one.describe(path)))
                if not running:
                    return
                check()
                if watcher.done():
                    watcher.result()
                done, running = await asyncio.wait(
                    running, timeout=1.0, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    yield task.result()
        finally:
            watcher.cancel()
            for task in running:
                task.cancel()


class _One:
    """One picture through the use cases."""

    def __init__(
        self, settings: Settings, database: PostgresDatabase, tenant: Tenant, level: Level
    ) -> None:
        self._tenant = tenant
        self._level = level
        self._store = objects(settings)
        stores = Stores(self._store)
        self._upload = Upload(database, stores, Quota(database), max_pixels=settings.max_pixels)
        self._files = Files(database, stores)
        self._max_bytes = settings.max_upload_bytes
        self._waiting: dict[UUID, asyncio.Future[Analysis]] = {}

    async def describe(self, path: Path) -> Described:
        try:
            with StagedFile(self._store.staging, max_bytes=self._max_bytes) as staged:
                await asyncio.to_thread(_copy, path, staged)
                accepted = await self._upload.accept(
                    self._tenant,
                    staged,
                    UploadRequest(path.name, variants=False, level=self._level),
                )
            analysis = await self._final(accepted.image.id)
            await self._store.delete(accepted.image.object_key)
        except OcelliError as error:
            return Described(path, error=error.message)
        except OSError as error:
            return Described(path, error=error.strerror or str(error))
        return Described(path, analysis)

    async def _final(self, id: UUID) -> Analysis:
        self._waiting[id] = asyncio.get_running_loop().create_future()
        return await self._waiting[id]

    async def watch(self) -> None:
        """Hand out what is final, with one question for all that are waited for."""
        while True:
            await asyncio.sleep(LOOK_AT_MANY_EVERY if len(self._waiting) > MANY else LOOK_EVERY)
            if not self._waiting:
                continue
            for analysis in await self._files.finished(self._tenant.id, list(self._waiting)):
                if analysis.image_id in self._waiting:
                    self._waiting.pop(analysis.image_id).set_result(analysis)


def _copy(path: Path, staged: StagedFile) -> None:
    with path.open("rb") as file:
        while piece := file.read(1024 * 1024):
            staged.write(piece)


def _take(waiting: Iterator[Path], count: int) -> Iterator[Path]:
    for _ in range(count):
        path = next(waiting, None)
        if path is None:
            return
        yield path


async def _next(stream: AsyncIterator[Described]) -> Described | None:
    return await anext(stream, None)


def _few_workers(options: dict[str, Any], files: int) -> dict[str, Any]:
    """No more workers than pictures."""
    settings = load_settings(**options)
    return {**options, "workers": max(1, min(settings.workers, files))} if settings else options


def _silent(results: Iterator[Described], total: int) -> None:
    del total
    for _ in results:
        pass


def _table() -> Callable[[Iterator[Described], int], None]:
    from ocelli.cli.table import show

    return show
