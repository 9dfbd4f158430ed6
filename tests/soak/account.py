"""At the end: all that was accepted has its end, is there once and as it was sent, and was told."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from tests.crash_matrix import BALANCE, CREDITS, METERS
from tests.integration.test_main_job import API
from tests.integration.test_webhooks import Received
from tests.soak.ledger import Picture, Refused
from tests.soak.load import Load
from tests.soak.measures import Measures

TENANT = "soak"
PICTURES = """
SELECT encode(sha256, 'hex') AS sha256, images.id::text AS id, deleted_at IS NULL AS is_there,
    variant_status, (SELECT array_agg(status) FROM analyses WHERE image_id = images.id) AS described
FROM images JOIN tenants ON tenants.id = tenant_id WHERE tenants.name = %s
"""
ENDED = {
    "session": ("SELECT id::text FROM sessions WHERE status <> 'completed'", "session.completed"),
    "batch": (
        "SELECT DISTINCT request_id::text AS id FROM analyses WHERE status <> 'completed'"
        " AND request_id IN (SELECT id FROM batches)",
        "batch.completed",
    ),
    "fetch": ("SELECT id::text FROM requests WHERE completed_at IS NULL", "fetch.completed"),
    "export": ("SELECT id::text FROM exports WHERE status <> 'completed'", "export.completed"),
}
NAMES = {"session": "session_id", "batch": "batch_id", "fetch": "request_id", "export": "export_id"}


def problems(load: Load, measures: Measures, told: list[Received], secret: str) -> Iterator[str]:
    """What is lost, double or wrong; nothing is left to do. Prints what there is."""
    with measures.database() as connection:
        rows = connection.execute(PICTURES, (TENANT,)).fetchall()
        (meters,) = connection.execute(METERS, ([TENANT],)).fetchall()
        balance = connection.execute(BALANCE, (TENANT,)).fetchone()
        unfinished = {
            kind: {row["id"] for row in connection.execute(query.encode()).fetchall()}
            for kind, (query, _) in ENDED.items()
        }
    yield from load.ledger.wrong
    yield from _pictures(load, rows)
    yield from _meters(meters, balance)
    for kind, ids in load.ledger.accepted.items():
        print(f"{kind}: {len(ids)} accepted")
        if lost := set(ids) & unfinished[kind]:
            yield f"{kind}: {len(lost)} of {len(ids)} did not complete: {sorted(lost)[:3]}"
    yield from _files(load)
    yield from _events(load, [row["id"] for row in rows], told, secret)


def _pictures(load: Load, rows: list[dict[str, Any]]) -> Iterator[str]:
    sent = load.ledger.pictures
    stored = Counter(row["sha256"] for row in rows)
    by_id = {row["id"]: row for row in rows}
    accepted = [each for each in sent.values() if each.id]
    unknown = [each for each in sent.values() if not each.id]
    print(
        f"pictures: {len(sent)} sent, {len(accepted)} accepted, {len(unknown)} without an answer"
        f" ({sum(each.sha256 in stored for each in unknown)} of these stored);"
        f" {len(rows)} rows, {sum(not row['is_there'] for row in rows)} of them deleted"
    )
    if lost := [each.id for each in accepted if each.id not in by_id]:
        yield f"{len(lost)} accepted pictures are lost: {lost[:3]}"
    if strange := stored.keys() - sent.keys():
        yield f"{len(strange)} pictures that no client sent"
    if twice := [sha256 for sha256, number in stored.items() if number > 1]:
        yield f"{len(twice)} pictures are there twice: {twice[:3]}"
    for row in rows:
        if row["described"] != ["completed"]:
            yield f"picture {row['id']}: descriptions {row['described']}"
        if row["is_there"] and row["variant_status"] != "completed":
            yield f"picture {row['id']}: variants {row['variant_status']}"
    for each in accepted:
        found = by_id.get(str(each.id))
        if found and each.deleted and found["is_there"]:
            yield f"picture {each.id} was deleted and is there"
        if found and not each.delete_sent and not found["is_there"]:
            yield f"picture {each.id} is gone, and no client deleted it"


def _meters(meters: dict[str, Any], balance: dict[str, Any] | None) -> Iterator[str]:
    print(" ".join(f"{name}={value}" for name, value in meters.items()))
    pairs = (("uploads", "pictures"), ("descriptions", "metered"), ("credits", "looks"))
    for meter, truth in pairs:
        if meters[meter] != meters[truth]:
            yield f"meters: {meter} {meters[meter]}, {truth} {meters[truth]}"
    if meters["failed"] or meters["twice"]:
        yield f"analyses: {meters['failed']} failed, {meters['twice']} twice"
    if balance is None or balance["left"] + balance["paid"] != CREDITS:
        yield f"credits: {balance}"


def _files(load: Load) -> Iterator[str]:
    """All of them, over HTTP: equal to what was sent, with the last title, or gone."""

    def check(picture: Picture) -> str | None:
        path = f"{API}/user-files/{picture.id}"
        try:
            file = load.get(path)
            data = load.call("GET", f"{path}/download").content
        except Refused as refused:
            return None if picture.delete_sent else str(refused)
        if picture.deleted:
            return f"{picture.id} was deleted and is answered"
        if hashlib.sha256(data).hexdigest() != picture.sha256:
            return f"{picture.id} is not what was sent"
        if picture.title and file["title"] != picture.title:
            return f"{picture.id} is titled {file['title']!r}, not {picture.title!r}"
        return None

    accepted = [each for each in load.ledger.pictures.values() if each.id]
    with ThreadPoolExecutor(2) as pool:
        found = [problem for problem in pool.map(check, accepted) if problem]
    kept = sum(not each.delete_sent for each in accepted)
    print(f"files: {kept} read again and compared by hash, {len(found)} wrong")
    yield from found


def _events(
    load: Load, pictures: list[str], received: list[Received], secret: str
) -> Iterator[str]:
    """Each end was told, under one ``webhook-id``, however often it was sent."""
    told: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    of_batches: Counter[str] = Counter()
    for each in received:
        body = json.loads(each.body)
        if "webhook-signature" not in each.headers:  # the batch's own address
            of_batches[body["batch_id"]] += 1
            continue
        at = datetime.fromtimestamp(int(each.headers["webhook-timestamp"]), UTC)
        signature = Webhook(secret).sign(each.id, at, each.body.decode())
        if signature not in each.headers["webhook-signature"].split():
            yield f"webhook {each.id} is signed otherwise"
        told[body["type"], _subject(body["data"])].add(each.id)
    print(f"webhooks: {len(received)} posts of {len(told) + len(of_batches)} events")
    wanted = {("image.described", id) for id in pictures}
    for kind, ids in load.ledger.accepted.items():
        wanted |= {(ENDED[kind][1], id) for id in ids}
    if silent := wanted - told.keys():
        yield f"{len(silent)} events were not told: {sorted(silent)[:3]}"
    if doubled := [subject for subject, ids in told.items() if len(ids) > 1]:
        yield f"{len(doubled)} events were told under several ids: {doubled[:3]}"
    if unheard := set(load.ledger.accepted.get("batch", [])) - of_batches.keys():
        yield f"{len(unheard)} batches were not told to their own address"


def _subject(data: dict[str, Any]) -> str:
    """The picture, if it is about one; else what has ended."""
    return str(data.get("image_id") or next(data[name] for name in NAMES.values() if name in data))
