"""Everything that a tenant has, in a folder: all of it, nothing of another, no secrets."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from pathlib import Path

import psycopg
import pytest
from tests.conftest import Server, ocelli
from tests.integration.test_erasures import WORD, Owner, stored
from tests.integration.test_main_job import noise
from tests.integration.test_storage import a_tenant

from ocelli.domain.accounts import Tenant, Tier, hash_key
from ocelli.domain.errors import Unavailable
from ocelli.storage.objects_local import LocalObjects
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.storage.postgres.tenant_export import FILES, LEFT_OUT
from ocelli.usecases.store_resolver import StoreResolver
from ocelli.usecases.tenant_export import NotAnExport, TenantExport


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_an_export_has_all_of_one_tenant_and_nothing_of_another(
    server: Server, tmp_path: Path
) -> None:
    mine, theirs = Owner(server, "exported", noise(27_182)), Owner(server, "private", noise(2_718))
    with mine.client, theirs.client:
        mine.fill()
        theirs.fill()
    target = tmp_path / "export"
    made = json.loads(
        ocelli("tenants", "export", mine.name, str(target), "--json", data=server.data)
    )
    assert made["complete"]
    assert made["missing"] == {}
    assert json.loads((target / "manifest.json").read_text()) == made
    for file, digest in made["sha256"].items():
        content = (target / file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
        assert content.count(b"\n") == made["lines"][file]
    filled = {file for file, count in made["lines"].items() if count}
    assert filled >= {
        *("tenant.jsonl", "members.jsonl", "api_keys.jsonl", "pictures.jsonl", "uploads.jsonl"),
        *("batches.jsonl", "analyses.jsonl", "chat_sessions.jsonl", "organize_plans.jsonl"),
        *("responses.jsonl", "webhooks.jsonl", "webhook_deliveries.jsonl", "audit_log.jsonl"),
        *("usage_days.jsonl", "request_log.jsonl"),
    }
    pictures = {
        line["id"]: line
        for line in map(json.loads, (target / "pictures.jsonl").read_text().splitlines())
    }
    assert set(pictures) == {mine.picture, mine.other}
    picture = pictures[mine.picture]
    assert picture["filename"] == mine.filename
    assert picture["title"] == f"{WORD} title"
    assert len(picture["analyses"]) == 2
    assert len(picture["edits"]) >= 3
    assert (target / picture["file"]).read_bytes() == mine.data
    (chat,) = map(json.loads, (target / "chat_sessions.jsonl").read_text().splitlines())
    assert len(chat["messages"]) == 6

    whole = everything(target)
    for needle in (theirs.tenant_id, theirs.picture, theirs.name, theirs.key):
        assert needle.encode() not in whole
    assert theirs.data not in whole
    secrets = [mine.key, hash_key(mine.key).hex(), (server.data / "secret").read_text().strip()]
    assert [each for each in secrets if each.encode() in whole] == []
    again = json.loads(
        ocelli("tenants", "export", mine.name, str(target), "--json", data=server.data)
    )
    assert again["files"] == made["files"]


def test_every_table_is_exported_or_it_is_said_why_not(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
        ).fetchall()
    words = set(re.findall(r"\w+", " ".join(FILES.values())))
    missing = {name for (name,) in rows} - words - set(LEFT_OUT)
    assert missing == set(), "new tables go into FILES, or into LEFT_OUT with the reason"


class Flaky(LocalObjects):
    """A store that stops answering after some reads."""

    answers = 2

    async def copy_to(self, key: str, write: object) -> None:
        if self.answers <= 0:
            raise Unavailable("The store does not answer.")
        self.answers -= 1
        await super().copy_to(key, write)  # type: ignore[arg-type]


async def test_an_export_that_was_cut_short_is_done_again_and_copies_what_is_missing(
    database: PostgresDatabase, tmp_path: Path
) -> None:
    store = Flaky(tmp_path / "store", b"s")
    tenant_id = await a_tenant(database)
    images = [await stored(database, store, tenant_id, data=str(n).encode()) for n in range(5)]
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT * FROM tenants WHERE id = %s", (tenant_id,))
        row = await cursor.fetchone()
        assert row is not None
    tenant = Tenant(tenant_id, row["name"], Tier.STARTER, row["created_at"])
    export, target = TenantExport(database, StoreResolver(store)), tmp_path / "export"
    with pytest.raises(Unavailable):
        await export.write(tenant, target)
    assert json.loads((target / "manifest.json").read_text())["complete"] is False
    store.answers = 5
    done = await export.write(tenant, target)
    assert (done.complete, done.files, done.missing) == (True, 5, {})
    store.answers = 0
    assert (await export.write(tenant, target)).files == 5, "what is there is not read again"
    store.answers = 1
    await store.delete(images[0].object_key)
    (target / f"originals/{images[0].id}.png").unlink()
    assert list((await export.write(tenant, target)).missing) == [f"originals/{images[0].id}.png"]
    other = Tenant(uuid.uuid4(), "another", Tier.STARTER, row["created_at"])
    with pytest.raises(NotAnExport, match="another tenant"):
        await export.write(other, target)
    with pytest.raises(NotAnExport, match="not empty"):
        await export.write(tenant, tmp_path)
