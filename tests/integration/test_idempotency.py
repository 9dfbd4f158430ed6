"""The header Idempotency-Key: over HTTP, and the races beneath it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import uuid
from collections import Counter
from typing import Any

import psycopg
import pytest
import requests
from tests.conftest import Server
from tests.integration.test_keys import caller, made, new_tenant
from tests.integration.test_main_job import API, get, noise
from tests.waiting import eventually, until

from ocelli.domain.accounts import Tier
from ocelli.domain.errors import AnswerNotKept, StillRunning, ValidationFailed
from ocelli.domain.idempotency import Earlier, KeyClaim, StoredAnswer
from ocelli.storage.embedded import EmbeddedPostgres
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.storage.postgres.idempotency import PostgresIdempotencyKeys
from ocelli.usecases.idempotency import Idempotency, Ticket

PRINT = b"p" * 32
ANSWER = StoredAnswer(201, "application/json", b"{}")


def send(server: Server, data: bytes, key: str | None, **options: Any) -> requests.Response:
    headers = options.pop("headers", server.headers)
    return requests.post(
        f"{server.url}{API}/user-files/upload/stream",
        headers={**headers, **({"Idempotency-Key": key} if key else {})},
        files={"file": ("a.png", data)},
        data={"auto_describe": "false", **options},
        timeout=60,
    )


def test_an_upload_repeated_is_one_upload(server: Server) -> None:
    key = str(uuid.uuid4())
    first, again = (send(server, noise(41), key) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert again.content == first.content
    assert "X-RateLimit-Remaining" in again.headers
    assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert send(server, noise(41), None).json()["image_id"] != first.json()["image_id"]


def test_a_key_is_for_one_request(server: Server) -> None:
    key = str(uuid.uuid4())
    first = send(server, noise(42), key)
    for other in (
        send(server, noise(42, 99), key),
        send(server, noise(42), key, title="longer"),
        requests.post(
            f"{server.url}{API}/uploads/check-duplicates",
            headers={**server.headers, "Idempotency-Key": key},
            json={"hashes": ["0" * 64]},
            timeout=60,
        ),
    ):
        assert other.status_code == 422
        assert other.json()["error"]["details"]["field"] == "Idempotency-Key"
    assert send(server, noise(42), key).content == first.content


def test_tenants_have_their_own_keys(server: Server) -> None:
    key = str(uuid.uuid4())
    other = {"Authorization": f"Bearer {server.new_key(f't-{uuid.uuid4()}')}"}
    first = send(server, noise(43), key)
    foreign = send(server, noise(43), key, headers=other)
    assert foreign.status_code == 200
    assert "Idempotent-Replayed" not in foreign.headers
    assert foreign.json()["image_id"] != first.json()["image_id"]


def test_at_the_same_time_one_does_the_work(server: Server) -> None:
    key, tenant = str(uuid.uuid4()), f"t-{uuid.uuid4()}"
    headers = {"Authorization": f"Bearer {server.new_key(tenant)}"}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(server, noise(44), key, headers=headers), range(8)))
    kinds = Counter((each.status_code, each.headers.get("Idempotent-Replayed")) for each in answers)
    assert kinds[(200, None)] == 1
    assert kinds[(200, None)] + kinds[(200, "true")] + kinds[(409, None)] == 8
    assert get(server, "/user-files", headers=headers).json()["total_count"] == 1


def test_a_refusal_is_not_kept(server: Server) -> None:
    boss, key = new_tenant(server), str(uuid.uuid4())
    for _ in range(2):
        answer = boss("POST", "/api-keys", json={"name": ""}, headers={"Idempotency-Key": key})
        assert answer.status_code == 422
        assert "Idempotent-Replayed" not in answer.headers
    better = boss("POST", "/api-keys", json={"name": "x"}, headers={"Idempotency-Key": key})
    assert better.status_code == 201


def test_a_secret_is_not_kept_but_made_once(server: Server) -> None:
    boss, key = new_tenant(server), str(uuid.uuid4())
    body, headers = {"name": "once"}, {"Idempotency-Key": key}
    assert boss("POST", "/api-keys", json=body, headers=headers).status_code == 201
    again = boss("POST", "/api-keys", json=body, headers=headers)
    assert again.status_code == 409
    assert "Retry-After" not in again.headers
    assert boss("GET", "/api-keys").json()["total"] == 2


def test_a_weaker_key_gets_no_answer_of_a_stronger_one(server: Server) -> None:
    boss = new_tenant(server)
    reader = caller(server, made(boss, scopes=["read"])["api_key"])
    files = {"file": ("a.png", noise(45))}
    headers = {"Idempotency-Key": "shared"}
    path = "/user-files/upload/stream"
    assert boss("POST", path, files=files, headers=headers).status_code == 200
    assert reader("POST", path, files=files, headers=headers).status_code == 403


@pytest.mark.parametrize("key", ["", "with space", "x" * 256, "\x80"])
def test_keys_that_are_none(server: Server, key: str) -> None:
    boss = new_tenant(server)
    answer = boss(
        "POST", "/api-keys", json={"name": "x"}, headers={"Idempotency-Key": key.encode("latin-1")}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["field"] == "Idempotency-Key"


def test_the_header_is_documented_on_every_post(server: Server) -> None:
    paths = requests.get(f"{server.url}/openapi.json", timeout=60).json()["paths"]
    posts = [item["post"] for item in paths.values() if "security" in item.get("post", {})]
    assert posts
    for post in posts:
        assert "Idempotency-Key" in [each["name"] for each in post["parameters"]]
        assert {"400", "409"} <= set(post["responses"])
    gets = str([item["get"] for item in paths.values() if "get" in item])
    assert "Idempotency-Key" not in gets


def is_claimed(server: Server, key: str) -> bool:
    """Whether the server knows of a request with this key, under way or answered."""
    with psycopg.connect(EmbeddedPostgres(server.data / "postgres").dsn) as connection:
        found = connection.execute("SELECT 1 FROM idempotency_keys WHERE key = %s", (key,))
        return found.fetchone() is not None


def test_who_hangs_up_may_try_again_at_once(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    key = str(uuid.uuid4())
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(
            f"POST {API}/user-files/upload/stream HTTP/1.1\r\nHost: {host}\r\n"
            f"Authorization: Bearer {server.key}\r\nIdempotency-Key: {key}\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 999\r\n\r\n"
            '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx'.encode()
        )
        until(lambda: is_claimed(server, key))
    until(lambda: not is_claimed(server, key))
    answer = send(server, noise(46), key)
    assert answer.status_code == 200
    assert "Idempotent-Replayed" not in answer.headers


async def a_tenant(database: PostgresDatabase) -> uuid.UUID:
    async with database.transaction() as tx:
        return (await tx.accounts.add_tenant(f"t-{uuid.uuid4()}", Tier.FREE)).id


async def ticket(keys: Idempotency, tenant: uuid.UUID) -> Ticket:
    outcome = await keys.begin(tenant, "k", PRINT)
    assert isinstance(outcome, Ticket)
    return outcome


async def age(database: PostgresDatabase, tenant: uuid.UUID, seconds: int) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE idempotency_keys SET renewed_at = now() - make_interval(secs => %s)"
            " WHERE tenant_id = %s",
            (seconds, tenant),
        )


async def test_the_second_waits_for_the_first(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, claim = list[KeyClaim](), PostgresIdempotencyKeys.claim

    async def seen(keys: PostgresIdempotencyKeys, it: KeyClaim, **limits: float) -> Earlier | None:
        asked.append(it)
        return await claim(keys, it, **limits)

    monkeypatch.setattr(PostgresIdempotencyKeys, "claim", seen)

    async def asked_again() -> bool:
        return len(asked) >= 3

    keys, tenant = Idempotency(database), await a_tenant(database)
    first = await ticket(keys, tenant)
    second = asyncio.create_task(Idempotency(database).begin(tenant, "k", PRINT))
    await eventually(asked_again)
    assert not second.done()
    await first.finish(ANSWER)
    assert await second == ANSWER


async def test_the_second_waits_not_for_ever(database: PostgresDatabase) -> None:
    keys, tenant = Idempotency(database), await a_tenant(database)
    await ticket(keys, tenant)
    with pytest.raises(StillRunning) as raised:
        await keys.begin(tenant, "k", PRINT)
    assert raised.value.retry_after == 1
    with pytest.raises(ValidationFailed):
        await keys.begin(tenant, "k", b"another one")


async def test_who_died_at_work_is_replaced_after_a_while(database: PostgresDatabase) -> None:
    tenant = await a_tenant(database)
    dead = await ticket(Idempotency(database), tenant)
    await age(database, tenant, 61)
    heir = await ticket(Idempotency(database), tenant)
    await dead.finish(StoredAnswer(500, None, b"late"))
    await dead.release()
    await heir.finish(ANSWER)
    assert await Idempotency(database).begin(tenant, "k", PRINT) == ANSWER


async def test_who_is_slow_is_not_replaced(database: PostgresDatabase) -> None:
    keys, tenant = Idempotency(database), await a_tenant(database)
    await ticket(keys, tenant)
    await age(database, tenant, 61)
    await keys.renew()
    with pytest.raises(StillRunning):
        await Idempotency(database).begin(tenant, "k", PRINT)


async def test_answers_are_kept_for_an_hour(database: PostgresDatabase) -> None:
    keys, tenant = Idempotency(database), await a_tenant(database)
    await (await ticket(keys, tenant)).finish(ANSWER)
    await age(database, tenant, 3590)
    assert await keys.begin(tenant, "k", PRINT) == ANSWER
    await age(database, tenant, 3610)
    await (await ticket(keys, tenant)).finish(None)
    with pytest.raises(AnswerNotKept):
        await keys.begin(tenant, "k", PRINT)
    await age(database, tenant, 3610)
    async with database.transaction() as tx:
        assert await tx.idempotency.purge(older_than=3600) >= 1
    await ticket(keys, tenant)
