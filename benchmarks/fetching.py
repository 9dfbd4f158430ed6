"""``/api/fetch``: polls, what waiting costs, big bodies beside small requests, taking turns."""

from __future__ import annotations

import asyncio
import base64
import functools
import http.server
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import psycopg
from PIL import Image

from benchmarks import crowd
from benchmarks.photos import make_photos
from benchmarks.processes import MemoryPeak, bare_server, new_key, ocelli_serve
from benchmarks.report import Bench, Row, Target
from benchmarks.traffic import Connection
from ocelli.storage.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.processes import Server

NAME = "fetch"
PATH = "/api/fetch"
POLLERS, PAUSE = 500, 1.0
REQUESTS, PICTURES = 12, 10
MEGABYTE = 1024 * 1024


def run(bench: Bench) -> Iterator[Row]:
    """One server for all; it may go to loopback, where the pictures are."""
    folder = bench.folder / "fetch"
    options = ("--workers", str(bench.workers))
    bench.say(f"{NAME}: starting ocelli serve")
    with (
        _site(bench.folder / "fetch-site", 8 if bench.quick else 24) as urls,
        ocelli_serve(folder, *options, OCELLI_FETCH_ALLOW="127.0.0.0/8") as server,
        bare_server(bench.folder / "fetch-bare") as bare,
    ):
        yield from _waiting(server, folder, urls)
        yield from _polls(bench, server, bare, urls)
        yield from _big_bodies(bench, server, bare)
        yield from _turns(bench, server, new_key(folder, "stranger"), folder)


def _waiting(server: Server, folder: Path, urls: Sequence[str]) -> Iterator[Row]:
    """A picture that is fetched, analysed and waited for, without what the analysis takes."""
    whole, beyond = [], []
    with (
        Connection(server.port, server.key) as client,
        psycopg.connect(EmbeddedPostgres(folder / "postgres").dsn, autocommit=True) as database,
    ):
        for url in urls:
            answer = client.post(PATH, json.dumps({"url": url}).encode()).good()
            id = json.loads(answer.body)["request_id"]
            row = database.execute(
                "SELECT processing_ms FROM analyses WHERE request_id = %s", (id,)
            ).fetchone()
            assert row is not None
            whole.append(answer.seconds * 1000)
            beyond.append(answer.seconds * 1000 - row[0])
    yield Row(
        NAME,
        "one picture by URL, beyond its analysis, p50",
        median(beyond[2:]),
        "ms",
        median(whole[2:]),
        "the whole request",
        Target(30, "at most", "value"),
        by_clock=True,
    )


def _polls(bench: Bench, server: Server, bare: Server, urls: Sequence[str]) -> Iterator[Row]:
    def asked(url: str | Sequence[str]) -> str:
        with Connection(server.port, server.key) as client:
            answer = client.post(PATH, json.dumps({"url": url}).encode()).good()
        return str(json.loads(answer.body)["request_id"])

    aim = Target(2.0, "at most")
    yield _polled(bench, server, bare, asked(urls[0]), "finished request", aim)
    with server.workers_suspended():
        yield _polled(bench, server, bare, asked(urls[:2]), "request under way", aim)


def _polled(bench: Bench, server: Server, bare: Server, id: str, what: str, target: Target) -> Row:
    ours: list[float] = []
    base: list[float] = []
    seconds = 3.0 if bench.quick else 6.0
    for number in range(3 if bench.quick else 6):
        bench.say(f"{NAME}: polls of a {what}, round {number + 1}")
        for times, asked_of, path in ((base, bare, "/"), (ours, server, f"/api/response/{id}")):
            asked = asyncio.run(
                crowd.ask(
                    asked_of.port, path, asked_of.key, clients=POLLERS, pause=PAUSE, seconds=seconds
                )
            )
            times.append(median(asked.seconds) * 1000)
    return Row.of_rounds(
        NAME,
        f"poll of a {what}, {POLLERS} a second, p50",
        ours,
        "ms",
        base,
        "bare endpoint, likewise",
        target,
    )


def _big_bodies(bench: Bench, server: Server, bare: Server) -> Iterator[Row]:
    """Ten files of 20 MB in one body; somebody else asks for something small meanwhile.

    In turns with a sink that only hashes and writes the same body.
    """
    noise = np.random.default_rng(1).bytes(20 * MEGABYTE - 1024)
    file = base64.b64encode(b"\xff\xd8\xff" + noise).decode()
    body = json.dumps({"file": [file] * (3 if bench.quick else 10)}).encode()
    bench.say(f"{NAME}: a body of {len(body) // MEGABYTE} MB")
    idle = _asked_meanwhile(server, "/api/credits", lambda: time.sleep(3.0))
    ours: list[list[float]] = []
    beside: list[list[float]] = []
    grown = 0.0
    with server.workers_suspended():
        for _ in range(3):
            beside.append(_asked_meanwhile(bare, "/", lambda: _send(bare, "/sink", body)))
            with MemoryPeak(server.child("api")) as memory:
                ours.append(
                    _asked_meanwhile(server, "/api/credits", lambda: _send(server, PATH, body))
                )
            grown = max(grown, memory.peak - memory.before)
    yield Row(
        NAME,
        f"memory of the API over a body of {len(body) // MEGABYTE} MB",
        grown,
        "MB",
        len(body) / MEGABYTE,
        "the body",
        Target(3.0, "at most"),
    )
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        times = [sorted(each)[int(len(each) * share)] for each in ours]
        base = [sorted(each)[int(len(each) * share)] for each in beside]
        what = f"somebody else's request during that body, {name}"
        against = "beside a sink that hashes and writes it"
        aim = Target(2.0, "at most") if name == "p99" else None
        yield Row.of_rounds(NAME, what, times, "ms", base, against, aim)
        yield Row(
            NAME,
            what,
            median(times),
            "ms",
            sorted(idle)[int(len(idle) * share)],
            "before it",
            by_clock=True,
        )


def _send(server: Server, path: str, body: bytes) -> None:
    with Connection(server.port, server.key) as client:
        client.post(path, body).good()


def _asked_meanwhile(server: Server, path: str, work: Callable[[], None]) -> list[float]:
    """Milliseconds of every answer that somebody got while ``work`` was done."""
    times: list[float] = []
    done = threading.Event()

    def ask() -> None:
        with Connection(server.port, server.key) as client:
            while not done.is_set():
                times.append(client.get(path).good().seconds * 1000)
                time.sleep(0.002)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            work()
        finally:
            done.set()
        asking.result()
    return times


def _turns(bench: Bench, server: Server, stranger: str, folder: Path) -> Iterator[Row]:
    """Twelve requests of ten pictures at once, and then one picture of another client."""
    count = 4 if bench.quick else PICTURES
    pictures = [
        base64.b64encode(path.read_bytes()).decode()
        for path in make_photos(bench.folder / "fetch-photos", REQUESTS * count + 1)
    ]
    bodies = [
        json.dumps({"file": pictures[i * count : (i + 1) * count]}).encode()
        for i in range(REQUESTS)
    ]
    bench.say(f"{NAME}: {REQUESTS} requests of {count} pictures")
    with psycopg.connect(EmbeddedPostgres(folder / "postgres").dsn, autocommit=True) as database:
        database.execute("UPDATE tenants SET credits = 100 WHERE name = 'stranger'")

    def ask(body: bytes, key: str) -> tuple[float, int]:
        with Connection(server.port, key) as client:
            id = json.loads(client.post(PATH, body).good().body)["request_id"]
            while True:
                answer = json.loads(client.get(f"/api/response/{id}").good().body)
                if answer["status"] in ("completed", "failed"):
                    return time.monotonic() - started, len(answer["all"]["assets"])
                time.sleep(0.1)

    with ThreadPoolExecutor(REQUESTS + 1) as pool:
        started = time.monotonic()
        running = [pool.submit(ask, body, server.key) for body in bodies]
        time.sleep(1.0)
        alone, _ = pool.submit(ask, json.dumps({"file": pictures[-1]}).encode(), stranger).result()
        results = [each.result() for each in running]
    if sum(answered for _, answered in results) != REQUESTS * count:
        raise RuntimeError(f"not all pictures were answered: {results}")
    ends = sorted(seconds for seconds, _ in results)
    bench.say(f"{NAME}: they ended after {', '.join(f'{end:.1f}' for end in ends)} s")
    what = f"{REQUESTS} requests of {count} pictures at once"
    yield Row(NAME, f"{what}: the first to end", ends[0], "s", ends[-1], "the last")
    yield Row(
        NAME,
        f"{what}: somebody else's picture meanwhile",
        alone - 1.0,
        "s",
        ends[-1],
        "the last of the twelve",
        Target(0.25, "at most"),
    )


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def _site(folder: Path, count: int) -> Iterator[list[str]]:
    """Pictures on loopback, each of its own: known ones are answered from memory."""
    folder.mkdir(parents=True)
    for number, path in enumerate(make_photos(folder / "made", count)):
        picture = Image.open(path).convert("RGB")
        file = io.BytesIO()
        picture.save(file, "PNG")
        (folder / f"{number}.png").write_bytes(file.getvalue())
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield [f"http://127.0.0.1:{server.server_port}/{number}.png" for number in range(count)]
        server.shutdown()
