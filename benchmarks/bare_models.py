"""The baseline of throughput: processes that do nothing but read, decode and run the models.

No database, no queue, no composing of descriptions. Processes share their work through a pipe
that holds the number of every file: each takes the next one until none is left.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.processes import children_cpu, one_core_environment, python

if TYPE_CHECKING:
    from collections.abc import Sequence

NUMBER = 4  # bytes


@dataclass(frozen=True)
class Run:
    """Several pictures, by however many processes: seconds since the start of the first one.

    ``cpu``: seconds of all of them and of their decoders, start included.
    """

    wall: float
    finished: tuple[float, ...]
    took: dict[Path, float]  # each picture by itself
    cpu: float


def run(files: Sequence[Path], processes: int) -> Run:
    """All ``files`` by so many processes at once."""
    reading, writing = os.pipe()
    os.write(writing, b"".join(n.to_bytes(NUMBER, "big") for n in range(len(files))))
    os.close(writing)
    started, before = time.monotonic(), children_cpu()
    children = [
        subprocess.Popen(
            python("benchmarks.bare_models", str(reading)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(reading,),
            env=one_core_environment(),
        )
        for _ in range(processes)
    ]
    os.close(reading)
    names = "\n".join(map(str, files)).encode()
    for child in children:
        assert child.stdin is not None
        child.stdin.write(names)
        child.stdin.close()
    answers = []
    for child in children:
        assert child.stdout is not None
        with child.stdout:
            answers.append(json.loads(child.stdout.read()))
        child.wait()
    wall, cpu = time.monotonic() - started, children_cpu() - before
    done = [each for answer in answers for each in answer["done"]]
    finished = sorted(at - started for _, at, _ in done)
    took = {files[number]: seconds for number, _, seconds in done}
    return Run(wall, tuple(finished), took, cpu)


def rate_under_way(finished: Sequence[float]) -> float:
    """Per second, without the first and the last tenth, when not everybody is at work."""
    edge = max(1, len(finished) // 10)
    inner = finished[edge : len(finished) - edge]
    return (len(inner) - 1) / (inner[-1] - inner[0])


def _main(descriptor: int) -> None:
    from ocelli.backends.local.detect import ModelSet
    from ocelli.backends.local.runtime import Runtime
    from ocelli.backends.local.stopwatch import Stopwatch
    from ocelli.media.decode import decode

    files = [Path(line) for line in sys.stdin.read().splitlines()]
    models = ModelSet()
    models.load(Runtime())
    clock = Stopwatch()
    done = []
    while taken := os.read(descriptor, NUMBER):
        number = int.from_bytes(taken, "big")
        started = time.monotonic()
        picture = decode(files[number].read_bytes(), max_pixels=100_000_000)
        look(models, picture.pixels, clock)
        now = time.monotonic()
        done.append((number, now, now - started))
    print(json.dumps({"done": done}))


def look(models: Any, pixels: Any, clock: Any) -> None:
    """Every model as often as the local backend asks it, on what that gives it."""
    import cv2

    from ocelli.backends.local.detect import DETECTOR_SIZES, VIEW_SIDE

    height, width = pixels.shape[:2]
    scale = min(1.0, VIEW_SIDE / max(height, width))
    size = round(width * scale), round(height * scale)
    view = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) if scale < 1 else pixels
    for size in DETECTOR_SIZES:
        models.objects.find(view, clock, size=size)
    for model in (models.scene, models.faces, models.safety):
        model.find(view, clock)
    models.text.find(pixels, clock)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
