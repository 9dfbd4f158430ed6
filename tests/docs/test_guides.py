"""Commands of the guides, run as they are printed, with real pictures and a real server."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.conftest import OCELLI, Server
from tests.waiting import PATIENCE

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
BLOCK = re.compile(r"^ *```\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
CATEGORIES = "shoes/trainers = sneaker; running shoe\nanimals/cat\n"
LABELS = (
    '{"file": "chelsea.png", "objects": {"cat": 1}}\n'
    '{"file": "coffee.png", "objects": {"cup": 1}}\n'
)


def commands(guide: str) -> list[list[str]]:
    """The commands of a guide in their order: in blocks, and those with a picture in a line."""
    text = (GUIDES / guide).read_text(encoding="utf-8")
    lines = [line for block in BLOCK.findall(text) for line in block.splitlines()]
    lines += re.findall(r"`(ocelli [^`]+\.jpg\b[^`]*)`", text)
    split = (shlex.split(line) for line in lines)
    return [words[1:] for words in split if words[:1] == ["ocelli"]]


@pytest.mark.parametrize("guide", ["shop-catalogue.md", "dataset.md", "accessibility.md"])
def test_commands(guide: str, server: Server, photos: dict[str, Path], tmp_path: Path) -> None:
    for folder in ("products", "pictures", "sample"):
        (tmp_path / folder).mkdir()
        for name in ("chelsea", "coffee"):
            shutil.copy(photos[name], tmp_path / folder)
    for name in ("4711.jpg", "photo.jpg", "products/4711.jpg"):
        shutil.copy(photos["rocket"], tmp_path / name)
    (tmp_path / "categories.txt").write_text(CATEGORIES)
    (tmp_path / "labels.jsonl").write_text(LABELS)
    key = server.new_key(f"guide-{guide.partition('.')[0]}")
    environment = {
        **os.environ,
        "AIONVISION_BASE_URL": server.url,
        "AIONVISION_API_KEY": key,
        "OCELLI_DATA": str(tmp_path / "data"),
    }
    found = commands(guide)
    assert len(found) >= 2
    for words in found:
        done = subprocess.run(
            [*OCELLI, *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        refused = words[0] == "verify"  # the pictures do not show what the guide asks
        assert done.returncode == int(refused), (words, done.stdout, done.stderr)
    made = {
        "shop-catalogue.md": "products.csv",
        "dataset.md": "calibration.toml",
        "accessibility.md": "pictures/chelsea.png.xmp",
    }
    assert (tmp_path / made[guide]).stat().st_size > 100
