"""One line in the log, a span, and the metrics, of each job."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import Counter, Histogram

from ocelli.domain.correlation import REQUEST_ID, Origin
from ocelli.domain.errors import StorageFull, error_type
from ocelli.domain.jobs import ANALYSE, REPORT, JobReport
from ocelli.domain.tracing import Span, SpanKind, span
from ocelli.worker.jobs import subject

if TYPE_CHECKING:
    from collections.abc import Iterator

    import procrastinate

log = logging.getLogger("ocelli.jobs")

JOBS = Counter("ocelli_jobs_run_total", "Attempts at jobs", ["task", "status"])
SECONDS = Histogram(
    "ocelli_job_seconds",
    "How long an attempt at a job took",
    ["task"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
ANALYSES = Counter(
    "ocelli_analyses_total", "Analyses that have ended", ["backend", "level", "outcome"]
)
LOOKS = Counter("ocelli_looks_total", "Model calls that were answered", ["backend", "task"])
WEBHOOKS = Counter("ocelli_webhooks_total", "Attempts to call a webhook", ["outcome"])

COMPLETED, FAILED, RETRIED, WAITING = "completed", "failed", "retried", "waiting"


@contextmanager
def observed(job: procrastinate.jobs.Job, *, last: bool) -> Iterator[None]:
    """One attempt at a job, under the id of the request that it was enqueued by, in its trace.

    A job that meets an error says so in its JobReport if it ends all the same.
    """
    origin = Origin.of(job.task_kwargs)
    REQUEST_ID.set(origin.request_id)
    report = JobReport()
    token = REPORT.set(report)
    started = time.perf_counter()
    attributes = {
        "ocelli.job": job.id,
        "ocelli.attempt": job.attempts + 1,
        "ocelli.request_id": origin.request_id,
    }
    with span(f"job {job.task_name}", SpanKind.CONSUMER, attributes, parent=origin.trace) as of_job:
        try:
            yield
        except BaseException as error:
            waits = isinstance(error, StorageFull)
            report.status = WAITING if waits else FAILED if last else RETRIED
            report.error_type = report.error_type or error_type(error)
            raise
        finally:
            REPORT.reset(token)
            _note(job, report, time.perf_counter() - started)
            _describe(of_job, report)


def count_webhook(succeeded: bool) -> None:
    """Count an attempt to deliver a webhook."""
    WEBHOOKS.labels(COMPLETED if succeeded else FAILED).inc()


def _describe(of_job: Span, report: JobReport) -> None:
    of_job.note(
        {
            "ocelli.status": report.status or COMPLETED,
            "ocelli.backend": report.backend,
            "ocelli.level": report.level,
            "ocelli.looks": len(report.calls) or None,
        }
    )
    if report.error_type:
        of_job.fail(report.error_type)


def _note(job: procrastinate.jobs.Job, report: JobReport, seconds: float) -> None:
    status = report.status or COMPLETED
    JOBS.labels(job.task_name, status).inc()
    SECONDS.labels(job.task_name).observe(seconds)
    if job.task_name == ANALYSE:
        _count_analysis(report, status)
    fields = {
        "task": job.task_name,
        "picture": str(report.image_id or subject(job.task_kwargs)),
        "status": status,
        "looks": len(report.calls) if job.task_name == ANALYSE else None,
        "ms": round(seconds * 1000, 1),
        "error_type": report.error_type,
        "attempt": job.attempts + 1,
    }
    log.log(logging.WARNING if status == FAILED else logging.INFO, "job", extra=fields)


def _count_analysis(report: JobReport, status: str) -> None:
    if status in (COMPLETED, FAILED) and report.level is not None:
        ANALYSES.labels(report.backend or "none", report.level, status).inc()
    for call in report.calls:
        LOOKS.labels(call.source, call.task.value).inc()
