"""The wheel, as a release builds it: what is in it, and that it works where nothing else is."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from release import sbom
from release.__main__ import NotReady, build, changes
from tests.docs.test_lock import asked_for, pinned

from ocelli import __version__
from ocelli.backends.local.model_files import models

ROOT = Path(__file__).parents[2]
INFO = f"ocelli_vision-{__version__}.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution."""
    files = build(tmp_path_factory.mktemp("dist"))
    assert [each.suffix for each in files] == [".whl", ".gz"]
    return files[0]


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def test_types_licences_and_bill_of_materials(unpacked: Path) -> None:
    carried = ("licenses/LICENSE", "licenses/NOTICE", f"sboms/{sbom.TARGET.name}", "METADATA")
    expected = ["aion/py.typed", "ocelli/py.typed", *(f"{INFO}/{name}" for name in carried)]
    assert [name for name in expected if not (unpacked / name).is_file()] == []


def test_the_pages_and_no_more(unpacked: Path) -> None:
    pages = {each.relative_to(ROOT / "docs") for each in ROOT.glob("docs/**/*.md")}
    carried = unpacked / "ocelli" / "docs"
    assert {each.relative_to(carried) for each in carried.rglob("*") if each.is_file()} == pages


def test_the_pages_are_printed_in_an_empty_folder(unpacked: Path, tmp_path: Path) -> None:
    def ocelli(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ocelli", *words],
            cwd=tmp_path,
            env={"PYTHONPATH": str(unpacked), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )

    listed = ocelli("docs").stdout.splitlines()
    assert listed[0].split(maxsplit=1)[0] == "agents"
    assert any(line.split() == ["settings", "Settings"] for line in listed)
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert ocelli("docs", "settings").stdout == page
    assert ocelli("docs", "docs/settings.md").stdout == page
    unknown = ocelli("docs", "setting")
    assert unknown.returncode == 2
    assert "ocelli docs settings" in unknown.stderr
    assert "`ocelli docs` lists them" in ocelli("docs", "zzz").stderr


def test_the_bill_of_materials_is_that_of_the_lock() -> None:
    text = sbom.TARGET.read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert document["metadata"]["component"]["version"] == __version__
    libraries = {
        each["name"]: each["version"]
        for each in document["components"]
        if each.get("purl", "").startswith("pkg:pypi/")
    }
    pins = pinned()
    assert [name for name, version in libraries.items() if version not in pins[name][0]] == []
    direct = {
        line.partition(">")[0].partition("=")[0] for line in asked_for("server", "s3", "video")
    }
    assert {name.partition("[")[0] for name in direct} <= set(libraries), "python -m release.sbom"
    weights = [each for each in document["components"] if each["type"] == "machine-learning-model"]
    assert {each["name"] for each in weights} == {model.title for model in models()}


def test_carried_scripts_are_those_of_notice() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for component in sbom.CARRIED:
        assert f"{component.name} {component.version}," in notice


def test_the_changelog_has_a_section_for_the_release() -> None:
    section = changes(__version__)
    assert section.startswith("### ")
    assert "\n## [" not in section
    with pytest.raises(NotReady):
        changes("99.0")
