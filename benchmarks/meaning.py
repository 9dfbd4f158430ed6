"""The nearest of 100,000 vectors, for tenants of all, a tenth and a hundredth of them.

With ``--large`` those of a million, for tenants of nine tenths, a tenth and a hundred pictures.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.report import Bench, Row, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    import psycopg

    from ocelli.storage.postgres.database import PostgresDatabase

NAME = "meaning"
MODEL = "bench"
NEAREST = 10
# Random vectors have no neighbours; descriptions of libraries come in crowds of like ones.
CLUSTERS, SPREAD = 1_000, 0.7
SHARES = {"all": 1.0, "a tenth": 0.1, "a hundredth": 0.01}
QUICK, TIME, RECALL = 30_000, Target(60, "at most", of="value"), Target(0.95, "at least")
LARGE, SMALL_TENANT = 1_000_000, 100
LARGE_TIME, EXACT = Target(150, "at most", of="value"), Target(1, "at least")
MADE_AT_ONCE = 20_000

_PICTURES = """
INSERT INTO images (id, tenant_id, filename, object_key, storage_target, upload_method,
    content_type, format, size_bytes, sha256, width, height, created_at, updated_at)
SELECT gen_random_uuid(), %(tenant)s, n || '.jpg', 'bench/' || %(tenant)s || '/' || n,
    'default', 'STREAMING', 'image/jpeg', 'jpeg', n, sha256(n::text::bytea), 9, 9,
    now(), now() FROM generate_series(1, %(count)s) AS n RETURNING id
"""


@dataclass(frozen=True)
class Searches:
    """The seconds of each search, how many of the nearest were found, and how many there are."""

    seconds: list[float]
    found: float
    wanted: float


def run(bench: Bench) -> Iterator[Row]:
    """Each search by the index or by comparing, as in earnest, against comparing all."""
    from ocelli.storage.embedded import EmbeddedPostgres
    from ocelli.storage.postgres.schema import migrate

    postgres = EmbeddedPostgres(bench.folder / "meaning")
    postgres.start()
    try:
        migrate(postgres.dsn)
        if bench.large:
            count, time, results = LARGE, LARGE_TIME, asyncio.run(_million(bench, postgres.dsn))
        else:
            count, rounds = (QUICK, 40) if bench.quick else (100_000, 200)
            bench.say(f"{NAME}: making {count:,} vectors")
            time, results = TIME, asyncio.run(_shares(postgres.dsn, count, rounds))
    finally:
        postgres.stop()
    for share, searches in results.items():
        what = f"a tenant with {share} of {count:,}"
        p95 = sorted(searches.seconds)[int(len(searches.seconds) * 0.95)] * 1000
        yield Row(NAME, f"{what}, p95", p95, "ms", target=time, by_clock=True)
        yield Row(
            NAME,
            f"{what}, of the nearest {NEAREST}",
            searches.found,
            "",
            searches.wanted,
            "all",
            _recall(share, large=bench.large),
        )


def _recall(share: str, *, large: bool) -> Target | None:
    if not large:
        return RECALL
    return EXACT if share == str(SMALL_TENANT) else None


async def _shares(dsn: str, count: int, rounds: int) -> dict[str, Searches]:
    import psycopg

    from ocelli.storage.postgres.database import PostgresDatabase

    results = {}
    async with PostgresDatabase(dsn, max_connections=2) as database:
        with psycopg.connect(dsn, autocommit=True) as connection:
            tenant = await _tenant(database)
            targets = _fill(connection, {tenant: count}, rounds)
            _index(connection)
            for share, part in SHARES.items():
                searching = tenant
                if part < 1:
                    searching = await _tenant(database)
                    connection.execute(
                        "UPDATE text_vectors SET tenant_id = %s WHERE image_id IN (SELECT image_id"
                        " FROM text_vectors WHERE tenant_id = %s ORDER BY image_id LIMIT %s)",
                        (searching, tenant, int(count * part)),
                    )
                connection.execute("VACUUM ANALYZE text_vectors")
                results[share] = await _searches(database, searching, targets)
    return results


async def _million(bench: Bench, dsn: str) -> dict[str, Searches]:
    import psycopg

    from ocelli.storage.postgres.database import PostgresDatabase

    async with PostgresDatabase(dsn, max_connections=2) as database:
        with psycopg.connect(dsn, autocommit=True) as connection:
            tenth = LARGE // 10
            counts = {
                "nine tenths": LARGE - tenth - SMALL_TENANT,
                "a tenth": tenth,
                str(SMALL_TENANT): SMALL_TENANT,
            }
            tenants = {share: await _tenant(database) for share in counts}
            bench.say(f"{NAME}: making {LARGE:,} vectors")
            targets = _fill(connection, {tenants[share]: counts[share] for share in counts}, 100)
            bench.say(f"{NAME}: indexing them")
            started = perf_counter()
            _index(connection)
            bench.say(f"{NAME}: indexed in {perf_counter() - started:.0f} s")
            connection.execute("VACUUM ANALYZE text_vectors")
            return {
                share: await _searches(database, tenant, targets)
                for share, tenant in tenants.items()
            }


async def _searches(database: PostgresDatabase, tenant: UUID, targets: Any) -> Searches:
    from ocelli.storage.postgres import text_vectors

    seconds, found, wanted = [], 0, 0
    for number, target in enumerate(targets):
        near = target + _noise(number, len(target)) * 0.3
        vector = (near / (near**2).sum() ** 0.5).tolist()
        started = perf_counter()
        ids = await _nearest(database, tenant, vector)
        seconds.append(perf_counter() - started)
        compared = text_vectors.MOST_COMPARED
        text_vectors.MOST_COMPARED = 10**9
        try:
            exact = await _nearest(database, tenant, vector)
        finally:
            text_vectors.MOST_COMPARED = compared
        found, wanted = found + len(ids & exact), wanted + len(exact)
    return Searches(seconds, found, wanted)


async def _nearest(database: PostgresDatabase, tenant: UUID, vector: Sequence[float]) -> set[UUID]:
    from ocelli.domain.file_query import FileQuery

    async with database.transaction() as tx:
        found = await tx.text_vectors.nearest(
            FileQuery(), tenant, vector, model=MODEL, limit=NEAREST
        )
    return {id for id, _ in found}


async def _tenant(database: PostgresDatabase) -> UUID:
    from ocelli.domain.accounts import Tier

    async with database.transaction() as tx:
        return (await tx.accounts.add_tenant(f"bench-{uuid.uuid4()}", Tier.ENTERPRISE)).id


def _noise(seed: int, dimensions: int) -> Any:
    import numpy as np

    return np.random.default_rng(seed).standard_normal(dimensions) / dimensions**0.5


def _fill(connection: psycopg.Connection[Any], counts: dict[UUID, int], targets: int) -> Any:
    """Make so many pictures with vectors for each tenant; return some vectors, evenly picked.

    The vectors have no index afterwards.
    """
    import numpy as np

    from ocelli.storage.postgres.text_vectors import DIMENSIONS

    random = np.random.default_rng(24)
    centres = random.standard_normal((CLUSTERS, DIMENSIONS), np.float32)
    owners = [
        (id, tenant)
        for tenant, count in counts.items()
        for (id,) in connection.execute(_PICTURES, {"tenant": tenant, "count": count})
    ]
    random.shuffle(owners)
    every, picked = len(owners) // targets, []
    connection.execute("DROP INDEX text_vectors_nearest")
    copying = "COPY text_vectors (image_id, tenant_id, model, text_hash, vector) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(copying) as copy:
        for start in range(0, len(owners), MADE_AT_ONCE):
            part = owners[start : start + MADE_AT_ONCE]
            vectors = centres[random.integers(0, CLUSTERS, len(part))]
            vectors += SPREAD * random.standard_normal(vectors.shape, np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            for number, ((id, tenant), vector) in enumerate(
                zip(part, vectors.tolist(), strict=True)
            ):
                copy.write_row(
                    (id, tenant, MODEL, b"", f"[{','.join(map('%.5f'.__mod__, vector))}]")
                )
                if (start + number) % every == 0:
                    picked.append(vectors[number])
    return np.array(picked[:targets])


def _index(connection: psycopg.Connection[Any]) -> None:
    from ocelli.storage.postgres.text_vectors import INDEX

    connection.execute("SET maintenance_work_mem = '3GB'")  # the graph of a million fits into it
    connection.execute(INDEX.encode())
