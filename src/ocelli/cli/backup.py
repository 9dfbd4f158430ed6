"""``ocelli backup`` and ``ocelli restore``."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import psycopg
import typer

from ocelli.cli.options import load_settings
from ocelli.cli.output import CANNOT_RUN, FAILED, WRONG_USE, fail, print_json, printable
from ocelli.domain.backups import BackupFailed, Problem
from ocelli.domain.errors import OcelliError
from ocelli.storage.embedded import EmbeddedPostgresError
from ocelli.storage.postgres.preflight import DatabaseRefuses
from ocelli.wiring import backup as wiring
from ocelli.wiring.data_folder import NoInstallation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

FIRST_AFTER, LINE_EVERY = 1.0, 30.0  # seconds; the second where standard error is no terminal
SHOWN = 20
NOT_IN_IT = "Not in it: settings, pulled models, compiled models and caches, and the file api_key."


def back_up(target: Path, *, keep: int, as_json: bool, **options: Any) -> int:
    """Make a backup. Returns the exit code: 1 if it is made, but objects are missing."""
    if keep < 1:
        fail(f"--keep {keep}: at least the new one is kept")
        return WRONG_USE
    return _carefully(lambda: _back_up(target, keep=keep, as_json=as_json, **options))


def verify(target: Path, *, name: str | None, as_json: bool) -> int:
    """Read a whole backup, and print what is damaged. Returns the exit code."""

    def run() -> int:
        backup, problems = wiring.verify(target, name, tell=Progress().tell)
        if as_json:
            print_json({"backup": backup.name, "damaged": [asdict(each) for each in problems]})
        elif problems:
            _print_problems(problems)
        else:
            manifest = backup.manifest()
            typer.echo(f"{backup.name} is whole: {_amount(manifest.objects, manifest.bytes)}")
        if problems:
            fail(
                f"{backup.name} is damaged.",
                "remove the files that are named, and back up again: they are copied anew",
            )
        return FAILED if problems else 0

    return _carefully(run)


def restore(target: Path, *, name: str | None, replace_all: bool, **options: Any) -> int:
    """Restore an installation. Returns the exit code."""

    def run() -> int:
        settings = load_settings(**options)
        backup, report = wiring.restore(
            settings, target, name, replace_all=replace_all, tell=Progress().tell
        )
        manifest = backup.manifest()
        rows = ", ".join(f"{count:,} {what}" for what, count in manifest.rows.items())
        typer.echo(f"restored {backup.name}: {rows}")
        typer.echo(f"objects {report.total:,}, of which {report.copied:,} were not there")
        if report.erased:
            typer.echo(f"erased again, by receipts: {report.erased:,} erasures")
        for problem in manifest.missing[:SHOWN]:
            fail(f"{problem.key} was not in the backup: {problem.reason}")
        typer.echo(
            "keys are as they were; the file api_key is in no backup: `ocelli keys create`"
            " makes a key"
        )
        return 0

    return _carefully(run)


def _back_up(target: Path, *, keep: int, as_json: bool, **options: Any) -> int:
    report = wiring.back_up(load_settings(**options), target, keep=keep, tell=Progress().tell)
    objects, manifest = report.objects, report.manifest
    if as_json:
        print_json(
            {
                "backup": report.name,
                **asdict(manifest),
                "copied": objects.copied,
                "copied_bytes": objects.copied_bytes,
            }
        )
    else:
        rows = ", ".join(f"{count:,} {what}" for what, count in manifest.rows.items())
        typer.echo(f"backup {report.name}: {rows}")
        typer.echo(
            f"objects {_amount(manifest.objects, manifest.bytes)}; new are "
            f"{_amount(objects.copied, objects.copied_bytes)}"
        )
        if objects.gone:
            typer.echo(f"{objects.gone:,} objects were removed by the server in the meantime")
        if report.removed[0]:
            typer.echo("removed: {:,} older backups, {:,} objects of these".format(*report.removed))
        typer.echo(NOT_IN_IT)
    if objects.problems:
        _print_problems(objects.problems)
        fail(f"{len(objects.problems):,} objects are not in the backup as they should be.")
        return FAILED
    return 0


def _carefully(run: Callable[[], int]) -> int:
    """Run a command; print what kept it from its end. Returns the exit code."""
    try:
        return run()
    except BackupFailed as error:
        fail(str(error), error.hint)
    except NoInstallation as error:
        fail(str(error), error.hint)
    except (OcelliError, DatabaseRefuses, EmbeddedPostgresError, psycopg.Error) as error:
        fail(" ".join(str(error).split()))
    except OSError as error:
        fail(f"{error.strerror or error}: {printable(str(error.filename or ''))}".rstrip(": "))
    return CANNOT_RUN


def _print_problems(problems: Sequence[Problem]) -> None:
    for problem in problems[:SHOWN]:
        fail(f"{problem.key}: {problem.reason}")
    if problems[SHOWN:]:
        fail(f"and {len(problems) - SHOWN:,} more")


def _amount(count: int, size: int) -> str:
    return f"{count:,} ({size / 1e6:,.1f} MB)"


class Progress:
    """Prints how far a command is to standard error, once it has taken a second."""

    def __init__(self) -> None:
        self._shown = time.monotonic() - LINE_EVERY + FIRST_AFTER
        self._is_live = sys.stderr.isatty()
        self._what = ""

    def tell(self, what: str, done: int, total: int) -> None:
        """Print a line, if it is time or if something else is done now."""
        now = time.monotonic()
        if now - self._shown < (FIRST_AFTER if self._is_live else LINE_EVERY):
            return
        self._shown = now
        of = f" {done:,} of {total:,}" if total > 1 else ""
        sys.stderr.write(f"\r\x1b[K{what}{of}" if self._is_live else f"{what}{of}\n")
        if self._is_live and done >= total:
            sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
