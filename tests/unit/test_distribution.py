"""The name of the distribution, and others that provide the same import packages."""

from __future__ import annotations

import doctest
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from ocelli import __version__, distribution
from ocelli.cli.main import main
from ocelli.domain.errors import StorageAccessDenied
from ocelli.domain.s3_buckets import parse_bucket_url
from ocelli.storage.objects_s3 import S3Objects
from ocelli.wiring.checks import packages

ROOT = Path(__file__).parents[2]


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder before ours on the path, with an installed distribution that provides `aion`."""
    (tmp_path / "aion").mkdir()
    (tmp_path / "aion" / "__init__.py").touch()
    info = tmp_path / "vendor_sdk-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vendor-sdk\nVersion: 1.0\n")
    (info / "RECORD").write_text("aion/__init__.py,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_the_doctest() -> None:
    assert doctest.testmod(distribution).failed == 0


def test_the_name_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == distribution.NAME
    assert version(distribution.NAME) == __version__


def test_our_packages_are_ours_alone() -> None:
    assert distribution.conflicting_distributions() == {}
    assert distribution.shadowed_packages() == {}
    assert packages().advice is None


def test_another_distribution_with_one_of_them_is_named(other: Path) -> None:
    assert distribution.conflicting_distributions() == {"aion": ["vendor-sdk"]}
    check = packages()
    assert "vendor-sdk" in check.found
    assert check.advice is not None
    assert "pip uninstall vendor-sdk" in check.advice


def test_a_folder_that_is_imported_instead_is_named(
    other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distribution, "NAME", "vendor-sdk")
    monkeypatch.setattr("importlib.util.find_spec", _spec_at(other))
    check = packages()
    assert str(other / "aion") in check.found
    assert check.advice is not None


def test_a_command_that_cannot_import_ours_says_so(
    other: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def imports(**_: object) -> None:
        raise ImportError("cannot import name 'SyncAionVision' from 'aion'", name="aion")

    monkeypatch.setattr("ocelli.cli.main.app", imports)
    monkeypatch.setattr("os.umask", lambda mask: mask)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 3
    assert "ocelli doctor" in capsys.readouterr().err


def test_an_error_of_our_own_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def imports(**_: object) -> None:
        raise ImportError("cannot import name 'x' from 'ocelli.cli'", name="ocelli.cli")

    monkeypatch.setattr("ocelli.cli.main.app", imports)
    monkeypatch.setattr("os.umask", lambda mask: mask)
    with pytest.raises(ImportError, match="'x'"):
        main()


def _spec_at(folder: Path):  # type: ignore[no-untyped-def]
    from importlib.machinery import PathFinder

    return lambda name: PathFinder.find_spec(name, [str(folder)])


def test_without_boto3_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "boto3.session", None)
    with pytest.raises(StorageAccessDenied, match=r"pip install 'ocelli-vision\[server,s3\]'"):
        S3Objects(parse_bucket_url("s3://bucket"), tmp_path)
