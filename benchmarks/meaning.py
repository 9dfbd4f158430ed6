"""The nearest of 100,000 vectors, for tenants of all, a tenth and a hundredth of them."""

from __future__ import annotations

import asyncio
import uuid
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

_PICTURES = """
INSERT INTO images (id, tenant_id, filename, object_key, storage_target, upload_method,
    content_type, format, size_bytes, sha256, width, height, created_at, updated_at)
SELECT gen_random_uuid(), %(tenant)s, n || '.jpg', 'bench/' || %(tenant)s || '/' || n,
    'default', 'STREAMING', 'image/jpeg', 'jpeg', n, sha256(n::text::bytea), 9, 9,
    now(), now() FROM generate_series(1, %(count)s) AS n RETURNING id
"""


def run(bench: Bench) -> Iterator[Row]:
    """Each search by the index or by comparing, as in earnest, against comparing all."""
    from ocelli.storage.embedded import EmbeddedPostgres
    from ocelli.storage.postgres.schema import migrate

    count, rounds = (QUICK, 40) if bench.quick else (100_000, 200)
    postgres = EmbeddedPostgres(bench.folder / "meaning")
    postgres.start()
    try:
        migrate(postgres.dsn)
        bench.say(f"{NAME}: making {count:,} vectors")
        results = asyncio.run(_measure(postgres.dsn, count, rounds))
    finally:
        postgres.stop()
    for share, (seconds, recall, exact) in results.items():
        what = f"a tenant with {share} of {count:,}"
        p95 = sorted(seconds)[int(len(seconds) * 0.95)] * 1000
        yield Row(NAME, f"{what}, p95", p95, "ms", target=TIME, by_clock=True)
        yield Row(NAME, f"{what}, of the nearest {NEAREST}", recall, "", exact, "all", RECALL)


async def _measure(
    dsn: str, count: int, rounds: int
) -> dict[str, tuple[list[float], float, float]]:
    import numpy as np
    import psycopg

    from ocelli.storage.postgres.database import PostgresDatabase

    random = np.random.default_rng(24)
    results = {}
    async with PostgresDatabase(dsn, max_connections=2) as database:
        with psycopg.connect(dsn, autocommit=True) as connection:
            tenant = await _tenant(database)
            vectors = _fill(connection, tenant, count, random)
            targets = vectors[random.choice(count, rounds, replace=False)]
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


async def _searches(
    database: PostgresDatabase, tenant: UUID, targets: Any
) -> tuple[list[float], float, float]:
    """Return the seconds of each search, how many of the nearest were found, and how many are."""
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
    return seconds, found, wanted


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


def _fill(connection: psycopg.Connection[Any], tenant: UUID, count: int, random: Any) -> Any:
    """Make pictures with vectors, of shape (count, dimensions); the index is built at once."""
    import numpy as np

    from ocelli.storage.postgres.text_vectors import DIMENSIONS, INDEX

    connection.execute("DROP INDEX text_vectors_nearest")
    ids = connection.execute(_PICTURES, {"tenant": tenant, "count": count}).fetchall()
    centres = random.standard_normal((CLUSTERS, DIMENSIONS))
    vectors = centres[random.integers(0, CLUSTERS, count)]
    vectors = vectors + SPREAD * random.standard_normal(vectors.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    copying = "COPY text_vectors (image_id, tenant_id, model, text_hash, vector) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(copying) as copy:
        for (id,), vector in zip(ids, vectors, strict=True):
            text = ",".join(f"{value:.5f}" for value in vector)
            copy.write_row((id, tenant, MODEL, b"", f"[{text}]"))
    connection.execute("SET maintenance_work_mem = '1GB'")
    connection.execute(INDEX.encode())
    return vectors
