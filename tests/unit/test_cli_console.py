"""What commands print is what was found: no text is taken for markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ocelli.cli
from ocelli.backends.chat.probe import Probed
from ocelli.cli.console import console
from ocelli.cli.describer import DescribedFile
from ocelli.cli.doctor import _print_backends, print_checks
from ocelli.cli.main import app
from ocelli.cli.table import table
from ocelli.cli.upload import FileOutcome, Report
from ocelli.cli.upload import _show as show_report
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.installation import DoctorCheck

TEXTS = ["[backends.a]", "[/red]", "a\\[b]", "trailing\\", ":cat:", "[link=x]y", "[1] 2"]


@pytest.mark.parametrize("text", TEXTS)
def test_the_console_prints_what_it_is_given(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    console().print(text)
    assert capsys.readouterr().out == f"{text}\n"


@pytest.mark.parametrize("text", TEXTS)
def test_every_table_prints_what_it_is_given(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(f"{text.replace('/', '')}.jpg")
    print_checks([DoctorCheck("backend", f"found {text}", f"see {text} there")])
    checks = capsys.readouterr().out
    assert f"found {text}" in checks
    assert f"see {text} there" in checks
    _print_backends([Probed("a", "answers", True, "openai", text, f"http://h/{text}")])
    backends = capsys.readouterr().out
    assert f"http://h/{text}" in backends
    console().print(table([DescribedFile(file, VerificationLevel.QUICK, error=f"because {text}")]))
    described = capsys.readouterr().out
    assert file.name in described
    assert f"because {text}" in described
    show_report(Report([FileOutcome(file, error=f"because {text}")], 1, f"summary {text}"))
    uploaded = capsys.readouterr().out
    assert file.name in uploaded
    assert f"because {text}" in uploaded
    assert f"summary {text}" in uploaded


def test_errors_keep_brackets() -> None:
    done = CliRunner().invoke(app, ["describe", "[backends.a]"])
    assert "no such file or folder: [backends.a]" in done.stderr
    assert "[bold]x" in CliRunner().invoke(app, ["[bold]x"]).stderr


def test_no_command_prints_on_a_console_of_its_own() -> None:
    folder = Path(ocelli.cli.__file__).parent
    own = re.compile(r"\bConsole\((?!stderr=True\))|rich\.print|rich\.markup")
    assert [
        f.name for f in folder.glob("*.py") if f.name != "console.py" and own.search(f.read_text())
    ] == []
