"""What the engine adds to the calls of a model over HTTP."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.photos import make_photos
from benchmarks.report import Bench, Row, Target
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.questions import Question

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME = "engine"
SECONDS = 1.0
CONCURRENT = 64
ALONE = Target(1.05, "at most")
TOGETHER = Target(1.10, "at most")


def run(bench: Bench) -> Iterator[Row]:
    """One after the other, then as many at once, against a model that takes a second."""
    rounds = 4 if bench.quick else 12
    bench.say(f"{NAME}: a model that takes {SECONDS:g} s; {rounds} × {CONCURRENT} analyses")
    files = [path.read_bytes() for path in make_photos(bench.folder / "engine", 32)]
    with _slow_model() as url:
        alone, together, looks = asyncio.run(_measure(url, files, rounds, bench.workers))
    calls = VerificationLevel.STANDARD.looks * SECONDS
    yield Row(NAME, "standard, one at a time", alone, "s", calls, "its model calls", ALONE)
    ideal = rounds * SECONDS
    what = f"quick, {rounds * CONCURRENT} analyses, {CONCURRENT} at once"
    yield Row(NAME, what, together, "s", ideal, "the model's time alone", TOGETHER)
    yield Row(NAME, "model calls per quick analysis", looks, "")


@contextmanager
def _slow_model() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.slow_model", str(SECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


async def _measure(
    url: str, files: Sequence[bytes], rounds: int, workers: int
) -> tuple[float, float, float]:
    import aiohttp

    from ocelli.backends.local.backend import LocalBackend
    from ocelli.backends.registry import configure, registry
    from ocelli.media.decode import decode
    from ocelli.usecases.verification_engine import Engine

    given = {"provider": "vllm", "base_url": url, "model": "slow", "concurrency": CONCURRENT}
    loop = asyncio.get_running_loop()
    # One thread for each worker that this machine would have: each decodes on a core of its own.
    with ThreadPoolExecutor(workers) as compute:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            backends = registry(LocalBackend(compute), [configure("slow", given, {})], session)
            engine = Engine(backends)

            async def analyse(number: int, level: VerificationLevel) -> Any:
                data = files[number % len(files)]
                picture = await loop.run_in_executor(
                    compute, lambda: decode(data, max_pixels=10**8)
                )
                return await engine.answer(picture, Question(), level)

            await analyse(0, VerificationLevel.QUICK)
            started = perf_counter()
            for number in range(3):
                await analyse(number, VerificationLevel.STANDARD)
            alone = (perf_counter() - started) / 3
            room = asyncio.Semaphore(CONCURRENT)

            async def one(number: int) -> int:
                async with room:
                    answer = await analyse(number, VerificationLevel.QUICK)
                    return int(answer.looks)

            started = perf_counter()
            looks = await asyncio.gather(*(one(n) for n in range(rounds * CONCURRENT)))
            return alone, perf_counter() - started, sum(looks) / len(looks)
