"""Workers as a class that Daft runs in processes of its own, on its native runner.

Tasks stream through one query for the whole run, so that models are loaded once. What workers ask
meanwhile (their plan, whether a picture is new) goes through a socket to this process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import secrets
import tempfile
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import cycle
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ocelli.bulk.run import EngineFailed
from ocelli.bulk.tasks import Task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from ocelli.bulk.feed import Feed
    from ocelli.bulk.plan import Build, WorkerPlan
    from ocelli.bulk.rows import Row
    from ocelli.bulk.worker import PictureWorker

# Daft reports each import and each query unless this is set before it is imported, in children too.
QUIET = {"DO_NOT_TRACK": "1", "DAFT_ANALYTICS_ENABLED": "0", "DAFT_PROGRESS_BAR": "0"}
TICK = 1.0  # seconds
PAUSE = 0.05  # seconds until the feed is asked again, when it has nothing now
SMALLEST_BATCH = 16  # pictures; a batch ends with its slowest one, and is lost with a kill
AHEAD = 3  # batches for each worker that are handed out
NONE = b""  # fills a batch up: Daft waits for whole ones

log = logging.getLogger(__name__)


class DaftEngine:
    """See run.Engine. A process for each of ``plans``."""

    def __init__(self, plans: Sequence[WorkerPlan], build: Build) -> None:
        self._plans = plans
        self._build = build

    def run(self, feed: Feed, claim: Callable[[Task, str], bool]) -> Iterator[Row | None]:
        """See run.Engine."""
        first = feed.take()
        if first is None:
            return
        os.environ.update(QUIET)
        with _answering(self._plans, claim) as (address, key):
            found: SimpleQueue[Row | Exception | None] = SimpleQueue()
            arguments = (first, feed, self._build, self._plans, address, key, found)
            threading.Thread(target=_query, args=arguments, name="daft", daemon=True).start()
            while True:
                try:
                    row = found.get(timeout=TICK)
                except Empty:
                    yield None
                    continue
                if row is None:
                    return
                if isinstance(row, Exception):
                    raise EngineFailed(f"Daft ended: {row}") from row
                yield row


def _query(
    first: Task,
    feed: Feed,
    build: Build,
    plans: Sequence[WorkerPlan],
    address: str,
    key: bytes,
    found: SimpleQueue[Row | Exception | None],
) -> None:
    """Put all rows, and then None, or what ended the query."""
    try:
        import daft

        size = max(SMALLEST_BATCH, plans[0].at_once * 2)
        batched = daft.method.batch(return_dtype=daft.DataType.binary(), batch_size=size)
        marked = type("Worker", (_Worker,), {"work": batched(_Worker.work)})
        kind = daft.cls(marked, use_process=True, max_concurrency=len(plans))
        worker = kind(build, address, key)
        ahead = size * len(plans) * AHEAD
        frame = _source(first, feed, size, ahead).select(worker.work(daft.col("task")).alias("row"))
        for batch in frame.to_arrow_iter(results_buffer_size=None):
            for packed in batch.column(0).to_pylist():
                if packed != NONE:
                    found.put(pickle.loads(packed))  # noqa: S301 - of our own processes
    except Exception as error:
        found.put(error)
    else:
        found.put(None)


def _source(first: Task, feed: Feed, size: int, ahead: int) -> Any:
    """Return the tasks of a feed as a data frame, which takes them as they are needed."""
    import daft
    from daft.io.source import DataSource, DataSourceTask

    schema_ = daft.Schema.from_pydict({"task": daft.DataType.binary()})

    class Tasks(DataSourceTask):  # type: ignore[misc]
        @property
        def schema(self) -> Any:
            return schema_

        async def read(self) -> AsyncIterator[Any]:
            async for batch in _batches(first, feed, size, ahead):
                yield daft.recordbatch.RecordBatch.from_pydict({"task": batch})

    class Source(DataSource):  # type: ignore[misc]
        @property
        def name(self) -> str:
            return "tasks"

        @property
        def schema(self) -> Any:
            return schema_

        async def get_tasks(self, pushdowns: Any) -> AsyncIterator[Any]:
            del pushdowns
            yield Tasks()

    return Source().read()


async def _batches(first: Task, feed: Feed, size: int, ahead: int) -> AsyncIterator[list[bytes]]:
    batch = [pickle.dumps(first)]
    while True:
        task = feed.take() if len(feed.under_way) < ahead else None
        if task is not None:
            batch.append(pickle.dumps(task))
        elif batch and (feed.ended or len(feed.under_way) == len(batch)):
            batch += [NONE] * (size - len(batch))
        elif feed.ended:
            return
        else:
            await asyncio.sleep(PAUSE)
        if len(batch) == size:
            yield batch
            batch = []


class _Worker:
    """One process. An event loop runs in a thread of its own, as long as the process."""

    def __init__(self, build: Build, address: str, key: bytes) -> None:
        self._connection = Client(address, authkey=key)
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        ready: Future[PictureWorker] = Future()
        arguments = (build, self._ask(None), ready)
        threading.Thread(target=self._serve, args=arguments, name="worker", daemon=True).start()
        self._worker = ready.result()

    def work(self, tasks: Any) -> list[bytes]:
        """Return a row for each task, both as bytes."""
        running = [
            asyncio.run_coroutine_threadsafe(self._row(packed), self._loop)
            for packed in tasks.to_pylist()
        ]
        return [each.result() for each in running]

    async def _row(self, packed: bytes) -> bytes:
        if packed == NONE:
            return NONE
        async with self._slots:
            row = await self._worker.work(pickle.loads(packed), self._claim)  # noqa: S301 - ours
        return pickle.dumps(row)

    async def _claim(self, task: Task, key: str) -> bool:
        return bool(await asyncio.to_thread(self._ask, (task.id, key)))

    def _ask(self, question: Any) -> Any:
        with self._lock:
            self._connection.send(question)
            return self._connection.recv()

    def _serve(self, build: Build, plan: WorkerPlan, ready: Future[PictureWorker]) -> None:
        async def serve() -> None:
            self._slots = asyncio.Semaphore(plan.at_once)
            async with build(plan) as worker:
                ready.set_result(worker)
                await asyncio.Event().wait()  # as long as the process

        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(serve())
        except Exception as error:
            ready.set_exception(error)


@contextmanager
def _answering(
    plans: Sequence[WorkerPlan], claim: Callable[[Task, str], bool]
) -> Iterator[tuple[str, bytes]]:
    """Answer the questions of workers, for the length of the block; give address and key."""
    key = secrets.token_bytes(32)
    with tempfile.TemporaryDirectory(prefix="ocelli-bulk-") as folder:
        address = str(Path(folder) / "answers")
        with Listener(address, "AF_UNIX", backlog=128, authkey=key) as listener:
            each = cycle(plans)

            def accept() -> None:
                while True:
                    try:
                        connection = listener.accept()
                    except OSError:  # the run has ended
                        return
                    arguments = (connection, next(each), claim)
                    threading.Thread(target=_answer, args=arguments, daemon=True).start()

            threading.Thread(target=accept, name="answers", daemon=True).start()
            yield address, key


def _answer(connection: Connection, plan: WorkerPlan, claim: Callable[[Task, str], bool]) -> None:
    try:
        while True:
            question = connection.recv()
            if question is None:
                connection.send(plan)
            else:
                id, key = question
                connection.send(claim(Task(id, ""), key))
    except (EOFError, OSError):
        connection.close()
