"""What grows: memory, files and threads of each process, rows, bytes, and the time of answers."""

from __future__ import annotations

import os
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, quantiles
from typing import Any

import psutil
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from ocelli.storage.embedded import EmbeddedPostgres
from tests.conftest import Server
from tests.soak.ledger import Ledger

MB = 1024 * 1024
HOUR = 3600.0
WARM, POSTGRES_WARM = 120.0, 600.0
"""Seconds that a process grows for: it loads its models and fills its pools. Those of Postgres keep
what they know of each table that they have met, and its files open.
"""

ROLES = {"child api": "api", "child worker": "worker", "bin/postgres": "postgres"}
WAITING = """
SELECT (SELECT count(*) FROM analyses WHERE status IN ('queued', 'processing'))
    + (SELECT count(*) FROM images WHERE variant_status IN ('pending', 'processing')
        AND deleted_at IS NULL)
    + (SELECT count(*) FROM requests WHERE completed_at IS NULL)
    + (SELECT count(*) FROM exports WHERE completed_at IS NULL) AS work,
    (SELECT count(*) FROM webhook_deliveries WHERE status = 'pending') AS deliveries
"""


@dataclass(frozen=True)
class Sample:
    """One look at one process: of Postgres all processes together, and what they do not share."""

    at: float
    role: str
    pid: int
    born: float
    mb: float
    files: int
    threads: int


@dataclass
class Measures:
    """Looks at the server now and then. ``stores``: when, rows and bytes of tables, disk in MB."""

    server: Server
    ledger: Ledger
    samples: list[Sample] = field(default_factory=list)
    stores: list[tuple[float, dict[str, tuple[int, int]], float]] = field(default_factory=list)

    def database(self) -> psycopg.Connection[dict[str, Any]]:
        dsn = EmbeddedPostgres(self.server.data / "postgres").dsn
        return psycopg.connect(
            dsn, row_factory=dict_row, autocommit=True, connect_timeout=5,
            options="-c statement_timeout=20000",
        )  # fmt: skip

    def waiting(self) -> tuple[int, int]:
        """Work that is not done, and events that are not told."""
        with self.database() as connection:
            row = connection.execute(WAITING).fetchone()
        assert row is not None
        return int(row["work"]), int(row["deliveries"])

    def look_at_processes(self) -> None:
        root = psutil.Process(self.server.process.pid)
        found: dict[tuple[str, int, float], list[psutil.Process]] = {
            ("supervisor", root.pid, root.create_time()): [root]
        }
        for child in root.children():
            words = " ".join(child.cmdline())
            role = next((role for word, role in ROLES.items() if word in words), None)
            if role:
                of_it = child.children(recursive=True) if role == "postgres" else []
                found[role, child.pid, child.create_time()] = [child, *of_it]
        for (role, pid, born), processes in found.items():
            with suppress(psutil.NoSuchProcess):
                memory = [
                    each.memory_full_info().uss if role == "postgres" else each.memory_info().rss
                    for each in processes
                ]
                files = sum(each.num_fds() for each in processes)
                threads = sum(each.num_threads() for each in processes)
                at = self.ledger.now()
                self.samples.append(Sample(at, role, pid, born, sum(memory) / MB, files, threads))

    def look_at_stores(self) -> None:
        """Exact counts: the tables of a soak are small."""
        with self.database() as connection:
            names = connection.execute(
                "SELECT relname AS name, pg_total_relation_size(relid) AS bytes"
                " FROM pg_stat_user_tables"
            ).fetchall()
            tables = {}
            for each in names:
                count = sql.SQL("SELECT count(*) AS n FROM {}").format(sql.Identifier(each["name"]))
                row = connection.execute(count).fetchone()
                tables[each["name"]] = (row["n"] if row else 0, each["bytes"])
        self.stores.append((self.ledger.now(), tables, size_of(self.server.data) / MB))

    def run(self, ended: threading.Event, also: Callable[[], None]) -> None:
        """Processes each 10 seconds, the database and ``also`` too; all tables each 3 minutes."""
        looks = 0
        while not ended.wait(10.0):
            with suppress(psutil.Error):
                self.look_at_processes()
            with suppress(psycopg.Error, OSError, ValueError):
                also()
                if looks % 18 == 0:
                    self.look_at_stores()
                looks += 1


def size_of(folder: Path) -> int:
    """Bytes on the disk of what is in it, as far as it stays."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(where) / name).stat().st_blocks * 512
    return total


def slope(series: Iterable[list[tuple[float, float]]]) -> float | None:
    """Per hour, by least squares over all series, each with a level of its own; None where there
    is too little of them.
    """
    above = below = 0.0
    for points in series:
        if len(points) < 2:
            continue
        middle, level = mean(at for at, _ in points), mean(value for _, value in points)
        above += sum((at - middle) * (value - level) for at, value in points)
        below += sum((at - middle) ** 2 for at, _ in points)
    return above / below * HOUR if below else None


@dataclass(frozen=True)
class Growth:
    """Of all processes of one role."""

    role: str
    lives: int
    minutes: float
    mb: tuple[float, float]
    per_hour: Mapping[str, float | None]


def growth(samples: Iterable[Sample]) -> Iterator[Growth]:
    """By role; processes count from when they are warm."""
    roles: defaultdict[str, defaultdict[tuple[int, float], list[Sample]]]
    roles = defaultdict(lambda: defaultdict(list))
    for each in samples:
        roles[each.role][each.pid, each.born].append(each)
    for role, lives in sorted(roles.items()):
        cold = POSTGRES_WARM if role == "postgres" else WARM
        warm = [[each for each in life if each.at > life[0].at + cold] for life in lives.values()]
        warm = [life for life in warm if len(life) > 1]
        memory = [each.mb for life in warm for each in life] or [0.0]
        yield Growth(
            role,
            len(lives),
            sum(life[-1].at - life[0].at for life in warm) / 60,
            (min(memory), max(memory)),
            {
                name: slope([(each.at, getattr(each, name)) for each in life] for life in warm)
                for name in ("mb", "files", "threads")
            },
        )


@dataclass(frozen=True)
class Latency:
    """Of one surface, undisturbed, in ms: the 50th and the 95th percentile of both halves."""

    surface: str
    answers: int
    p50: tuple[float, float]
    p95: tuple[float, float]


def latencies(ledger: Ledger, half: float) -> Iterator[Latency]:
    for surface in sorted({each.surface for each in ledger.asked}):
        good = [
            each
            for each in ledger.asked
            if each.surface == surface and each.error is None and not ledger.is_disturbed(each)
        ]
        halves = [
            [each.seconds * 1000 for each in good if (each.at < half) == first]
            for first in (True, False)
        ]
        if all(len(times) > 1 for times in halves):
            first, second = (quantiles(times, n=20, method="inclusive") for times in halves)
            yield Latency(surface, len(good), (first[9], second[9]), (first[18], second[18]))


def errors(ledger: Ledger) -> Counter[tuple[str, bool]]:
    """By kind, and whether a disturbance excuses it."""
    return Counter(
        (each.kind, ledger.is_disturbed(each)) for each in ledger.asked if each.error is not None
    )
