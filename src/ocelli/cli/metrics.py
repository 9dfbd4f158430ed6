"""The folder in which all processes of a server count, so that ``/metrics`` covers all of them.

prometheus_client maps a file for each kind of metric and process. They are named after the role of
a process (``api``, ``worker-1``), not its number: one that is started again goes on counting where
the last one ended, and no file is left of a dead one. They have all their bytes before they are
mapped: to write into a hole of a file kills a process once the disk is full.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocelli.settings import Settings

log = logging.getLogger(__name__)

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client reads it
FILE_BYTES = 1024 * 1024  # bytes: some 8,000 values
COUNTER_KINDS = ("counter", "histogram")
GAUGE_KINDS = ("gauge_livemostrecent",)  # of a process; not of the one before it


def metrics_folder(settings: Settings) -> Mapping[str, str]:
    """Empty the folder; return the environment variables for processes that count in it."""
    folder = settings.data.absolute() / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return {FOLDER: str(folder)}


def count_as(role: str) -> None:
    """Count in the folder, if there is one. Must precede imports of modules with metrics."""
    if FOLDER not in os.environ:
        return
    folder = Path(os.environ[FOLDER])
    try:
        for kind in (*COUNTER_KINDS, *GAUGE_KINDS):
            _fill(folder / f"{kind}_{role}.db", anew=kind in GAUGE_KINDS)
    except OSError as error:
        log.warning("this process counts for itself alone: %s", error)
        del os.environ[FOLDER]
        return
    from prometheus_client import values

    values.ValueClass = values.MultiProcessValue(lambda: role)  # type: ignore[no-untyped-call]


def _fill(path: Path, *, anew: bool) -> None:
    """Make it; where there is one already, take no more room."""
    if not path.exists():
        unfinished = path.with_suffix(".new")
        unfinished.write_bytes(bytes(FILE_BYTES))
        unfinished.rename(path)
    elif anew:
        with path.open("r+b") as file:
            file.write(bytes(FILE_BYTES))
