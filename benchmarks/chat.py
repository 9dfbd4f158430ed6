"""Passing a conversation on: ours beside the upstream alone, a bare pass-through, and LiteLLM."""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

from benchmarks.chat_upstream import MODEL, PATH
from benchmarks.photos import make_large
from benchmarks.processes import (
    new_key,
    ocelli_serve,
    program,
    python,
    silent_program,
)
from benchmarks.report import Bench, Row, Target
from benchmarks.traffic import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = "chat"
CROWD = 16
FEW = 4
WARM = 50
TENANT = "bench"
# Nobody is held up, and everything is counted all the same.
TIERS = {"enterprise": {"requests_per_minute": 2_000_000_000, "monthly_descriptions": "unlimited"}}
LITELLM = "litellm[proxy]"
MEGABYTE_PHOTO = 750_000  # a megabyte in base64
MOST_ADDED = Target(0.6, "at most", of="value")
MOST_DELAY = Target(1.0, "at most", of="value")
MOST_CPU = Target(1 / 0.60, "at most")
SHARE_OF_BARE = Target(0.60, "at least")
TIMES_LITELLM = Target(25.0, "at least")


@dataclass
class Way:
    """One of those that are compared, with what was measured of it."""

    port: int
    process: psutil.Process
    key: str = ""
    asks: int = 1000
    alone: list[float] = field(default_factory=list)
    crowd: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    large: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)


def run(bench: Bench) -> Iterator[Row]:
    """Rounds in which all take turns at each of the four measurements."""
    rounds, seconds = (2, 0.7) if bench.quick else (5, 1.5)
    small = _body("What’s in this image?")
    photo = make_large(bench.folder / "megabyte.jpg", MEGABYTE_PHOTO).read_bytes()
    large = _body("What’s in this image?", base64.b64encode(photo).decode())
    with ExitStack() as stack:
        enter = stack.enter_context
        instant = enter(
            program(python("benchmarks.chat_upstream", "instant"), bench.folder / "instant")
        )
        bare = enter(
            program(
                python("benchmarks.chat_upstream", "bare", str(instant.port)), bench.folder / "bare"
            )
        )
        bench.say(f"{NAME}: starting ocelli serve")
        data = bench.folder / "chat"
        backend = {"base_url": f"http://127.0.0.1:{instant.port}/v1", "model": MODEL}
        server = enter(
            ocelli_serve(
                data,
                *("--workers", "1"),
                OCELLI_BACKENDS=json.dumps({"up": {**backend, "full_side": 8192}}),
                OCELLI_TIERS=json.dumps(TIERS),
            )
        )
        key = new_key(data, TENANT)
        ways = {
            "upstream": Way(instant.port, psutil.Process(instant.process.pid)),
            "bare": Way(bare.port, psutil.Process(bare.process.pid)),
            "ours": Way(server.port, server.child("api"), key),
        }
        litellm = _litellm(bench, instant.port, stack)
        if litellm is not None:
            ways["litellm"] = litellm
        for way in ways.values():
            _alone(way, small, WARM)
        for number in range(1, rounds + 1):
            bench.say(f"{NAME}: round {number} of {rounds}")
            for way in ways.values():
                way.alone.append(_alone(way, small, int(way.asks * seconds)))
            for way in ways.values():
                _crowd(way, small, seconds)
            for way in ways.values():
                way.large.append(_together(way, large, seconds))
            for way in ways.values():
                way.first.append(_first_token(way, small, int(way.asks * seconds / 10)))
    yield from _rows(ways)


def _rows(ways: dict[str, Way]) -> Iterator[Row]:
    ours, bare, upstream = ways["ours"], ways["bare"], ways["upstream"]
    for what, of, target in (
        ("p50 at 1 connection", "alone", None),
        ("p50 with 1 MB at 4 connections", "large", None),
        ("first streamed token, p50", "first", None),
    ):
        values = getattr(ours, of)
        for name in ("upstream", "bare", "litellm"):
            if name in ways:
                theirs = getattr(ways[name], of)
                yield Row.of_rounds(NAME, what, values, "ms", theirs, _SAID[name], target)
    for what, of, target in (
        ("p50 added at 1 connection", "alone", MOST_ADDED),
        ("first streamed token, delay", "first", MOST_DELAY),
    ):
        added = [
            mine - theirs
            for mine, theirs in zip(getattr(ours, of), getattr(upstream, of), strict=True)
        ]
        theirs = [
            mine - base for mine, base in zip(getattr(bare, of), getattr(upstream, of), strict=True)
        ]
        yield Row(
            NAME, what, median(added), "ms", median(theirs), _SAID["bare"], target, by_clock=True
        )
    what = f"CPU for a request, {CROWD} connections, least"
    yield Row(NAME, what, min(ours.cpu), "µs", min(bare.cpu), _SAID["bare"], MOST_CPU)
    what = f"{CROWD} connections"
    yield Row.of_rounds(NAME, what, ours.crowd, "requests/s", upstream.crowd, _SAID["upstream"])
    yield Row.of_rounds(
        NAME, what, ours.crowd, "requests/s", bare.crowd, _SAID["bare"], SHARE_OF_BARE
    )
    if "litellm" in ways:
        theirs = ways["litellm"].crowd
        yield Row.of_rounds(
            NAME, what, ours.crowd, "requests/s", theirs, _SAID["litellm"], TIMES_LITELLM
        )


_SAID = {"upstream": "upstream alone", "bare": "FastAPI + aiohttp", "litellm": "LiteLLM's proxy"}


def _body(question: str, picture: str | None = None) -> bytes:
    content: list[dict[str, object]] = [{"type": "text", "text": question}]
    if picture is not None:
        url = f"data:image/jpeg;base64,{picture}"
        content.append({"type": "image_url", "image_url": {"url": url}})
    messages = [{"role": "user", "content": content}]
    return json.dumps({"model": MODEL, "messages": messages, "max_tokens": 300}).encode()


def _alone(way: Way, body: bytes, count: int) -> float:
    """The median in milliseconds."""
    with Connection(way.port, way.key) as connection:
        return _p50(connection.post(PATH, body).good().seconds for _ in range(count))


def _crowd(way: Way, body: bytes, seconds: float) -> None:
    """Answers a second, and microseconds of CPU for each."""
    before = way.process.cpu_times()
    times = _at_once(way, CROWD, seconds, lambda connection: connection.post(PATH, body).good())
    after = way.process.cpu_times()
    spent = after.user + after.system - before.user - before.system
    way.crowd.append(len(times) / seconds)
    way.cpu.append(spent / len(times) * 1e6)


def _together(way: Way, body: bytes, seconds: float) -> float:
    """The median in milliseconds, a few at a time."""
    times = _at_once(way, FEW, seconds, lambda connection: connection.post(PATH, body).good())
    return _p50(iter(times))


def _at_once(
    way: Way, count: int, seconds: float, ask: Callable[[Connection], object]
) -> list[float]:
    until = time.monotonic() + seconds

    def one() -> list[float]:
        times = []
        with Connection(way.port, way.key) as connection:
            while time.monotonic() < until:
                started = time.perf_counter()
                ask(connection)
                times.append(time.perf_counter() - started)
        return times

    with ThreadPoolExecutor(count) as threads:
        found = [threads.submit(one) for _ in range(count)]
        return [seconds for each in found for seconds in each.result()]


def _first_token(way: Way, body: bytes, count: int) -> float:
    """Until the first event of a stream is here, the median in milliseconds."""
    streamed = body[:-1] + b', "stream": true}'
    with Connection(way.port, way.key) as connection:
        return _p50(connection.first_event(PATH, streamed) for _ in range(max(10, count)))


def _p50(seconds: Iterator[float]) -> float:
    return median(seconds) * 1000


def _litellm(bench: Bench, upstream: int, stack: ExitStack) -> Way | None:
    """Its proxy from an environment of its own; None, said aloud, where that cannot be had."""
    folder = bench.folder / "litellm"
    given = os.environ.get("OCELLI_BENCH_LITELLM")
    command = given or str(folder / "bin" / "litellm")
    if not given:
        bench.say(f"{NAME}: installing {LITELLM} into an environment of its own")
        for step in (
            [sys.executable, "-m", "venv", str(folder)],
            [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", LITELLM],
        ):
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode:
                bench.say(f"{NAME}: no LiteLLM here, its rows are left out: {done.stderr[-200:]}")
                return None
    config = bench.folder / "litellm.yaml"
    model = {
        "model_name": MODEL,
        "litellm_params": {
            "model": f"openai/{MODEL}",
            "api_base": f"http://127.0.0.1:{upstream}/v1",
            "api_key": "none",
        },
    }
    key = f"sk-{secrets.token_hex(24)}"  # it does not start without one
    config.write_text(json.dumps({"model_list": [model], "general_settings": {"master_key": key}}))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bench.say(f"{NAME}: starting LiteLLM's proxy")
    options = ("--config", str(config), "--host", "127.0.0.1", "--port", str(port))
    serving = silent_program(
        [command, *options, "--num_workers", "1"],
        bench.folder / "litellm-proxy",
        port,
        120.0,
        LITELLM_LOCAL_MODEL_COST_MAP="True",
    )
    try:
        server = stack.enter_context(serving)
        return Way(server.port, psutil.Process(server.process.pid), key, asks=30)
    except (OSError, RuntimeError) as error:
        bench.say(f"{NAME}: no LiteLLM here, its rows are left out: {error}")
        return None
