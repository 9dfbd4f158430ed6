"""What ends a process of the command line, however its shell started it."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.waiting import PATIENCE

STOP = """
import signal
from ocelli.cli.signals import stop_on_signals
stop = stop_on_signals()
with stop._cond:  # as in the middle of waiting for it
    signal.raise_signal(signal.SIGTERM)
print(stop.wait(60))
"""
INTERRUPTED = """
import signal
from ocelli.cli.signals import end_as_by_ctrl_c
end_as_by_ctrl_c()
try:
    signal.raise_signal(signal.SIGTERM)
except KeyboardInterrupt:
    print("interrupted")
"""


def output(program: str, *, ignores_ctrl_c: bool = False) -> str:
    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN if ignores_ctrl_c else signal.SIG_DFL)

    done = subprocess.run(
        [sys.executable, "-c", program],
        preexec_fn=prepare,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.stdout.strip()


def test_a_signal_in_the_middle_of_waiting_for_it_is_heard() -> None:
    assert output(STOP) == "True"


def test_sigterm_ends_a_command_as_ctrl_c_does() -> None:
    assert output(INTERRUPTED) == "interrupted"


def test_a_command_in_the_background_of_a_script_is_ended_too() -> None:
    assert output(INTERRUPTED, ignores_ctrl_c=True) == "interrupted"
