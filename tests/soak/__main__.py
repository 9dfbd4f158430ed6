"""A server under a steady load on every surface, broken again and again: ``python -m tests.soak``.

In the end all that was accepted must be there, once, as it was sent, and told; and nothing may grow
that the load does not explain. It takes two hours, so it is no part of ``make test``. In the last
quarter nothing is broken, so that what grows is seen in processes that live long.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from benchmarks.photos import make_photos

from aion import SyncAionVision
from ocelli.cli.demo import sample_photos
from tests.chat.upstream import running
from tests.conftest import first_start, reachable
from tests.crash_matrix import CREDITS, TIERS
from tests.integration.test_main_job import API
from tests.integration.test_webhooks import Receiver
from tests.soak.account import TENANT, problems
from tests.soak.disturbances import Disturber, disk
from tests.soak.ledger import Ledger
from tests.soak.load import Load, pictures_on_loopback
from tests.soak.measures import Measures, errors, growth, latencies
from tests.waiting import until

WORKERS = ("--workers", "2")
DISK = 6 * 1024  # MB
CALM = 0.25  # of the time, at the end
SETTLES = 1800.0

# What may grow, per hour, of one process that is warm; where there are enough minutes of it.
MOST = {"mb": 60.0, "files": 20.0, "threads": 10.0}
ENOUGH = 10.0
SLOWER = 3.0
"""The second half's median over the first half's; below 50 ms it is no more than noise."""


def main() -> None:
    """Print what happened; exit code 1 if anything was lost, double or wrong, or grew too much."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--every", type=float, default=120.0, help="seconds between disturbances")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds, of each of two clients")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="default: a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, ExitStack() as stack:
        found = list(_soak(reachable(Path(folder)), options, stack))
    print(f"\n{len(found)} problems", *found, sep="\n- ")
    raise SystemExit(bool(found))


def _soak(folder: Path, options: argparse.Namespace, stack: ExitStack) -> Iterator[str]:
    chance = random.Random(options.seed)
    photos = [path.read_bytes() for path in make_photos(folder / "photos", 12)]
    (folder / "site").mkdir()
    for number, photo in enumerate(photos):
        (folder / "site" / f"{number}.jpg").write_bytes(photo)
    site = stack.enter_context(pictures_on_loopback(folder / "site"))
    upstream = stack.enter_context(running({path.stem: path for path in sample_photos()}))
    receiver = Receiver()
    receiver.upstream.start()
    stack.callback(receiver.upstream.stop)
    volume = stack.enter_context(disk(folder, DISK))
    environment = {
        "OCELLI_TIERS": json.dumps(TIERS),
        "OCELLI_LOG_LEVEL": "warning",
        "OCELLI_FETCH_ALLOW": "127.0.0.0/8",
        "OCELLI_FREE_DISK_MB": str(volume.mark),
        "OCELLI_BACKENDS": json.dumps({"fake": {**upstream.model("good"), "sight_test": False}}),
        "OCELLI_DEFAULT_BACKEND": "ocelli-local",
    }
    server = first_start(volume.folder / "data", *WORKERS, **environment)
    stack.callback(server.stop)
    key = server.new_key(TENANT, "--tier", "professional", "--credits", str(CREDITS))
    relay_key = server.new_key("relay", "--tier", "professional")
    ledger = Ledger()
    measures = Measures(server, ledger)
    load = Load(server, ledger, photos, site, receiver.url, key, relay_key, "fake", chance)
    with SyncAionVision(key, base_url=f"{server.url}{API}") as client:
        secret = client.webhooks.create(receiver.url).secret
    disturber = Disturber(server, volume, ledger, chance, WORKERS, environment)
    end = 60 * options.minutes

    def look() -> None:
        load.waiting, events = measures.waiting()
        upstream.asked.clear()
        if chance.random() < 0.2:
            receiver.answers.append(503)  # tried again
        print(
            f"{ledger.now() / 60:5.1f} min: {len(ledger.asked)} requests,"
            f" {len(ledger.pictures)} pictures sent, {load.waiting} waiting, {events} to tell,"
            f" {sum(each.error is not None for each in ledger.asked)} errors",
            flush=True,
        )

    ended = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        looking = pool.submit(measures.run, ended, look)
        clients = [pool.submit(load.run, end, options.pause) for _ in range(2)]
        try:
            disturber.run(end * (1 - CALM), options.every)
            for each in clients:
                each.result()
            receiver.answers.clear()
            until(lambda: measures.waiting() == (0, 0), within=SETTLES, every=1.0)
        finally:
            ended.set()
        looking.result()
    measures.look_at_stores()
    print("\n--- the account")
    yield from problems(load, measures, receiver.received, secret)
    yield from _growth(measures)
    yield from _errors(ledger)
    yield from _latencies(ledger, end / 2)
    print("\ndisturbances:", dict(Counter(kind for kind, _, _ in ledger.windows)))
    print("supervisors that ended by themselves and were started again:", dict(ledger.restarts))


def _growth(measures: Measures) -> Iterator[str]:
    print("\n| process | lives | warm minutes | MB | MB/h | files/h | threads/h |")
    print("|---|---|---|---|---|---|---|")
    for each in growth(measures.samples):
        slopes = [_signed(each.per_hour[name]) for name in MOST]
        print(
            f"| {each.role} | {each.lives} | {each.minutes:.0f} | {each.mb[0]:.0f} to"
            f" {each.mb[1]:.0f} | {' | '.join(slopes)} |"
        )
        for name, most in MOST.items():
            value = each.per_hour[name]
            if value is not None and value > most and each.minutes >= ENOUGH:
                yield f"{each.role}: {name} grow by {value:.1f} per hour, more than {most:g}"
    (first_at, first, first_disk), (last_at, last, last_disk) = (
        measures.stores[0],
        measures.stores[-1],
    )
    hours = (last_at - first_at) / 3600
    print("\n| table | rows | KB | rows/h | KB/h |\n|---|---|---|---|---|")
    rows = sorted(last.items(), key=lambda item: -item[1][1])
    for name, (count, size) in rows[:20]:
        before = first.get(name, (0, 0))
        print(
            f"| {name} | {count} | {size / 1024:.0f} | {(count - before[0]) / hours:+.0f}"
            f" | {(size - before[1]) / 1024 / hours:+.0f} |"
        )
    per_hour = (last_disk - first_disk) / hours
    print(f"\ndisk: {first_disk:.0f} to {last_disk:.0f} MB, {per_hour:+.0f} MB/h")


def _errors(ledger: Ledger) -> Iterator[str]:
    print("\n| error | during disturbances | else |\n|---|---|---|")
    found = errors(ledger)
    for kind in sorted({kind for kind, _ in found}):
        print(f"| {kind} | {found[kind, True]} | {found[kind, False]} |")
    for each in ledger.asked:
        if each.error is not None and not ledger.is_disturbed(each):
            yield f"{each.surface} at {each.at / 60:.1f} min, undisturbed: {each.error}"


def _latencies(ledger: Ledger, half: float) -> Iterator[str]:
    print("\n| surface | answers | p50 ms, first and second half | p95 ms |\n|---|---|---|---|")
    for each in latencies(ledger, half):
        print(
            f"| {each.surface} | {each.answers} | {each.p50[0]:.0f}, {each.p50[1]:.0f}"
            f" | {each.p95[0]:.0f}, {each.p95[1]:.0f} |"
        )
        if each.p50[1] > SLOWER * max(50.0, each.p50[0]):
            yield f"{each.surface}: the median grew from {each.p50[0]:.0f} to {each.p50[1]:.0f} ms"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1f}"


if __name__ == "__main__":
    main()
