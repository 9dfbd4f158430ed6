"""The supervisor: who dies is started again, unless nobody ever gets anywhere."""

from __future__ import annotations

import threading
import time

import pytest
from tests.waiting import PATIENCE

from ocelli.cli.processes import ChildrenFailed, Supervisor


def test_waiting_for_the_database_is_no_sign_of_life() -> None:
    supervisor = Supervisor()
    stop = threading.Event()
    fuse = threading.Timer(PATIENCE, stop.set)
    fuse.start()
    try:
        supervisor.add("broken", ["no such child"], {})
        (child,) = supervisor._children
        assert child.process is not None
        child.process.wait(PATIENCE)
        child.started_at = time.monotonic() - 20  # the database took so long
        with pytest.raises(ChildrenFailed):
            supervisor.keep_running("postgresql://nobody", stop)
    finally:
        fuse.cancel()
        supervisor.stop()
