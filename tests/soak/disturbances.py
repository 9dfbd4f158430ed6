"""What happens to the server meanwhile: kills with -9, a frozen database, a full disk."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import requests

from tests.conftest import Server, first_start
from tests.integration.test_crashes import children
from tests.integration.test_frozen_database import frozen, postgres_of
from tests.soak.ledger import Ledger
from tests.waiting import until

MB = 1024 * 1024
MARK = 64  # MB that have to stay free, see OCELLI_FREE_DISK_MB
SMALLEST = 65_536  # bytes
SPARE = 1024  # MB that other programs may use or free, where the disk is shared with them


@dataclass
class Disk:
    """Where the data is. ``is_own``: nothing else is on it, so that it can be filled to the end."""

    folder: Path
    is_own: bool
    mark: int = MARK

    @property
    def ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self, left: int) -> None:
        """Leave so many MB; on a disk that is shared, less than the server's mark."""
        if self.is_own:
            found = os.statvfs(self.folder)
            size = found.f_bavail * found.f_frsize - left * MB
        else:
            size = 2 * SPARE * MB
        at = 0
        with self.ballast.open("wb") as file:
            while size >= SMALLEST:
                try:
                    os.posix_fallocate(file.fileno(), at, size)
                    at += size
                except OSError:  # others write meanwhile
                    size //= 2
                else:
                    size = SMALLEST if left == 0 else 0

    def free(self) -> None:
        self.ballast.unlink(missing_ok=True)


@contextmanager
def disk(folder: Path, size: int) -> Iterator[Disk]:
    """A file system of its own in a file of so many MB, where we may mount one: only root may."""
    image, mounted = folder / "disk.img", folder / "disk"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(size * MB)
    if os.geteuid() or not shutil.which("mkfs.ext4") or not _mounted(image, mounted):
        yield Disk(mounted, False, shutil.disk_usage(mounted).free // MB - SPARE)
        return
    try:
        yield Disk(mounted, True)
    finally:
        subprocess.run(["umount", mounted], check=True)


def _mounted(image: Path, mounted: Path) -> bool:
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
    done = subprocess.run(["mount", "-o", "loop", image, mounted], check=False)
    return done.returncode == 0


@dataclass
class Disturber:
    """Breaks ``server`` in one way after the other, and starts it again, as an init system does."""

    server: Server
    disk: Disk
    ledger: Ledger
    random: random.Random
    options: tuple[str, ...]
    environment: dict[str, str]
    kinds: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        own = ("disk full",) if self.disk.is_own else ()
        self.kinds = (*KINDS, "disk nearly full", *own)

    def run(self, until: float, every: float) -> None:
        """Each kind once in an order of chance, and again, until that moment of the ledger."""
        while True:
            for kind in self.random.sample(self.kinds, len(self.kinds)):
                moment = self.ledger.now() + every * self.random.uniform(0.5, 1.5)
                while self.ledger.now() < min(moment, until):
                    time.sleep(0.5)
                    self._start_if_ended("nothing")
                if self.ledger.now() >= until:
                    return
                self.disturb(kind)

    def disturb(self, kind: str) -> None:
        start = self.ledger.now()
        with self.ledger.lock:
            self.ledger.windows.append((kind, start, float("inf")))
        match kind:
            case "supervisor":
                self.server.process.kill()
                self.server.process.wait()
                self._start()
            case "postgres frozen":
                with frozen(postgres_of(self.server)):
                    time.sleep(self.random.uniform(4, 15))
            case "disk nearly full" | "disk full":
                self.disk.fill(self.disk.mark // 2 if kind == "disk nearly full" else 0)
                try:
                    time.sleep(self.random.uniform(5, 20))
                finally:
                    self.disk.free()
                self._start_if_ended(kind)
            case _:
                alive: list[psutil.Process] = until(lambda: children(self.server, KINDS[kind]))
                self.random.choice(alive[:1] if kind == "postgres" else alive).kill()
        until(lambda: self._is_ready(kind))
        with self.ledger.lock:
            self.ledger.windows[-1] = (kind, start, self.ledger.now())
        print(f"{self._clock()} {kind}: ready {self.ledger.now() - start:.0f} s later", flush=True)

    def _clock(self) -> str:
        return f"{self.ledger.now() / 60:5.1f} min"

    def _is_ready(self, kind: str) -> bool:
        self._start_if_ended(kind)
        with suppress(requests.RequestException):
            answer = requests.get(f"{self.server.url}/health/ready", timeout=30)
            return answer.status_code == 200
        return False

    def _start_if_ended(self, kind: str) -> None:
        if (code := self.server.process.poll()) is not None:
            self.ledger.restarts[f"{kind}: exit code {code}"] += 1
            self._start()

    def _start(self) -> None:
        assert self.server.process.stdout is not None
        self.server.process.stdout.close()
        port = self.server.url.rpartition(":")[2]
        again = first_start(self.server.data, "--port", port, *self.options, **self.environment)
        self.server.process = again.process


KINDS: dict[str, str] = {
    "worker": "child worker",
    "api": "child api",
    "postgres": "bin/postgres",
    "supervisor": "",
    "postgres frozen": "",
}
