"""The library of the console with 10,000 pictures: its first page, and those that follow."""

from __future__ import annotations

import html
import re
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.photos import make_photos
from benchmarks.processes import ocelli_serve
from benchmarks.report import Bench, Row, Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import requests

NAME = "console"
AIM = Target(60, "at most", of="value")
SIZE_AIM = Target(60, "at most", of="value")
_NEXT = re.compile(r'rel="next" href="([^"]+)"')
_FILTERS = {
    "a search": "search=a",
    "a search of descriptions": "search=a&mode=metadata",
    "a state": "state=described",
    "a failure": "state=failed",
    "a confidence": "confidence=high",
}

# What differs in the copies of the picture that was described, by table, and the table's column of
# the picture's id.
_COPIED = {
    "images": (
        "id",
        "'id', c.id, 'filename', 'copy ' || c.n || '.jpg', 'object_key', 'bench/' || c.n,"
        " 'created_at', old.created_at - make_interval(secs => c.n)",
    ),
    "analyses": ("image_id", "'id', gen_random_uuid(), 'image_id', c.id"),
    "library": (
        "image_id",
        "'image_id', c.id, 'name', 'copy ' || c.n,"
        " 'created_at', old.created_at - make_interval(secs => c.n)",
    ),
}


def run(bench: Bench) -> Iterator[Row]:
    """One page after the other; times are those of a client on the same machine."""
    import requests

    count, rounds = (2_000, 20) if bench.quick else (10_000, 100)
    bench.say(f"{NAME}: starting ocelli serve")
    data = bench.folder / "console"
    with ocelli_serve(data, "--workers", "1") as server:
        url = f"http://127.0.0.1:{server.port}"
        bench.say(f"{NAME}: making {count:,} pictures")
        photo = make_photos(bench.folder / "console-photos", 1)[0].read_bytes()
        _fill(url, server.key, data, photo, count)
        http = requests.Session()
        http.post(f"{url}/console/sign-in", data={"key": server.key}, timeout=60)
        first, size = _first_pages(http, url, "", rounds)
        following = _following_pages(http, url, rounds)
        filtered = {
            what: _first_pages(http, url, query, rounds // 4)[0] for what, query in _FILTERS.items()
        }
    yield Row(NAME, f"first page of {count:,}, p95", _p95(first), "ms", target=AIM)
    yield Row(NAME, f"next pages of {count:,}, p95", _p95(following), "ms", target=AIM)
    for what, times in filtered.items():
        yield Row(NAME, f"first page with {what}, p95", _p95(times), "ms", target=AIM)
    yield Row(NAME, "largest page", size / 1000, "KB", target=SIZE_AIM)


def _fill(url: str, key: str, data: Path, photo: bytes, count: int) -> None:
    import psycopg
    import requests

    from ocelli.storage.embedded import EmbeddedPostgres

    headers = {"Authorization": f"Bearer {key}"}
    api = f"{url}/api/v2"
    sent = requests.post(
        f"{api}/user-files/upload/stream",
        headers=headers,
        files={"file": ("photo.jpg", photo)},
        timeout=60,
    ).json()["image_id"]
    while not _is_described(f"{api}/uploads/status/{sent}", headers):
        pass
    with psycopg.connect(EmbeddedPostgres(data / "postgres").dsn, autocommit=True) as db:
        db.execute(
            "CREATE TEMPORARY TABLE copies AS SELECT gen_random_uuid() AS id, n"
            f" FROM generate_series(1, {count - 1}) AS n"
        )
        for table, (column, changes) in _COPIED.items():
            found = db.execute(
                "SELECT string_agg(column_name, ', ') FROM information_schema.columns"
                " WHERE table_name = %s AND is_generated = 'NEVER'",
                (table,),
            ).fetchone()
            columns = found[0] if found else ""
            db.execute(
                f"INSERT INTO {table} ({columns}) SELECT {columns} FROM (SELECT"
                f" (jsonb_populate_record(old, jsonb_build_object({changes}))).*"
                f" FROM {table} old, copies c WHERE old.{column} = %s) AS copied".encode(),
                (sent,),
            )
            db.execute(f"ANALYZE {table}".encode())


def _is_described(address: str, headers: dict[str, str]) -> bool:
    import time

    import requests

    time.sleep(0.2)
    return bool(requests.get(address, headers=headers, timeout=60).json()["is_terminal"])


def _first_pages(
    http: requests.Session, url: str, query: str, rounds: int
) -> tuple[list[float], int]:
    times, largest = [], 0
    for _ in range(rounds):
        seconds, text = _timed(http, f"{url}/console/library?{query}")
        times.append(seconds)
        largest = max(largest, len(text.encode()))
    return times, largest


def _following_pages(http: requests.Session, url: str, rounds: int) -> list[float]:
    times: list[float] = []
    address = "/console/library"
    while len(times) < rounds:
        seconds, text = _timed(http, url + address)
        if address != "/console/library":
            times.append(seconds)
        found = _NEXT.search(text)
        address = html.unescape(found[1]) if found else "/console/library"
    return times


def _timed(http: requests.Session, address: str) -> tuple[float, str]:
    started = perf_counter()
    answer = http.get(address, timeout=60)
    seconds = perf_counter() - started
    answer.raise_for_status()
    return seconds, answer.text


def _p95(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)] * 1000
