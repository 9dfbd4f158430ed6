"""Kills with -9 while pictures come in on every road: ``python -m tests.crash_matrix``.

A worker, the API, Postgres or the supervisor is killed after each twentieth of the pictures. In the
end every picture that was accepted is described once, and every meter says what the rows say. It
takes a quarter of an hour, so it is no part of ``make test``.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import requests
from psycopg.rows import dict_row

from ocelli.storage.embedded import EmbeddedPostgres
from tests.conftest import Server, first_start, reachable
from tests.integration.test_crashes import children
from tests.integration.test_main_job import API, noise
from tests.waiting import until

VICTIMS = ("worker", "api", "postgres", "supervisor")
CREDITS = 1_000_000
TIERS = {
    "professional": {
        "requests_per_minute": 1_000_000,
        "concurrent_uploads": 1_000,
        "monthly_descriptions": 1_000_000,
    }
}
ANSWERED = 120.0

# Per tenant: what the meters say, and what the rows say.
METERS = """
SELECT tenants.name, coalesce(month.uploads, 0) AS uploads, pictures.number AS pictures,
    coalesce(month.descriptions, 0) AS descriptions, asked.metered, coalesce(month.credits, 0)
    AS credits, asked.looks, tenants.storage_bytes AS stored, pictures.bytes AS bytes,
    asked.unfinished, asked.failed, asked.twice
FROM tenants LEFT JOIN usage_months AS month ON month.tenant_id = tenants.id,
LATERAL (SELECT count(*) AS number, coalesce(sum(size_bytes), 0)::bigint AS bytes FROM images
    WHERE tenant_id = tenants.id) AS pictures,
LATERAL (SELECT count(*) FILTER (WHERE status = 'completed' AND NOT paid) AS metered,
    coalesce(sum(looks) FILTER (WHERE status = 'completed' AND NOT paid), 0)::bigint AS looks,
    count(*) FILTER (WHERE status IN ('queued', 'processing')) AS unfinished,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    count(image_id) - count(DISTINCT image_id) AS twice
    FROM (SELECT *, EXISTS (SELECT FROM requests WHERE requests.id = request_id) AS paid
        FROM analyses WHERE tenant_id = tenants.id) AS of_tenant) AS asked
WHERE tenants.name = ANY(%s) ORDER BY tenants.name
"""
BALANCE = """
SELECT tenants.credits AS left, coalesce(sum(requests.paid), 0)::bigint AS paid,
    count(*) FILTER (WHERE requests.completed_at IS NULL AND requests.id IS NOT NULL) AS unfinished
FROM tenants LEFT JOIN requests ON requests.tenant_id = tenants.id
WHERE tenants.name = %s GROUP BY tenants.id
"""


@dataclass
class Run:
    """A server that is killed in parts, and what it has accepted."""

    server: Server
    keys: dict[str, str]
    accepted: dict[str, list[str]] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def post(self, road: str, path: str, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.keys[road]}"}
        answer = requests.post(
            f"{self.server.url}{path}", headers=headers, timeout=ANSWERED, **options
        )
        answer.raise_for_status()
        return answer.json()

    def get(self, road: str, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.keys[road]}"}
        answer = requests.get(f"{self.server.url}{path}", headers=headers, timeout=ANSWERED)
        answer.raise_for_status()
        return answer.json()

    @property
    def number(self) -> int:
        return sum(map(len, self.accepted.values()))

    def send(self, number: int) -> None:
        """One picture on its road. An answer that does not come leaves open what was done."""
        road = list(ROADS)[number % len(ROADS)]
        try:
            id = ROADS[road](self, noise(10_000 + number))
        except requests.RequestException:
            with self.lock:
                self.unknown[road] += 1
            time.sleep(0.5)
        else:
            with self.lock:
                self.accepted.setdefault(road, []).append(id)


def stream(run: Run, data: bytes) -> str:
    path = f"{API}/user-files/upload/stream"
    fields = {"verification_level": "quick"}
    return str(run.post("stream", path, files={"file": ("a.png", data)}, data=fields)["image_id"])


def presigned(run: Run, data: bytes) -> str:
    wanted = {"filename": "a.png", "content_type": "image/png", "size_bytes": len(data)}
    reserved = run.post(
        "presigned", f"{API}/uploads/request-presigned-url", json={**wanted, **QUICK}
    )
    requests.put(reserved["upload_url"], data=data, timeout=ANSWERED).raise_for_status()
    sent = {"object_key": reserved["object_key"], "size_bytes": len(data)}
    return str(run.post("presigned", f"{API}/uploads/confirm", json=sent)["upload_id"])


def describe(run: Run, data: bytes) -> str:
    image = {"image_base64": base64.b64encode(data).decode(), **QUICK}
    answer = run.post("describe", f"{API}/describe", json=image)
    assert answer["description"]
    return "answered"


def fetch(run: Run, data: bytes) -> str:
    """Two files, so that the answer is polled for."""
    files = [base64.b64encode(data).decode()] * 2
    return str(run.post("fetch", "/api/fetch", json={"file": files})["request_id"])


def chat(run: Run, data: bytes) -> str:
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    content = [{"type": "image_url", "image_url": {"url": url}}]
    body = {"model": "ocelli-local", "messages": [{"role": "user", "content": content}]}
    answer = run.post("chat", "/v1/chat/completions", json=body)
    assert answer["choices"][0]["message"]["content"]
    return "answered"


QUICK = {"verification_level": "quick"}
ROADS: dict[str, Callable[[Run, bytes], str]] = {
    each.__name__: each for each in (stream, presigned, describe, fetch, chat)
}


def kill(run: Run, victim: str) -> None:
    """Some process of that kind; the supervisor is started again by us, as by an init system."""
    if victim == "supervisor":
        run.server.process.kill()
        run.server.process.wait()
        port = run.server.url.rpartition(":")[2]
        assert run.server.process.stdout is not None
        run.server.process.stdout.close()
        run.server.process = started(run.server.data, "--port", port).process
    else:
        words = {"worker": "child worker", "api": "child api", "postgres": "bin/postgres"}
        alive: list[psutil.Process] = until(lambda: children(run.server, words[victim]))
        random.choice(alive).kill()
    run.kills[victim] += 1


def started(data: Path, *options: str) -> Server:
    return first_start(data, *options, OCELLI_TIERS=json.dumps(TIERS), OCELLI_LOG_LEVEL="warning")


def feed(run: Run, pictures: int, kills: int) -> None:
    """Eight clients until so many are accepted; a kill after each share."""
    numbers = iter(range(100 * pictures))
    victims = [VICTIMS[number % len(VICTIMS)] for number in range(kills)]
    random.shuffle(victims)

    def client(_: int) -> None:
        while run.number < pictures:
            with run.lock:
                number = next(numbers)
            run.send(number)

    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(client, number) for number in range(8)]
        for number, victim in enumerate(victims, 1):
            share = number * pictures // (kills + 1)
            until(lambda share=share: run.number >= share, within=1800, every=0.1)  # type: ignore[misc]
            print(f"{run.number:5} accepted: kill {victim}", flush=True)
            kill(run, victim)
        for each in clients:
            each.result()


def settle(run: Run) -> None:
    """Until nothing is left to do."""

    def unfinished() -> int:
        with database(run) as connection:
            rows = connection.execute(METERS, (list(ROADS),)).fetchall()
            balance = connection.execute(BALANCE, ("fetch",)).fetchone()
        assert balance is not None
        return int(sum(row["unfinished"] for row in rows) + balance["unfinished"])

    until(lambda: unfinished() == 0, within=1800, every=1.0)


def database(run: Run) -> psycopg.Connection[dict[str, Any]]:
    dsn = EmbeddedPostgres(run.server.data / "postgres").dsn
    return psycopg.connect(dsn, row_factory=dict_row)


def problems(run: Run) -> Iterator[str]:
    """What is lost, double or wrong."""
    with database(run) as connection:
        rows = connection.execute(METERS, (list(ROADS),)).fetchall()
        balance = connection.execute(BALANCE, ("fetch",)).fetchone()
    assert balance is not None
    for row in rows:
        print(" ".join(f"{name}={value}" for name, value in row.items()))
        for meter, truth in (
            ("uploads", "pictures"),
            ("descriptions", "metered"),
            ("credits", "looks"),
            ("stored", "bytes"),
        ):
            if row[meter] != row[truth]:
                yield f"{row['name']}: {meter} {row[meter]}, {truth} {row[truth]}"
        if row["failed"] or row["twice"]:
            yield f"{row['name']}: {row['failed']} failed, {row['twice']} described twice"
    print(" ".join(f"{name}={value}" for name, value in balance.items()))
    if balance["left"] + balance["paid"] != CREDITS:
        yield f"credits: {balance['left']} left, {balance['paid']} paid"
    for road in ("stream", "presigned"):
        for id in run.accepted.get(road, []):
            file = run.get(road, f"{API}/user-files/{id}")
            if file["description_status"] != "completed" or len(file["full_descriptions"]) != 1:
                yield f"{road} {id}: {file['description_status']}"
    for id in run.accepted.get("fetch", []):
        status = run.get("fetch", f"/api/response/{id}")["status"]
        if status != "completed":
            yield f"fetch {id}: {status}"


def main() -> None:
    """Print what happened; exit code 1 if anything was lost or counted wrongly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random.seed(options.seed)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        server = started(reachable(Path(folder)) / "data")
        keys = {
            road: server.new_key(road, "--tier", "professional", "--credits", str(CREDITS))
            for road in ROADS
        }
        run = Run(server, keys)
        try:
            feed(run, options.pictures, options.kills)
            settle(run)
            found = list(problems(run))
        finally:
            run.server.stop()
    print(f"accepted {run.number}: { {road: len(ids) for road, ids in run.accepted.items()} }")
    print(f"no answer: {dict(run.unknown)}; kills: {dict(run.kills)}")
    print(f"{time.monotonic() - begun:.0f} s; {len(found)} problems", *found, sep="\n")
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
