"""A worker process of the local engine: tasks come through a connection, and go back as rows."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any

from ocelli.bulk.tasks import Task
from ocelli.domain.errors import AnalysisFailed

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from ocelli.bulk.plan import Build, WorkerPlan
    from ocelli.bulk.worker import PictureWorker


async def serve(connection: Connection, plan: WorkerPlan, build: Build) -> None:
    """Work on what comes; ends this process when the connection is closed.

    An exception instead of a row means that no picture can be described here.
    """
    try:
        async with build(plan) as worker:
            _Child(connection, worker).listen()
            await asyncio.Event().wait()  # until the connection is closed
    except AnalysisFailed as error:
        connection.send(error)


class _Child:
    def __init__(self, connection: Connection, worker: PictureWorker) -> None:
        self._connection = connection
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._running: set[asyncio.Task[None]] = set()  # else they may be collected
        self._questions: dict[int, asyncio.Future[bool]] = {}

    def listen(self) -> None:
        """Start a thread that receives; it ends the process when the connection is closed."""
        threading.Thread(target=self._receive, name="tasks", daemon=True).start()

    def _receive(self) -> None:
        try:
            while True:
                self._loop.call_soon_threadsafe(self._take, self._connection.recv())
        except (EOFError, OSError):
            os._exit(0)

    def _take(self, message: Any) -> None:
        if isinstance(message, Task):
            running = self._loop.create_task(self._work(message))
            self._running.add(running)
            running.add_done_callback(self._running.discard)
        else:
            id, answer = message
            self._questions.pop(id).set_result(answer)

    async def _work(self, task: Task) -> None:
        self._connection.send(await self._worker.work(task, self._claim))

    async def _claim(self, task: Task, key: str) -> bool:
        answer: asyncio.Future[bool] = self._loop.create_future()
        self._questions[task.id] = answer
        self._connection.send((task.id, key))
        return await answer
