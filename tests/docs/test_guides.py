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
MADE = {
    "shop-catalogue.md": "products.csv",
    "dataset.md": "calibration.toml",
    "accessibility.md": "pictures/chelsea.png.xmp",
    "photo-library.md": None,
    "receipts.md": None,
}
"""What the commands of each guide leave in the folder."""
CATEGORIES = "shoes/trainers = sneaker; running shoe\nanimals/cat\n"
LABELS = (
    '{"file": "chelsea.png", "objects": {"cat": 1}}\n'
    '{"file": "coffee.png", "objects": {"cup": 1}}\n'
)


def commands(guide: str) -> list[list[str]]:
    """The commands of a guide in their order: in blocks, and those with a picture in a line.

    Not `ocelli serve`, as a server runs, and what a shell would do with the output.
    """
    text = (GUIDES / guide).read_text(encoding="utf-8")
    lines = [line for block in BLOCK.findall(text) for line in block.splitlines()]
    lines += re.findall(r"`(ocelli [^`]+\.jpg\b[^`]*)`", text)
    split = (shlex.split(line.partition(" > ")[0], comments=True) for line in lines)
    found = [words[1:] for words in split if words[:1] == ["ocelli"]]
    return [words for words in found if words != ["serve"]]


@pytest.mark.parametrize("guide", MADE)
def test_commands(guide: str, server: Server, photos: dict[str, Path], tmp_path: Path) -> None:
    for folder in ("products", "pictures", "sample"):
        (tmp_path / folder).mkdir()
        for name in ("chelsea", "coffee"):
            shutil.copy(photos[name], tmp_path / folder)
    (tmp_path / "Pictures").mkdir()
    shutil.copy(photos["chelsea"], tmp_path / "Pictures")
    (tmp_path / "receipts").mkdir()
    shutil.copy(photos["page"], tmp_path / "receipts" / "lunch.jpg")
    for name in ("4711.jpg", "photo.jpg", "products/4711.jpg"):
        shutil.copy(photos["rocket"], tmp_path / name)
    (tmp_path / "keywords.txt").write_text(CATEGORIES)
    (tmp_path / "categories.txt").write_text(CATEGORIES)
    (tmp_path / "labels.jsonl").write_text(LABELS)
    key = server.new_key(f"guide-{guide.partition('.')[0]}")
    environment = {
        **os.environ,
        "AIONVISION_BASE_URL": server.url,
        "AIONVISION_API_KEY": key,
        "OCELLI_DATA": str(tmp_path / "data"),
        "HOME": str(tmp_path),
    }
    found = commands(guide)
    assert len(found) >= 2
    for words in found:
        done = subprocess.run(
            [*OCELLI, *(word.replace("~", str(tmp_path)) for word in words)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        refused = words[0] == "verify"  # the pictures do not show what the guide asks
        assert done.returncode == int(refused), (words, done.stdout, done.stderr)
    if made := MADE[guide]:
        assert (tmp_path / made).stat().st_size > 100
