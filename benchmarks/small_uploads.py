"""Many small uploads at once, against a bare sink on the same HTTP server."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

from benchmarks.photos import make_large
from benchmarks.processes import bare_server, ocelli_serve
from benchmarks.report import Bench, Row
from benchmarks.traffic import Connection
from benchmarks.uploads import OURS, Batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.processes import Server

NAME = "small_uploads"
AT_ONCE = 16
SIZE = 200_000


def run(bench: Bench) -> Iterator[Row]:
    """Rounds of: the sink, the sink that waits for the disk, ours.

    Nothing is removed in between: ext4 makes new files slowly where many have just gone.
    """
    rounds, count = (3, 480) if bench.quick else (8, 800)
    file = make_large(bench.folder / "small.jpg", SIZE)
    sink: list[Batch] = []
    durable: list[Batch] = []
    ours: list[Batch] = []
    bench.say(f"{NAME}: starting ocelli serve")
    with (
        ocelli_serve(bench.folder / "small", "--workers", "1") as server,
        bare_server(bench.folder / "small-sink") as bare,
    ):
        api, plain = server.child("api"), psutil.Process(bare.process.pid)
        with server.workers_suspended():
            for number in range(rounds + 1):  # the first one only warms up
                bench.say(f"{NAME}: round {number} of {rounds}")
                sink.append(_many(bare, plain, "/sink", file, count))
                durable.append(_many(bare, plain, "/sink?durable", file, count))
                ours.append(_many(server, api, OURS, file, count))
    what = f"{SIZE // 1000} KB, {AT_ONCE} at once"
    rates = [each.rate for each in ours[1:]]
    fast, safe = [each.rate for each in sink[1:]], [each.rate for each in durable[1:]]
    yield Row.of_rounds(NAME, what, rates, "files/s", fast, "bare sink: hash and write")
    yield Row.of_rounds(NAME, what, rates, "files/s", safe, "bare sink that waits for the disk")
    yield Row.of_rounds(
        NAME,
        "CPU of the API",
        [each.cpu for each in ours[1:]],
        "ms/file",
        [each.cpu for each in sink[1:]],
        "bare sink: hash and write",
    )


def _many(server: Server, process: psutil.Process, path: str, file: Path, count: int) -> Batch:
    """``count`` uploads by ``AT_ONCE`` connections: files a second, and CPU ms of each."""
    os.sync()

    def send(share: int) -> None:
        with Connection(server.port, server.key) as connection:
            for _ in range(share):
                answer = connection.upload(path, file, auto_describe="false")
                if answer.status != 200:
                    raise RuntimeError(f"upload: {answer.status} {answer.body[:300]!r}")

    before = _cpu(process)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        started = perf_counter()
        for sent in [threads.submit(send, count // AT_ONCE) for _ in range(AT_ONCE)]:
            sent.result()
        seconds = perf_counter() - started
    return Batch(count / seconds, (_cpu(process) - before) / count * 1000)


def _cpu(process: psutil.Process) -> float:
    """Seconds."""
    times = process.cpu_times()
    return float(times.user + times.system)
