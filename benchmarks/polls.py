"""A thousand clients that poll one session, against a bare endpoint on the same HTTP server."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING, Self

from benchmarks import crowd
from benchmarks.photos import make_photos
from benchmarks.processes import bare_server, new_key, ocelli_serve
from benchmarks.report import Bench, Row
from benchmarks.traffic import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.processes import Server

NAME = "polls"
POLLERS = 1_000
PAUSE = 1.0
UNBOUND = json.dumps({"enterprise": {"requests_per_minute": 100_000_000}})


@dataclass
class Rounds:
    """Of each round: the 50th and the 99th percentile in ms, and answers a second of a flood."""

    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    flood: list[float] = field(default_factory=list)

    def __iadd__(self, times: tuple[Sequence[float], float]) -> Self:
        polled, flood = sorted(times[0]), times[1]
        self.p50.append(polled[len(polled) // 2] * 1000)
        self.p99.append(polled[int(len(polled) * 0.99)] * 1000)
        self.flood.append(flood)
        return self


def run(bench: Bench) -> Iterator[Row]:
    """Rounds of: the bare endpoint, ours; each polled by a crowd, then asked as fast as it can."""
    rounds, seconds = (3, 3.0) if bench.quick else (6, 6.0)
    photos = make_photos(bench.folder / "polls-photos", 6)
    bare_times, ours = Rounds(), Rounds()
    bench.say(f"{NAME}: starting ocelli serve")
    with (
        ocelli_serve(bench.folder / "polls", "--workers", "1", OCELLI_TIERS=UNBOUND) as owners,
        bare_server(bench.folder / "polls-bare") as bare,
    ):
        server = replace(owners, key=new_key(bench.folder / "polls", "crowd"))
        path = f"/api/v2/uploads/sessions/{_session(server, photos)}/status"
        for number in range(1, rounds + 1):
            bench.say(f"{NAME}: round {number} of {rounds}")
            bare_times += asyncio.run(_round(bare, "/", seconds))
            ours += asyncio.run(_round(server, path, seconds))
    what = f"poll of a session, {POLLERS:,} clients once a second"
    against = "bare endpoint, likewise"
    yield Row.of_rounds(NAME, f"{what}, p99", ours.p99, "ms", bare_times.p99, against)
    yield Row.of_rounds(NAME, f"{what}, p50", ours.p50, "ms", bare_times.p50, against)
    yield Row(
        NAME,
        f"poll of a session, {POLLERS:,} clients without a pause",
        median(ours.flood),
        "answers/s",
        median(bare_times.flood),
        against,
        by_clock=True,
    )


async def _round(server: Server, path: str, seconds: float) -> tuple[list[float], float]:
    polled = await crowd.ask(
        server.port, path, server.key, clients=POLLERS, pause=PAUSE, seconds=seconds
    )
    flood = await crowd.ask(
        server.port, path, server.key, clients=POLLERS, pause=0.0, seconds=seconds / 2
    )
    return polled.seconds, len(flood.seconds) / (seconds / 2 + POLLERS / 2000)


def _session(server: Server, photos: Sequence[Path]) -> str:
    """A session of these pictures, one of them after the other; its id."""
    id = ""
    with Connection(server.port, server.key) as connection:
        for photo in photos:
            more = {"session_id": id} if id else {}
            answer = connection.upload(
                "/api/v2/user-files/upload/stream-batch",
                photo,
                "files",
                auto_describe="false",
                **more,
            )
            if answer.status != 200:
                raise RuntimeError(f"{answer.status} {answer.body[:300]!r}")
            id = str(json.loads(answer.body)["session_id"])
    return id
