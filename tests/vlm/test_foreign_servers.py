"""The engine against a server that nobody here wrote: `make test-servers`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

pytest.importorskip("torch", reason="pip install 'ocelli-vision[vlm]', or make test-servers")
pytest.importorskip("transformers")

from ocelli.backends.chat.probe import probe_all
from ocelli.backends.config import BackendConfig
from ocelli.backends.local.backend import LocalBackend
from ocelli.backends.registry import configure, registry
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.questions import Question
from ocelli.media.decode import decode
from ocelli.usecases.verification_engine import Engine
from tests.upstream import scenes
from tests.vlm import tiny

STARTS_WITHIN = 60.0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``transformers serve``, with an empty cache and no network."""
    home = tmp_path_factory.mktemp("home")
    (home / "hub").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = Path(sys.executable).with_name("transformers")
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [command, "serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
            env={**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"},
            stdout=log,
            stderr=log,
        )
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
            break
        except OSError:
            time.sleep(0.2)
    else:
        raise AssertionError((home / "log").read_text()[-2000:])
    yield f"http://127.0.0.1:{port}/v1"
    process.terminate()
    process.wait(20)


async def test_transformers_serve(url: str, model: Path) -> None:
    """A picture is described, checked and judged; what a random model says is no verdict."""
    given = {
        "provider": "transformers-serve",
        "base_url": url,
        "model": str(model),
        "max_tokens": 64,
        "structured": "json_schema",  # which it leaves aside
    }
    config = configure("foreign", given, {})
    assert isinstance(config, BackendConfig)
    (probed,) = await probe_all([config])
    assert probed.is_good, probed.state
    picture = decode(scenes.picture(3), max_pixels=10_000_000)
    async with aiohttp.ClientSession() as session:
        everybody = registry(LocalBackend(), [config], session)
        answer = await Engine(everybody).answer(picture, Question(), VerificationLevel.STANDARD)
        quick = await Engine(everybody).answer(picture, Question(), VerificationLevel.QUICK)
    assert quick.description
    assert quick.findings[0].tokens.prompt > 500
    assert 0 < quick.findings[0].tokens.completion <= 64
    assert answer.claims
    assert [error.message for error in answer.errors] == ["foreign gave no verdict."]
