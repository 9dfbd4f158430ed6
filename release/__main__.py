"""Build a release and check it: ``make release``, or ``python -m release [OUTPUT]``.

Builds wheel and source distribution from the last commit's tree, the same bytes each time; checks
them with twine; installs the wheel into an environment of its own, in an empty folder, where it
describes a picture. Writes beside them ``SHA256SUMS`` and ``CHANGES.md``, the section of the
changelog. Publishing is what .github/workflows/release.yml does, for a tag.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
from importlib.metadata import Distribution
from pathlib import Path
from typing import TYPE_CHECKING

from ocelli import __version__
from ocelli.cli.demo import sample_photos
from ocelli.distribution import NAME
from release import sbom

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
TWINE = "twine==7.0.0"
UV = str(Path(sys.executable).with_name("uv"))
MEGABYTE = 10**6


class NotReady(Exception):
    """Something has to be done before this tree can be released."""


def main(output: Path) -> None:
    """Make a release in ``output``. Raises NotReady, or CalledProcessError of a check."""
    section = changes(__version__)
    if sbom.TARGET.read_text(encoding="utf-8") != sbom.bill_of_materials():
        raise NotReady("the bill of materials is not that of .venv: python -m release.sbom")
    output.mkdir(parents=True, exist_ok=True)
    if left := [each.name for each in output.iterdir()]:
        raise NotReady(f"{output} is not empty: {', '.join(left)}")
    files = build(output)
    run(UV, "tool", "run", TWINE, "check", "--strict", *map(str, files))
    try_out(next(each for each in files if each.suffix == ".whl"))
    lines = [f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}" for each in files]
    (output / "SHA256SUMS").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (output / "CHANGES.md").write_text(section, encoding="utf-8")
    print(*lines, f"{NAME} {__version__} is in {output}", sep="\n")


def changes(version: str) -> str:
    """Return the section of the changelog about a version. Raises NotReady if there is none."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(
        rf"^## \[{re.escape(version)}\].*?\n(.*?)(?=^## \[|\Z)", text, re.DOTALL | re.MULTILINE
    )
    if found is None or not found[1].strip():
        raise NotReady(f"CHANGELOG.md says nothing about {version}")
    return found[1].strip() + "\n"


def build(output: Path) -> list[Path]:
    """Build source distribution and, from it, wheel. The time in them is the last commit's."""
    stamp = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    environment = os.environ | {"SOURCE_DATE_EPOCH": stamp.stdout.strip()}
    run(UV, "build", "--quiet", "--no-build-isolation", "--python", sys.executable,
        "--out-dir", str(output), str(ROOT), env=environment)  # fmt: skip
    (output / ".gitignore").unlink(missing_ok=True)
    return sorted(output.iterdir())


def try_out(wheel: Path) -> None:
    """Install the wheel where nothing else is, and describe a picture. Prints sizes and times."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {
            key: value
            for key, value in os.environ.items()
            if key not in ("PYTHONPATH", "VIRTUAL_ENV") and not key.startswith("OCELLI_")
        } | {"OCELLI_CACHE": str(folder / "cache")}
        picture = next(each for each in sample_photos() if each.stem == "coffee")
        started = time.monotonic()
        run(UV, "venv", "--quiet", "--python", sys.executable, str(folder / "venv"))
        python = str(folder / "venv" / "bin" / "python")
        run(UV, "pip", "install", "--quiet", "--python", python, f"{wheel}[server]")
        installed = time.monotonic()
        ocelli = str(folder / "venv" / "bin" / "ocelli")
        run(ocelli, "describe", str(picture), cwd=folder, env=environment)
        described = time.monotonic()
        for words in (["--version"], ["docs"], ["doctor"]):
            run(ocelli, *words, cwd=folder, env=environment)
        print(f"Installed in {installed - started:.0f} s.")
        print(f"The first description took {described - installed:.1f} s after that.")
        sizes = sorted(installed_sizes(folder / "venv"), reverse=True)
        print(f"{sum(size for size, _ in sizes) / MEGABYTE:.0f} MB in {len(sizes)} distributions:")
        for size, distribution in sizes:
            if size >= 10 * MEGABYTE:
                print(f"{size / MEGABYTE:8.0f} {distribution}")


def installed_sizes(environment: Path) -> Iterator[tuple[int, str]]:
    """Yield the bytes on the disk of each distribution of an environment, with its name."""
    folder = next(environment.glob("lib/python*/site-packages"))
    for each in folder.glob("*.dist-info"):
        found = Distribution.at(each)
        files = [Path(str(found.locate_file(file))) for file in found.files or ()]
        yield sum(file.stat().st_blocks * 512 for file in files if file.exists()), found.name


def run(*command: str, **options: object) -> None:
    """Run a command; what it prints is seen. Raises CalledProcessError."""
    print("→", *(word if len(word) < 80 else "..." for word in command), flush=True)
    subprocess.run(command, check=True, **options)  # type: ignore[call-overload]


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "dist")
    except NotReady as problem:
        sys.exit(f"release: {problem}")
