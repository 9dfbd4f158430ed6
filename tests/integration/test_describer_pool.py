"""Which process has which picture, and what becomes of those whose process dies.

The processes are real ones of a small program, which dies at pictures whose names say so.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import examples

from ocelli.cli import describer_process
from ocelli.cli.describer_pool import DescribersFailed, describe_all
from ocelli.cli.describer_process import DescriberProcess
from ocelli.domain.analysis import VerificationLevel
from ocelli.settings import Settings

DESCRIBER = """
import os, signal, sys
from multiprocessing.connection import Connection
from pathlib import Path
from ocelli.cli.describer import DescribedFile
from ocelli.domain.analysis import AnalysisAnswer
connection = Connection(int(sys.argv[1]))
_, environment, level, tags_from = connection.recv()
while True:
    try:
        path = connection.recv()
    except EOFError:
        break
    if "killer" in path.name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if path.name == "broken":
        connection.send(RuntimeError("The local models are not installed."))
    else:
        connection.send(DescribedFile(path, level, AnalysisAnswer(())))
"""


@pytest.fixture(scope="module", autouse=True)
def small_program() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(describer_process, "COMMAND", (sys.executable, "-c", DESCRIBER))
        yield


def outcomes(names: list[str], workers: int = 2) -> dict[str, str | None]:
    files = [Path(name) for name in names]
    settings = Settings(workers=workers)
    described = list(describe_all(settings, files, VerificationLevel.QUICK))
    assert sorted(each.path for each in described) == sorted(files)
    return {each.path.name: each.error for each in described}


@examples(3)
@given(st.lists(st.sampled_from(["good", "killer"]), max_size=7), st.integers(1, 3))
def test_each_picture_has_one_outcome(kinds: list[str], workers: int) -> None:
    names = ["first good", *(f"{kind} {number}" for number, kind in enumerate(kinds))]
    for name, error in outcomes(names, workers).items():
        assert (error is not None) == ("killer" in name)
        assert error is None or error.endswith("ended twice (signal 11).")


def test_a_killer_alone() -> None:
    assert "signal 11" in str(outcomes(["killer"], 1)["killer"])


def test_what_can_describe_nothing() -> None:
    with pytest.raises(DescribersFailed, match="not installed"):
        outcomes(["broken"])


def test_what_dies_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        describer_process, "COMMAND", (sys.executable, "-c", "import nothing_like_it")
    )
    with pytest.raises(DescribersFailed, match="No module named 'nothing_like_it'"):
        outcomes(["a", "b", "c"])


def test_a_process_that_runs_already_is_the_first_and_is_ended() -> None:
    first = DescriberProcess()
    described = describe_all(
        Settings(workers=1), [Path("good")], VerificationLevel.QUICK, first=first
    )
    assert [each.failed for each in described] == [False]
    assert first.end() == "exit code 0"
    assert first.log.closed


def test_one_that_gets_nothing_to_do_is_not_waited_for() -> None:
    with DescriberProcess() as process:
        assert process.end() == "signal 9"
    assert process.log.closed
