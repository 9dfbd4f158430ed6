"""Lists and searches over 100,000 pictures, against the same list without a search."""

from __future__ import annotations

import asyncio
import uuid
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.report import Bench, Row, Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from ocelli.domain.file_query import FileQuery
    from ocelli.storage.postgres.database import PostgresDatabase

NAME = "search"
PAGE = 20
AIM = Target(50, "at most", of="value")

# Sixty words a picture, by Zipf: the first is in nearly every one, the 1,000th in one of a hundred.
_FILL = """
WITH pictures AS (
    INSERT INTO images (id, tenant_id, filename, object_key, storage_target, upload_method,
        content_type, format, size_bytes, sha256, width, height, created_at, updated_at)
    SELECT gen_random_uuid(), %(tenant)s, n || '.jpg', 'bench/' || %(tenant)s || '/' || n,
        'default', 'STREAMING', 'image/jpeg', 'jpeg', n, sha256(n::text::bytea), 9, 9,
        now() - make_interval(secs => n), now() FROM generate_series(1, %(count)s) AS n
    RETURNING id, tenant_id, created_at, size_bytes, filename)
INSERT INTO library (image_id, tenant_id, shown_at, created_at, size_bytes, described, name, words)
SELECT id, tenant_id, created_at, created_at, size_bytes, true, filename,
    setweight(to_tsvector('simple', (SELECT string_agg('w' || floor(2000 ^ random())::int, ' ')
        FROM generate_series(1, 45 + (size_bytes %% 2)::int))), 'C')
    || setweight(to_tsvector('simple', (SELECT string_agg('w' || floor(2000 ^ random())::int, ' ')
        FROM generate_series(1, 15 + (size_bytes %% 2)::int))), 'D')
    || array_to_tsvector(ARRAY['@' || tenant_id])
FROM pictures
"""


def run(bench: Bench) -> Iterator[Row]:
    """Every question several times, in turns."""
    from ocelli.storage.embedded import EmbeddedPostgres
    from ocelli.storage.postgres.schema import migrate

    count, rounds = (20_000, 10) if bench.quick else (100_000, 20)
    postgres = EmbeddedPostgres(bench.folder / "search")
    postgres.start()
    try:
        migrate(postgres.dsn)
        bench.say(f"{NAME}: making {count:,} pictures")
        times, matches = asyncio.run(_measure(postgres.dsn, count, rounds))
    finally:
        postgres.stop()
    base = median(times.pop("the newest, no search"))
    for what, seconds in times.items():
        p95 = sorted(seconds)[int(len(seconds) * 0.95)]
        yield Row(
            NAME,
            f"{what} ({matches[what]:,} of {count:,}), p95",
            p95,
            "ms",
            base,
            "the newest, no search, p50",
            None if "phrase" in what else AIM,
            by_clock=True,
        )


def _questions() -> dict[str, FileQuery]:
    from ocelli.domain.file_query import FileQuery, SortBy
    from ocelli.domain.search import SearchMode, parse

    def search(text: str, mode: SearchMode = SearchMode.ALL) -> FileQuery:
        return FileQuery(search=parse(text), mode=mode, sort_by=SortBy.RELEVANCE)

    return {
        "the newest, no search": FileQuery(sort_by=SortBy.SHOWN_AT),
        "a word of nearly all": search("w1"),
        "a common word": search("w3"),
        "a rare word": search("w1500"),
        "two common words": search("w2 w3"),
        "a common word of visible texts": search("w1", SearchMode.VISIBLE_TEXT),
        "a common word of titles and descriptions": search("w1", SearchMode.METADATA),
        "a phrase of common words": search('"w1 w2"'),
    }


async def _measure(
    dsn: str, count: int, rounds: int
) -> tuple[dict[str, list[float]], dict[str, int]]:
    import psycopg

    from ocelli.storage.postgres.database import PostgresDatabase

    questions = _questions()
    times: dict[str, list[float]] = {what: [] for what in questions}
    matches: dict[str, int] = {}
    async with PostgresDatabase(dsn, max_connections=2) as database:
        tenant = await _fill(database, count)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE library")
        for number in range(rounds + 1):  # the first one only warms up
            for what, query in questions.items():
                started = perf_counter()
                async with database.transaction() as tx:
                    _, matches[what] = await tx.images.page(tenant, query, limit=PAGE, offset=0)
                if number:
                    times[what].append((perf_counter() - started) * 1000)
    return times, matches


async def _fill(database: PostgresDatabase, count: int) -> UUID:
    from ocelli.domain.accounts import Tier

    async with database.transaction() as tx:
        tenant = await tx.accounts.add_tenant(f"bench-{uuid.uuid4()}", Tier.ENTERPRISE)
    async with database.connection() as connection:
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute(_FILL.encode(), {"tenant": tenant.id, "count": count})
    return tenant.id
