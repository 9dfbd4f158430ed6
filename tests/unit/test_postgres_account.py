"""The account that runs Postgres where root starts the server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ocelli.storage import embedded

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="for root, with setpriv"
)


def test_initdb_finds_postgres_in_an_environment_of_root(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``uvx`` and ``pip`` of root install below /root: initdb asks access(2) for ``postgres``."""
    tmp_path.chmod(0o700)
    program = tmp_path / "postgres"
    program.touch(0o755)
    monkeypatch.setattr(embedded, "binary", lambda _: str(program))
    identity = embedded._identity(tmp_path / "data")
    asked = f"import os; print(os.geteuid(), os.access({str(program)!r}, os.X_OK))"
    answer = subprocess.run(
        [*identity.prefix, sys.executable, "-c", asked], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == [str(identity.uid), "True"]
