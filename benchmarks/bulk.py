"""``ocelli bulk``: its rate against bare processes and model servers, its growth, its memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import fmean, linear_regression
from typing import TYPE_CHECKING, Any

import psutil  # type: ignore[import-untyped]

from benchmarks import bare_models
from benchmarks.photos import make_photos
from benchmarks.processes import children_cpu, python, wait_for_orphans
from benchmarks.report import Bench, Row, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

NAME = "bulk"
LOCAL, ENGINES = Target(0.92, "at least"), Target(0.85, "at least")
IN_FLIGHT = Target(0.95, "at least")
GROWTH = Target(1.10, "at most")
RESUME = Target(10.0, "at most", of="value")
HISTORY = 1_000_000
MEGABYTE = 1024 * 1024
START = 10  # photos of a run that is little but its start: of fewer, one worker may do all


@dataclass(frozen=True)
class Ran:
    """One run: seconds, CPU seconds of all its processes, daemons of an engine included, (seconds,
    MB) of the command, and when each row was finished.
    """

    wall: float
    cpu: float
    memory: list[tuple[float, float]]
    finished: list[float]


def run(bench: Bench) -> Iterator[Row]:
    """Rates with the local models, a slow model server, and costs of the command itself."""
    yield from _rates(bench)
    yield from _in_flight(bench)
    yield from _growth(bench)
    yield from _history(bench)


def _rates(bench: Bench) -> Iterator[Row]:
    """Each run of an engine between two of the baseline, and compared with the mean of these.

    The second half takes the engines the other way round, so that a machine that becomes slower
    is slower for all.
    """
    count = 32 if bench.quick else 200
    photos = make_photos(bench.folder / "bulk-photos", count)
    engines = ["local", *(each for each in ("daft", "ray") if find_spec(each))]
    bench.say(f"{NAME}: starts of {', '.join(engines)} and bare processes")
    bare_models.run(photos[:START], bench.workers)  # compiles the models
    starts = {each: _engine(bench, each, START).cpu for each in engines}
    start = bare_models.run(photos[:START], bench.workers).cpu
    ours: dict[str, list[Ran]] = {each: [] for each in engines}
    beside: dict[str, list[_Baseline]] = {each: [] for each in engines}
    before = bare_models.run(photos, bench.workers)
    for engine in engines if bench.quick else (*engines, *reversed(engines)):
        bench.say(f"{NAME}: {engine} and bare processes, {count} photos each")
        ours[engine].append(_engine(bench, engine, count))
        after = bare_models.run(photos, bench.workers)
        beside[engine].append(_Baseline(before, after))
        before = after
    for engine in engines:
        yield from _rows_of(bench.workers, engine, count, ours[engine], beside[engine])
        baselines = beside[engine]
        yield Row(
            NAME,
            f"pictures a CPU second, {engine}, all its processes, without their start",
            (count - START) / (fmean(each.cpu for each in ours[engine]) - starts[engine]),
            "/s",
            (count - START) / (fmean(each.cpu for each in baselines) - start),
            "bare processes, likewise",
        )
        yield Row(NAME, f"CPU of the start, {engine}", starts[engine], "s", start, "bare processes")


@dataclass(frozen=True)
class _Baseline:
    """The bare processes before and after a run of an engine."""

    before: bare_models.Run
    after: bare_models.Run

    @property
    def under_way(self) -> float:
        return fmean(bare_models.rate_under_way(each.finished) for each in self._both)

    @property
    def wall(self) -> float:
        return fmean(each.wall for each in self._both)

    @property
    def cpu(self) -> float:
        return fmean(each.cpu for each in self._both)

    @property
    def _both(self) -> tuple[bare_models.Run, ...]:
        return self.before, self.after


def _rows_of(
    workers: int, engine: str, count: int, ours: Sequence[Ran], baselines: Sequence[_Baseline]
) -> Iterator[Row]:
    yield Row.of_rounds(
        NAME,
        f"pictures a second under way, {engine}",
        [bare_models.rate_under_way(each.finished) for each in ours],
        "/s",
        [each.under_way for each in baselines],
        f"{workers} bare processes, before and after",
        LOCAL if engine == "local" else ENGINES,
    )
    yield Row.of_rounds(
        NAME,
        f"the same, whole command with start and stop, {engine}",
        [count / each.wall for each in ours],
        "/s",
        [count / each.wall for each in baselines],
        "bare processes, with loading their models",
    )


def _engine(bench: Bench, engine: str, count: int) -> Ran:
    out = bench.folder / f"bulk-{engine}"
    shutil.rmtree(out, ignore_errors=True)
    options = ["--level", "quick", "--engine", engine, "--workers", str(bench.workers)]
    return _ocelli_bulk(bench.folder / "bulk-photos", out, *options, "--limit", str(count))


def _in_flight(bench: Bench) -> Iterator[Row]:
    """As many a second as 128 under way of 30 seconds each; shorter, so that it ends.

    The pictures are small: of large ones the local models' evidence, not the server, is the limit
    on two cores.
    """
    import cv2

    limit, seconds = (16, 3.75) if bench.quick else (32, 7.5)
    rounds = 6
    photos = make_photos(bench.folder / "bulk-asked", limit * rounds)
    for path in photos:
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
        assert pixels is not None
        cv2.imwrite(str(path), cv2.resize(pixels, (160, 120), interpolation=cv2.INTER_AREA))
    server = subprocess.Popen(
        python("benchmarks.slow_model", str(seconds)), stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        address = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
        backend = {"base_url": address, "model": "slow", "concurrency": limit, "sight_test": False}
        ran = _ocelli_bulk(
            photos[0].parent,
            bench.folder / "bulk-slow",
            *("--level", "quick", "--workers", str(bench.workers)),
            OCELLI_BACKENDS=json.dumps({"slow": backend}),
        )
    finally:
        server.kill()
        server.wait()
    # All are under way, and end together: counted from the end of one round to that of another.
    steady = ran.finished[limit - 1 : limit * (rounds - 1)]
    yield Row(
        NAME,
        f"pictures a second, {limit} under way of {seconds:g} s",
        _rate(steady),
        "/s",
        limit / seconds,
        "as many as the server allows",
        IN_FLIGHT,
        by_clock=True,
    )


def _growth(bench: Bench) -> Iterator[Row]:
    """The command without models: what it costs itself."""
    few, many = (500, 5_000) if bench.quick else (1_000, 20_000)
    ran: dict[int, Ran] = {}
    for count in (1, few, many):
        folder = bench.folder / f"bulk-files-{count}"
        for number in range(count):
            path = folder / f"{number // 1000}" / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"%d" % number * 500)
        ran[count] = _stub(folder, bench.folder / f"bulk-out-{count}", "--workers", "2")
    start = ran[1].cpu
    per_picture = {n: (ran[n].cpu - start) / (n - 1) * 1000 for n in (few, many)}
    yield Row(
        NAME,
        f"CPU of {many:,} pictures, without models",
        per_picture[many],
        "ms each",
        per_picture[few],
        f"of {few:,}",
        GROWTH,
    )
    memory = [(at, size) for at, size in ran[many].memory if at > ran[many].wall * 0.2]
    slope = linear_regression(*zip(*memory, strict=True)).slope if len(memory) > 2 else 0.0
    share = slope * ran[many].wall / many * 10_000
    yield Row(NAME, "memory of the command, growth over 10,000 pictures", share, "MB")
    yield Row(NAME, "memory of the command, at most", max(s for _, s in ran[many].memory), "MB")


def _history(bench: Bench) -> Iterator[Row]:
    """A run over a table of which all rows but the last are in the shards."""
    count = 100_000 if bench.quick else HISTORY
    table = bench.folder / "bulk-history.csv"
    new = bench.folder / "new.jpg"
    new.write_bytes(b"new")
    with table.open("w") as file:
        file.write("path\n")
        file.writelines(f"archive/of/pictures/{number:08}.jpg\n" for number in range(count))
    out = bench.folder / "bulk-history"
    _stub(table, out, "--limit", "1", "--workers", "1")  # makes the manifest
    write_history(out, count)
    with table.open("a") as file:
        file.write(f"{new}\n")
    ran = _stub(table, out, "--workers", "1")
    yield Row(
        NAME,
        f"resume with {count:,} rows of history, all of it",
        ran.wall,
        "s",
        target=RESUME,
        by_clock=True,
    )
    yield Row(NAME, "the same, CPU", ran.cpu, "s")
    yield Row(NAME, "the same, memory", max(size for _, size in ran.memory), "MB")


def write_history(out: Path, count: int) -> None:
    """Write shards of rows 0 to ``count`` in the place of those that are there."""
    from ocelli.bulk import schema, shards
    from ocelli.bulk.rows import Row as BulkRow
    from ocelli.bulk.rows import RowStatus

    for path in shards.shards(out):
        path.unlink()
    size = 5_000
    for start in range(0, count, size):
        rows = [
            BulkRow(
                0,
                f"archive/of/pictures/{number:08}.jpg",
                RowStatus.DONE,
                key=f"{number:064x}",
                description="There is a cup. The cup is red.",
                tags=("cup", "red"),
            )
            for number in range(start, min(start + size, count))
        ]
        shards.write_durably(out / f"shard-{start // size:06d}.parquet", schema.to_table(rows, ""))


def _rate(finished: Sequence[float]) -> float:
    return (len(finished) - 1) / (max(finished) - min(finished))


def _ocelli_bulk(source: Path, out: Path, *options: str, **environment: str) -> Ran:
    return _ran(python("ocelli", "bulk", str(source), str(out), *options), out, environment)


def _stub(source: Path, out: Path, *options: str) -> Ran:
    return _ran(python("benchmarks.bulk_stub", str(source), str(out), *options), out, {})


def _ran(command: list[str], out: Path, environment: dict[str, str]) -> Ran:
    import pyarrow.parquet as pq

    mine = {each.pid for each in psutil.Process().children()}
    started, before = time.monotonic(), children_cpu()
    process = psutil.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    memory: list[tuple[float, float]] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.2):
            try:
                size = process.memory_info().rss
            except psutil.Error:
                return
            memory.append((time.monotonic() - started, size / MEGABYTE))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    wall = time.monotonic() - started
    ended.set()
    watcher.join()
    wait_for_orphans(mine)
    if code:
        raise RuntimeError(f"{' '.join(command)} ended with {code}")
    column: list[Any] = pq.read_table(out, columns=["finished_at"])["finished_at"].to_pylist()
    return Ran(wall, children_cpu() - before, memory, sorted(each.timestamp() for each in column))
