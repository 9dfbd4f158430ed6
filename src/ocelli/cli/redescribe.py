"""``ocelli redescribe``: describe pictures of a server again. Needs no server libraries."""

from __future__ import annotations

from dataclasses import asdict
from math import inf
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from aion import AionvisionError, BatchStatus, SyncAionVision
from aion.exceptions import BatchError
from ocelli.cli.connection import with_client
from ocelli.cli.console import console
from ocelli.cli.output import CANNOT_RUN, FAILED, fail, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aion import BatchStatusResult, RedescribeResult


def redescribe(
    options: Mapping[str, Any],
    *,
    wait: bool,
    as_json: bool,
    **where: Any,
) -> int:
    """Describe again what matches, and wait for it. Returns the exit code.

    ``options`` are the arguments of ``client.files.redescribe_matching``.
    """

    def run(client: SyncAionVision) -> int:
        asked = client.files.redescribe_matching(**options)
        try:
            status = _wait(client, asked) if wait and asked.total_items else None
        except AionvisionError as error:
            fail(error.message, _going_on(asked))
            return CANNOT_RUN
        except KeyboardInterrupt:
            fail("stopped waiting", _going_on(asked))
            raise
        if as_json:
            print_json({**asdict(asked), **(asdict(status) if status else {})})
        else:
            console().print(_summary(asked, status))
        failed = status is not None and status.status is not BatchStatus.COMPLETED
        return FAILED if failed else 0

    return with_client(run, **where)


def _wait(client: SyncAionVision, asked: RedescribeResult) -> BatchStatusResult:
    """Wait until the batch has ended, with a line on standard error meanwhile."""
    progress = Progress(
        TextColumn("describing again"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} pictures{task.fields[failed]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with progress:
        task = progress.add_task("", total=asked.total_items, failed="")

        def show(status: BatchStatusResult) -> None:
            failed = f", [red]{status.failed_items} failed[/red]" if status.failed_items else ""
            progress.update(task, completed=status.processed_items, failed=failed)

        try:
            return client.batch.wait_for_completion(asked.batch_id, timeout=inf, on_progress=show)
        except BatchError:
            return client.batch.get_status(asked.batch_id)


def _summary(asked: RedescribeResult, status: BatchStatusResult | None) -> str:
    waiting = asked.already_queued
    others = f"; {waiting} waited for the same description before" if waiting else ""
    if not asked.total_items:
        return "no picture matches" if not waiting else f"nothing new to do{others}"
    if status is None:
        what = "1 picture is" if asked.total_items == 1 else f"{asked.total_items} pictures are"
        return f"{what} described again: batch {asked.batch_id}{others}"
    ended = status.processed_items - status.failed_items - status.successful_items
    parts = [f"{status.successful_items} described again"]
    parts += [f"{status.failed_items} failed"] if status.failed_items else []
    parts += [f"{ended} called off"] if ended else []
    return ", ".join(parts) + others


def _going_on(asked: RedescribeResult) -> str:
    return f"the server goes on: GET /api/v2/batch/{asked.batch_id}, DELETE ends it"
