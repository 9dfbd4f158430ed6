"""Which model the settings mean, how it runs on which machine, and what is said without one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ocelli.backends.models.catalogue import FileRole, Model, UnknownModel, backend_name, catalogue
from ocelli.backends.models.llama_server import LlamaLaunch
from ocelli.backends.models.machine import Gpu, Machine, gigabytes
from ocelli.backends.models.ollama import ollama_model, ollama_models
from ocelli.cli.main import app
from ocelli.settings import Settings
from ocelli.wiring import models as wiring
from ocelli.wiring.backends import chat_configs
from ocelli.wiring.models import ChosenModel, launch_of, with_model

GB = 10**9


class Source:
    """A model whose files need not be there."""

    def path(self, role: FileRole) -> Path:
        return Path("/models") / role


def chosen(model: Model) -> ChosenModel:
    return ChosenModel(model, Source())  # type: ignore[arg-type]


QWEN = catalogue()["qwen3-vl-2b"]


@pytest.mark.parametrize(
    ("machine", "slots", "context"),
    [
        (Machine(16 * GB, 2), 1, 8192),
        (Machine(16 * GB, 16), 2, 8192),
        (Machine(4 * GB, 16), 1, 8192),
        (Machine(3 * GB, 2), 1, 4096),
        (Machine(16 * GB, 2, (Gpu("G", 24 * GB),)), 4, 8192),
        (Machine(16 * GB, 2, (Gpu("G", 2 * GB),)), 1, 8192),
    ],
)
def test_the_machine_decides_and_the_settings_overrule(
    machine: Machine, slots: int, context: int
) -> None:
    launch = launch_of(chosen(QWEN), Settings(), machine, "key")
    assert isinstance(launch, LlamaLaunch)
    assert (launch.slots, launch.context, launch.threads) == (slots, context, machine.cores)
    assert launch.gpu_layers is None
    own = Settings(model_slots=3, model_threads=7, model_gpu_layers=0, model_context=2048)
    launch = launch_of(chosen(QWEN), own, machine, "key")
    assert isinstance(launch, LlamaLaunch)
    assert (launch.slots, launch.threads, launch.gpu_layers, launch.context) == (3, 7, 0, 2048)


def test_a_model_that_thinks_is_told_not_to() -> None:
    launch = launch_of(chosen(catalogue()["qwen3.5-4b"]), Settings(), Machine(16 * GB, 2), "key")
    assert launch.thinks


def test_it_is_the_first_backend_with_what_the_settings_say_of_it() -> None:
    settings = Settings(
        model=QWEN.name,
        backends={
            "house": {"base_url": "http://10.0.0.7/v1", "model": "m"},
            QWEN.name: {"max_side": 512, "deadline": 30},
        },
    )
    served = with_model(settings, chosen(QWEN), 1234)
    assert list(served.backends) == [QWEN.name, "house"]
    backend = served.backends[QWEN.name]
    assert backend.base_url == "http://127.0.0.1:1234/v1"
    assert (backend.max_side, backend.deadline) == (512, 30)
    assert backend.timeout == wiring.DEADLINE
    assert backend.key is not None
    assert len(backend.key.get_secret_value()) > 40
    other = with_model(settings, chosen(QWEN), 1234).backends[QWEN.name]
    assert other.key != backend.key
    assert served.analyses_at_once is None
    alone = with_model(Settings(model=QWEN.name), chosen(QWEN), 1)
    assert alone.analyses_at_once == 2
    assert alone.analysis_timeout == wiring.ANALYSIS_TIMEOUT
    given = with_model(Settings(model=QWEN.name, analysis_timeout=5), chosen(QWEN), 1)
    assert given.analysis_timeout == 5


def test_a_command_without_the_model_leaves_it_out() -> None:
    settings = Settings(model=QWEN.name, backends={QWEN.name: {"max_side": 512}})
    assert chat_configs(settings) == []
    with pytest.raises(ValueError, match="base_url"):
        Settings(backends={QWEN.name: {"max_side": 512}})


def test_the_list_of_backends_says_whether_it_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCELLI_MODEL", QWEN.name)
    monkeypatch.setenv("OCELLI_MODELS_DIR", str(tmp_path))
    result = CliRunner().invoke(app, ["models", "--backends", "--json"])
    assert result.exit_code == 1
    (row,) = json.loads(result.stdout)
    assert (row["name"], row["state"]) == (QWEN.name, f"{QWEN.name} is not on this machine.")


@pytest.fixture
def ollama(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ollama's folder with a model that has a projector, and one that has none."""
    library = tmp_path / "manifests/registry.ollama.ai/library"
    (tmp_path / "blobs").mkdir(parents=True)
    for name, kinds in {"llava": ("model", "projector"), "gemma3": ("model",)}.items():
        layers = []
        for kind in (*kinds, "license"):
            data = f"{name} {kind}".encode()
            digest = hashlib.sha256(data).hexdigest()
            (tmp_path / "blobs" / f"sha256-{digest}").write_bytes(data)
            media = f"application/vnd.ollama.image.{kind}"
            layers.append({"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)})
        (library / name).mkdir(parents=True)
        (library / name / "latest").write_text(json.dumps({"layers": layers}))
    (library / "broken").mkdir()
    (library / "broken" / "7b").write_text("{")
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path))
    return tmp_path


def test_what_ollama_has_on_this_disk_is_offered(ollama: Path) -> None:
    (found,) = ollama_models()
    assert found.title == "llava:latest"
    assert found.path(FileRole.MODEL).read_text() == "llava model"
    assert found.path(FileRole.PROJECTOR).read_text() == "llava projector"
    settings = Settings(model="ollama:llava", data=ollama)
    assert wiring.chosen_model(settings).name == "llava" == backend_name("ollama:llava")
    listed = CliRunner().invoke(app, ["models", "list", "--json", "--data", str(ollama / "data")])
    row = json.loads(listed.stdout)[-1]
    assert (row["name"], row["pinned"]) == ("ollama:llava", "ollama")
    with pytest.raises(UnknownModel, match="there are: ollama:llava:latest"):
        ollama_model("ollama:gemma3")


def test_without_a_model_a_line_says_which_would_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data=tmp_path)
    monkeypatch.setattr(wiring, "this_machine", lambda: Machine(16 * GB, 2))
    assert "ocelli models pull qwen3-vl-2b (1.6 GB, Apache-2.0)" in wiring.advice(settings)
    monkeypatch.setattr(wiring, "this_machine", lambda: Machine(3 * GB, 2))
    assert "minicpm" in wiring.advice(settings)
    monkeypatch.setattr(wiring, "this_machine", lambda: Machine(GB, 2))
    assert "too little memory" in wiring.advice(settings)


def test_the_memory_of_a_model_grows_with_its_slots() -> None:
    bigger = replace(QWEN, cache_kb=2 * QWEN.cache_kb)
    assert QWEN.memory(slots=2) - QWEN.memory() == 8192 * QWEN.cache_kb * 1024
    assert bigger.memory() > QWEN.memory()


@pytest.mark.parametrize("page", ["README.md", "docs/models.md"])
def test_the_tables_are_those_of_the_catalogue(page: str) -> None:
    text = (Path(__file__).parents[2] / page).read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    for name, model in catalogue().items():
        (row,) = [row for row in rows if row.startswith(f"| `{name}` |")]
        for told in (model.licence, gigabytes(model.size), gigabytes(model.memory())):
            assert told in row
        assert row.endswith(f"| {model.purpose} |")
