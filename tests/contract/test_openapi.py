"""The whole OpenAPI document against the running server, with generated requests.

No 5xx, no undocumented status, no body that breaks its schema.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from tests.conftest import Server, reachable, start_server
from tests.waiting import PATIENCE

CONFIG = Path(__file__).with_name("schemathesis.toml")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """Not the shared one: generated requests may end keys and delete files."""
    server = start_server(reachable(tmp_path) / "data", "--workers", "1")
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


def test_every_route_keeps_its_word(own_server: Server) -> None:
    url, key = f"{own_server.url}/openapi.json", own_server.key
    # It is made for the first who asks; Schemathesis waits ten seconds, however busy the machine.
    assert requests.get(url, timeout=PATIENCE).ok
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", url),
            *("-H", f"Authorization: Bearer {key}", "--checks", ",".join(CHECKS)),
            *("--max-examples", "10", "--phases", "examples,coverage,fuzzing"),
            *("--exclude-path-regex", "/events$", "--request-timeout", "60", "--seed", "1"),
            "--continue-on-failure",
        ],
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    print(done.stdout[-6000:])  # its summary belongs into the log of every run
    assert done.returncode == 0, done.stderr[-2000:]


def test_every_reference_leads_somewhere(server: Server) -> None:
    document = requests.get(f"{server.url}/openapi.json", timeout=PATIENCE)
    used = set(re.findall(r'"#/components/schemas/([^"]+)"', document.text))
    assert used - document.json()["components"]["schemas"].keys() == set()


def test_plain_routes_are_described_as_the_others(server: Server) -> None:
    """FastAPI does not know them; what they read and answer is in the document all the same."""
    schema = requests.get(f"{server.url}/openapi.json", timeout=PATIENCE).json()
    known = schema["components"]["schemas"]
    assert {"ChatRequest", "Message", "ResponseFormat", "ChatCompletion", "Choice"} <= known.keys()
    for path in ("/v1/chat/completions", "/chat/completions", "/v2/chat/completions"):
        operation = schema["paths"][path]["post"]
        assert operation["operationId"] == f"chat_completions{path.replace('/', '_')}_post"
        assert operation["security"] == schema["paths"]["/v1/models"]["get"]["security"]
        assert {"name": "Idempotency-Key", "in": "header"}.items() <= operation["parameters"][
            0
        ].items()
        for where, name in (
            (operation["requestBody"], "ChatRequest"),
            (operation["responses"]["200"], "ChatCompletion"),
            (operation["responses"]["502"], "ChatErrorEnvelope"),
        ):
            ref = where["content"]["application/json"]["schema"]["$ref"]
            assert ref == f"#/components/schemas/{name}"
