"""``/metrics``: the counts of all processes, and the state of the queue."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, TypeVar

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from ocelli.api.auth import CurrentServices
from ocelli.api.policy import public
from ocelli.domain.errors import Unavailable
from ocelli.domain.jobs import QueueState
from ocelli.domain.sight import Sight, SightState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import Metric

T = TypeVar("T")

router = APIRouter(tags=["operations"])

QUERY_TIMEOUT = 2.0  # seconds


@router.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
@public
async def metrics(services: CurrentServices) -> PlainTextResponse:
    """What API and workers have counted since ``ocelli serve`` began, and the state of the queue.

    Without PROMETHEUS_MULTIPROC_DIR, which ``ocelli serve`` sets, of this process alone. Without a
    database that answers, without the queue.
    """
    query = asyncio.ensure_future(services.queue_state())
    sight = asyncio.ensure_future(services.sight_states())
    await asyncio.wait({query, sight}, timeout=QUERY_TIMEOUT)
    body = await asyncio.to_thread(_exposed, _state(query), _state(sight))
    return PlainTextResponse(body, media_type=CONTENT_TYPE_LATEST)


def _state(query: asyncio.Future[T]) -> T | None:
    if not query.done():
        query.cancel()
        return None
    try:
        return query.result()
    except Unavailable:
        return None


def _exposed(state: QueueState | None, sight: Mapping[str, SightState] | None) -> bytes:
    registry = CollectorRegistry()
    registry.register(QueueCollector(state))
    registry.register(SightCollector(sight or {}))
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY) + generate_latest(registry)
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    ProcessCollector(registry=registry)  # of the API
    return generate_latest(registry)


class SightCollector(Collector):
    """A gauge of what is known of each backend's sight; 1 for the present state."""

    def __init__(self, states: Mapping[str, SightState]) -> None:
        self._states = states

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        sight = GaugeMetricFamily(
            "ocelli_backend_sight",
            "Whether a backend has shown that it sees",
            labels=["backend", "sight"],
        )
        for name, state in self._states.items():
            for each in Sight:
                sight.add_metric([name, each], state.sight is each)
        yield sight


class QueueCollector(Collector):
    """Gauges from the database; each scrape creates them anew, so that none is stale."""

    def __init__(self, state: QueueState | None) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        up = GaugeMetricFamily("ocelli_database_up", "Whether the database answered this scrape")
        up.add_metric([], 0 if self._state is None else 1)
        yield up
        if self._state is None:
            return
        jobs = GaugeMetricFamily("ocelli_jobs", "Jobs in the queue", labels=["task", "status"])
        for (task, status), number in self._state.jobs.items():
            jobs.add_metric([task, status], number)
        yield jobs
        oldest = GaugeMetricFamily(
            "ocelli_oldest_job_seconds",
            "For how long the oldest job that could run has waited",
            labels=["task"],
        )
        for task, seconds in self._state.oldest.items():
            oldest.add_metric([task], seconds)
        yield oldest
        workers = GaugeMetricFamily(
            "ocelli_workers", "Workers that the database has just heard of", labels=["status"]
        )
        workers.add_metric(["alive"], self._state.workers)
        yield workers
