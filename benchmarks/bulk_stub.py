"""Bulk runs without models: everything but the description of a picture is as it always is.

``python -m benchmarks.bulk_stub SOURCE OUT [OPTION…]`` is ``ocelli bulk`` with such workers, which
read a file, ask whether its content is new, and answer after ``OCELLI_STUB_SECONDS``. What a file
begins with decides what becomes of it: see ``StubWorker``.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ocelli.bulk import rows
from ocelli.bulk.rows import Content, Row, RowStatus
from ocelli.bulk.worker import PictureWorker
from ocelli.domain.analysis import Failure
from ocelli.domain.errors import FailureType

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from ocelli.bulk.plan import WorkerPlan
    from ocelli.bulk.tasks import Task

COMMAND = (sys.executable, "-m", "benchmarks.bulk_stub", "--child")


class StubWorker(PictureWorker):
    """Answers as a PictureWorker does."""

    def __init__(self) -> None:
        self._seconds = float(os.environ.get("OCELLI_STUB_SECONDS", "0"))

    async def work(self, task: Task, claim: Callable[[Task, str], Awaitable[bool]]) -> Row:
        """Fail for bytes that begin with ``broken`` (``busy``: a retry can help), die for
        ``killer``, cost 25 cents for ``dear``.
        """
        try:
            data = task.data if task.data is not None else Path(task.location or "").read_bytes()
        except OSError as error:
            return rows.failed(task, Failure(FailureType.VALIDATION, str(error), retryable=False))
        content = Content(hashlib.sha256(data).hexdigest(), len(data))
        if not await claim(task, content.key):
            return rows.duplicate(task, content)
        await asyncio.sleep(self._seconds)
        if data.startswith(b"killer"):
            os.kill(os.getpid(), signal.SIGKILL)
        if data.startswith((b"broken", b"busy")):
            busy = data.startswith(b"busy")
            return rows.failed(task, Failure(FailureType.TIMEOUT, "So.", retryable=busy), content)
        return Row(
            task.id,
            task.source,
            RowStatus.DONE,
            key=content.key,
            description="There is a cup. The cup is red.",
            tags=("cup", "red"),
            claims=({"text": "There is a cup.", "kept": True, "probability": 0.9, "verdicts": []},),
            confidence=0.9,
            bytes=len(data),
            cost_usd=0.25 if data.startswith(b"dear") else 0.0,
            seconds=self._seconds,
        )


@asynccontextmanager
async def build_stub(plan: WorkerPlan) -> AsyncIterator[PictureWorker]:
    """Give a worker without models."""
    del plan
    yield StubWorker()


def _child(descriptor: int) -> None:
    from multiprocessing.connection import Connection

    from ocelli.bulk.child import serve

    with Connection(descriptor) as connection:
        asyncio.run(serve(connection, connection.recv(), build_stub))


def main(arguments: Sequence[str]) -> None:
    """Run the command, or be one of its children."""
    if arguments[0] == "--child":
        _child(int(arguments[1]))
        return
    from ocelli.cli import bulk, main

    bulk.CHILD, bulk.BUILD = COMMAND, build_stub
    sys.argv[1:] = ["bulk", *arguments]
    main.main()


if __name__ == "__main__":
    main(sys.argv[1:])
