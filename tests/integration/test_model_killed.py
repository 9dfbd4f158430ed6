"""A download that is killed goes on where it was."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.conftest import OCELLI
from tests.model_hub import Hub, running

REPOSITORY = "tiny/eyes-GGUF"
NAME = "tiny-eyes-gguf-q4_k_m"
WEIGHTS = os.urandom(40_000_000)


def test_a_killed_download_goes_on_where_it_was(tmp_path: Path) -> None:
    files = {f"{REPOSITORY}/eyes-Q4_K_M.gguf": WEIGHTS, f"{REPOSITORY}/mmproj-F16.gguf": b"eyes"}
    pull = [*OCELLI, "models", "pull", f"hf:{REPOSITORY}:Q4_K_M", "--data", str(tmp_path)]
    with running(Hub(files)) as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.url}
        hub.silent_from = 39_000_000
        pulling = subprocess.Popen(pull, env=environment, stdout=subprocess.DEVNULL)
        assert hub.is_silent.wait(60)
        pulling.send_signal(signal.SIGKILL)
        pulling.wait()
        models = tmp_path / "models"
        assert not (models / NAME).exists()
        assert (models / ".partial" / NAME / "eyes-Q4_K_M.gguf.part").exists()

        hub.silent_from = None
        done = subprocess.run(pull, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert (models / NAME / "eyes-Q4_K_M.gguf").read_bytes() == WEIGHTS
    assert not (models / ".partial").exists()
