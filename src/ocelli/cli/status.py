"""``ocelli status`` and ``ocelli cancel``: sessions and batch jobs. Needs no server libraries."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from rich.table import Table

from aion import ResourceNotFoundError, ValidationError
from ocelli.cli.connection import with_client
from ocelli.cli.console import console
from ocelli.cli.output import FAILED, fail, print_records

if TYPE_CHECKING:
    from collections.abc import Callable

    from aion import BatchStatusResult, SyncAionVision, UploadSession

COLUMNS = ("id", "kind", "status", "total", "done", "failed", "created")
PAGE = 100


def status(
    id: str | None,
    *,
    limit: int,
    as_json: bool,
    as_lines: bool,
    **where: Any,
) -> int:
    """Print how far a session or a batch job has come, or the newest sessions.

    Returns the exit code.
    """

    def ask(client: SyncAionVision) -> list[dict[str, Any]]:
        if id is not None:
            return [_found(client, id)]
        sessions = client.sessions.list_all(page_size=min(limit, PAGE))
        return [_session(each) for each in islice(sessions, limit)]

    return _run(ask, id, as_json=as_json, as_lines=as_lines, **where)


def cancel(id: str, *, as_json: bool, **where: Any) -> int:
    """End what of a session or a batch job has not begun. Returns the exit code."""

    def ask(client: SyncAionVision) -> list[dict[str, Any]]:
        try:
            return [_session(client.sessions.cancel(id))]
        except ResourceNotFoundError:
            client.batch.cancel(id)
            return [_found(client, id)]

    return _run(ask, id, as_json=as_json, as_lines=False, **where)


def _run(
    ask: Callable[[SyncAionVision], list[dict[str, Any]]],
    id: str | None,
    *,
    as_json: bool,
    as_lines: bool,
    **where: Any,
) -> int:
    def run(client: SyncAionVision) -> int:
        try:
            rows = ask(client)
        except ResourceNotFoundError:
            fail(f"no session and no batch job: {id}", "ocelli status")
            return FAILED
        except ValidationError as error:
            if not error.status_code:
                raise
            fail(error.message)  # it has ended already
            return FAILED
        if as_json or as_lines:
            print_records(rows, lines=as_lines)
        else:
            _show(rows)
        return 0

    return with_client(run, **where)


def _found(client: SyncAionVision, id: str) -> dict[str, Any]:
    try:
        return _session(client.sessions.get(id))
    except ResourceNotFoundError:
        return _job(client.batch.get_status(id))


def _session(session: UploadSession) -> dict[str, Any]:
    return {
        "id": session.session_id,
        "kind": "upload",
        "status": session.status,
        "total": session.total_files,
        "done": session.completed_files + session.skipped_files,
        "failed": session.failed_files,
        "created": session.created_at and session.created_at.isoformat(timespec="seconds"),
    }


def _job(job: BatchStatusResult) -> dict[str, Any]:
    return {
        "id": job.batch_id,
        "kind": "batch",
        "status": job.status.value,
        "total": job.total_items,
        "done": job.successful_items,
        "failed": job.failed_items,
        "created": job.created_at and job.created_at.isoformat(timespec="seconds"),
    }


def _show(rows: list[dict[str, Any]]) -> None:
    if not rows:
        console().print("no session yet: `ocelli upload` makes them")
        return
    table = Table(*COLUMNS)
    for row in rows:
        table.add_row(*("" if row[name] is None else str(row[name]) for name in COLUMNS))
    console().print(table)
