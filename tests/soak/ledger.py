"""What the clients sent, what was accepted of it, and how long each answer took."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests

SETTLED = 15.0
"""Seconds after a disturbance has passed in which an error may still come of it."""


class Wrong(Exception):
    """An answer that no disturbance excuses."""


class Refused(Exception):
    """An answer with a status that is none of success."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__(f"{answer.status_code}: {answer.url}: {answer.text[:300]}")


@dataclass
class Picture:
    """One that was sent into the library. Without ``id`` no answer said that it was accepted."""

    sha256: str
    id: str | None = None
    title: str | None = None  # None: not known, as an edit had no answer
    is_edited: bool = False
    delete_sent: bool = False
    deleted: bool = False


@dataclass(frozen=True)
class Asked:
    """One question: when it was asked, how long its answer took, and why it had none."""

    surface: str
    at: float
    seconds: float
    error: str | None

    @property
    def kind(self) -> str:
        """Of the error: a status, or what was raised."""
        return (self.error or "").partition(":")[0]


@dataclass
class Ledger:
    """Kept by all clients; ``lock`` guards it. Times are seconds since ``began``."""

    began: float = field(default_factory=time.monotonic)
    pictures: dict[str, Picture] = field(default_factory=dict)  # by hash: no two are alike
    accepted: dict[str, list[str]] = field(default_factory=dict)  # ids of all else, by what it is
    asked: list[Asked] = field(default_factory=list)
    windows: list[tuple[str, float, float]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    restarts: Counter[str] = field(default_factory=Counter)  # of a supervisor that ended by itself
    lock: threading.RLock = field(default_factory=threading.RLock)

    def now(self) -> float:
        return time.monotonic() - self.began

    def send(self, data: bytes) -> Picture:
        """Take note of a picture before it is sent."""
        picture = Picture(hashlib.sha256(data).hexdigest())
        with self.lock:
            self.pictures[picture.sha256] = picture
        return picture

    def accept(self, kind: str, id: str) -> None:
        with self.lock:
            self.accepted.setdefault(kind, []).append(id)

    def stored(self) -> list[Picture]:
        """The pictures that were accepted and that no client deletes, the oldest first."""
        with self.lock:
            return [each for each in self.pictures.values() if each.id and not each.delete_sent]

    @contextmanager
    def timed(self, surface: str) -> Iterator[None]:
        """Note how long the block takes, and what it raises."""
        at, error = self.now(), None
        try:
            yield
        except Refused as refusal:
            error = str(refusal)
        except Wrong as wrong:
            error = f"wrong: {wrong}"
            with self.lock:
                self.wrong.append(f"{surface}: {wrong}")
        except Exception as failure:  # the load goes on whatever a server that is broken answers
            error = f"{type(failure).__name__}: {failure}"
        with self.lock:
            self.asked.append(Asked(surface, at, self.now() - at, error))

    def is_disturbed(self, asked: Asked) -> bool:
        """Whether a disturbance touched it."""
        return any(
            start <= asked.at + asked.seconds and asked.at <= end + SETTLED
            for _, start, end in self.windows
        )
