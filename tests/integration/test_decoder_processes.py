"""Decoders in child processes: their limits, their deaths, their parent's death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from tests import bombs
from tests.isolated import MEGABYTE, call, count, die, fill, hang, pid
from tests.waiting import until

from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.media import isolation, memory
from ocelli.media.decode import _pixels
from ocelli.media.header import read_header

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 10**8


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Children that can import the work of tests."""
    isolation._end_all()
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    yield
    isolation._end_all()


@pytest.mark.usefixtures("importable")
def test_a_child_has_so_much_memory_and_no_more() -> None:
    assert call(fill, 40 * MEGABYTE) == 40 * MEGABYTE
    with pytest.raises(AnalysisFailed):
        call(fill, 400 * MEGABYTE)
    assert call(fill, 400 * MEGABYTE, memory=400 * MEGABYTE) == 400 * MEGABYTE


@pytest.mark.usefixtures("importable")
def test_a_child_that_does_not_end_is_ended() -> None:
    with pytest.raises(AnalysisFailed, match="longer than") as failure:
        call(hang, True, seconds=0.2)
    assert failure.value.type is FailureType.RESOURCE_LIMIT
    assert not failure.value.retryable
    assert call(hang, False, data=b"four") == 4


def test_exif_that_refers_to_itself_ends_with_the_deadline() -> None:
    """It is read by a library without bounds."""
    pointers = b"MM\0*\0\0\0\x08\xff\xff" + b"\x87\x69\0\4\0\0\0\1\0\0\0\x08" * 60_000
    data = bombs.png(64, 64, chunks=bombs.png_chunk(b"eXIf", pointers))
    header = read_header(data, max_pixels=LIMIT)
    assert header.taken_at is None
    with pytest.raises(AnalysisFailed, match=r"longer than 0\.3 seconds"):
        isolation.run(_pixels, data, header, 64, memory=memory.needed(header, 64), seconds=0.3)


@pytest.mark.usefixtures("importable")
@pytest.mark.parametrize(("number", "retryable"), [(signal.SIGSEGV, False), (signal.SIGKILL, True)])
def test_a_child_that_dies(number: int, retryable: bool) -> None:
    with pytest.raises(AnalysisFailed, match="ended before") as failure:
        call(die, int(number))
    assert failure.value.type is FailureType.RESOURCE_LIMIT
    assert failure.value.retryable is retryable
    assert call(hang, False) == 0


@pytest.mark.usefixtures("importable")
def test_several_answers_one_by_one() -> None:
    def answers(data: bytes = b"") -> Iterator[int]:
        return isolation.iterate(count, data, 5, memory=MEGABYTE)

    assert list(answers()) == [0, 1, 2, 3, 4]
    half = answers()
    assert next(half) == 0
    half.close()  # type: ignore[attr-defined]
    failing = answers(b"fail")
    assert [next(failing), next(failing)] == [0, 1]
    with pytest.raises(AnalysisFailed, match="two"):
        next(failing)


@pytest.mark.usefixtures("importable")
def test_children_are_used_again() -> None:
    assert call(pid) == call(pid)
    pids: list[int] = []
    threads = [threading.Thread(target=lambda: pids.append(call(pid))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: sum(psutil.pid_exists(each) for each in set(pids)) <= isolation.MAX_IDLE_CHILDREN)


def test_a_child_ends_with_its_parent() -> None:
    """Also while it works: the parent has no time to say so."""
    root = str(Path(__file__).parents[2])
    code = """
from tests.isolated import call, hang, pid
print(call(pid), flush=True)
call(hang, True, seconds=1)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie")
