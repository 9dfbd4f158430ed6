"""Telling whom a batch names that it has ended."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from tests.integration.test_storage import a_tenant, an_analysis, an_image
from tests.upstream.server import Upstream

from ocelli.domain.analysis import Analysis, Failure, VerificationLevel
from ocelli.domain.batches import Batch, BatchKind
from ocelli.domain.errors import FailureType, FetchFailed
from ocelli.media.fetch import SafeFetcher
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.batches import CallWebhook


class Listener:
    """Answers with the statuses given, then with 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.told: list[dict[str, Any]] = []
        self._upstream = Upstream(self._handle)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.told.append(json.loads(await request.text()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    def __enter__(self) -> Listener:
        self._upstream.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._upstream.stop()

    @property
    def url(self) -> str:
        return f"{self._upstream.url}/told"


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener(500) as running:
        yield running


async def a_batch(database: PostgresDatabase, url: str) -> tuple[Batch, Analysis]:
    """One with a single item that waits."""
    tenant_id = await a_tenant(database)
    batch = Batch(
        uuid.uuid4(),
        tenant_id,
        BatchKind.DESCRIBE,
        VerificationLevel.QUICK,
        1,
        ({},),
        datetime.now(UTC),
        webhook_url=url,
    )
    item = replace(an_analysis(an_image(tenant_id)), image_id=None, request_id=batch.id)
    async with database.transaction() as tx:
        await tx.batches.add(batch)
        await tx.analyses.add(item)
    return batch, item


async def test_who_is_named_is_told_once_it_has_ended_and_again_after_an_error(
    database: PostgresDatabase, listener: Listener
) -> None:
    webhook = CallWebhook(database, SafeFetcher(allow=["127.0.0.0/8"]))
    batch, item = await a_batch(database, listener.url)
    assert await webhook.enqueue() == 0
    async with database.transaction() as tx:
        await tx.analyses.fail(item.id, Failure(FailureType.VALIDATION, "no", retryable=False))
    assert await webhook.enqueue() == 1
    assert await webhook.enqueue() == 0
    with pytest.raises(FetchFailed):
        await webhook.run(batch.id, last_attempt=False)
    await webhook.run(batch.id, last_attempt=True)
    assert listener.told[0] == listener.told[1]
    assert listener.told[1] == {
        "batch_id": str(batch.id),
        "kind": "describe",
        "status": "failed",
        "total_items": 1,
        "successful_items": 0,
        "failed_items": 1,
        "skipped_items": 0,
    }


async def test_nobody_is_told_in_our_own_network(
    database: PostgresDatabase, listener: Listener
) -> None:
    webhook = CallWebhook(database, SafeFetcher())
    batch, _ = await a_batch(database, listener.url)
    with pytest.raises(FetchFailed):
        await webhook.run(batch.id, last_attempt=False)
    await webhook.run(batch.id, last_attempt=True)
    assert listener.told == []
