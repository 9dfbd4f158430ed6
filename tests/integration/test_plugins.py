"""A backend of another package: the one of docs/write-a-backend.md, installed as users would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import OCELLI

PAGE = Path(__file__).parents[2] / "docs" / "write-a-backend.md"


def block(language: str, text: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = PAGE.read_text(encoding="utf-8")
    package, target = tmp_path_factory.mktemp("package"), tmp_path_factory.mktemp("installed")
    (package / "ocelli_brightness.py").write_text(block("python", text))
    (package / "pyproject.toml").write_text(block("toml", text))
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
        "--disable-pip-version-check", "--root-user-action=ignore", "--target", str(target),
        str(package),
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=120)
    return target


def run(installed: Path, folder: Path, *arguments: str) -> str:
    (folder / "ocelli.toml").write_text(
        'default_backend = "brightness"\n[backends.brightness]\nsight_test = false\n'
        "options = { bright_from = 1 }\n"
    )
    done = subprocess.run(
        [*OCELLI, *arguments],
        env={**os.environ, "PYTHONPATH": str(installed)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_describes(installed: Path, tmp_path: Path, photos: dict[str, Path]) -> None:
    (row,) = json.loads(
        run(installed, tmp_path, "describe", str(photos["coffee"]), "--level", "standard", "--json")
    )
    assert row["source"] == ["brightness"]
    assert row["description"] == "The picture is bright."


def test_it_is_listed(installed: Path, tmp_path: Path) -> None:
    (row,) = json.loads(run(installed, tmp_path, "models", "--backends", "--json"))
    assert (row["name"], row["state"], row["is_good"]) == ("brightness", "in this process", True)
