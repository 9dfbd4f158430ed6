"""Eight large uploads at once, against a bare sink on the same HTTP server."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

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


@dataclass(frozen=True)
class Batch:
    """Several uploads at once: MB/s, and what a megabyte cost the server."""

    rate: float
    cpu: float


def run(bench: Bench) -> Iterator[Row]:
    """Rounds of: one thread without HTTP, the sink, the sink that waits for the disk, ours."""
    rounds = 3 if bench.quick else 10
    file = make_large(bench.folder / "large.jpg", SIZE)
    raw: list[float] = []
    sink: list[Batch] = []
    durable: list[Batch] = []
    ours: list[Batch] = []
    bench.say(f"{NAME}: starting ocelli serve")
    with (
        ocelli_serve(bench.folder / "uploads", "--workers", "1") as server,
        bare_server(bench.folder / "sink") as bare,
    ):
        api, plain = server.child("api"), psutil.Process(bare.process.pid)
        _all(server, api, OURS, file, 1)  # the first request imports the parser
        _all(bare, plain, "/sink", file, 1)
        # Nothing is to be described, but the smaller copies cannot be switched off: the claim is
        # about the way in, not about sharing two cores with libvips.
        with server.workers_suspended(), MemoryPeak(api) as memory:
            for number in range(1, rounds + 1):
                bench.say(f"{NAME}: round {number} of {rounds}")
                raw.append(_hash_and_write(file, bench.folder / "raw"))
                sink.append(_all(bare, plain, "/sink", file, AT_ONCE))
                _empty(bench.folder / "sink")
                durable.append(_all(bare, plain, "/sink?durable", file, AT_ONCE))
                _empty(bench.folder / "sink")
                ours.append(_all(server, api, OURS, file, AT_ONCE))
                _empty(bench.folder / "uploads" / "objects" / "uploads")
    what = f"{AT_ONCE} × {SIZE // 1_000_000} MB at once"
    rates = [each.rate for each in ours]
    fast, safe = [each.rate for each in sink], [each.rate for each in durable]
    yield Row.of_rounds(NAME, what, rates, "MB/s", fast, "bare sink: hash and write")
    yield Row.of_rounds(NAME, what, rates, "MB/s", safe, "bare sink that also waits for the disk")
    yield Row.of_rounds(
        NAME,
        "CPU of the API",
        [each.cpu for each in ours],
        "ms/MB",
        [each.cpu for each in durable],
        "bare sink that also waits for the disk",
    )
    yield Row.of_rounds(
        NAME, "bare sink", fast, "MB/s", raw, "hash and write by one thread, no HTTP"
    )
    yield Row(
        NAME,
        "memory of the API, at most",
        memory.peak,
        "MB",
        memory.before,
        "before the uploads",
        Target(200, "at most", of="value"),
    )


def _all(server: Server, process: psutil.Process, path: str, file: Path, count: int) -> Batch:
    """``count`` uploads at once; everybody is connected before the first one starts."""
    os.sync()
    connections = [Connection(server.port, server.key) for _ in range(count)]
    before = process.cpu_times()
    with ThreadPoolExecutor(count) as threads:
        started = perf_counter()
        uploads = [
            threads.submit(each.upload, path, file, auto_describe="false") for each in connections
        ]
        answers = [upload.result() for upload in uploads]
        seconds = perf_counter() - started
    after = process.cpu_times()
    for connection in connections:
        connection.__exit__()
    for answer in answers:
        if answer.status != 200:
            raise RuntimeError(f"upload: {answer.status} {answer.body[:300]!r}")
    megabytes = count * SIZE / 1e6
    cpu = after.user + after.system - before.user - before.system
    return Batch(megabytes / seconds, cpu / megabytes * 1000)


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
