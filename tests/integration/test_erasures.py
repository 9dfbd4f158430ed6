"""Erasure for good: every table and every object is looked through for what was erased."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from psycopg import sql
from tests.conftest import Server, ocelli
from tests.integration.test_main_job import API, finished, noise
from tests.integration.test_storage import a_tenant, an_analysis, an_image
from tests.waiting import until

from aion import (
    AionvisionPermissionError,
    ResourceNotFoundError,
    SyncAionVision,
    ValidationError,
)
from aion.types.tenant import RetentionDays
from ocelli.domain.accounts import KeyDraft, Tier
from ocelli.domain.erasures import Erasure, ErasureKind, ErasureReason
from ocelli.domain.errors import AnswerNotKept, Conflict, NotFound, Unavailable
from ocelli.domain.idempotency import StoredAnswer
from ocelli.domain.images import Image, StorageTarget, VariantStatus
from ocelli.domain.ports_storage import Objects
from ocelli.media.blob_writer import BlobWriter
from ocelli.storage.embedded import EmbeddedPostgres
from ocelli.storage.objects_local import LocalObjects
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.erasures import OPEN_AT_ONCE, Erasures
from ocelli.usecases.housekeeping import Housekeeping
from ocelli.usecases.idempotency import Idempotency, Ticket
from ocelli.usecases.keys import Keys
from ocelli.usecases.responses import Responses
from ocelli.usecases.store_resolver import StoreResolver

WORD = "zanzibarquux"


def found_in_tables(dsn: str, needles: Iterable[str]) -> list[str]:
    """Where a row of any table, as text or as the bytes in it, has one of the needles."""
    wanted = {needle.lower(): needle for needle in needles}
    wanted |= {needle.lower().encode().hex(): needle for needle in wanted}
    hits = []
    with psycopg.connect(dsn) as connection:
        names = connection.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
        ).fetchall()
        assert len(names) > 50
        for (table,) in names:
            query = sql.SQL("SELECT lower(row_to_json(t)::text) FROM {} t").format(
                sql.Identifier(table)
            )
            for (row,) in connection.execute(query):
                hits += [f"{table}: {of} in {row}" for text, of in wanted.items() if text in row]
    return hits


def found_in_store(folder: Path, needles: Iterable[str], contents: Iterable[bytes]) -> list[str]:
    """Which files have a needle in their path or bytes, or are one of the contents."""
    texts, digests = [each.encode() for each in needles], [*contents]
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file()
        and (
            any(text in str(path).encode() or text in path.read_bytes() for text in texts)
            or path.read_bytes() in digests
        )
    ]


@dataclass
class Owner:
    """A tenant with a picture that is named wherever one can be named, and another one."""

    server: Server
    name: str
    data: bytes

    def __post_init__(self) -> None:
        self.key = self.server.new_key(self.name, "--credits", "100")
        self.client = SyncAionVision(self.key, base_url=self.server.url, max_retries=0)
        self.headers = {"Authorization": f"Bearer {self.key}"}
        self.tenant_id = self.client.tenant.get_settings().id
        self.filename = f"quuxzan-{self.name}.png"

    def post(self, path: str, **options: Any) -> Any:
        headers = self.headers | options.pop("headers", {})
        url = f"{self.server.url}{path}"
        answer = requests.post(url, headers=headers, timeout=120, **options)
        assert answer.ok, answer.text
        return answer.json()

    def upload(self, name: str, data: bytes) -> str:
        batch = self.post(
            f"{API}/user-files/upload/stream-batch",
            headers={"Idempotency-Key": uuid.uuid4().hex},
            files=[("files", (name, data))],
        )
        return str(batch["immediate_results"][0]["image_id"])

    def fill(self) -> None:
        """Name the picture in every table that can name one."""
        self.client.tenant.invite_member("quuxzan@example.com")
        self.post(f"{API}/webhooks", json={"url": "https://quuxzan.invalid/hook"})
        self.other = self.upload("other.png", noise(abs(hash(self.name)) % 10**6))
        self.picture = self.upload(self.filename, self.data)
        details = finished(self.server, self.picture, self.headers)
        until(lambda: self.variants(self.picture) == 5)
        self.client.files.update(
            self.picture,
            title=f"{WORD} title",
            description=f"A {WORD} stands there.",
            tags=[WORD, "common"],
        )
        self.client.files.update(self.other, tags=["common"])
        with self.client.chat_session() as chat:
            assert chat.send("How many pictures are from 1950?").resolved_content
            chat.send(f"Show me the {WORD}")
            chat.send("And what is in it?")
            self.chat_id = chat.session_id
        self.post(f"{API}/agents/organize", json={"intent": "Sort all pictures by month"})
        self.client.files.redescribe_matching()
        assert WORD.encode() in self.client.history.export()
        self.post(f"{API}/describe", json={"object_key": details["object_key"]})
        self.post(
            "/v1/responses", json={"model": "ocelli-local", "input": f"What is {self.picture}?"}
        )
        until(self.is_quiet)

    def variants(self, id: str) -> int:
        return int(self.get(f"/user-files/{id}").json()["variant_count"])

    def get(self, path: str) -> requests.Response:
        return requests.get(f"{self.server.url}{API}{path}", headers=self.headers, timeout=60)

    def is_quiet(self) -> bool:
        """Whether no worker works for the tenant."""
        with psycopg.connect(self.dsn) as connection:
            row = connection.execute(
                "SELECT count(*) FROM analyses WHERE tenant_id = %s"
                " AND status IN ('queued', 'processing')",
                (self.tenant_id,),
            ).fetchone()
        return row == (0,)

    @property
    def dsn(self) -> str:
        return EmbeddedPostgres(self.server.data / "postgres").dsn

    @property
    def needles(self) -> list[str]:
        return [self.picture, self.filename, WORD, hashlib.sha256(self.data).hexdigest()]

    def where(self, needles: Iterable[str], *, contents: Iterable[bytes] = ()) -> list[str]:
        """Where the needles are, but for receipts."""
        rows = [row for row in found_in_tables(self.dsn, needles) if not row.startswith("erasures")]
        return rows + found_in_store(self.server.data / "objects", needles, contents)


@pytest.fixture(scope="module")
def owners(server: Server) -> Iterator[tuple[Owner, Owner]]:
    """Two tenants that have uploaded the same bytes."""
    data = noise(31_415)
    mine, theirs = Owner(server, "erased", data), Owner(server, "neighbour", data)
    mine.fill()
    theirs.picture = theirs.upload("theirs.png", data)
    finished(server, theirs.picture, theirs.headers)
    yield mine, theirs
    mine.client.close()
    theirs.client.close()


def test_a_picture_is_erased_from_every_table_and_the_store(owners: tuple[Owner, Owner]) -> None:
    mine, theirs = owners
    named = {row.split(":")[0] for row in mine.where(mine.needles) if ":" in row}
    assert named > {
        *("images", "items", "analyses", "edits", "library", "known_tags", "variants", "palettes"),
        *("webhook_deliveries", "chat_messages", "organize_plans", "batches", "responses"),
        *("idempotency_keys", "answers", "text_vectors"),
    }
    receipt = mine.client.erasures.create([mine.picture])
    assert receipt.completed_at is not None
    assert receipt.counts["pictures"] == 1
    assert receipt.counts["variants"] == 5
    assert receipt.counts["edits"] >= 3
    assert (receipt.reason, receipt.image_ids) == ("request", [mine.picture])
    digest = hashlib.sha256(mine.data).hexdigest()
    where = mine.where([mine.picture, mine.filename, WORD])
    # The answer, a receipt, is remembered for an hour for the request's Idempotency-Key.
    assert [row for row in where if receipt.id.encode().hex() not in row] == []
    kept = mine.where([digest], contents=[mine.data])
    assert kept, "what another tenant has stays"
    assert all(theirs.tenant_id in row for row in kept)

    assert mine.get(f"/user-files/{mine.picture}").status_code == 404
    assert mine.get(f"/user-files/{mine.other}").json()["tags"] == ["common"]
    assert theirs.get(f"/user-files/{theirs.picture}").status_code == 200
    session = mine.client.chats.get_session(mine.chat_id)
    said = [message.content for message in session.messages]
    assert said[0] == "How many pictures are from 1950?"
    assert said[2:] == ["[erased]"] * 4
    assert mine.client.erasures.list().erasures == [receipt]
    assert mine.client.erasures.get(receipt.id) == receipt
    (event,) = mine.client.audit.list(event_type="data.erased").entries
    assert (event.resource_id, event.metadata) == (
        receipt.id,
        {"pictures": 1, "reason": "request"},
    )


def test_only_administrators_erase_and_only_what_is_theirs(owners: tuple[Owner, Owner]) -> None:
    mine, theirs = owners
    with pytest.raises(ResourceNotFoundError):
        mine.client.erasures.create([mine.other, theirs.picture])
    assert mine.get(f"/user-files/{mine.other}").status_code == 200, "all or none"
    editor = mine.server.new_key("neighbour", "--scopes", "write")
    with (
        SyncAionVision(editor, base_url=mine.server.url, max_retries=0) as client,
        pytest.raises(AionvisionPermissionError),
    ):
        client.erasures.create([theirs.picture])
    receipt = mine.client.erasures.create([mine.upload("soon.png", noise(27))])
    assert mine.client.erasures.get(receipt.id) == receipt
    with pytest.raises(ResourceNotFoundError):
        theirs.client.erasures.get(receipt.id)


def test_a_tenant_is_erased_from_every_table_and_the_store(owners: tuple[Owner, Owner]) -> None:
    mine, theirs = owners
    data = mine.server.data
    needles = [mine.tenant_id, mine.other, "quuxzan", WORD]
    assert mine.where(needles)
    assert ocelli("tenants", "erase", "another", "--yes", data=data, check=False) == ""
    receipt = json.loads(ocelli("tenants", "erase", mine.name, "--yes", "--json", data=data))
    assert receipt["kind"] == "tenant"
    assert receipt["counts"]["pictures"] == 1
    assert mine.where(needles) == []
    assert theirs.get(f"/user-files/{theirs.picture}").status_code == 200
    until(lambda: mine.get("/user-files").status_code == 401)
    listed = json.loads(ocelli("tenants", "list", "--json", data=data))
    assert mine.name not in {each["name"] for each in listed}


def test_retention_is_set_by_the_tenant_and_by_the_operator(server: Server) -> None:
    key = server.new_key("retaining")
    with SyncAionVision(key, base_url=server.url, max_retries=0) as client:
        assert client.tenant.get_settings().retention_days == RetentionDays()
        set_to = client.tenant.update_settings(retention_days={"pictures": 365, "request_log": 7})
        assert set_to.retention_days == RetentionDays(pictures=365, request_log=7)
        for wrong in (0, -1, 40_000):
            with pytest.raises(ValidationError):
                client.tenant.update_settings(retention_days={"pictures": wrong})
        assert client.tenant.update_settings(name="Acme").retention_days == set_to.retention_days
        data = server.data
        told = ocelli("tenants", "retention", "retaining", "--chats", "9", data=data)
        assert told == "retaining: pictures 365 days, chat_sessions 9 days, request_log 7 days\n"
        ocelli("tenants", "retention", "retaining", "--pictures", "0", data=data)
        kept = client.tenant.get_settings().retention_days
        assert kept == RetentionDays(chat_sessions=9, request_log=7)
        assert client.tenant.update_settings(retention_days={}).retention_days == RetentionDays()
        events = client.audit.list(event_type="tenant.updated").entries
        assert [each.api_key_id is None for each in events] == [False, True, True, False, False]


# What follows needs no server.


class Faulty(LocalObjects):
    """A store that does not answer after so many deletions."""

    allowed = 0

    async def delete(self, key: str) -> None:
        if self.allowed <= 0:
            raise Unavailable("The store does not answer.")
        self.allowed -= 1
        await super().delete(key)


async def stored(
    database: PostgresDatabase,
    store: LocalObjects,
    tenant_id: uuid.UUID,
    age: int = 0,
    data: bytes = b"bytes",
) -> Image:
    """A picture in the store and in the database, uploaded ``age`` days ago."""
    image = replace(an_image(tenant_id), sha256=hashlib.sha256(data).hexdigest())
    with BlobWriter(store.staging) as blob:
        blob.write(data)
        await store.put(image.object_key, blob, "image/png")
    async with database.transaction() as tx:
        await tx.images.add(image)
        await tx.images.set_variants(image.id, VariantStatus.FAILED)
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE images SET created_at = now() - make_interval(days => %s) WHERE id = %s",
            (age, image.id),
        )
    return image


async def keep_for(database: PostgresDatabase, tenant_id: uuid.UUID, days: dict[str, int]) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE tenants SET retention_days = %s::jsonb WHERE id = %s",
            (json.dumps(days), tenant_id),
        )


async def receipts(database: PostgresDatabase, tenant_id: uuid.UUID) -> list[Erasure]:
    async with database.transaction() as tx:
        return [*(await tx.erasures.page(tenant_id, limit=100, offset=0))[0]]


async def test_an_erasure_that_was_cut_short_is_gone_on_with(
    database: PostgresDatabase, tmp_path: Path
) -> None:
    """As after a kill at any line: the row is there before anything is gone."""
    store = Faulty(tmp_path, b"s")
    erasures = Erasures(database, StoreResolver(store))
    keys = Keys(database)
    name = f"t-{uuid.uuid4()}"
    await keys.issue(name, Tier.STARTER, KeyDraft("", ("admin",)))
    async with database.transaction() as tx:
        key = await tx.accounts.oldest_admin(name)
    assert key is not None
    image = await stored(database, store, key.tenant.id)
    for allowed in range(20):
        store.allowed = allowed
        if allowed == 0:
            receipt = await erasures.erase_pictures(key, [str(image.id)])
            assert receipt.completed_at is None
            async with database.transaction() as tx:
                assert await tx.images.get(key.tenant.id, str(image.id)) is None, "out of sight"
                assert await tx.images.find(image.id) is not None
        else:
            await erasures.catch_up()
    (receipt,) = await receipts(database, key.tenant.id)
    assert receipt.completed_at is not None
    assert receipt.counts["pictures"] == 1
    assert not store.path(image.object_key).exists()
    with pytest.raises(NotFound):
        await erasures.erase_pictures(key, [str(image.id)])

    for _ in range(3):
        await stored(database, store, key.tenant.id)
    for allowed in range(20):
        store.allowed = allowed
        try:
            done = await erasures.erase_tenant(name)
        except Unavailable:
            async with database.transaction() as tx:
                revoked = await tx.accounts.key(key.tenant.id, key.id)
            assert revoked is None or revoked.revoked_at is not None
        else:
            assert done is None or done.completed_at is not None
    # Cut short behind its rows, the tenant has no name any more: the server's task goes on.
    await erasures.catch_up()
    (receipt,) = [each for each in await receipts(database, key.tenant.id) if not each.image_ids]
    assert receipt.counts["pictures"] == 3
    assert receipt.completed_at is not None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_those_that_cannot_be_carried_out_keep_no_other_waiting(
    database: PostgresDatabase, tmp_path: Path
) -> None:
    """More wait for a store that does not answer than are read at once."""
    down, up = Faulty(tmp_path / "down", b"s"), LocalObjects(tmp_path / "up", b"s")
    keys = Keys(database)
    ids = []
    for store, pictures in ((down, OPEN_AT_ONCE + 1), (up, 1)):
        name = f"t-{uuid.uuid4()}"
        await keys.issue(name, Tier.STARTER, KeyDraft("", ("admin",)))
        async with database.transaction() as tx:
            key = await tx.accounts.oldest_admin(name)
        assert key is not None
        ids.append(key.tenant.id)
        for _ in range(pictures):
            image = await stored(database, store, key.tenant.id)
            # Of a process that died before it had carried out any.
            await Erasures(database, StoreResolver(down)).erase_pictures(key, [str(image.id)])

    class Stores(StoreResolver):
        async def find(self, tenant_id: uuid.UUID, target: StorageTarget) -> Objects | None:
            return up if tenant_id == ids[1] else down

    erasures = Erasures(database, Stores(down))
    await erasures.catch_up()
    assert not any(each.completed_at for each in await receipts(database, ids[0]))
    assert [bool(each.completed_at) for each in await receipts(database, ids[1])] == [True]
    down.allowed = 1_000_000
    assert await erasures.catch_up() >= OPEN_AT_ONCE + 1
    assert all(each.completed_at for each in await receipts(database, ids[0]))


async def test_what_names_an_erased_picture_is_not_kept(
    database: PostgresDatabase, tmp_path: Path
) -> None:
    """Of requests that began before the erasure, and ended after it."""
    tenant_id = await a_tenant(database)
    erasures = Erasures(database, StoreResolver(LocalObjects(tmp_path, b"s")))
    image = await stored(database, LocalObjects(tmp_path, b"s"), tenant_id)
    kept = Responses(database)
    keys = Idempotency(database)
    ticket = await keys.begin(tenant_id, "k", b"f")
    assert isinstance(ticket, Ticket)
    items = [{"role": "user", "content": f"What is in {str(image.id).upper()}?"}]
    await kept.add(tenant_id, uuid.uuid4(), None, items, {"output": []})
    await erasures.reapply(
        [
            Erasure(
                uuid.uuid4(), tenant_id, ErasureKind.PICTURES, (image.id,), ErasureReason.REQUEST,
                "operator", datetime.now(UTC),
            )
        ]
    )  # fmt: skip
    with pytest.raises(Conflict):
        await kept.add(tenant_id, uuid.uuid4(), None, items, {"output": []})
    await kept.add(tenant_id, uuid.uuid4(), None, [], {"output": [str(uuid.uuid4())]})
    await ticket.finish(StoredAnswer(200, None, json.dumps({"id": str(image.id)}).encode()))
    with pytest.raises(AnswerNotKept):
        await keys.begin(tenant_id, "k", b"f")


async def test_retention_erases_what_is_old_and_waits_for_what_is_in_work(
    database: PostgresDatabase, tmp_path: Path
) -> None:
    store = LocalObjects(tmp_path, b"s")
    told: list[tuple[ErasureReason, int]] = []
    stores = StoreResolver(store)
    erasures = Erasures(database, stores, lambda reason, count: told.append((reason, count)))
    housekeeping = Housekeeping(database, stores, erasures)
    keeps, for_ever = await a_tenant(database), await a_tenant(database)
    old, new = [await stored(database, store, keeps, age) for age in (31, 29)]
    others = await stored(database, store, for_ever, 900)
    in_work = await stored(database, store, keeps, 31)
    analysis = an_analysis(in_work)
    async with database.transaction() as tx:
        await tx.analyses.add(analysis)
    assert (await housekeeping.run()).retained == 0, "kept for ever, unless something else is said"
    await keep_for(database, keeps, {"pictures": 30})
    assert (await housekeeping.run()).retained == 1
    assert told == [(ErasureReason.RETENTION, 1)]
    async with database.transaction() as tx:
        there = [await tx.images.find(each.id) for each in (old, new, others, in_work)]
        assert [each is not None for each in there] == [False, True, True, True]
        assert await tx.analyses.skip(analysis.id)
    assert not store.path(old.object_key).exists()
    assert (await housekeeping.run()).retained == 1
    first, second = await receipts(database, keeps)
    assert {*first.image_ids, *second.image_ids} == {old.id, in_work.id}
    assert {first.requested_by, second.requested_by} == {"retention"}


async def test_retention_of_chats_and_requests(database: PostgresDatabase, tmp_path: Path) -> None:
    keeps, for_ever = await a_tenant(database), await a_tenant(database)
    sessions = {}
    async with database.transaction() as tx:
        for tenant_id in (keeps, for_ever):
            sessions[tenant_id] = [
                await tx.chat_sessions.add(
                    tenant_id, "t", is_named=True, image_ids=[], use_all_images=True
                )
                for _ in range(2)
            ]
    async with database.connection() as connection:
        for tenant_id, (old, _) in sessions.items():
            await connection.execute(
                "UPDATE chat_sessions SET created_at = now() - interval '9 days' WHERE id = %s",
                (old,),
            )
            await connection.execute(
                "INSERT INTO request_log (tenant_id, key_id, at, method, route, operation, status,"
                " milliseconds) SELECT %s, gen_random_uuid(), now() - make_interval(days => day),"
                " 'GET', '/', 'x', 200, 1 FROM generate_series(1, 10) AS day",
                (tenant_id,),
            )
    await keep_for(database, keeps, {"chat_sessions": 7, "request_log": 5})
    await Housekeeping(database, StoreResolver(LocalObjects(tmp_path, b"s"))).run()
    async with database.connection() as connection:
        for tenant_id, expected in ((keeps, (1, 4)), (for_ever, (2, 10))):
            cursor = await connection.execute(
                "SELECT (SELECT count(*) FROM chat_sessions WHERE tenant_id = %(t)s) AS chats,"
                " (SELECT count(*) FROM request_log WHERE tenant_id = %(t)s) AS requests",
                {"t": tenant_id},
            )
            row = await cursor.fetchone()
            assert row is not None
            assert (row["chats"], row["requests"]) == expected
