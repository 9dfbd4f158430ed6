"""How processes of the command line are ended."""

from __future__ import annotations

import _thread
import signal
import threading


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and Ctrl-C set from now on."""
    stop = threading.Event()
    for sig in (signal.SIGTERM, signal.SIGINT):
        # The handler interrupts the thread that waits for the event, which may hold its lock: to
        # set it there would wait for ever. Another thread waits until the lock is free.
        signal.signal(sig, lambda *_: _thread.start_new_thread(stop.set, ()))
    return stop


def end_as_by_ctrl_c() -> None:
    """Let SIGTERM end this command as Ctrl-C does.

    Also where Ctrl-C is ignored, which scripts have their commands do that end with ``&``: that
    would be to ignore SIGTERM as well.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
