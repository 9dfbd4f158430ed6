"""Each surface can be removed: its folder and its line in ocelli.api.dialects."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from unittest.mock import MagicMock

import pytest

import ocelli
from ocelli.api.app import create_app
from ocelli.api.dialects import SURFACES, dialects

PROGRAM = """
import importlib, json, pkgutil
from unittest.mock import MagicMock
import ocelli.api, ocelli.wiring, ocelli.worker, ocelli.usecases
from ocelli.api.app import create_app
for package in (ocelli.api, ocelli.wiring, ocelli.worker, ocelli.usecases):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
print(json.dumps(sorted(create_app(MagicMock(public_url=None, prefix="")).openapi()["paths"])))
"""


def paths(source: Path) -> set[str]:
    return set(json.loads(run(PROGRAM, source)))


def run(program: str, source: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@cache
def all_paths() -> frozenset[str]:
    return frozenset(create_app(MagicMock(public_url=None, prefix="")).openapi()["paths"])


@pytest.mark.parametrize("name", SURFACES)
def test_a_surface_can_be_removed(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "ocelli"
    shutil.copytree(Path(ocelli.__file__).parent, copy)
    shutil.rmtree(copy / "api" / name)
    registration = copy / "api" / "dialects.py"
    text = registration.read_text(encoding="utf-8")
    line = f'    "{name}",\n'
    assert text.count(line) == 1
    registration.write_text(text.replace(line, ""), encoding="utf-8")

    whole = set(all_paths())
    left = paths(tmp_path)
    dialect = dict(zip(SURFACES, dialects(), strict=True))[name]
    removed = whole - left
    assert removed
    assert all(path.startswith(dialect.prefixes) for path in removed)


@pytest.mark.parametrize("name", ["console", "mcp"])
def test_what_is_no_surface_can_be_removed(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "ocelli"
    shutil.copytree(Path(ocelli.__file__).parent, copy)
    shutil.rmtree(copy / name)
    wiring = copy / "wiring" / "api.py"
    lines = wiring.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if f"install_{name}" not in line]
    assert len(lines) - len(kept) == 2  # its import and its call
    wiring.write_text("".join(kept), encoding="utf-8")
    run("import ocelli.api.app, ocelli.wiring.api, ocelli.cli.child, ocelli.cli.serve", tmp_path)
