"""Models that vLLM runs: how their files get here, and how vLLM is called."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.model_hub import COMMIT, Hub, running
from typer.testing import CliRunner, Result

from ocelli.backends.models import catalogue as catalogue_module
from ocelli.backends.models import vllm_server
from ocelli.backends.models.catalogue import (
    Model,
    ModelError,
    ModelRunner,
    UnknownModel,
    backend_name,
    catalogue,
    repository_files,
)
from ocelli.backends.models.machine import Gpu, Machine
from ocelli.backends.models.vllm_server import VllmLaunch, arguments, environment
from ocelli.cli import models as commands
from ocelli.cli.main import app
from ocelli.settings import Settings
from ocelli.wiring import models as wiring
from ocelli.wiring.models import chosen_model, launch_of, with_model

GB = 10**9
REPOSITORY = "tiny/eyes"
NAME = "eyes"
WEIGHTS = os.urandom(300_001)
PARTS = {
    "config.json": b'{"architectures": ["Eyes"]}',
    "model.safetensors": WEIGHTS,
    "tokenizer.json": b"{}",
    "merges.txt": b"a b",
    "chat_template.jinja": b"{{ messages }}",
}
OTHERS = {
    "README.md": b"# Eyes",
    "pytorch_model.bin": b"the same weights",
    "consolidated.safetensors": b"the same weights again",
    "onnx/model.json": b"{}",
    "modeling_eyes.py": b"import os",
    "empty.json": b"",
}
EYES = Model(
    name=NAME,
    title="Eyes",
    repository=REPOSITORY,
    files=(),
    commit=COMMIT,
    licence="Apache-2.0",
    licence_url="https://example.com/eyes",
    is_open=True,
    purpose="tests",
    runner=ModelRunner.VLLM,
)
WITH_GPU = Machine(16 * GB, 8, (Gpu("G", 24 * GB),))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    for module in (catalogue_module, commands):
        monkeypatch.setattr(
            module,
            "catalogue",
            lambda runner=None: {NAME: EYES} if runner == ModelRunner.VLLM else {},
        )
    for module in (commands, wiring):
        monkeypatch.setattr(module, "this_machine", lambda: WITH_GPU)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    files = {f"{REPOSITORY}/{path}": data for path, data in {**PARTS, **OTHERS}.items()}
    with running(Hub(files, hashes_from=1000)) as it:
        monkeypatch.setenv("HF_ENDPOINT", it.url)
        yield it


def run(data: Path, *arguments: str) -> Result:
    options = ("--runner", "vllm", "--data", str(data))
    return CliRunner().invoke(app, ["models", *arguments, *options])


def files_of(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.name != "model.json"}


def left(data: Path) -> list[Path]:
    return [each for each in (data / "models").rglob("*") if each.is_file()]


@pytest.mark.usefixtures("hub")
def test_all_that_vllm_reads_is_pulled_into_a_folder_of_its_own(tmp_path: Path, hub: Hub) -> None:
    result = run(tmp_path, "pull", NAME)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "models" / "vllm" / NAME
    assert files_of(folder) == PARTS
    assert hub.seen[0][1] == f"/api/models/{REPOSITORY}/revision/{COMMIT}?blobs=true"
    assert all(f"/resolve/{COMMIT}/" in path for host, path, _ in hub.seen[1:] if host == "hub")
    assert "Apache-2.0, open" in result.stdout
    assert "ready: ocelli serve --model eyes --runner vllm" in result.stdout
    pinned = [line for line in result.stdout.splitlines() if "pinned to what came" in line]
    assert len(pinned) == len(PARTS) - 1  # the hub knew that of the weights
    assert "model.safetensors" not in "".join(pinned)

    assert run(tmp_path, "verify").exit_code == 0
    (row,) = json.loads(run(tmp_path, "list", "--json").stdout)
    assert (row["name"], row["on_disk"], row["runner"]) == (NAME, str(folder), "vllm")
    assert "already" in run(tmp_path, "pull", NAME).stdout
    (folder / "config.json").write_text("{}")
    assert run(tmp_path, "verify").exit_code == 1
    assert run(tmp_path, "remove", NAME).exit_code == 0
    assert not left(tmp_path)


@pytest.mark.usefixtures("hub")
def test_what_was_pulled_for_one_runner_is_none_of_the_other(tmp_path: Path) -> None:
    assert run(tmp_path, "pull", NAME).exit_code == 0
    with pytest.raises(UnknownModel, match="no model 'eyes' for llamacpp"):
        chosen_model(Settings(data=tmp_path, model=NAME))
    assert not json.loads(
        CliRunner().invoke(app, ["models", "list", "--json", "--data", str(tmp_path)]).stdout
    )


@pytest.mark.usefixtures("hub")
def test_a_bundle_and_a_folder_bring_it_to_a_machine_without_a_network(tmp_path: Path) -> None:
    assert run(tmp_path / "a", "pull", NAME).exit_code == 0
    tar = tmp_path / "eyes.tar"
    packed = run(tmp_path / "a", "bundle", NAME, "-o", str(tar))
    assert "pull eyes --from eyes.tar --runner vllm" in packed.stdout
    assert run(tmp_path / "b", "pull", "--from", str(tar)).exit_code == 0
    assert files_of(tmp_path / "b/models/vllm" / NAME) == PARTS
    for number, options in enumerate((["pull", NAME], ["pull"])):
        arguments = [*options, "--from", str(tar), "--data", str(tmp_path / f"c{number}")]
        other = CliRunner().invoke(app, ["models", *arguments])
        assert other.exit_code == 1
        assert "is for vllm, not for llamacpp" in other.stderr

    folder = tmp_path / "plain"
    folder.mkdir()
    for path, data in {**PARTS, "README.md": b"# Eyes"}.items():
        (folder / path).write_bytes(data)
    assert run(tmp_path / "d", "pull", NAME, "--from", str(folder)).exit_code == 0
    assert files_of(tmp_path / "d/models/vllm" / NAME) == PARTS
    (folder / "model.safetensors").unlink()
    none = run(tmp_path / "e", "pull", NAME, "--from", str(folder))
    assert none.exit_code == 1
    assert "no safetensors" in none.stderr


def test_what_is_wrong_is_said_and_nothing_is_left(tmp_path: Path, hub: Hub) -> None:
    hub.sends_instead = os.urandom(len(WEIGHTS))
    del hub.files[f"{REPOSITORY}/merges.txt"], hub.files[f"{REPOSITORY}/tokenizer.json"]
    del hub.files[f"{REPOSITORY}/config.json"], hub.files[f"{REPOSITORY}/chat_template.jinja"]
    wrong = run(tmp_path, "pull", NAME)
    assert wrong.exit_code == 1
    assert "its SHA-256 is" in wrong.stderr
    assert not left(tmp_path)
    del hub.files[f"{REPOSITORY}/model.safetensors"]
    none = run(tmp_path, "pull", NAME)
    assert none.exit_code == 1
    assert "tiny/eyes has no safetensors" in none.stderr
    hub.files.clear()
    assert "no repository tiny/eyes (404)" in run(tmp_path, "pull", NAME).stderr
    unknown = run(tmp_path, "pull", "ears")
    assert unknown.exit_code == 2
    assert "hf:OWNER/REPOSITORY" in unknown.stderr


@pytest.mark.usefixtures("hub")
def test_the_graphics_card_has_to_hold_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "this_machine", lambda: Machine(64 * GB, 8))
    result = run(tmp_path, "pull", NAME)
    assert result.exit_code == 1
    assert "of memory on a graphics card" in result.stderr
    assert run(tmp_path, "pull", NAME, "--force").exit_code == 0


@pytest.mark.usefixtures("hub")
def test_any_repository_can_be_named(tmp_path: Path) -> None:
    result = run(tmp_path, "pull", f"hf:{REPOSITORY}")
    assert result.exit_code == 0, result.output
    assert "licence apache-2.0, open" in result.stdout
    manifest = json.loads((tmp_path / "models/vllm/tiny-eyes/model.json").read_text())
    assert manifest["model"]["commit"] == COMMIT
    assert backend_name(f"hf:{REPOSITORY}") == "tiny-eyes"
    for runner, name in (("vllm", f"hf:{REPOSITORY}:Q8_0"), ("llamacpp", f"hf:{REPOSITORY}")):
        arguments = ["models", "pull", name, "--runner", runner, "--data", str(tmp_path)]
        refused = CliRunner().invoke(app, arguments)
        assert refused.exit_code == 2
        assert "is not hf:OWNER/REPOSITORY" in refused.stderr


def test_every_row_for_vllm_says_where_its_weights_are() -> None:
    rows = catalogue(ModelRunner.VLLM)
    assert len(rows) >= 5
    for name, model in rows.items():
        assert model.repository.count("/") == 1
        assert "GGUF" not in model.repository
        assert model.repository != catalogue()[name].repository
        assert model.commit is None or len(model.commit) == 40
        assert not model.files


def test_files_of_other_programs_are_left_out() -> None:
    assert repository_files([*PARTS, *OTHERS]) == sorted([*PARTS, "empty.json"])
    assert repository_files(["config.json", "model.bin"]) == []


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called vllm on the PATH."""
    program = tmp_path / "bin" / "vllm"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program


def test_what_is_missing_is_said_before_it_starts(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    settings = Settings(data=tmp_path, model=NAME, runner="vllm")
    with pytest.raises(ModelError, match="not on this machine") as absent:
        chosen_model(settings)
    assert absent.value.hint == "ocelli models pull eyes --runner vllm"
    assert run(tmp_path, "pull", NAME).exit_code == 0
    with monkeypatch.context() as without:
        without.setattr(wiring, "vllm_program", lambda: None)
        with pytest.raises(ModelError, match="vLLM is not installed") as missing:
            chosen_model(settings)
        assert "pip install vllm" in str(missing.value.hint)
    request.getfixturevalue("installed")
    with monkeypatch.context() as without:
        without.setattr(wiring, "this_machine", lambda: Machine(64 * GB, 8))
        with pytest.raises(ModelError, match="needs a graphics card"):
            chosen_model(settings)
    with pytest.raises(ModelError, match="does not run ollama:llava"):
        chosen_model(settings.model_copy(update={"model": "ollama:llava"}))
    assert chosen_model(settings).name == NAME


def test_it_is_a_backend_of_the_provider_vllm(tmp_path: Path, hub: Hub, installed: Path) -> None:
    assert run(tmp_path, "pull", NAME).exit_code == 0
    settings = Settings(data=tmp_path, model=NAME, runner="vllm", model_gpu_share=0.5)
    chosen = chosen_model(settings)
    launch = launch_of(chosen, settings, WITH_GPU, "key")
    assert isinstance(launch, VllmLaunch)
    assert launch.program == str(installed)
    assert launch.folder == str(tmp_path / "models/vllm" / NAME)
    assert (launch.slots, launch.context, launch.gpu_share) == (16, 8192, 0.5)
    served = with_model(settings, chosen, 1234)
    backend = served.backends[NAME]
    assert (backend.provider, backend.base_url) == ("vllm", "http://127.0.0.1:1234/v1")
    assert served.model_slots == 16
    assert served.model_threads is None


LAUNCH = VllmLaunch(NAME, "/bin/vllm", "/models/vllm/eyes", key="secret", slots=3, context=4096)


def test_no_secret_is_in_its_command_line_and_nothing_is_sent_home() -> None:
    line = arguments(replace(LAUNCH, thinks=True, gpu_share=0.5), Path("/tmp/x/api.sock"))
    assert line[:3] == ["/bin/vllm", "serve", "/models/vllm/eyes"]
    assert line[line.index("--gpu-memory-utilization") + 1] == "0.5"
    assert json.loads(line[line.index("--default-chat-template-kwargs") + 1]) == {
        "enable_thinking": False
    }
    assert "secret" not in " ".join(line)
    assert "--gpu-memory-utilization" not in arguments(LAUNCH, Path("/tmp/x/api.sock"))
    given = {
        "PATH": "/bin",
        "CUDA_VISIBLE_DEVICES": "1",
        "HF_TOKEN": "t",
        "OCELLI_DATABASE_URL": "d",
        "HF_HUB_OFFLINE": "0",
        "PROMETHEUS_MULTIPROC_DIR": "/data/metrics",
    }
    found = environment(given, "secret")
    assert found["VLLM_API_KEY"] == "secret"
    assert found["CUDA_VISIBLE_DEVICES"] == "1"
    withheld = {"HF_TOKEN", "OCELLI_DATABASE_URL", "PROMETHEUS_MULTIPROC_DIR"}
    assert not withheld & found.keys()
    switches = ("VLLM_NO_USAGE_STATS", "DO_NOT_TRACK", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    assert {found[name] for name in switches} == {"1"}


def test_of_its_log_the_first_error_and_the_last_lines_are_said() -> None:
    said = vllm_server.Said()
    said.read(
        [b"INFO hello\n", b"E ValueError: too small\n", *[b"line %d\n" % n for n in range(9)]]
    )
    assert str(said) == "It said: E ValueError: too small | line 5 | line 6 | line 7 | line 8"
    assert str(vllm_server.Said()) == ""
