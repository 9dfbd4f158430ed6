"""Who has not shown that it sees does not describe: results in Postgres, and a whole server."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
from tests.conftest import OCELLI, Server, reachable, start_server
from tests.integration.test_main_job import API
from tests.upstream.sighted import INVENTED, SightedServer
from tests.waiting import PATIENCE, eventually, until
from typer.testing import CliRunner

from ocelli.backends.local.backend import LocalBackend
from ocelli.backends.registry import Registry, configure, registry
from ocelli.cli.main import app
from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.domain.sight import Sight
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.storage.postgres.sight import PostgresSight
from ocelli.storage.sight_files import SightFiles
from ocelli.usecases.sight import SightGate, SightStore, SightSubject, known_states

FAILED = AnalysisFailed(FailureType.VLM_ERROR, "It is down.", retryable=True)
OF_PICTURE = AnalysisFailed(FailureType.VALIDATION, "No picture.", retryable=False)


@pytest.fixture(scope="module")
def upstream() -> Iterator[SightedServer]:
    with SightedServer() as server:
        yield server


@pytest.fixture(params=["postgres", "files", "no folder"])
def store(request: pytest.FixtureRequest, database: PostgresDatabase, tmp_path: Path) -> SightStore:
    match request.param:
        case "files":
            return SightFiles(tmp_path / "sight")
        case "no folder":
            (tmp_path / "sight").touch()
            return SightFiles(tmp_path / "sight")
    return PostgresSight(database)


def subject(name: str, key: str | None = None, *, is_tested: bool = True) -> SightSubject:
    return SightSubject(name, key or uuid.uuid4().hex, is_tested, failures=2)


@asynccontextmanager
async def following(
    upstream: SightedServer, store: SightStore, *subjects: SightSubject
) -> AsyncIterator[tuple[SightGate, Registry]]:
    """A process with these backends, which is through once it has a result of each."""
    gate = SightGate(subjects)
    async with aiohttp.ClientSession() as session:
        given = [configure(each.name, upstream.backend(each.name), {}) for each in subjects]
        backends = registry(LocalBackend(), given, session, sight=gate)
        await gate.settle(store, backends.configured)
        running = asyncio.create_task(gate.run(store, backends.configured))
        try:
            yield gate, backends
        finally:
            running.cancel()
            await asyncio.wait({running})


async def test_the_next_in_order_answers(upstream: SightedServer, store: SightStore) -> None:
    subjects = [subject("blind"), subject("sighted"), subject("echo", is_tested=False)]
    async with following(upstream, store, *subjects) as (gate, backends):
        assert gate.held_back("blind") is not None
        assert gate.held_back("sighted") is gate.held_back("echo") is None
        assert gate.held_back("ocelli-local") is None
        assert backends.default.name == "sighted"
        assert backends.get("blind") is None
        assert backends.checker("sighted").name == "echo"
        assert backends.checker("sighted", "echo").name == "sighted"
        assert list(backends.names) == ["blind", "sighted", "echo", "ocelli-local"]
    states = await known_states(store, subjects)
    assert [states[each.name].sight for each in subjects] == [
        Sight.BLIND, Sight.SEEING, Sight.UNPROVED,
    ]  # fmt: skip


async def test_before_it_is_through_it_is_held_back(
    upstream: SightedServer, store: SightStore
) -> None:
    gate = SightGate([one := subject("sighted")])
    assert gate.held_back("sighted") is not None
    assert (await known_states(store, [one]))["sighted"].sight is Sight.UNTESTED


async def test_results_are_remembered_and_shared(
    upstream: SightedServer, store: SightStore
) -> None:
    """Two processes at once test once; later ones know, with another name for it too."""
    upstream.asked.clear()
    key = uuid.uuid4().hex
    async with (
        following(upstream, store, subject("sighted", key)) as (first, _),
        following(upstream, store, subject("sighted", key)) as (second, _),
    ):
        assert first.held_back("sighted") is second.held_back("sighted") is None
    together = await asyncio.gather(
        *(through(upstream, store, subject("blind", "b" + key)) for _ in range(3))
    )
    assert together == [Sight.BLIND] * 3
    assert await through(upstream, store, subject("sighted", key)) is Sight.SEEING
    assert upstream.calls("sighted") == 4
    assert upstream.calls("blind") == 2  # two wrong ones are enough


async def through(upstream: SightedServer, store: SightStore, one: SightSubject) -> Sight:
    async with following(upstream, store, one) as (gate, _):
        state = gate.state(one.name)
        assert state is not None
        return state.sight


async def test_after_a_failure_streak_it_shows_again_that_it_sees(
    upstream: SightedServer, store: SightStore
) -> None:
    async with following(upstream, store, subject("moody")) as (gate, backends):
        assert backends.default.name == "moody"
        for failure in (FAILED, OF_PICTURE, OF_PICTURE, None, FAILED):
            gate.looked("moody", failure)
        assert backends.default.name == "moody"  # no two failures of it in a row
        upstream.blinded = True
        gate.looked("moody", FAILED)
        assert backends.default.name == "ocelli-local"  # at once
        try:
            await eventually(lambda: is_now(gate, "moody", Sight.BLIND))
        finally:
            upstream.blinded = False
    assert backends.default.name == "ocelli-local"


async def test_one_that_is_down_is_asked_again(upstream: SightedServer, store: SightStore) -> None:
    upstream.broken = True
    try:
        async with following(upstream, store, one := subject("shaky")) as (gate, _):
            state = (await known_states(store, [one]))["shaky"]
            assert state.sight is Sight.UNTESTED
            assert "could not be asked" in state.reason
            upstream.broken = False
            await eventually(lambda: is_now(gate, "shaky", Sight.SEEING))
    finally:
        upstream.broken = False


async def is_now(gate: SightGate, name: str, sight: Sight) -> bool:
    state = gate.state(name)
    return state is not None and state.sight is sight


@pytest.fixture(scope="module")
def served(upstream: SightedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    backends = {
        "blind": upstream.backend("blind"),
        "sighted": upstream.backend("sighted"),
        "echo": upstream.backend("echo", sight_test=False),
        "gone": {"base_url": "http://127.0.0.1:9/v1", "model": "x", "retries": 0},
    }
    running = start_server(
        reachable(tmp_path_factory.mktemp("sight")) / "data",
        *("--workers", "1"),
        OCELLI_BACKENDS=json.dumps(backends),
    )
    until(lambda: marks(running)["blind"] == "blind" and marks(running)["sighted"] == "seeing")
    yield running
    running.stop()
    assert running.process.stdout is not None
    running.process.stdout.close()


def marks(server: Server) -> dict[str, str | None]:
    answer = requests.get(f"{server.url}/v1/models", headers=server.headers, timeout=60)
    return {each["id"]: each["sight"] for each in answer.json()["data"]}


def test_models_are_marked(served: Server) -> None:
    known = marks(served)
    assert known["blind"] == known["blind:standard"] == "blind"
    assert known["sighted"] == "seeing"
    assert known["echo"] == "unproved"
    assert known["gone"] == "untested"
    assert known["ocelli-local"] is known["ocelli-local:quick"] is None
    one = requests.get(f"{served.url}/v1/models/blind", headers=served.headers, timeout=60)
    assert one.json()["sight"] == "blind"


def test_health_and_metrics_say_it(served: Server) -> None:
    def told() -> dict[str, str]:
        health = requests.get(f"{served.url}/health/ready", timeout=60)
        assert health.status_code == 200
        return dict(health.json().get("backends", {}))

    until(lambda: "could not be asked" in told().get("gone", ""))
    said = told()
    assert said["sighted"] == "seeing."
    assert said["blind"].startswith("blind. It answered none of 2 questions about pictures right")
    metrics = requests.get(f"{served.url}/metrics", timeout=60).text
    assert 'ocelli_backend_sight{backend="blind",sight="blind"} 1.0' in metrics
    assert 'ocelli_backend_sight{backend="blind",sight="seeing"} 0.0' in metrics
    assert 'ocelli_backend_sight{backend="sighted",sight="seeing"} 1.0' in metrics
    log = served.data.with_name("data.log").read_text()
    assert "sight backend=blind outcome=blind calls=2" in log


def describe(served: Server, photos: dict[str, Path], **more: Any) -> Any:
    picture = base64.b64encode(photos["coffee"].read_bytes()).decode()
    answer = requests.post(
        f"{served.url}{API}/describe",
        headers=served.headers,
        json={"image_base64": picture, "verification_level": "quick", **more},
        timeout=60,
    )
    assert answer.ok, answer.text
    return answer.json()


def test_who_is_blind_does_not_describe(
    served: Server, upstream: SightedServer, photos: dict[str, Path]
) -> None:
    upstream.asked.clear()
    body = describe(served, photos)
    assert body["providers_used"] == ["sighted"]
    named = describe(served, photos, providers=["blind"])
    assert named["providers_used"] == ["sighted"]
    (error,) = named["errors"]
    assert error["source"] == "blind"
    assert "held back" in error["message"]
    assert upstream.calls("blind") == 0


def test_chat_with_it_is_never_held_back(served: Server) -> None:
    picture = {"type": "image_url", "image_url": {"url": PIXEL}}
    content: list[Any] = [{"type": "text", "text": "How many?"}, picture]
    answer = requests.post(
        f"{served.url}/v1/chat/completions",
        headers=served.headers,
        json={"model": "blind", "messages": [{"role": "user", "content": content}]},
        timeout=60,
    )
    assert INVENTED in answer.json()["choices"][0]["message"]["content"]


def test_by_hand(served: Server, upstream: SightedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    backends = {name: upstream.backend(name) for name in ("blind", "sighted")}
    monkeypatch.setenv("OCELLI_BACKENDS", json.dumps(backends))
    monkeypatch.setenv("OCELLI_DATA", str(served.data))

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["models", *arguments])
        return done.exit_code, done.output

    upstream.asked.clear()
    code, told = run("check", "sighted", "--json")
    assert code == 0, told
    report = json.loads(told)
    assert report["sees"] is True
    assert [each["picture"] for each in report["answers"]] == [
        "words", "counts", "sides", "blank",
    ]  # fmt: skip
    assert [each["right"] for each in report["answers"]] == [False, True, True, None]
    assert upstream.calls("sighted") == 4
    code, told = run("check", "blind")
    assert code == 1
    assert "blind does not see" in told
    assert f"answered  {INVENTED}" in told
    code, told = run("--backends", "--json")
    assert code == 1
    rows = {row["name"]: row for row in json.loads(told)}
    assert rows["sighted"]["sight"] == "seeing"
    assert rows["blind"]["sight"].startswith("blind. It answered none")
    assert rows["blind"]["is_good"] is False
    assert run("check", "nope")[0] == 2


def test_a_command_without_a_server(
    upstream: SightedServer, tmp_path: Path, photos: dict[str, Path]
) -> None:
    backends = {name: upstream.backend(name) for name in ("blind", "sighted")}
    done = subprocess.run(
        [*OCELLI, "describe", str(photos["coffee"]), "--level", "quick", "--json"],
        env={
            **os.environ,
            "OCELLI_BACKENDS": json.dumps(backends),
            "OCELLI_DATA": str(tmp_path / "data"),
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    (row,) = json.loads(done.stdout)
    assert row["source"] == ["sighted"]
    assert "blind was not asked. It answered none of 2 questions" in done.stderr
    assert not (tmp_path / "data").exists()


PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
