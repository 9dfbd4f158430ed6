"""A session of ten thousand pictures: does the last one cost more than that of a small session?"""

from __future__ import annotations

import io
import json
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from benchmarks.processes import ocelli_serve
from benchmarks.report import Bench, Row, Target
from benchmarks.traffic import BOUNDARY, Connection

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "sessions"
PATH = "/api/v2/user-files/upload/stream-batch"
SMALL, BATCH, SIDE = 100, 50, 24
TARGET = Target(1.15, "at most")


def run(bench: Bench) -> Iterator[Row]:
    """Small sessions before the large one and after it: the tables have grown meanwhile."""
    large, around = (2_000, 5) if bench.quick else (10_000, 10)
    bench.say(f"{NAME}: starting ocelli serve")
    with (
        ocelli_serve(bench.folder / "sessions", "--workers", "1") as server,
        server.workers_suspended(),
        Connection(server.port, server.key) as client,
    ):
        chance = np.random.default_rng(7)
        _session(client, chance, SMALL)  # warms up
        small = [_session(client, chance, SMALL) for _ in range(around)]
        bench.say(f"{NAME}: one of {large:,} pictures")
        batches = _session(client, chance, large)
        bench.say(f"{NAME}: small ones again")
        small += [_session(client, chance, SMALL) for _ in range(around)]
    each = [sum(times) / SMALL * 1000 for times in small]
    what = f"a picture of a session of {large:,}, not described"
    yield Row(
        NAME,
        what,
        sum(batches) / large * 1000,
        "ms",
        median(each),
        f"of sessions of {SMALL}",
        TARGET,
        by_clock=True,
    )
    tenth = len(batches) // 10
    yield Row(
        NAME,
        f"{what}: its last tenth",
        median(batches[-tenth:]) / BATCH * 1000,
        "ms",
        median(batches[:tenth]) / BATCH * 1000,
        "its first tenth",
        by_clock=True,
    )


def _session(client: Connection, chance: np.random.Generator, count: int) -> list[float]:
    """Seconds of each of its requests. RuntimeError if its counters are not exact after any."""
    id, seconds = "", []
    for sent in range(BATCH, count + 1, BATCH):
        answer = client.post_form(PATH, _form(chance, id)).good()
        seconds.append(answer.seconds)
        id = json.loads(answer.body)["session_id"]
        status = json.loads(client.get(f"/api/v2/uploads/sessions/{id}/status").good().body)
        if (status["total_files"], status["completed_files"]) != (sent, sent):
            raise RuntimeError(f"{sent} were sent: {status}")
    return seconds


def _form(chance: np.random.Generator, session: str) -> bytes:
    fields = {"auto_describe": "false"} | ({"session_id": session} if session else {})
    parts = [
        f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()
        for name, value in fields.items()
    ]
    for number in range(BATCH):
        file = io.BytesIO()
        pixels = chance.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file, "PNG")
        head = f'Content-Disposition: form-data; name="files"; filename="{number}.png"\r\n\r\n'
        parts.append(head.encode() + file.getvalue())
    boundary = f"--{BOUNDARY}".encode()
    return b"".join(boundary + b"\r\n" + part + b"\r\n" for part in parts) + boundary + b"--\r\n"
