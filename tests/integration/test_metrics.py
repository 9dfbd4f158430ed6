"""What Prometheus scrapes: true, without doubles, and nothing of the dead."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from tests.conftest import Server, reachable, start_server
from tests.integration.test_crashes import children
from tests.integration.test_frozen_database import frozen, postgres_of
from tests.integration.test_main_job import API, finished, get, upload
from tests.waiting import until

from ocelli.cli import metrics

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana-dashboard.json"
ALERTS = ROOT / "deploy" / "prometheus-alerts.yaml"
GUIDE = ROOT / "docs" / "monitoring.md"


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has counted nothing yet; the tests have it one after the other."""
    data = reachable(tmp_path_factory.mktemp("counted")) / "data"
    server = start_server(data, "--workers", "2")
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


def scraped(server: Server) -> str:
    return requests.get(f"{server.url}/metrics", timeout=60).text


def values(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """By name and labels; each is there once."""
    found = [
        ((sample.name, tuple(sorted(sample.labels.items()))), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    assert [name for name, number in Counter(name for name, _ in found).items() if number > 1] == []
    return dict(found)


def value(server: Server, name: str, **labels: str) -> float:
    return values(scraped(server)).get((name, tuple(sorted(labels.items()))), 0.0)


def names(text: str) -> set[str]:
    return {sample.name for each in text_string_to_metric_families(text) for sample in each.samples}


def check(text: str) -> None:
    """As Prometheus does, where its tool is there; and each family is said once."""
    values(text)
    said = re.findall(r"^# (?:HELP|TYPE) (\S+)", text, re.MULTILINE)
    assert set(Counter(said).values()) == {2}
    assert "pid=" not in text
    promtool = shutil.which("promtool")
    if promtool is not None:
        done = subprocess.run(
            [promtool, "check", "metrics"], input=text, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_numbers_survive_their_processes(fragile: Server, photos: dict[str, Path]) -> None:
    """A worker and the API are killed: what they counted stays, and counts once."""
    id = upload(fragile, photos["coffee"].read_bytes()).json()["image_id"]
    finished(fragile, id)
    done = {"backend": "ocelli-local", "level": "standard", "outcome": "completed"}
    until(lambda: value(fragile, "ocelli_analyses_total", **done) == 1)
    until(lambda: value(fragile, "ocelli_jobs_run_total", task="make_variants", status="completed"))
    route = {"route": f"{API}/user-files/upload/stream", "method": "POST"}
    assert value(fragile, "ocelli_http_requests_total", **route, status="200") == 1
    assert value(fragile, "ocelli_http_request_seconds_count", **route) == 1
    assert value(fragile, "ocelli_looks_total", backend="ocelli-local", task="describe") == 1
    check(scraped(fragile))
    for word in ("child worker", "child api"):
        for child in children(fragile, word):
            child.kill()
    until(lambda: len(children(fragile, "child worker")) >= 1)
    until(lambda: requests.get(f"{fragile.url}/health/ready", timeout=60).status_code == 200)
    assert value(fragile, "ocelli_analyses_total", **done) == 1
    assert value(fragile, "ocelli_http_requests_total", **route, status="200") == 1
    again = upload(fragile, photos["rocket"].read_bytes()).json()["image_id"]
    finished(fragile, again)
    until(lambda: value(fragile, "ocelli_analyses_total", **done) == 2)
    assert value(fragile, "ocelli_http_requests_total", **route, status="200") == 2
    assert value(fragile, "ocelli_workers", status="alive") >= 1
    check(scraped(fragile))
    files = list((fragile.data / "metrics").iterdir())
    assert not [each for each in files if re.search(r"_\d+\.db$", each.name)]
    assert all(each.stat().st_blocks * 512 >= metrics.FILE_BYTES for each in files), "a hole"


def test_a_database_that_is_away_leaves_the_rest(fragile: Server) -> None:
    get(fragile, "/user-files")
    assert value(fragile, "ocelli_database_up") == 1
    with frozen(postgres_of(fragile)):
        text = scraped(fragile)
    check(text)
    assert values(text)["ocelli_database_up", ()] == 0
    assert "ocelli_http_requests_total" in names(text)
    assert "ocelli_workers" not in names(text)


def test_the_queue_is_counted_when_it_is_asked_for(
    fragile: Server, photos: dict[str, Path]
) -> None:
    def queued() -> dict[str, float]:
        return {
            labels["task"]: value
            for (name, labels), value in (
                ((name, dict(labels)), value)
                for (name, labels), value in values(scraped(fragile)).items()
            )
            if name == "ocelli_jobs" and labels["status"] == "todo"
        }

    until(lambda: len(children(fragile, "child worker")) == 2 and not queued())
    workers = children(fragile, "child worker")
    with frozen(workers):
        for _ in range(3):
            upload(fragile, photos["chelsea"].read_bytes())
        assert queued()["make_variants"] == 3
        oldest = value(fragile, "ocelli_oldest_job_seconds", task="make_variants")
        assert oldest > 0
        until(
            lambda: value(fragile, "ocelli_oldest_job_seconds", task="make_variants") > oldest + 1
        )
    assert all(isinstance(each, psutil.Process) for each in workers)
    until(lambda: not queued())


@pytest.fixture
def every_name() -> Iterator[set[str]]:
    """Of all metrics that the code declares, in a process of its own."""
    code = """
import asyncio
import ocelli.api.app, ocelli.worker.observe, ocelli.wiring.adapters, ocelli.backends.chat.telemetry
import ocelli.backends.models.metrics, ocelli.wiring.tracing
from ocelli.api.metrics import QueueCollector, SightCollector
from ocelli.domain.jobs import QueueState
from prometheus_client import REGISTRY
state = QueueState({("a", "todo"): 1}, {"a": 1.0}, 1)
ours = (*QueueCollector(state).collect(), *SightCollector({}).collect())
for family in (*REGISTRY.collect(), *ours):
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
    for suffix in suffixes.get(family.type, [""]):
        print(family.name + suffix)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    yield set(done.stdout.split())


def test_the_dashboard_and_the_guide_name_what_there_is(every_name: set[str]) -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    shown = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    on_it = set(re.findall(r"\b(?:ocelli|process)_\w+", shown))
    assert on_it <= every_name, on_it - every_name
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in every_name if "ocelli" in name}
    assert {re.sub(r"_(bucket|sum|count)$", "", each) for each in on_it if "ocelli" in each} == ours
    told = set(re.findall(r"`(ocelli_\w+)`", GUIDE.read_text()))
    assert told == ours


def test_alerts_are_about_what_there_is(every_name: set[str]) -> None:
    named = set(re.findall(r"\bocelli_\w+", ALERTS.read_text()))
    assert named <= every_name, named - every_name
    # What the guide calls worth an alert, word for word but for the bound on its share.
    text = GUIDE.read_text().partition("Worth an alert")[2]
    for name in re.findall(r"\bocelli_\w+", text.partition("##")[0]):
        assert name in named


ALERTS_TEST = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
{series}
    promql_expr_test:
      - expr: count by (alertname, instance) (ALERTS{{alertstate="firing"}})
        eval_time: 20m
        exp_samples:
{samples}
"""
# What an ill instance shows, and what a well one does beside it.
ILL = {
    "ocelli_database_up{}": "0x30",
    'ocelli_workers{status="alive"}': "0x30",
    'ocelli_oldest_job_seconds{task="analyse"}': "400x30",
    'ocelli_http_requests_total{status="500"}': "0+1x30",
    'ocelli_http_requests_total{status="200"}': "0+10x30",
    'ocelli_analyses_total{backend="b",outcome="failed"}': "0+1x30",
    'ocelli_backend_sight{backend="b",sight="blind"}': "1x30",
    'ocelli_jobs_run_total{task="analyse",status="waiting"}': "0+1x30",
}
WELL = {
    "ocelli_database_up{}": "1x30",
    'ocelli_workers{status="alive"}': "2x30",
    'ocelli_oldest_job_seconds{task="analyse"}': "3x30",
    'ocelli_oldest_job_seconds{task="make_variants"}': "900x30",
    'ocelli_http_requests_total{status="200"}': "0+10x30",
    'ocelli_http_requests_total{status="404"}': "0+10x30",
    'ocelli_analyses_total{backend="b",outcome="completed"}': "0+1x30",
    'ocelli_backend_sight{backend="b",sight="blind"}': "0x30",
    'ocelli_jobs_run_total{task="analyse",status="completed"}': "0+1x30",
}
OPEN = "{"
FIRING = (
    "AnalysesFail", "BackendBlind", "DatabaseDown", "DiskFull", "NoWorkers", "QueueWaits",
    "ServerErrors",
)  # fmt: skip


def test_alerts_fire_where_they_should(tmp_path: Path) -> None:
    """Each of the gravest, and for the instance that is well none."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is in Debian's package prometheus")
    series = "\n".join(
        f"      - {{ series: '{name.replace(OPEN, labels)}', values: '{value}' }}"
        for labels, shown in (('{instance="ill",', ILL), ('{instance="well",', WELL))
        for name, value in shown.items()
    )
    samples = "\n".join(
        f"""          - {{ labels: '{{alertname="Ocelli{each}",instance="ill"}}', value: 1 }}"""
        for each in FIRING
    )
    test = tmp_path / "test.yaml"
    test.write_text(ALERTS_TEST.format(rules=ALERTS, series=series, samples=samples))
    for arguments in (["check", "rules", str(ALERTS)], ["test", "rules", str(test)]):
        done = subprocess.run([promtool, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_process_that_is_started_again_goes_on(tmp_path: Path) -> None:
    """Its counters stay; its states are those of the one that lives."""
    code = """
import sys
from ocelli.cli.metrics import count_as
count_as("worker-1")
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
Counter("a", "A").inc()
state = Gauge("b", "B", ["of"], multiprocess_mode="livemostrecent")
if "first" in sys.argv:
    state.labels("x").set(2)
registry = CollectorRegistry()
MultiProcessCollector(registry)
print(generate_latest(registry).decode())
"""
    environment = {**os.environ, metrics.FOLDER: str(tmp_path)}

    def run(*arguments: str) -> str:
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=True
        ).stdout

    first, second = run("first"), run()
    assert "a_total 1.0" in first
    assert 'b{of="x"} 2.0' in first
    assert "a_total 2.0" in second
    assert 'of="x"' not in second
