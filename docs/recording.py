"""Draw a terminal session as SVG, from commands that are really run: ``python -m docs.recording``.

Needs the sample photos of the development set-up. The picture names no font of elsewhere.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from ocelli.cli.demo import sample_photos

TARGET = Path(__file__).with_name("terminal.svg")
WIDTH = 96
PHOTOS = ("coffee", "page", "rocket")
COMMANDS = (
    ["ocelli", "--version"],
    ["ocelli", "describe", "photos/"],
)


def record() -> str:
    """Run the commands in a folder with a few photos; return the session as SVG."""
    console = Console(record=True, width=WIDTH, force_terminal=True, file=io.StringIO())
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": str(WIDTH), "FORCE_COLOR": "1"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "photos"
        folder.mkdir()
        for photo in sample_photos():
            if photo.stem in PHOTOS:
                shutil.copy(photo, folder)
        for command in COMMANDS:
            console.print(Text.assemble(("$ ", "bold green"), (" ".join(command), "bold")))
            done = subprocess.run(
                command,
                cwd=name,
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            console.print(Text.from_ansi(done.stdout.rstrip()))
            console.print()
    drawn = console.export_svg(title="ocelli", theme=MONOKAI, unique_id="ocelli")
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)


if __name__ == "__main__":
    TARGET.write_text(record(), encoding="utf-8")
