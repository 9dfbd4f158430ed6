"""A folder through ``ocelli describe``, against bare processes that run the same models."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks import bare_models
from benchmarks.photos import make_photos
from benchmarks.processes import CpuByRole, python
from benchmarks.report import Bench, Row, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

NAME = "throughput"
TARGET = Target(0.90, "at least")


@dataclass(frozen=True)
class Described:
    """One run of the command."""

    wall: float
    finished: tuple[float, ...]
    analysing: float
    cpu: dict[str, float]


def run(bench: Bench) -> Iterator[Row]:
    """Rounds of: N bare processes, the command; and one bare process alone."""
    count, rounds, alone = (32, 1, 12) if bench.quick else (200, 2, 32)
    bench.say(f"{NAME}: making {count} photos")
    files = make_photos(bench.folder / "photos", count)
    together, ours, singles = [], [], []
    for number in range(1, rounds + 1):
        where = f"{NAME}: round {number} of {rounds}"
        bench.say(f"{where}, one bare process alone on {alone} photos")
        singles.append(bare_models.run(files[:alone], 1))
        bench.say(f"{where}, {bench.workers} bare processes on {count} photos")
        together.append(bare_models.run(files, bench.workers))
        bench.say(f"{where}, ocelli describe with {bench.workers} workers")
        ours.append(_describe(files[0].parent, count, bench.workers))
    yield from _rows(bench.workers, count, together, ours, singles)


def _rows(
    workers: int,
    count: int,
    together: Sequence[bare_models.Run],
    ours: Sequence[Described],
    singles: Sequence[bare_models.Run],
) -> Iterator[Row]:
    steady = [bare_models.rate_under_way(each.finished) for each in ours]
    crowd = [bare_models.rate_under_way(each.finished) for each in together]
    alone = [
        bare_models.rate_under_way(crowded.finished) * _slowdown(crowded, single)
        for crowded, single in zip(together, singles, strict=True)
    ]
    against = f"{workers} bare processes at once"
    yield Row.of_rounds(NAME, "describe, under way", steady, "photos/s", crowd, against, TARGET)
    yield Row.of_rounds(
        NAME,
        "describe, whole command with start and stop",
        [count / each.wall for each in ours],
        "photos/s",
        [count / each.wall for each in together],
        f"{against}, with loading their models",
        TARGET,
    )
    against = f"{workers} × one bare process alone on the machine"
    yield Row.of_rounds(NAME, "describe, under way", steady, "photos/s", alone, against)
    yield Row.of_rounds(
        NAME, f"{workers} bare processes at once", crowd, "photos/s", alone, against
    )
    bare_ms = median(each.cpu for each in together) / count * 1000
    for role in ("workers", "command", "postgres"):
        used = median(each.cpu.get(role, 0.0) for each in ours) / count * 1000
        yield Row(NAME, f"CPU of {role}", used, "ms/photo", bare_ms, "bare processes")
    everything = median(sum(each.cpu.values()) for each in ours) / count * 1000
    yield Row(
        NAME,
        "describe, as its CPU time allows on full cores",
        1000 * workers / everything,
        "photos/s",
        1000 * workers / bare_ms,
        "bare processes, likewise",
        TARGET,
    )
    yield Row(
        NAME,
        "one analysis, read to findings",
        median(each.analysing for each in ours),
        "ms",
        median(sum(each.took.values()) for each in together) / count * 1000,
        "the same in a bare process",
    )
    yield Row(
        NAME,
        "until the first photo is described",
        median(each.finished[0] for each in ours),
        "s",
        median(each.finished[0] for each in together),
        "the same in bare processes",
    )
    yield Row(
        NAME,
        "from the last photo to the end",
        median(each.wall - each.finished[-1] for each in ours),
        "s",
    )


def _slowdown(crowd: bare_models.Run, single: bare_models.Run) -> float:
    """How much longer the same pictures take when every core is busy."""
    return sum(crowd.took[path] for path in single.took) / sum(single.took.values())


def _describe(folder: Path, count: int, workers: int) -> Described:
    started = time.monotonic()
    process = subprocess.Popen(
        python("benchmarks.describe_clock", str(folder), str(workers)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with CpuByRole(process.pid) as cpu:
        out, errors = process.communicate()
    wall = time.monotonic() - started
    if process.returncode != 0:
        raise RuntimeError(errors.decode(errors="replace")[-2000:])
    answer = json.loads(out)
    if answer["failed"] or len(answer["finished"]) != count:
        raise RuntimeError(f"not every photo was described: {answer['failed'][:3]}")
    return Described(
        wall,
        tuple(at - started for at in answer["finished"]),
        sum(answer["analysing"]) / count,
        cpu.totals(),
    )
