"""Every block of the pages about the SDK runs as it is written, against a real server."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Server
from tests.sdk.test_sdk_real_server import photo, settings

from aion import AionVision

PAGES = Path(__file__).parents[2] / "docs/sdk"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PLACEHOLDER = "aion_..."


def blocks(page: str) -> list[str]:
    return BLOCK.findall((PAGES / f"{page}.md").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_server: Server) -> Path:
    """A folder with the files that the pages name, and the variables that they ask for."""
    for name in ("photo.jpg", "a.jpg", "b.jpg", "photos/c.jpg", "more-photos/d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(photo())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIONVISION_API_KEY", real_server.key)
    monkeypatch.setenv("AIONVISION_BASE_URL", f"{real_server.url}/api/v2")
    return tmp_path


async def run(code: str, names: dict[str, Any], client: AionVision) -> None:
    """Run one block with the names of those before it."""
    if "asyncio.run(" in code or "SyncAionVision" in code:
        await asyncio.to_thread(run_alone, code)
        return
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    body = compile(code, "block", "exec", flags, dont_inherit=True)
    names["client"] = client
    result = eval(body, names)
    if inspect.isawaitable(result):
        await result


def run_alone(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize(
    "page", ["account", "batches", "failures", "sync", "uploading", "quick-start"]
)
async def test_every_block_runs(
    page: str, real_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    found = blocks(page)
    assert found
    names: dict[str, Any] = {}
    async with AionVision(**settings(real_server), max_retries=0) as client:
        for code in found:
            if PLACEHOLDER in code:
                code = code.replace(PLACEHOLDER, real_server.key)
                code = code.replace("https://ocelli.example.org", real_server.url)
            if 'b"..."' in code:  # stands for the bytes of two pictures
                code = code.replace('b"..."', f"{photo()!r}", 1).replace('b"..."', f"{photo()!r}")
            await run(code, names, client)
    printed = capsys.readouterr().out
    if page == "batches":
        assert "completed 2 0" in printed
    if page == "failures":
        assert "not a picture" not in printed
