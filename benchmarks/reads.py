"""Asking for a picture while the workers take every core."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Self

from benchmarks.photos import make_photos
from benchmarks.processes import bare_server, ocelli_serve
from benchmarks.report import Bench, Row, Target
from benchmarks.traffic import Answer, Connection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.processes import Server

NAME = "reads"
FILES = "/api/v2/user-files"
PAUSE = 0.002  # between questions: a client, not a flood
CROWD = 16
AIM = Target(3.0, "at most")


@dataclass
class Times:
    """Seconds of every answer, ours and the bare server's, taken in turns."""

    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)

    def __iadd__(self, more: Times) -> Self:
        self.ours += more.ours
        self.bare += more.bare
        return self


def run(bench: Bench) -> Iterator[Row]:
    """Rounds of: idle, then with every worker busy."""
    rounds, seconds = (2, 2.0) if bench.quick else (4, 3.0)
    photos = make_photos(bench.folder / "reads-photos", 12)
    idle, busy = Times(), Times()
    bench.say(f"{NAME}: starting ocelli serve")
    with (
        ocelli_serve(bench.folder / "reads", "--workers", str(bench.workers)) as server,
        bare_server(bench.folder / "reads-bare") as bare,
    ):
        id = _send(server, photos[:1])
        _until_idle(server)
        path = f"{FILES}/{id}"
        _ask(server, bare, path, 0.5)  # warm
        for number in range(1, rounds + 1):
            bench.say(f"{NAME}: round {number} of {rounds}")
            idle += _ask(server, bare, path, seconds)
            last = _send(server, photos * max(1, round(seconds * bench.workers / 4)))
            busy += _ask(server, bare, path, seconds, unless_done=last)
            _until_idle(server)
        bench.say(f"{NAME}: requests per second")
        most, bare_most = [], []
        for _ in range(3):
            most.append(_per_second(server, path, seconds / 4))
            bare_most.append(_per_second(bare, "/", seconds / 4))
    for what, share in (("p50", 0.50), ("p99", 0.99)):
        yield Row(
            NAME,
            f"GET of a file while workers are busy, {what}",
            _percentile(busy.ours, share),
            "ms",
            _percentile(idle.ours, share),
            "idle",
            AIM if share == 0.50 else None,
            by_clock=True,
        )
    yield Row(
        NAME,
        "bare event loop while workers are busy, p50",
        _percentile(busy.bare, 0.50),
        "ms",
        _percentile(idle.bare, 0.50),
        "idle",
    )
    yield Row(
        NAME,
        "GET of a file, idle, p50",
        _percentile(idle.ours, 0.50),
        "ms",
        _percentile(idle.bare, 0.50),
        "bare event loop",
    )
    yield Row(
        NAME,
        f"GET of a file, {CROWD} connections, idle",
        median(most),
        "requests/s",
        median(bare_most),
        "bare event loop",
    )


def _ask(
    server: Server, bare: Server, path: str, seconds: float, *, unless_done: str | None = None
) -> Times:
    """Ours and the bare one in turns, for so long or until the workers have nothing left to do."""
    times = Times()
    with Connection(server.port, server.key) as ours, Connection(bare.port) as theirs:
        started = checked = time.monotonic()
        while (now := time.monotonic()) - started < seconds:
            if unless_done is not None and now - checked > 0.1:
                checked = now
                if _is_done(ours, unless_done):
                    break
            times.ours.append(_good(ours.get(path)).seconds)
            time.sleep(PAUSE)
            times.bare.append(_good(theirs.get("/")).seconds)
            time.sleep(PAUSE)
    return times


def _send(server: Server, photos: Sequence[Path]) -> str:
    """Upload them all; the id of the last one."""
    id = ""
    with Connection(server.port, server.key) as connection:
        for photo in photos:
            answer = _good(connection.upload(f"{FILES}/upload/stream", photo))
            id = str(json.loads(answer.body)["image_id"])
    return id


def _is_done(connection: Connection, id: str) -> bool:
    answer = json.loads(_good(connection.get(f"{FILES}/{id}")).body)
    return answer["description_status"] in ("completed", "failed")


def _until_idle(server: Server) -> None:
    with Connection(server.port) as connection:
        while True:
            metrics = _good(connection.get("/metrics")).body.decode()
            jobs = re.findall(
                r'^ocelli_jobs{status="(?:todo|doing)"} (\S+)$', metrics, re.MULTILINE
            )
            if sum(map(float, jobs)) == 0:
                return
            time.sleep(0.1)


def _per_second(server: Server, path: str, seconds: float) -> float:
    """Answers a second to ``CROWD`` connections that always ask again."""
    until = time.monotonic() + seconds

    def ask() -> int:
        count = 0
        with Connection(server.port, server.key) as connection:
            while time.monotonic() < until:
                _good(connection.get(path))
                count += 1
        return count

    with ThreadPoolExecutor(CROWD) as threads:
        return sum(each.result() for each in [threads.submit(ask) for _ in range(CROWD)]) / seconds


def _percentile(seconds: Sequence[float], share: float) -> float:
    return sorted(seconds)[int(len(seconds) * share)] * 1000


def _good(answer: Answer) -> Answer:
    if answer.status != 200:
        raise RuntimeError(f"{answer.status} {answer.body[:300]!r}")
    return answer
