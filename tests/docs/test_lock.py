"""``requirements.lock`` is what ``pyproject.toml`` asks for, each release by its hashes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"^([\w.-]+)==(\S+)(?: ; .*)?$")


def pinned() -> dict[str, tuple[list[str], int]]:
    """What requirements.lock pins."""
    return pins_of(ROOT / "requirements.lock")


def pins_of(lock: Path) -> dict[str, tuple[list[str], int]]:
    """Versions and number of hashes by name; several versions where it depends on the Python."""
    text = lock.read_text(encoding="utf-8").replace(" \\\n    --hash", " --hash")
    found: dict[str, tuple[list[str], int]] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            pin, *hashes = line.split(" --hash=sha256:")
            match = PIN.match(pin)
            assert match, line[:80]
            name = canonicalize_name(match[1])
            found[name] = ([*found.get(name, ([], 0))[0], match[2]], len(hashes))
    return found


def asked_for(*extras: str) -> list[str]:
    """What the base asks for, and these extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    return [*project["dependencies"], *(line for extra in extras for line in optional[extra])]


@pytest.mark.parametrize("line", asked_for("server", "s3", "video", "dev"))
def test_every_dependency_is_pinned_as_asked_for(line: str) -> None:
    asked = Requirement(line)
    versions, hashes = pinned().get(canonicalize_name(asked.name), ([], 0))
    assert versions, "make lock"
    assert all(asked.specifier.contains(each) for each in versions), "make lock"
    assert hashes


def test_every_pin_has_hashes_and_the_large_models_runtime_is_not_among_them() -> None:
    pins = pinned()
    assert [name for name, (_, hashes) in pins.items() if not hashes] == []
    assert "torch" not in pins
