"""The whole OpenAPI document against the running server, with generated requests.

No 5xx, no undocumented status, no body that breaks its schema.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import Server, reachable, start_server

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """Not the shared one: generated requests may end keys and delete files."""
    server = start_server(reachable(tmp_path) / "data")
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


def test_every_route_keeps_its_word(own_server: Server) -> None:
    url, key = f"{own_server.url}/openapi.json", own_server.key
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", url),
            *("-H", f"Authorization: Bearer {key}", "--checks", ",".join(CHECKS)),
            *("--max-examples", "10", "--phases", "examples,coverage,fuzzing"),
            *("--exclude-path-regex", "/events$", "--request-timeout", "20", "--seed", "1"),
            "--continue-on-failure",
        ],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    print(done.stdout[-6000:])  # its summary belongs into the log of every run
    assert done.returncode == 0, done.stderr[-2000:]
