"""No process of ours turns to anybody whom nobody has configured, or leaves a file in the home.

``tests/watcher.c`` is loaded before the C library of every process, Postgres and the SDK included,
and writes down each name that is looked up and each address that is not this machine's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from tests.conftest import OCELLI, reachable, start_server
from tests.integration.test_main_job import API, finished, upload
from tests.vlm.tiny_model import NAME, put_tiny_model, settings_of, write_files
from tests.waiting import PATIENCE, until

SOURCE = Path(__file__).parents[1] / "watcher.c"

# Where one of these is set, the telemetry of the model runtime stays silent: nothing to be seen.
CONTINUOUS_INTEGRATION = ("CI", "TF_BUILD", "JENKINS_URL")

SDK = """
import asyncio, sys
from aion import AionVision

async def main():
    async with AionVision(sys.argv[2], base_url=sys.argv[1] + "/api/v2") as client:
        result = await client.upload_one(sys.argv[3])
        print(result.description)

asyncio.run(main())
"""


@dataclass(frozen=True)
class Watched:
    """An environment in which everything is watched."""

    log: Path
    home: Path
    environment: dict[str, str]

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def seen(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def left(self) -> list[Path]:
        return [path for path in self.home.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler and Linux")
    target = reachable(tmp_path_factory.mktemp("watcher")) / "watcher.so"
    command = [compiler, "-shared", "-fPIC", "-o", str(target), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    target.chmod(0o755)
    return target


@pytest.fixture
def watched(tmp_path: Path, library: Path) -> Iterator[Watched]:
    home = tmp_path / "home"
    home.mkdir()
    log = reachable(tmp_path) / "seen"
    log.touch()
    log.chmod(0o666)  # Postgres runs as another user
    proxies = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    hidden = ("XDG_", "OTEL_", *proxies, *CONTINUOUS_INTEGRATION)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    new = {"HOME": str(home), "LD_PRELOAD": str(library), "WATCHER_LOG": str(log)}
    yield Watched(log, home, {**kept, **new})


def test_the_watcher_sees(watched: Watched) -> None:
    """Also what the model runtime does by itself: the reason for this test."""
    watched.run(
        *(sys.executable, "-c"),
        "import contextlib, socket\n"
        "with contextlib.suppress(OSError): socket.getaddrinfo('example.invalid', 80)\n"
        "with contextlib.suppress(OSError): socket.create_connection(('192.0.2.1', 80))\n"
        "with contextlib.suppress(OSError): socket.create_connection(('::ffff:192.0.2.2', 80))\n",
    )
    assert watched.seen()[:2] == ["look-up example.invalid 0", "connect 192.0.2.1 80"]
    assert len(watched.seen()) == 3
    # It is sent by a thread, so the process lives until something was seen.
    watched.run(
        *(sys.executable, "-c"),
        "import os, time, openvino\n"
        f"end = time.monotonic() + {PATIENCE / 2}\n"
        "log = os.environ['WATCHER_LOG']\n"
        "while len(open(log).readlines()) <= 3 and time.monotonic() < end: time.sleep(0.05)\n",
    )
    assert len(watched.seen()) > 3
    assert watched.left()


def test_the_model_runtime_is_imported_without_its_telemetry(watched: Watched) -> None:
    code = "from ocelli.backends.local.runtime import _openvino; _openvino(); import time"
    watched.run(sys.executable, "-c", f"{code}; time.sleep(1)")
    assert (watched.seen(), watched.left()) == ([], [])


def test_one_runtime_and_nothing_that_reports_home(tmp_path: Path) -> None:
    """In a process of its own, as others of this one may have imported anything."""
    script = (
        "import sys\n"
        "from ocelli.backends.local.backend import LocalBackend\n"
        "import numpy as np\n"
        "LocalBackend().look_sync(np.zeros((64, 64, 3), np.uint8))\n"
        "print([name for name in ('onnxruntime', 'ai_edge_litert', 'tensorflow', 'torch', 'PIL',"
        " 'requests', 'openvino_telemetry') if sys.modules.get(name)])\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == "[]"
    assert not (tmp_path / "home").exists()


def test_describe(watched: Watched, photos: dict[str, Path]) -> None:
    assert "cup" in watched.run(*OCELLI, "describe", str(photos["coffee"])).lower()
    assert (watched.seen(), watched.left()) == ([], [])


def test_describe_with_a_vision_language_model(
    watched: Watched, tmp_path: Path, photos: dict[str, Path]
) -> None:
    pytest.importorskip("xllamacpp", reason="pip install 'ocelli-vision[llama]'")
    put_tiny_model(tmp_path / "models", write_files(tmp_path / "stick"))
    watched.environment.update(settings_of(), OCELLI_MODELS_DIR=str(tmp_path / "models"))
    command = (*OCELLI, "describe", "--json", "--level", "quick", "--model", NAME)
    (row,) = json.loads(watched.run(*command, str(photos["coffee"])))
    assert row["description"]
    assert (watched.seen(), watched.left()) == ([], [])


def test_a_server_its_clients_and_the_sdk(
    watched: Watched, tmp_path: Path, photos: dict[str, Path]
) -> None:
    server = start_server(reachable(tmp_path) / "data", "--workers", "1", **watched.environment)
    try:
        file = finished(server, upload(server, photos["coffee"].read_bytes()).json()["image_id"])
        assert "cup" in file["upload_description"].lower()
        until(lambda: finished(server, file["id"])["variant_status"] == "completed")
        assert requests.get(f"{server.url}{API}/verify/health", headers=server.headers, timeout=60)
        said = watched.run(sys.executable, "-c", SDK, server.url, server.key, str(photos["coffee"]))
        assert "cup" in said.lower()
        page = str(photos["page"])
        watched.run(*OCELLI, "upload", page, "--data", str(server.data))
        watched.run(*OCELLI, "doctor", "--data", str(server.data))
        watched.run(*OCELLI, "keys", "list", "--data", str(server.data))
    finally:
        server.stop()
        assert server.process.stdout is not None
        server.process.stdout.close()
    assert (watched.seen(), watched.left()) == ([], [])
