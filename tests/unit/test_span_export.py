"""Tracing in one process: what leaves at its end, and what is said of it."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest
from tests.otlp import Collector, Mood
from tests.waiting import until

from ocelli.domain.correlation import REQUEST_ID, Origin
from ocelli.domain.tracing import current_context, current_ids, span
from ocelli.settings import Settings
from ocelli.wiring.checks import traces
from ocelli.wiring.tracing import SPANS, tracing
from ocelli.worker.jobs import subject


def test_what_is_left_leaves_at_the_end() -> None:
    with Collector() as collector:
        with tracing(Settings(otlp_endpoint=collector.url), "test"), span("last") as last:
            assert current_context() == last.context()
        assert [each.name for each in collector.spans] == ["last"]
    assert current_ids() is None
    with span("after"):
        assert current_context() == {}


def test_the_end_does_not_wait_for_a_collector_that_hangs() -> None:
    with Collector(Mood.HANGS) as collector:
        with tracing(Settings(otlp_endpoint=collector.url), "test"), span("last"):
            pass
        assert collector.asked == 1
        assert collector.spans == []


def test_what_is_lost_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    lost = SPANS.labels("lost")._value
    before = lost.get()
    with (
        Collector(Mood.FAILS) as collector,
        tracing(Settings(otlp_endpoint=collector.url), "test"),
        span("a private matter"),
    ):
        pass
    assert lost.get() == before + 1
    assert caplog.messages == ["traces: the collector does not take them; spans are lost"]


def test_what_a_full_queue_drops_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "512")
    dropped = SPANS.labels("dropped")._value
    before = dropped.get()
    with Collector(Mood.HANGS) as collector:
        with tracing(Settings(otlp_endpoint=collector.url), "test"):
            for _ in range(512):  # which are taken out and sent
                with span("first"):
                    pass
            until(lambda: collector.asked == 1)
            for _ in range(512 + 7):
                with span("later"):
                    pass
        assert dropped.get() == before + 7
    until(lambda: all(each.name != "last spans" for each in threading.enumerate()))


def test_a_job_carries_where_it_comes_from() -> None:
    assert Origin().arguments() == {}
    with Collector() as collector:
        with tracing(Settings(otlp_endpoint=collector.url), "test"), span("request"):
            token = REQUEST_ID.set("r-1")
            origin = Origin.current()
            REQUEST_ID.reset(token)
        assert Origin.of({"image_id": "i", **origin.arguments()}) == origin
        with tracing(Settings(otlp_endpoint=collector.url), "test"):
            with span("job", parent=origin.trace):
                pass
            with span("a request's bad context", parent={"traceparent": "00-zz-b-01"}):
                pass
        request, job, other = collector.spans
    assert (job.trace, job.parent) == (request.trace, request.id)
    assert (other.trace != request.trace, other.parent) == (True, "")


def test_a_job_of_a_later_version_is_read() -> None:
    id = UUID(int=7)
    known = {"image_id": str(id), "request_id": "r-1", "trace_context": {"traceparent": "x"}}
    assert subject({**known, "of_a_later_version": {"a": 1}, "priority": 3}) == id


@pytest.mark.parametrize("given", [None, "https://user:secret@collector.example:4318"])
def test_the_doctor_names_the_host_alone(given: str | None) -> None:
    found = list(traces(Settings(otlp_endpoint=given)))
    assert [each.found for each in found] == ["sent to collector.example"] * (given is not None)
