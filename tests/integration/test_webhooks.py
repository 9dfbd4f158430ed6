"""Webhooks: what is told, to which address, how often, and what becomes of bad receivers."""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError
from tests.integration.test_storage import a_tenant, an_analysis, an_image
from tests.upstream.server import Upstream
from tests.waiting import PATIENCE, eventually

from ocelli.domain.analysis import Analysis, Failure, VerificationLevel
from ocelli.domain.audit import Actor, AuditQuery
from ocelli.domain.batches import Batch, BatchKind, BatchStatus
from ocelli.domain.errors import Conflict, FailureType, NotFound, ValidationFailed
from ocelli.domain.paging import PageRequest
from ocelli.domain.usage import Charge
from ocelli.domain.webhooks import (
    MAX_ENDPOINTS,
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointChange,
    Event,
    EventType,
    image_described,
    image_failed,
)
from ocelli.media.fetch import SafeFetcher
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.storage.sealing import AesGcmSealing
from ocelli.usecases import webhook_sender
from ocelli.usecases.analyse import Analyse
from ocelli.usecases.batches import Batches, TellBatches, settle_batch
from ocelli.usecases.webhook_sender import SendingLimits, WebhookSender
from ocelli.usecases.webhooks import Webhooks

LOOPBACK = ["127.0.0.0/8"]
SEALING = AesGcmSealing(b"a secret of the server")
EVENT = Event(EventType.SESSION_COMPLETED, {"session_id": "s"})

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


class Receiver:
    """Answers as ``answers`` say, one after the other, and then with 200."""

    def __init__(self) -> None:
        self.answers: list[int | Answer] = []
        self.received: list[Received] = []
        self.upstream = Upstream(self._handle)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(headers, await request.read()))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, int):
            return web.Response(status=answer)
        return await answer(request)

    @property
    def url(self) -> str:
        return f"{self.upstream.url}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    running.upstream.start()
    yield running
    running.upstream.stop()


@dataclass
class Account:
    """A tenant with its webhooks, and a sender of its own with a short patience."""

    database: PostgresDatabase
    by: Actor
    webhooks: Webhooks

    async def endpoint(self, url: str, *types: EventType) -> tuple[Endpoint, str]:
        return await self.webhooks.create(self.by, EndpointChange(url=url, event_types=types))

    async def emit(self, event: Event = EVENT) -> None:
        async with self.database.transaction() as tx:
            await tx.webhooks.emit(self.by.tenant_id, event)

    async def deliveries(self, endpoint: Endpoint) -> list[Delivery]:
        found, _ = await self.webhooks.deliveries(
            self.by.tenant_id, str(endpoint.id), None, PageRequest(100)
        )
        return list(found)

    async def only_delivery(self, endpoint: Endpoint) -> Delivery:
        (delivery,) = await self.deliveries(endpoint)
        return delivery

    async def now(self, endpoint: Endpoint) -> Endpoint:
        return await self.webhooks.get(self.by.tenant_id, str(endpoint.id))

    async def change(self, statement: str, *values: object) -> None:
        """Move what is stored in time; a test cannot wait for days."""
        async with self.database.connection() as connection:
            await connection.execute(statement.encode(), values)

    async def make_due(self) -> None:
        await self.change(
            "UPDATE webhook_deliveries SET next_attempt_at = clock_timestamp()"
            " WHERE tenant_id = %s AND status = 'pending'",
            self.by.tenant_id,
        )


@pytest.fixture
async def account(database: PostgresDatabase) -> AsyncIterator[Account]:
    tenant_id = await a_tenant(database)
    async with database.connection() as connection:  # what other files left would be sent, too
        await connection.execute(b"DELETE FROM webhook_deliveries")
    yield Account(database, Actor(tenant_id), Webhooks(database, SEALING))
    async with database.connection() as connection:  # senders of other tests leave it alone
        await connection.execute(
            b"DELETE FROM webhook_deliveries WHERE tenant_id = %s", (tenant_id,)
        )


def a_sender(
    database: PostgresDatabase, limits: SendingLimits | None = None, *, timeout: float = 20
) -> WebhookSender:
    return WebhookSender(
        database, SafeFetcher(allow=LOOPBACK, timeout=timeout), SEALING, limits or SendingLimits()
    )


def verified(received: Received, secret: str) -> Any:
    return Webhook(secret).verify(received.body, received.headers)


async def test_the_reference_library_verifies_what_is_sent(
    account: Account, receiver: Receiver
) -> None:
    endpoint, secret = await account.endpoint(receiver.url)
    await account.emit(Event(EventType.IMAGE_DESCRIBED, {"description": "Ä cat\ud800 – \0 ok"}))
    assert await a_sender(account.database).send_due() == 1
    (received,) = receiver.received
    body = verified(received, secret)
    assert body["type"] == "image.described"
    assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None
    assert body["data"] == {"description": "Ä cat? – \0 ok"}
    assert received.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        verified(replace(received, body=received.body + b" "), secret)
    delivery = await account.only_delivery(endpoint)
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.DELIVERED, 1)
    assert (delivery.response_status, delivery.error) == (200, None)
    assert str(delivery.id) == received.id


async def test_a_retry_has_the_same_id_and_a_signature_of_its_own(
    account: Account, receiver: Receiver
) -> None:
    receiver.answers = [500, 503]
    endpoint, secret = await account.endpoint(receiver.url)
    await account.emit()
    sender = a_sender(account.database)
    await sender.send_due()
    waiting = await account.only_delivery(endpoint)
    assert (waiting.status, waiting.attempts) == (DeliveryStatus.PENDING, 1)
    assert (waiting.response_status, waiting.error) == (
        500, "The address answers with status 500."
    )  # fmt: skip
    assert (await account.now(endpoint)).failing_since is not None
    assert await sender.send_due() == 0, "it is not due yet"
    for _ in range(2):
        await account.make_due()
        await sender.send_due()
    assert len({received.id for received in receiver.received}) == 1
    assert len(receiver.received) == 3
    for received in receiver.received:
        verified(received, secret)
    assert (await account.only_delivery(endpoint)).status is DeliveryStatus.DELIVERED
    assert (await account.now(endpoint)).failing_since is None


async def test_secrets_rotate_without_a_gap(account: Account, receiver: Receiver) -> None:
    endpoint, first = await account.endpoint(receiver.url)
    rotated = account.webhooks.rotate_secret
    _, second = await rotated(account.by, str(endpoint.id), overlap=timedelta(hours=1))
    sender = a_sender(account.database)
    await account.emit()
    await sender.send_due()
    assert len(receiver.received[0].headers["webhook-signature"].split(" ")) == 2
    for secret in (first, second):
        verified(receiver.received[0], secret)
    _, third = await rotated(account.by, str(endpoint.id), overlap=timedelta(0))
    await account.emit()
    await sender.send_due()
    verified(receiver.received[1], third)
    for secret in (first, second):
        with pytest.raises(WebhookVerificationError):
            verified(receiver.received[1], secret)
    for _ in range(4):
        await rotated(account.by, str(endpoint.id), overlap=timedelta(hours=1))
    with pytest.raises(Conflict, match="5 secrets"):
        await rotated(account.by, str(endpoint.id), overlap=timedelta(hours=1))


async def test_secrets_are_sealed_at_rest(account: Account) -> None:
    _, secret = await account.endpoint("https://example.com/hook")
    async with account.database.connection() as connection:
        cursor = await connection.execute(b"SELECT sealed FROM webhook_secrets")
        sealed = [bytes(row["sealed"]) for row in await cursor.fetchall()]
    assert not any(secret.encode() in each for each in sealed)


async def test_410_disables_the_endpoint_and_says_so(account: Account, receiver: Receiver) -> None:
    receiver.answers = [410]
    endpoint, _ = await account.endpoint(receiver.url)
    await account.emit()
    await a_sender(account.database).send_due()
    gone = await account.now(endpoint)
    assert (gone.disabled_at is not None, gone.disabled_reason) == (True, "gone")
    delivery = await account.only_delivery(endpoint)
    assert (delivery.status, delivery.response_status) == (DeliveryStatus.FAILED, 410)
    await account.emit()
    assert len(await account.deliveries(endpoint)) == 1, "nothing is recorded for it any more"
    with pytest.raises(Conflict):
        await account.webhooks.replay(account.by.tenant_id, str(endpoint.id), str(delivery.id))
    async with account.database.autocommit() as tx:
        events, _ = await tx.audit.page(
            account.by.tenant_id, AuditQuery(type="webhook.disabled"), limit=5, offset=0
        )
    assert [event.metadata for event in events] == [{"reason": "gone"}]
    enabled = await account.webhooks.change(
        account.by, str(endpoint.id), EndpointChange(enabled=True)
    )
    assert (enabled.disabled_at, enabled.disabled_reason) == (None, None)


async def test_five_days_without_a_success_disable_it(account: Account, receiver: Receiver) -> None:
    receiver.answers = [500, 500]
    endpoint, _ = await account.endpoint(receiver.url)
    await account.emit()
    sender = a_sender(account.database)
    await sender.send_due()
    assert (await account.now(endpoint)).disabled_at is None
    await account.change(
        "UPDATE webhook_endpoints SET failing_since = failing_since - interval '5 days'"
        " WHERE id = %s",
        endpoint.id,
    )
    await account.make_due()
    await sender.send_due()
    assert (await account.now(endpoint)).disabled_reason == "failing"
    await account.make_due()
    assert await sender.send_due() == 0


async def test_a_day_of_failures_ends_a_delivery_and_a_replay_begins_another_day(
    account: Account, receiver: Receiver
) -> None:
    receiver.answers = [500]
    endpoint, secret = await account.endpoint(receiver.url)
    await account.emit()
    await account.change(
        "UPDATE webhook_deliveries SET expires_at = clock_timestamp() + interval '1 second'"
        " WHERE endpoint_id = %s",
        endpoint.id,
    )
    sender = a_sender(account.database)
    await sender.send_due()
    failed = await account.only_delivery(endpoint)
    assert (failed.status, failed.next_attempt_at) == (DeliveryStatus.FAILED, None)
    replayed = await account.webhooks.replay(account.by.tenant_id, str(endpoint.id), str(failed.id))
    assert replayed.status is DeliveryStatus.PENDING
    await sender.send_due()
    assert [received.id for received in receiver.received] == [str(failed.id)] * 2
    verified(receiver.received[1], secret)
    assert (await account.only_delivery(endpoint)).status is DeliveryStatus.DELIVERED


def answers_later(asked: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=429, headers={"Retry-After": asked})

    return answer


@pytest.mark.parametrize(
    ("asked", "least", "most"), [("600", 600, 720), ("999999", 14_400, 17_280), ("soon", 5, 6)]
)
async def test_retry_after_is_honoured_within_bounds(
    account: Account, receiver: Receiver, asked: str, least: float, most: float
) -> None:
    receiver.answers = [answers_later(asked)]
    endpoint, _ = await account.endpoint(receiver.url)
    await account.emit()
    await a_sender(account.database).send_due()
    delivery = await account.only_delivery(endpoint)
    assert delivery.next_attempt_at is not None
    assert delivery.last_attempt_at is not None
    pause = (delivery.next_attempt_at - delivery.last_attempt_at).total_seconds()
    assert least - 1 < pause < most + 60


async def test_a_redirect_is_a_failure_and_not_followed(
    account: Account, receiver: Receiver
) -> None:
    async def redirect(_: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": f"{receiver.url}/elsewhere"})

    receiver.answers = [redirect]
    endpoint, _ = await account.endpoint(receiver.url)
    await account.emit()
    await a_sender(account.database).send_due()
    assert len(receiver.received) == 1
    assert (await account.only_delivery(endpoint)).response_status == 307


async def test_an_answer_of_64_megabytes_is_not_read(account: Account, receiver: Receiver) -> None:
    written = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1_024):
            await response.write(bytes(64 * 1024))
            written += 64 * 1024
        return response

    receiver.answers = [flood]
    endpoint, _ = await account.endpoint(receiver.url)
    await account.emit()
    await a_sender(account.database).send_due()
    assert (await account.only_delivery(endpoint)).status is DeliveryStatus.DELIVERED
    assert written < 64 * 1024 * 1024, "what was written beyond buffers had no reader"


@asynccontextmanager
async def a_socket(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/hook"
    finally:
        server.close()


async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A head that never ends."""
    ended = asyncio.create_task(reader.read())
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not ended.done():
        writer.write(b"X-More: 1\r\n")
        await asyncio.wait({ended}, timeout=0.1)
    writer.close()


async def closes_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 20")
    writer.close()


SLOW = "The address did not answer completely within 0.5 seconds."
UNREACHABLE = (
    "The address cannot be reached: its name is unknown, it is not public, or there is no answer."
)


@pytest.mark.parametrize(
    ("handle", "timeout", "error"),
    [
        (hangs, 0.5, SLOW),
        (drips, 0.5, SLOW),
        (closes_early, PATIENCE, "The address broke off its answer."),
    ],
)
async def test_receivers_that_do_not_answer_are_tried_again(
    account: Account,
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    timeout: float,
    error: str,
) -> None:
    async with a_socket(handle) as url:
        endpoint, _ = await account.endpoint(url)
        await account.emit()
        await a_sender(account.database, timeout=timeout).send_due()
    delivery = await account.only_delivery(endpoint)
    assert (delivery.status, delivery.error) == (DeliveryStatus.PENDING, error)
    assert delivery.response_status is None


async def test_receivers_that_are_not_there_are_tried_again(
    account: Account, receiver: Receiver
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refuses = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        no_tls = receiver.url.replace("http://", "https://")
        for url in (refuses, "http://nowhere.invalid/", no_tls):
            await account.endpoint(url)
        await account.emit()
        await a_sender(account.database).send_due()
    for endpoint in await account.webhooks.all(account.by.tenant_id):
        delivery = await account.only_delivery(endpoint)
        assert delivery.status is DeliveryStatus.PENDING
        assert delivery.error in (UNREACHABLE, "The address has no valid certificate.")
    assert receiver.received == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "169.254.169.254"])
async def test_nothing_is_posted_into_our_own_network(
    account: Account, receiver: Receiver, host: str
) -> None:
    endpoint, _ = await account.endpoint(receiver.url.replace("127.0.0.1", host))
    await account.emit()
    await WebhookSender(account.database, SafeFetcher(timeout=PATIENCE), SEALING).send_due()
    assert receiver.received == []
    delivery = await account.only_delivery(endpoint)
    assert (delivery.status, delivery.error) == (DeliveryStatus.PENDING, UNREACHABLE)


async def test_a_slow_endpoint_holds_back_no_other_one(
    account: Account, database: PostgresDatabase, receiver: Receiver
) -> None:
    other = Account(database, Actor(await a_tenant(database)), account.webhooks)
    limits = SendingLimits(at_once=8, per_tenant=4, per_endpoint=2)
    async with a_socket(hangs) as url:
        slow, _ = await account.endpoint(url)
        quick, _ = await account.endpoint(receiver.url)
        theirs, _ = await other.endpoint(receiver.url)
        for _ in range(20):
            await account.emit()
        for _ in range(5):
            await other.emit()
        sender = a_sender(database, limits)
        await sender.begin_due()
        sending = asyncio.create_task(sender.run(stop := asyncio.Event()))

        async def are_delivered() -> None:
            while True:
                found = [*await account.deliveries(quick), *await other.deliveries(theirs)]
                if {each.status for each in found} == {DeliveryStatus.DELIVERED}:
                    return
                await sender.begin_due()
                await asyncio.sleep(0.02)

        await asyncio.wait_for(are_delivered(), PATIENCE)
        tried = [each for each in await account.deliveries(slow) if each.attempts]
        assert len(tried) == 2, "only so many of one endpoint at once"
        stop.set()
        await sending


async def test_one_that_is_answered_makes_room_for_the_next(
    account: Account, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_sender, "POLL_INTERVAL", 3600.0)
    await account.endpoint(receiver.url)
    for _ in range(5):
        await account.emit()
    sender = a_sender(account.database, SendingLimits(per_endpoint=1))
    sending = asyncio.create_task(sender.run(stop := asyncio.Event()))

    async def all_came() -> bool:
        return len({each.id for each in receiver.received}) == 5

    await eventually(all_came)
    stop.set()
    await sending


async def test_what_a_killed_sender_held_is_sent_again_with_the_same_id(
    account: Account, receiver: Receiver
) -> None:
    endpoint, secret = await account.endpoint(receiver.url)
    await account.emit()
    async with account.database.transaction() as tx:
        (claimed,) = await tx.webhooks.claim(
            limit=9, per_tenant=9, per_endpoint=9, lease=timedelta(seconds=60)
        )
    sender = a_sender(account.database)
    assert await sender.send_due() == 0, "another process sends it"
    await account.change(
        "UPDATE webhook_deliveries SET next_attempt_at = clock_timestamp(),"
        " claimed_until = clock_timestamp() WHERE id = %s",
        claimed.id,
    )
    assert await sender.send_due() == 1
    assert verified(receiver.received[0], secret)["type"] == "session.completed"
    assert receiver.received[0].id == str(claimed.id)
    async with account.database.transaction() as tx:  # the first one was only slow
        await tx.webhooks.delivered(claimed, 204)
    assert (await account.only_delivery(endpoint)).response_status == 200


async def test_an_event_is_there_exactly_when_the_change_is(account: Account) -> None:
    endpoint, _ = await account.endpoint("https://example.com/hook")
    with pytest.raises(ZeroDivisionError):
        async with account.database.transaction() as tx:
            await tx.webhooks.emit(account.by.tenant_id, EVENT)
            raise ZeroDivisionError
    assert await account.deliveries(endpoint) == []


async def test_endpoints_get_the_types_they_want(account: Account) -> None:
    all_of_them, _ = await account.endpoint("https://example.com/all")
    some, _ = await account.endpoint("https://example.com/some", EventType.EXPORT_FAILED)
    await account.emit()
    assert len(await account.deliveries(all_of_them)) == 1
    assert await account.deliveries(some) == []
    test = await account.webhooks.send_test(account.by.tenant_id, str(some.id))
    assert (test.event_type, test.status) == ("webhook.test", DeliveryStatus.PENDING)


async def test_a_paused_endpoint_keeps_what_waits_and_gets_nothing_new(
    account: Account, receiver: Receiver
) -> None:
    endpoint, _ = await account.endpoint(receiver.url)
    await account.emit()
    paused = EndpointChange(enabled=False)
    assert (
        await account.webhooks.change(account.by, str(endpoint.id), paused)
    ).disabled_reason == "by_request"
    await account.emit()
    sender = a_sender(account.database)
    assert await sender.send_due() == 0
    await account.webhooks.change(account.by, str(endpoint.id), EndpointChange(enabled=True))
    assert await sender.send_due() == 1
    assert len(await account.deliveries(endpoint)) == 1


async def test_deliveries_are_removed_after_a_week_and_what_waited_a_day_is_given_up(
    account: Account,
) -> None:
    endpoint, _ = await account.endpoint("https://example.com/hook")
    await account.emit()
    await account.emit()
    first, second = await account.deliveries(endpoint)
    await account.change(
        "UPDATE webhook_deliveries SET expires_at = clock_timestamp() - interval '1 second'"
        " WHERE id = %s",
        first.id,
    )
    await account.change(
        "UPDATE webhook_deliveries SET status = 'delivered',"
        " ended_at = clock_timestamp() - interval '8 days' WHERE id = %s",
        second.id,
    )
    async with account.database.transaction() as tx:
        await tx.webhooks.purge(older_than=7 * 24 * 3600)
    left = await account.only_delivery(endpoint)
    assert (left.id, left.status) == (first.id, DeliveryStatus.FAILED)


async def test_there_are_at_most_ten_and_each_has_an_address(account: Account) -> None:
    for url in ("http://user:pw@example.com/", "http://", "https://exa\\mple.com"):
        with pytest.raises(ValidationFailed):
            await account.endpoint(url)
    for number in range(MAX_ENDPOINTS):
        await account.endpoint(f"https://example.com/{number}")
    with pytest.raises(Conflict):
        await account.endpoint("https://example.com/more")


async def test_endpoints_of_others_are_not_found(
    account: Account, database: PostgresDatabase
) -> None:
    endpoint, _ = await account.endpoint("https://example.com/hook")
    await account.emit()
    delivery = await account.only_delivery(endpoint)
    stranger = await a_tenant(database)
    id, webhooks = str(endpoint.id), account.webhooks
    for refused in (
        webhooks.get(stranger, id),
        webhooks.change(Actor(stranger), id, EndpointChange(enabled=False)),
        webhooks.delete(Actor(stranger), id),
        webhooks.rotate_secret(Actor(stranger), id, overlap=timedelta(0)),
        webhooks.send_test(stranger, id),
        webhooks.replay(stranger, id, str(delivery.id)),
        webhooks.deliveries(stranger, id, None, PageRequest(5)),
    ):
        with pytest.raises(NotFound):
            await refused
    other, _ = await account.endpoint("https://example.com/other")
    with pytest.raises(NotFound):
        await webhooks.replay(account.by.tenant_id, str(other.id), str(delivery.id))


async def a_batch(account: Account, url: str | None) -> tuple[Batch, list[Analysis]]:
    """One with two items that wait."""
    tenant_id = account.by.tenant_id
    batch = Batch(
        uuid.uuid4(),
        tenant_id,
        BatchKind.DESCRIBE,
        VerificationLevel.QUICK,
        2,
        ({}, {}),
        datetime.now(UTC),
        webhook_url=url,
    )
    items = [
        replace(an_analysis(an_image(tenant_id)), image_id=None, request_id=batch.id, position=n)
        for n in range(2)
    ]
    async with account.database.transaction() as tx:
        await tx.batches.add(batch)
        await tx.analyses.add(*items)
    return batch, items


async def test_the_end_of_a_batch_is_told_once_to_endpoints_and_to_the_address_it_names(
    account: Account, receiver: Receiver
) -> None:
    endpoint, secret = await account.endpoint(receiver.url)
    batch, items = await a_batch(account, f"{receiver.url}/of-the-batch")
    failure = Failure(FailureType.VALIDATION, "no", retryable=False)

    async def fail(item: Analysis) -> None:
        async with account.database.transaction() as tx:
            await tx.analyses.fail(item.id, failure)
            await settle_batch(tx, batch.id)

    await fail(items[0])
    assert await account.deliveries(endpoint) == []
    await asyncio.gather(fail(items[1]), settle(account, batch), settle(account, batch))
    assert await a_sender(account.database).send_due() == 2
    signed = [each for each in receiver.received if "webhook-signature" in each.headers]
    (plain,) = (each for each in receiver.received if each not in signed)
    summary = {
        "batch_id": str(batch.id),
        "kind": "describe",
        "status": "failed",
        "total_items": 2,
        "successful_items": 0,
        "failed_items": 2,
        "skipped_items": 0,
    }
    assert json.loads(plain.body) == summary
    body = verified(signed[0], secret)
    assert body["type"] == "batch.failed"
    assert body["data"] == summary | {"url": f"/api/v2/batch/{batch.id}"}


async def settle(account: Account, batch: Batch) -> None:
    async with account.database.transaction() as tx:
        await settle_batch(tx, batch.id)


async def test_what_workers_of_the_version_before_have_ended_is_told(account: Account) -> None:
    """They end items without looking at the batch, and leave its address to a job of their own."""
    url = "https://example.com/of-the-batch"
    dead, at_work, waiting = [await a_batch(account, url) for _ in range(3)]
    failure = Failure(FailureType.VALIDATION, "no", retryable=False)
    async with account.database.transaction() as tx:
        for _, items in (dead, at_work):
            for item in items:
                await tx.analyses.fail(item.id, failure)
        await tx.batches.announced(at_work[0].id, at=datetime.now(UTC))

    async def told() -> list[str]:
        async with account.database.connection() as connection:
            cursor = await connection.execute(
                "SELECT payload FROM webhook_deliveries WHERE tenant_id = %s AND url = %s"
                " ORDER BY created_at",
                (account.by.tenant_id, url),
            )
            return [json.loads(row["payload"])["batch_id"] for row in await cursor.fetchall()]

    tell = TellBatches(account.database)
    await tell.catch_up()
    assert await told() == [str(dead[0].id)]
    await tell.run(at_work[0].id, last_attempt=False)
    await tell.run(waiting[0].id, last_attempt=False)
    await tell.catch_up()
    assert await told() == [str(dead[0].id), str(at_work[0].id)]


async def test_a_cancelled_batch_is_told_when_its_last_item_ends(account: Account) -> None:
    endpoint, _ = await account.endpoint("https://example.com/hook")
    batch, items = await a_batch(account, None)
    async with account.database.transaction() as tx:
        await tx.analyses.start(items[0].id)
        assert await tx.batches.cancel(batch.id, "no") == 1
        await settle_batch(tx, batch.id)
    assert await account.deliveries(endpoint) == []
    async with account.database.transaction() as tx:
        assert await tx.batches.cancel(batch.id, "no") is None, "it was cancelled already"
        await tx.analyses.complete(items[0])
        await settle_batch(tx, batch.id)
    delivery = await account.only_delivery(endpoint)
    assert delivery.event_type == "batch.cancelled"
    assert json.loads(delivery.payload)["data"]["successful_items"] == 1


async def test_an_item_that_ends_while_its_batch_is_cancelled_waits_in_no_circle(
    account: Account,
) -> None:
    batch, items = await a_batch(account, None)
    database, tenant_id = account.database, account.by.tenant_id
    unused: Any = None
    analyse = Analyse(
        database, unused, unused, unused, (), unused, token_cost=lambda *_: None, timeout=1
    )
    batches = Batches(database, unused, unused)
    async with database.transaction() as tx:
        await tx.usage.reserve(Charge(tenant_id=tenant_id, descriptions=2, credits=2))
        await tx.analyses.start(items[0].id)

    async def waiting() -> int:
        async with database.connection() as connection:
            cursor = await connection.execute(
                b"SELECT count(*) AS number FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                b" AND datname = current_database()"
            )
            row = await cursor.fetchone()
            return int(row["number"]) if row else 0

    async def are_waiting(number: int) -> bool:
        return await waiting() >= number

    async with database.transaction() as tx:
        await tx.usage.give_back(tenant_id, descriptions=0, credits=0)  # the meters are locked
        ends = asyncio.create_task(analyse.give_up(items[0].id, "no"))
        await eventually(partial(are_waiting, 1))
        cancels = asyncio.create_task(batches.cancel(tenant_id, str(batch.id)))
        await eventually(partial(are_waiting, 2))
    await asyncio.gather(ends, cancels)
    state = await batches.get(tenant_id, str(batch.id))
    assert (state.status, state.finished) == (BatchStatus.CANCELLED, 2)


def test_bodies_stay_small() -> None:
    image = an_image(uuid.uuid4())
    huge = "\U0001f408" * 100_000
    analysis = replace(an_analysis(image), description=huge, tags=(huge,) * 500)
    assert len(image_described(analysis).payload.encode()) < 20_000
    failed = image_failed(analysis, Failure(FailureType.UNKNOWN, huge, retryable=True))
    assert len(failed.payload.encode()) < 20_000
    assert json.loads(failed.payload)["data"]["image_id"] == str(image.id)
