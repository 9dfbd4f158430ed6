"""`ocelli serve --model`: a model of its own process, behind every door of the server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest
import requests
from tests.conftest import OCELLI, Server, ocelli, reachable, start_server
from tests.vlm.tiny_model import NAME, put_tiny_model, settings_of, write_files
from tests.waiting import PATIENCE, until
from typer.testing import CliRunner

from ocelli.cli import sight
from ocelli.cli.main import app
from ocelli.cli.model_process import NoModel, model_process
from ocelli.settings import Settings

pytest.importorskip("xllamacpp", reason="pip install 'ocelli-vision[llama]'")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("stick"))


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Iterator[Server]:
    """A server with the model; at its end nothing of it is left running."""
    data = reachable(tmp_path_factory.mktemp("serving")) / "data"
    put_tiny_model(data / "models", source)
    server = start_server(data, "--model", NAME, "--workers", "1", **settings_of())
    yield server
    processes = psutil.Process(server.process.pid).children(recursive=True)
    assert any(_is_llama(each) for each in processes)
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
    assert not alive


def _is_llama(process: psutil.Process) -> bool:
    try:
        return "ocelli.backends.models.llama_server" in process.cmdline()
    except psutil.Error:
        return False


def _llama_below(process: psutil.Process) -> psutil.Process | None:
    return next((each for each in process.children(recursive=True) if _is_llama(each)), None)


def llama(server: Server) -> psutil.Process:
    """The model's process."""
    return until(lambda: _llama_below(psutil.Process(server.process.pid)))


END_OF_TEXT = "2"  # the token


def chat(server: Server, text: str, **given: Any) -> requests.Response:
    body = {
        "model": NAME,
        "messages": [{"role": "user", "content": text}],
        "logit_bias": {END_OF_TEXT: -100},  # noise would end anywhere
        **given,
    }
    return requests.post(
        f"{server.url}/v1/chat/completions",
        json=body,
        headers=server.headers,
        timeout=PATIENCE,
        stream=bool(given.get("stream")),
    )


def test_it_is_a_model_of_the_chat(serving: Server) -> None:
    listed = requests.get(f"{serving.url}/v1/models", headers=serving.headers, timeout=60).json()
    assert NAME in [model["id"] for model in listed["data"]]
    answer = chat(serving, "Hello", max_tokens=20).json()
    assert answer["model"] == NAME
    assert answer["usage"]["completion_tokens"] == 20


def test_it_streams(serving: Server) -> None:
    lines = [
        line for line in chat(serving, "Hello", max_tokens=9, stream=True).iter_lines() if line
    ]
    assert lines[-1] == b"data: [DONE]"
    pieces = [json.loads(line.removeprefix(b"data: ")) for line in lines[:-1]]
    assert pieces[-1]["choices"][0]["finish_reason"] == "length"


def test_it_is_held_to_a_schema(serving: Server, photos: dict[str, Path]) -> None:
    schema = {  # without free text: bytes of noise are no UTF-8
        "type": "object",
        "properties": {
            "sure": {"type": "boolean"},
            "count": {"type": "integer", "minimum": 0, "maximum": 9},
            "kind": {"enum": ["cat", "cup", "page"]},
        },
        "required": ["sure", "count", "kind"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
    answer = chat(
        serving, "What is it?", response_format=form, max_tokens=400, logit_bias={}
    ).json()
    jsonschema.validate(json.loads(answer["choices"][0]["message"]["content"]), schema)


def test_rules_that_come_again_are_not_read_again(serving: Server) -> None:
    def cached(rules: str, text: str) -> int:
        messages = [{"role": "system", "content": rules}, {"role": "user", "content": text}]
        answer = chat(serving, "", messages=messages, max_tokens=5).json()
        return int(answer["usage"]["prompt_tokens_details"]["cached_tokens"])

    describe, check = "Say what you see. " * 90, "Is this true? " * 90
    cached(describe, "one"), cached(check, "two")
    assert cached(describe, "three") > 1500
    assert cached(check, "four") > 1200


def test_it_describes_a_photo(serving: Server, photos: dict[str, Path]) -> None:
    with photos["coffee"].open("rb") as file:
        answer = requests.post(
            f"{serving.url}/api/v2/user-files/upload/stream",
            files={"file": ("coffee.png", file, "image/png")},
            data={"verification_level": "quick"},
            headers=serving.headers,
            timeout=PATIENCE,
        ).json()

    def described() -> dict[str, Any] | None:
        got = requests.get(
            f"{serving.url}/api/v2/user-files/{answer['image_id']}",
            headers=serving.headers,
            timeout=60,
        ).json()
        return got if got["description_status"] not in ("pending", "processing", "queued") else None

    found = until(described)
    assert found["description_status"] == "completed", found
    assert found["full_descriptions"][0]["source"] == NAME


def test_a_request_outlives_the_death_of_the_process(serving: Server) -> None:
    process = llama(serving)
    process.suspend()
    answers: list[requests.Response] = []
    asking = threading.Thread(
        target=lambda: answers.append(chat(serving, "Hello", max_tokens=12)), daemon=True
    )
    asking.start()
    host = process.parent()
    assert host is not None
    until(
        lambda: [each for each in host.net_connections() if _leads_to(each, process)], fleeting=True
    )
    process.kill()
    asking.join(PATIENCE)
    assert answers[0].json()["usage"]["completion_tokens"] == 12
    assert llama(serving).pid != process.pid


def _leads_to(connection: Any, process: psutil.Process) -> bool:
    ports = {each.laddr.port for each in process.net_connections() if each.status == "LISTEN"}
    return bool(connection.raddr) and connection.raddr.port in ports


def test_a_stream_that_is_cut_says_so_and_the_next_one_works(serving: Server) -> None:
    process = llama(serving)
    lines = chat(serving, "Hello", max_tokens=15_000, stream=True).iter_lines()
    assert next(lines)
    process.kill()
    rest = [line for line in lines if line]
    assert b"data: [DONE]" not in rest
    assert b'"error"' in rest[-1]
    assert chat(serving, "Hello", max_tokens=5).status_code == 200


def test_its_figures_are_shown(serving: Server) -> None:
    chat(serving, "Hello", max_tokens=5)
    shown = requests.get(f"{serving.url}/metrics", timeout=60).text
    for name in ("up", "cold_start_seconds", "memory_bytes", "tokens_per_second"):
        (line,) = [line for line in shown.splitlines() if line.startswith(f"ocelli_model_{name}{{")]
        assert float(line.rpartition(" ")[2]) > 0
    listed = json.loads(ocelli("models", "list", "--json", data=serving.data))
    (row,) = [row for row in listed if row["name"] == NAME]
    assert row["measured"]["cold_start_seconds"] > 0
    assert row["measured"]["memory_bytes"] > 1_000_000


def test_its_key_is_in_no_command_line(serving: Server) -> None:
    process = llama(serving)
    assert len(process.cmdline()) == 3
    (listening,) = [each for each in process.net_connections() if each.status == "LISTEN"]
    assert listening.laddr.ip == "127.0.0.1"
    url = f"http://127.0.0.1:{listening.laddr.port}/v1/chat/completions"
    assert requests.post(url, json={"messages": []}, timeout=60).status_code == 401


def test_nothing_is_left_when_the_parent_is_killed(tmp_path: Path, source: Path) -> None:
    put_tiny_model(tmp_path / "models", source)
    program = (
        "import sys, time; from pathlib import Path; from ocelli.settings import Settings; "
        "from ocelli.cli.model_process import running_model\n"
        "with running_model(Settings(data=Path(sys.argv[1]), model='tiny')) as settings:\n"
        "    time.sleep(3600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], env={**os.environ, **settings_of()}
    )
    try:
        model = until(lambda: _llama_below(psutil.Process(parent.pid)))
        children = psutil.Process(parent.pid).children(recursive=True)
        assert model in children
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert len(children) == 2
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert not alive


def test_its_sight_is_tested_by_hand(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that are noise see nothing; that is known of them wherever they run next."""
    put_tiny_model(tmp_path / "models", source)
    for name, value in settings_of(max_tokens=64).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OCELLI_MODEL", NAME)
    monkeypatch.setenv("OCELLI_CACHE", str(tmp_path / "cache"))
    done = CliRunner().invoke(app, ["models", "check", NAME, "--data", str(tmp_path)])
    assert done.exit_code == 1, done.stderr
    assert f"{NAME} does not see" in done.stdout
    assert done.stdout.count("asked") == 4

    monkeypatch.setenv("OCELLI_DATA", str(tmp_path))
    monkeypatch.setenv("OCELLI_BACKENDS", "{}")
    (row,) = json.loads(CliRunner().invoke(app, ["models", "--backends", "--json"]).stdout)
    assert row["sight"].startswith("blind")


def test_a_pulled_model_needs_no_setting_to_be_tested(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_tiny_model(tmp_path / "models", source)
    started = []

    def start(settings: Settings) -> None:
        started.append(settings.model)
        raise NoModel(3)

    monkeypatch.setattr(sight, "running_model", start)
    for name, code in {NAME: 3, "nothing": 2}.items():
        done = CliRunner().invoke(app, ["models", "check", name, "--data", str(tmp_path)])
        assert done.exit_code == code
    assert started == [NAME]


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("nothing", 2, "there is no model 'nothing'"),
        ("qwen3-vl-2b", 3, "ocelli models pull qwen3-vl-2b"),
        ("hf:a/b:Q8_0", 3, "ocelli models pull hf:a/b:Q8_0"),
        ("ollama:nothing", 2, "Ollama has no nothing:latest"),
    ],
)
def test_a_model_that_is_not_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, code: int, says: str
) -> None:
    settings = Settings(data=tmp_path, model=name)
    with pytest.raises(NoModel) as failed, model_process(settings):
        pass
    assert failed.value.code == code
    assert says in capsys.readouterr().err


def test_weights_that_were_changed_are_not_run(tmp_path: Path, source: Path) -> None:
    stored = put_tiny_model(tmp_path / "models", source)
    weights = stored.folder / "tiny-F32.gguf"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    done = subprocess.run(
        [*OCELLI, "serve", "--model", NAME, "--data", str(tmp_path), "--port", "0"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 3
    assert "is not the file that was pulled" in done.stderr
