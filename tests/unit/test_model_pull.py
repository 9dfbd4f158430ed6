"""Models come whole or not at all, whatever the hub, the disk and the network do."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.model_hub import COMMIT, Hub, running
from typer.testing import CliRunner, Result

from ocelli.backends.models import catalogue as catalogue_module
from ocelli.backends.models import download, pull, store
from ocelli.backends.models.catalogue import (
    GGUF_ROLES,
    FileRole,
    Model,
    ModelError,
    ModelFile,
    catalogue,
)
from ocelli.backends.models.machine import Gpu, Machine
from ocelli.backends.models.store import Store
from ocelli.cli import models as commands
from ocelli.cli.main import app

REPOSITORY = "tiny/eyes-GGUF"
NAME = "eyes"
WEIGHTS, PROJECTOR = os.urandom(700_001), os.urandom(90_000)
FILES = {
    f"{REPOSITORY}/eyes-Q4_K_M.gguf": WEIGHTS,
    f"{REPOSITORY}/eyes-BF16.gguf": b"other weights",
    f"{REPOSITORY}/mmproj-eyes-BF16.gguf": b"another projector",
    f"{REPOSITORY}/mmproj-eyes-F16.gguf": PROJECTOR,
    f"{REPOSITORY}/README.md": b"# Eyes",
}
EYES = Model(
    name=NAME,
    title="Eyes",
    repository=REPOSITORY,
    files=(
        ModelFile(
            FileRole.MODEL,
            "eyes-Q4_K_M.gguf",
            len(WEIGHTS),
            hashlib.sha256(WEIGHTS).hexdigest(),
        ),
        ModelFile(
            FileRole.PROJECTOR,
            "mmproj-eyes-F16.gguf",
            len(PROJECTOR),
            hashlib.sha256(PROJECTOR).hexdigest(),
        ),
    ),
    licence="Apache-2.0",
    licence_url="https://example.com/eyes",
    is_open=True,
    purpose="tests",
)
UNPINNED = replace(EYES, files=tuple(replace(file, sha256=None) for file in EYES.files))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(download, "RANGE", 100_000)
    monkeypatch.setattr(download, "LONGEST_PAUSE", 0.01)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with running(Hub(dict(FILES))) as it:
        monkeypatch.setenv("HF_ENDPOINT", it.url)
        yield it


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue has EYES."""
    _offer(monkeypatch, EYES)


def _offer(monkeypatch: pytest.MonkeyPatch, model: Model) -> None:
    for module in (catalogue_module, commands):
        monkeypatch.setattr(module, "catalogue", lambda *_: {model.name: model})


def run(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["models", *arguments, "--data", str(data)])


def left(data: Path) -> list[str]:
    """All files below the folder of the models."""
    return sorted(
        str(each.relative_to(data / "models"))
        for each in (data / "models").rglob("*")
        if each.is_file()
    )


WHOLE = [f"{NAME}/eyes-Q4_K_M.gguf", f"{NAME}/mmproj-eyes-F16.gguf", f"{NAME}/model.json"]


@pytest.mark.usefixtures("offered")
def test_a_model_is_pulled_in_ranges_and_is_whole(hub: Hub, tmp_path: Path) -> None:
    result = run(tmp_path, "pull", NAME)

    assert result.exit_code == 0, result.output
    assert "Apache-2.0, open" in result.stdout
    assert "0.8 MB" in result.stdout
    assert f"ocelli serve --model {NAME}" in result.stdout
    assert left(tmp_path) == WHOLE
    assert (tmp_path / "models" / NAME / "eyes-Q4_K_M.gguf").read_bytes() == WEIGHTS
    ranges = {headers.get("Range") for headers in hub.requests("store")}
    assert "bytes=600000-699999" in ranges
    assert "bytes=700000-700000" in ranges
    assert run(tmp_path, "verify").exit_code == 0
    asked = len(hub.seen)
    assert "already" in run(tmp_path, "pull", NAME).stdout
    assert len(hub.seen) == asked


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_cut_connection_is_taken_up_again(hub: Hub, tmp_path: Path, has_ranges: bool) -> None:
    hub.has_ranges = has_ranges
    hub.cut_after, hub.cuts, hub.busy = 30_000, 4, 2

    assert run(tmp_path, "pull", NAME).exit_code == 0
    assert left(tmp_path) == WHOLE
    assert hub.cuts == 0
    assert (tmp_path / "models" / NAME / "eyes-Q4_K_M.gguf").read_bytes() == WEIGHTS


@pytest.mark.usefixtures("offered")
def test_completed_ranges_are_not_fetched_again(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "0.2")
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    monkeypatch.setattr(download, "CONNECTIONS", 1)
    hub.silent_from = 450_000
    stalled = run(tmp_path, "pull", NAME)
    assert stalled.exit_code == 1
    assert "sent nothing for 0.2 s" in stalled.stderr
    assert "goes on there" in stalled.stderr
    assert run(tmp_path, "list").exit_code == 0
    assert Store(tmp_path / "models").all() == []

    hub.silent_from = None
    hub.seen.clear()
    assert run(tmp_path, "pull", NAME).exit_code == 0
    first = [headers["Range"] for headers in hub.requests("store")][1]
    assert first != "bytes=0-99999"
    assert left(tmp_path) == WHOLE


@pytest.mark.usefixtures("offered")
def test_what_has_come_can_be_removed(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "0.2")
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    hub.silent_from = 450_000
    assert run(tmp_path, "pull", NAME).exit_code == 1
    assert run(tmp_path, "remove", NAME).exit_code == 0
    assert left(tmp_path) == []


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize("sends", [b"\0" * len(WEIGHTS), WEIGHTS[:-1]])
def test_another_file_is_refused_and_nothing_is_left(
    hub: Hub, tmp_path: Path, sends: bytes
) -> None:
    hub.sends_instead = sends
    result = run(tmp_path, "pull", NAME)
    assert result.exit_code == 1
    assert "is not the file that was asked for" in result.stderr
    assert left(tmp_path) == []


@pytest.mark.usefixtures("offered")
def test_a_second_file_that_is_wrong_takes_the_first_with_it(hub: Hub, tmp_path: Path) -> None:
    hub.files[f"{REPOSITORY}/mmproj-eyes-F16.gguf"] = b"\1" * len(PROJECTOR)
    assert run(tmp_path, "pull", NAME).exit_code == 1
    assert left(tmp_path) == []


@pytest.mark.usefixtures("offered")
def test_a_gated_repository_asks_for_a_token(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_secret"
    refused = run(tmp_path, "pull", NAME)
    assert refused.exit_code == 1
    assert "gated or private (401): it asks for a token" in refused.stderr
    assert f"{hub.url}/{REPOSITORY}" in refused.stderr
    assert left(tmp_path) == []

    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "HF_TOKEN may not read it" in run(tmp_path, "pull", NAME).stderr
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert run(tmp_path, "pull", NAME).exit_code == 0
    assert all("Authorization" not in headers for headers in hub.requests("store"))


@pytest.mark.usefixtures("offered")
def test_what_the_hub_does_not_have(hub: Hub, tmp_path: Path) -> None:
    hub.files.clear()
    result = run(tmp_path, "pull", NAME)
    assert result.exit_code == 1
    assert f"has no eyes-Q4_K_M.gguf in {REPOSITORY} (404)" in result.stderr
    assert left(tmp_path) == []
    assert (
        "has no repository tiny/nothing (404)"
        in run(tmp_path, "pull", "hf:tiny/nothing:Q8_0").stderr
    )


@pytest.mark.parametrize("name", ["nothing", "hf:tiny", "hf:tiny/eyes", "../eyes", ""])
def test_an_unknown_name_is_wrong_use(tmp_path: Path, name: str) -> None:
    assert run(tmp_path, "pull", name).exit_code == 2
    assert run(tmp_path, "remove", name).exit_code == 2
    assert run(tmp_path, "verify", name).exit_code == (2 if name else 0)
    assert run(tmp_path, "bundle", name, "-o", str(tmp_path / "x.tar")).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_hub_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "LONGEST_PAUSE", 0.0)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    _offer(monkeypatch, EYES)
    result = run(tmp_path, "pull", NAME)
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    assert left(tmp_path) == []


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize(
    ("variable", "value"),
    [("HF_HUB_DOWNLOAD_TIMEOUT", "soon"), ("HF_HUB_DOWNLOAD_TIMEOUT", "0"), ("HF_ENDPOINT", "hub")],
)
def test_a_variable_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    result = run(tmp_path, "pull", NAME)
    assert result.exit_code == 1
    assert f"ocelli: {variable} is no" in result.stderr


def test_a_model_without_a_known_hash_is_pinned_to_what_came(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _offer(monkeypatch, UNPINNED)
    result = run(tmp_path, "pull", NAME)
    assert result.exit_code == 0
    assert f"SHA-256 {hashlib.sha256(WEIGHTS).hexdigest()}" in result.stdout
    stored = Store(tmp_path / "models").require(NAME)
    assert stored.pinned == pull.FIRST_PULL
    assert stored.model.commit == COMMIT
    (stored.folder / "eyes-Q4_K_M.gguf").write_bytes(b"\0" * len(WEIGHTS))
    assert run(tmp_path, "verify").exit_code == 1


def test_the_hubs_own_hash_counts_where_none_is_pinned(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _offer(monkeypatch, UNPINNED)
    hub.sends_instead = b"\0" * len(WEIGHTS)
    assert run(tmp_path, "pull", NAME).exit_code == 1
    assert left(tmp_path) == []


def test_a_repository_by_its_name(hub: Hub, tmp_path: Path) -> None:
    result = run(tmp_path, "pull", f"hf:{REPOSITORY}:q4_k_m")
    assert result.exit_code == 0, result.output
    assert f"at {COMMIT[:8]}" in result.stdout
    stored = Store(tmp_path / "models").require("tiny-eyes-gguf-q4_k_m")
    assert stored.path(FileRole.PROJECTOR).name == "mmproj-eyes-F16.gguf"
    missing = run(tmp_path, "pull", f"hf:{REPOSITORY}:Q8_0")
    assert missing.exit_code == 1
    assert "has no Q8_0; its GGUF files: eyes-BF16.gguf, eyes-Q4_K_M.gguf" in missing.stderr
    for path in [path for path in hub.files if "mmproj" in path]:
        del hub.files[path]
    assert "no projector" in run(tmp_path, "pull", f"hf:{REPOSITORY}:BF16").stderr


def test_a_long_list_of_files(hub: Hub, tmp_path: Path) -> None:
    """It does not come in one piece."""
    hub.files |= {f"{REPOSITORY}/images/{number:05}.png": b"" for number in range(5000)}
    result = run(tmp_path, "pull", f"hf:{REPOSITORY}:q4_k_m")
    assert result.exit_code == 0, result.output


def test_room_is_looked_for_first(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _offer(monkeypatch, EYES)
    monkeypatch.setattr(commands, "this_machine", lambda: Machine(512 * 1024**2, 2))
    refused = run(tmp_path, "pull", NAME)
    assert refused.exit_code == 1
    assert "of memory; this machine has 0.5 GB" in refused.stderr
    _offer(monkeypatch, replace(EYES, files=(replace(EYES.files[0], size=10**16),)))
    full = run(tmp_path, "pull", NAME, "--force")
    assert full.exit_code == 1
    assert "on the disk" in full.stderr
    assert hub.seen == []
    assert left(tmp_path) == []


@pytest.mark.usefixtures("offered")
def test_a_disk_that_is_full_in_the_middle(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(file: int, data: bytes, position: int) -> int:
        if position > 300_000:
            raise OSError(28, "No space left on device")
        return real(file, data, position)

    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", write)
    result = run(tmp_path, "pull", NAME)
    assert result.exit_code == 1
    assert "the disk is full" in result.stderr
    assert left(tmp_path) == []


@pytest.mark.usefixtures("offered")
def test_a_bundle_goes_to_a_machine_without_a_network(hub: Hub, tmp_path: Path) -> None:
    here, there, bundle = tmp_path / "here", tmp_path / "there", tmp_path / "eyes.tar"
    assert run(here, "pull", NAME).exit_code == 0
    made = run(here, "bundle", NAME, "-o", str(bundle))
    assert made.exit_code == 0, made.output
    asked = len(hub.seen)

    assert run(there, "pull", NAME, "--from", str(bundle)).exit_code == 0
    assert left(there) == WHOLE
    assert run(there, "verify").exit_code == 0
    assert run(there, "remove", NAME).exit_code == 0
    assert left(there) == []
    assert run(there, "pull", "--from", str(here / "models" / NAME)).exit_code == 0
    assert left(there) == WHOLE
    assert len(hub.seen) == asked

    other = run(there, "pull", "smolvlm2-2.2b-other", "--from", str(bundle))
    assert other.exit_code == 2
    assert f"holds {NAME}, not" in other.stderr
    assert left(there) == WHOLE, "what was there before stays"


@pytest.mark.usefixtures("offered")
def test_a_folder_with_the_files_is_enough(tmp_path: Path) -> None:
    source = tmp_path / "stick"
    source.mkdir()
    (source / "eyes-Q4_K_M.gguf").write_bytes(WEIGHTS)
    incomplete = run(tmp_path, "pull", NAME, "--from", str(source))
    assert incomplete.exit_code == 1
    assert "has no mmproj-eyes-F16.gguf" in incomplete.stderr
    (source / "mmproj-eyes-F16.gguf").write_bytes(b"\0" * len(PROJECTOR))
    wrong = run(tmp_path, "pull", NAME, "--from", str(source))
    assert wrong.exit_code == 1
    assert "is not the file" in wrong.stderr
    assert left(tmp_path) == []
    (source / "mmproj-eyes-F16.gguf").write_bytes(PROJECTOR)
    assert run(tmp_path, "pull", NAME, "--from", str(source)).exit_code == 0


@pytest.mark.usefixtures("offered")
def test_a_bundle_that_is_none(tmp_path: Path) -> None:
    broken = tmp_path / "x.tar"
    broken.write_bytes(b"no tar")
    assert run(tmp_path, "pull", NAME, "--from", str(broken)).exit_code == 1
    assert run(tmp_path, "pull", NAME, "--from", str(tmp_path / "none")).exit_code == 1
    evil = tmp_path / "evil.tar"
    manifest = {"pinned": "catalogue", "model": {"name": "../../evil", "files": []}}
    (tmp_path / "model.json").write_text(json.dumps(manifest))
    with tarfile.open(evil, "w") as tar:
        tar.add(tmp_path / "model.json", "model.json")
    assert run(tmp_path, "pull", "--from", str(evil)).exit_code == 1
    assert left(tmp_path) == []


@pytest.mark.usefixtures("offered")
def test_two_commands_do_not_pull_one_model(hub: Hub, tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    with store.arriving(NAME):
        second = run(tmp_path, "pull", NAME)
    assert second.exit_code == 1
    assert "another command pulls it" in second.stderr
    assert run(tmp_path, "pull", NAME).exit_code == 0


@pytest.mark.usefixtures("offered")
def test_the_list_says_what_is_here(hub: Hub, tmp_path: Path) -> None:
    assert run(tmp_path, "pull", f"hf:{REPOSITORY}:Q4_K_M").exit_code == 0
    rows = {row["name"]: row for row in json.loads(run(tmp_path, "list", "--json").stdout)}
    assert rows[NAME]["on_disk"] is None
    assert rows[NAME]["licence"] == "Apache-2.0"
    assert rows["tiny-eyes-gguf-q4_k_m"]["pinned"] == pull.FROM_HUB
    assert rows["tiny-eyes-gguf-q4_k_m"]["size"] == len(WEIGHTS) + len(PROJECTOR)


def test_every_row_of_the_catalogue_is_complete() -> None:
    for name, model in catalogue().items():
        assert model.is_open
        assert model.licence
        assert model.licence_url.startswith("https://")
        assert model.purpose
        assert {file.role for file in model.files} == set(GGUF_ROLES)
        for file in model.files:
            assert file.size, name
            assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32
        assert model.commit is None or len(bytes.fromhex(model.commit)) == 20
        assert model.size < model.memory() < 4 * model.size


def test_what_fits_a_machine() -> None:
    rows = catalogue().values()
    small, usual, tiny = (Machine(gb * 10**9, 2) for gb in (3, 16, 1))
    assert usual.best(rows) is next(iter(rows))
    assert (best := small.best(rows)) is not None
    assert best.memory() < 3e9
    assert tiny.best(rows) is None
    with_gpu = replace(usual, gpus=(Gpu("G", 24 * 10**9),))
    assert with_gpu.best(rows) == max(rows, key=lambda each: each.size)


def test_a_touched_model_is_read_once(
    hub: Hub, tmp_path: Path, offered: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, "pull", NAME).exit_code == 0
    models = Store(tmp_path / "models")
    read: list[Path] = []
    of = store.sha256_of

    def counted(path: Path, told: Callable[[int], None]) -> str:
        read.append(path)
        return of(path, told)

    monkeypatch.setattr(store, "sha256_of", counted)
    weights = models.require(NAME).folder / "eyes-Q4_K_M.gguf"
    models.check(models.require(NAME))
    assert read == []
    os.utime(weights)
    models.check(models.require(NAME))
    models.check(models.require(NAME))
    assert read == [weights]
    assert left(tmp_path) == WHOLE
    weights.write_bytes(b"other")
    for _ in range(2):
        with pytest.raises(ModelError, match="not the file that was pulled"):
            models.check(models.require(NAME))


def test_an_answer_that_is_no_list_is_said_to_be_none(hub: Hub, tmp_path: Path) -> None:
    hub.listing_instead = b"<html>sign in</html>"
    result = run(tmp_path, "pull", f"hf:{REPOSITORY}:Q4_K_M")
    assert result.exit_code == 1
    assert "has no list of files that can be read" in result.stderr
    assert "cannot be reached" not in result.stderr
