"""Eight large uploads at once, against a bare sink on the same HTTP server."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.photos import make_large
from benchmarks.processes import MemoryPeak, bare_server, ocelli_serve
from benchmarks.report import Bench, Row, Target
from benchmarks.traffic import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.processes import Server

NAME = "uploads"
AT_ONCE = 8
SIZE = 50_000_000
OURS = "/api/v2/user-files/upload/stream"


def run(bench: Bench) -> Iterator[Row]:
    """Rounds of: the sink, the sink that waits for the disk, ours."""
    rounds = 3 if bench.quick else 8
    file = make_large(bench.folder / "large.jpg", SIZE)
    raw, sink, durable, ours = [], [], [], []
    bench.say(f"{NAME}: starting ocelli serve")
    with (
        ocelli_serve(bench.folder / "uploads", "--workers", "1") as server,
        bare_server(bench.folder / "sink") as bare,
    ):
        _all(server, OURS, file, 1)  # the first request imports the parser
        _all(bare, "/sink", file, 1)
        # Nothing is to be described, but the smaller copies cannot be switched off: the claim is
        # about the way in, not about sharing two cores with libvips.
        with server.workers_suspended(), MemoryPeak(server.child("api")) as memory:
            for number in range(1, rounds + 1):
                bench.say(f"{NAME}: round {number} of {rounds}")
                raw.append(_hash_and_write(file, bench.folder / "raw"))
                sink.append(_all(bare, "/sink", file, AT_ONCE))
                _empty(bench.folder / "sink")
                durable.append(_all(bare, "/sink?durable", file, AT_ONCE))
                _empty(bench.folder / "sink")
                ours.append(_all(server, OURS, file, AT_ONCE))
                _empty(bench.folder / "uploads" / "objects" / "uploads")
    what = f"{AT_ONCE} × {SIZE // 1_000_000} MB at once"
    fast, safe = median(sink), median(durable)
    rate = median(ours)
    yield Row(NAME, what, rate, "MB/s", fast, "bare sink: hash and write", Target(0.80, "at least"))
    yield Row(NAME, what, rate, "MB/s", safe, "bare sink that also waits for the disk")
    yield Row(NAME, "bare sink", fast, "MB/s", median(raw), "hash and write by one thread, no HTTP")
    yield Row(
        NAME,
        "memory of the API, at most",
        memory.peak,
        "MB",
        memory.before,
        "before the uploads",
        Target(200, "at most", of="value"),
    )


def _all(server: Server, path: str, file: Path, count: int) -> float:
    """MB/s of ``count`` uploads at once; everybody is connected before the first one starts."""
    os.sync()
    connections = [Connection(server.port, server.key) for _ in range(count)]
    with ThreadPoolExecutor(count) as threads:
        started = perf_counter()
        uploads = [
            threads.submit(each.upload, path, file, auto_describe="false") for each in connections
        ]
        answers = [upload.result() for upload in uploads]
        seconds = perf_counter() - started
    for connection in connections:
        connection.__exit__()
    for answer in answers:
        if answer.status != 200:
            raise RuntimeError(f"upload: {answer.status} {answer.body[:300]!r}")
    return count * SIZE / 1e6 / seconds


def _hash_and_write(file: Path, target: Path) -> float:
    """MB/s that this machine can do at all: one thread, no network."""
    os.sync()
    data = memoryview(file.read_bytes())
    started = perf_counter()
    for number in range(2):
        digest = hashlib.sha256()
        with target.with_suffix(f".{number}").open("wb", buffering=0) as out:
            for at in range(0, len(data), 1024 * 1024):
                digest.update(data[at : at + 1024 * 1024])
                out.write(data[at : at + 1024 * 1024])
    seconds = perf_counter() - started
    for number in range(2):
        target.with_suffix(f".{number}").unlink()
    return 2 * len(data) / 1e6 / seconds


def _empty(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()
