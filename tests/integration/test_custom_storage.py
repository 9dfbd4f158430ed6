"""Buckets of the tenants' own: tried first, kept sealed, kept apart, and lost without losing."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from tests.conftest import Server, reachable, start_server
from tests.integration.test_main_job import API, noise
from tests.integration.test_storage import an_analysis
from tests.s3.store import REGION, S3
from tests.waiting import until

from ocelli.storage.embedded import EmbeddedPostgres
from ocelli.storage.objects_local import LocalObjects
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.storage.sealing import AesGcmSealing
from ocelli.usecases.custom_storage import seal, unseal

CONFIG = "/tenant/s3-config"
WRONG_SECRET = "a-secret-that-opens-nothing-at-all"


@pytest.fixture(scope="module")
def server(s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One whose operator has a store for buckets of tenants, and logs all there is to log."""
    running = start_server(
        reachable(tmp_path_factory.mktemp("custom")) / "data",
        *("--workers", "1"),
        OCELLI_CUSTOM_S3_ENDPOINT=s3.endpoint,
        OCELLI_LOG_LEVEL="debug",
    )
    yield running
    running.stop()
    assert running.process.stdout is not None
    running.process.stdout.close()


@dataclass
class Tenant:
    """A tenant of the server, over HTTP."""

    server: Server
    key: str

    def ask(self, method: str, path: str, **options: Any) -> Any:
        return requests.request(
            method,
            f"{self.server.url}{API}{path}",
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=60,
            **options,
        )

    def configure(self, s3: S3, bucket: str, **changes: Any) -> Any:
        body = {
            "access_key_id": s3.key,
            "secret_access_key": s3.secret,
            "bucket_name": bucket,
            "region": REGION,
        }
        return self.ask("POST", CONFIG, json={**body, **changes})

    def upload(self, data: bytes, **fields: Any) -> Any:
        return self.ask(
            "POST",
            "/user-files/upload/stream",
            files={"file": ("a.png", data)},
            data={"storage_target": "custom", **fields},
        )

    def file(self, id: str) -> dict[str, Any]:
        return dict(self.ask("GET", f"/user-files/{id}").json())

    def finished(self, id: str) -> dict[str, Any]:
        def final() -> dict[str, Any] | None:
            status: dict[str, Any] = self.ask("GET", f"/uploads/status/{id}").json()
            return status if status["is_terminal"] else None

        return until(final, every=0.05)


@pytest.fixture
def tenant(server: Server) -> Tenant:
    return Tenant(server, server.new_key(f"t-{uuid.uuid4()}", "--tier", "enterprise"))


def error(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body = dict(answer.json()["error"])
    assert body["code"] == code
    return body


def on_disk(server: Server, key: str) -> bool:
    return LocalObjects(server.data / "objects", b"secret").path(key).exists()


def test_the_whole_way(server: Server, s3: S3, tenant: Tenant, photos: dict[str, Path]) -> None:
    bucket = s3.new_bucket()
    answer = tenant.configure(s3, bucket)
    assert answer.status_code == 200, answer.text
    status = answer.json()
    assert datetime.fromisoformat(status.pop("configured_at"))
    assert status == {
        "configured": True,
        "bucket_name": bucket,
        "region": REGION,
        "endpoint_url": s3.endpoint,
        "is_validated": True,
        "error": None,
    }
    assert s3.keys(bucket) == [], "the test object is gone"
    assert tenant.ask("GET", CONFIG).json()["bucket_name"] == bucket
    assert tenant.ask("POST", f"{CONFIG}/validate").json() == {
        "valid": True,
        "bucket_name": bucket,
        "region": REGION,
        "error": None,
    }
    data = photos["coffee"].read_bytes()
    accepted = tenant.upload(data).json()
    assert accepted["storage_target"] == "custom"
    assert tenant.finished(accepted["image_id"])["unified_status"] == "completed"
    file = tenant.file(accepted["image_id"])
    assert "cup" in file["upload_description"].lower()
    keys = s3.keys(bucket)
    assert file["object_key"] in keys
    assert len([key for key in keys if key.startswith("variants/")]) == 5
    assert not any(on_disk(server, key) for key in keys)
    for url in ("original_url", "medium_url", "thumbnail_url", "full_url"):
        assert file[url].startswith(f"{s3.endpoint}/{bucket}/")
        assert requests.get(file[url], timeout=60).status_code == 200
    download = tenant.ask("GET", f"/user-files/{file['id']}/download")
    assert download.content == data
    assert "attachment" in download.headers["Content-Disposition"]
    default = tenant.upload(noise(1), storage_target="default", auto_describe="false").json()
    assert default["storage_target"] == "default"
    assert on_disk(server, default["object_key"])


def test_presigned(s3: S3, tenant: Tenant) -> None:
    bucket = s3.new_bucket()
    assert tenant.configure(s3, bucket).status_code == 200
    data = noise(2)
    body = {
        "filename": "a.png",
        "content_type": "image/png",
        "size_bytes": len(data),
        "storage_target": "custom",
    }
    reserved = tenant.ask("POST", "/uploads/request-presigned-url", json=body).json()
    assert reserved["upload_url"].startswith(f"{s3.endpoint}/{bucket}/incoming/")
    assert reserved["upload_headers"] == {"Content-Type": "image/png"}
    confirmation = {"object_key": reserved["object_key"], "size_bytes": len(data)}
    error(tenant.ask("POST", "/uploads/confirm", json=confirmation), 404, "NOT_FOUND")
    wrong = requests.put(reserved["upload_url"], data, headers={"Content-Type": "a/b"}, timeout=60)
    assert wrong.status_code == 403
    sent = requests.put(
        reserved["upload_url"], data, headers=reserved["upload_headers"], timeout=60
    )
    assert sent.ok
    confirmed = tenant.ask("POST", "/uploads/confirm", json=confirmation)
    assert confirmed.status_code == 200, confirmed.text
    id = confirmed.json()["upload_id"]
    assert tenant.finished(id)["unified_status"] == "completed"
    assert requests.get(tenant.file(id)["original_url"], timeout=60).content == data
    assert not [key for key in s3.keys(bucket) if key.startswith("incoming/")]


def test_without_a_bucket_it_is_refused(tenant: Tenant) -> None:
    assert tenant.upload(noise(3), storage_target="default").ok
    for number in (3, 4):  # known or not, to be skipped or not
        for skip in ("true", "false"):
            refusal = error(
                tenant.upload(noise(number), skip_duplicates=skip), 422, "VALIDATION_ERROR"
            )
            assert refusal["details"]["field"] == "storage_target"
    body = {
        "filename": "a.png",
        "content_type": "image/png",
        "size_bytes": 9,
        "storage_target": "custom",
    }
    refusal = error(
        tenant.ask("POST", "/uploads/request-presigned-url", json=body), 422, "VALIDATION_ERROR"
    )
    assert refusal["details"]["field"] == "storage_target"
    assert tenant.ask("GET", CONFIG).json()["configured"] is False
    validation = tenant.ask("POST", f"{CONFIG}/validate").json()
    assert validation["valid"] is False
    assert validation["error"]
    assert tenant.ask("DELETE", CONFIG).json()["removed"] is False


def test_tenants_are_apart(server: Server, s3: S3, tenant: Tenant) -> None:
    other = Tenant(server, server.new_key(f"t-{uuid.uuid4()}", "--tier", "enterprise"))
    mine, theirs = s3.new_bucket(), s3.new_bucket()
    assert tenant.configure(s3, mine).status_code == 200
    assert other.ask("GET", CONFIG).json()["configured"] is False
    error(other.upload(noise(4)), 422, "VALIDATION_ERROR")
    assert other.configure(s3, theirs).status_code == 200
    assert other.upload(noise(5), auto_describe="false").status_code == 200
    assert s3.keys(mine) == []
    assert tenant.ask("GET", CONFIG).json()["bucket_name"] == mine
    assert other.ask("DELETE", CONFIG).json()["removed"] is True
    assert tenant.upload(noise(6), auto_describe="false").status_code == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("secret_access_key", WRONG_SECRET),
        ("access_key_id", "nobody:nobody-at-all"),
        ("bucket_name", "there-is-no-such-bucket-here"),
        ("bucket_name", "Not_A_Bucket"),
        ("region", "nowhere at all"),
        ("endpoint_url", "ftp://example.com"),
        ("endpoint_url", "https://user:password@example.com"),
        ("endpoint_url", "https://example.com/path"),
        ("endpoint_url", "https://example.com?x=y"),
        ("endpoint_url", "https://[::1"),
        ("endpoint_url", "http://127.0.0.1:9000"),
        ("endpoint_url", "http://127.1:9000"),
        ("endpoint_url", "http://localhost"),
        ("endpoint_url", "http://169.254.169.254"),
        ("endpoint_url", "http://[::1]"),
        ("endpoint_url", "http://[::ffff:10.0.0.1]"),
        ("endpoint_url", "http://10.1.2.3"),
        ("endpoint_url", "https://no-such-name.invalid"),
    ],
)
def test_what_cannot_be_used_changes_nothing(
    server: Server, s3: S3, tenant: Tenant, field: str, value: str
) -> None:
    bucket = s3.new_bucket()
    assert tenant.configure(s3, bucket).status_code == 200
    before = tenant.ask("GET", CONFIG).json()
    answer = tenant.configure(s3, bucket, **{field: value})
    refusal = error(answer, 422, "VALIDATION_ERROR")
    about = "bucket_name" if "secret" in field or "key" in field else field
    assert refusal["details"]["field"] == about
    assert s3.secret not in answer.text
    if field != "bucket_name":
        assert value not in answer.text
    assert tenant.ask("GET", CONFIG).json() == before
    assert tenant.ask("POST", f"{CONFIG}/validate").json()["valid"]


def test_secrets_are_nowhere(server: Server, s3: S3, tenant: Tenant) -> None:
    answers = [tenant.configure(s3, s3.new_bucket(), endpoint_url=s3.endpoint)]
    answers.append(tenant.ask("GET", CONFIG))
    answers.append(tenant.ask("POST", f"{CONFIG}/validate"))
    answers.append(tenant.configure(s3, "no", secret_access_key=WRONG_SECRET))
    answers.append(tenant.configure(s3, s3.new_bucket(), secret_access_key=WRONG_SECRET))
    answers.append(tenant.upload(noise(7), auto_describe="false"))
    said = "".join(f"{answer.text}{answer.headers}" for answer in answers)
    said += (server.data.parent / f"{server.data.name}.log").read_text()
    with psycopg.connect(EmbeddedPostgres(server.data / "postgres").dsn) as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert ("public.s3_configs",) in tables
        for (table,) in tables:
            rows = connection.execute(f"SELECT t::text FROM {table} t").fetchall()
            said += "\n".join(row for (row,) in rows)
    for secret in (s3.secret, s3.key, WRONG_SECRET):
        raw = secret.encode()
        for form in (secret, raw.hex(), base64.b64encode(raw).decode().rstrip("=")):
            # Signed URLs name the key that signed them; nothing else may.
            assert form not in said


def reseal(server: Server, secret: str) -> None:
    """As if every customer had withdrawn the credentials that we know."""

    async def change() -> None:
        sealing = AesGcmSealing((server.data / "secret").read_bytes())
        dsn = EmbeddedPostgres(server.data / "postgres").dsn
        async with (
            PostgresDatabase(dsn, max_connections=2) as database,
            database.transaction() as tx,
        ):
            for tenant_id in await tx.s3_configs.tenants():
                config = await tx.s3_configs.get(tenant_id)
                assert config is not None
                wrong = replace(unseal(sealing, config), secret_access_key=secret)
                sealed = seal(sealing, tenant_id, config.bucket, wrong)
                await tx.s3_configs.put(replace(config, version=uuid.uuid4(), sealed=sealed))

    asyncio.run(change())


def test_credentials_rotated_away(server: Server, s3: S3, tenant: Tenant) -> None:
    bucket = s3.new_bucket()
    assert tenant.configure(s3, bucket).status_code == 200
    kept = tenant.upload(noise(8)).json()["image_id"]
    assert tenant.finished(kept)["unified_status"] == "completed"
    reseal(server, WRONG_SECRET)
    before = tenant.ask("GET", "/user-files").json()["total_count"]
    refusal = error(tenant.upload(noise(9)), 502, "STORAGE_ACCESS_DENIED")
    assert bucket in refusal["message"]
    assert WRONG_SECRET not in refusal["message"]
    assert tenant.ask("POST", f"{CONFIG}/validate").json()["valid"] is False
    assert tenant.ask("GET", "/user-files").json()["total_count"] == before
    assert tenant.file(kept)["upload_description"]
    assert tenant.configure(s3, bucket).status_code == 200
    assert requests.get(tenant.file(kept)["original_url"], timeout=60).content == noise(8)
    assert tenant.upload(noise(9), auto_describe="false").status_code == 200


def test_an_analysis_whose_bucket_refuses_fails_retryably(
    server: Server, s3: S3, tenant: Tenant
) -> None:
    assert tenant.configure(s3, s3.new_bucket()).status_code == 200
    first = tenant.upload(noise(10)).json()["image_id"]
    assert tenant.finished(first)["unified_status"] == "completed"
    reseal(server, WRONG_SECRET)

    async def ask_again() -> uuid.UUID:
        dsn = EmbeddedPostgres(server.data / "postgres").dsn
        async with (
            PostgresDatabase(dsn, max_connections=2) as database,
            database.transaction() as tx,
        ):
            image = await tx.images.find(uuid.UUID(first))
            assert image is not None
            analysis = replace(an_analysis(image), storage_target=image.storage_target)
            await tx.jobs.analyse(analysis)
            await tx.analyses.add(analysis)
            return image.id

    id = str(asyncio.run(ask_again()))
    status = tenant.finished(id)
    assert status["unified_status"] == "failed"
    assert status["is_retryable"] is True
    assert status["retry_count"] == 2
    assert "refuses access" in status["error_message"]


def test_the_bucket_is_deleted_half_way(s3: S3, tenant: Tenant) -> None:
    bucket = s3.new_bucket()
    assert tenant.configure(s3, bucket).status_code == 200
    kept = tenant.upload(noise(11)).json()["image_id"]
    assert tenant.finished(kept)["unified_status"] == "completed"
    data = noise(12)
    body = {
        "filename": "a.png",
        "content_type": "image/png",
        "size_bytes": len(data),
        "storage_target": "custom",
    }
    reserved = tenant.ask("POST", "/uploads/request-presigned-url", json=body).json()
    confirmation = {"object_key": reserved["object_key"], "size_bytes": len(data)}
    s3.drop(bucket)
    refusal = error(tenant.upload(noise(13)), 502, "STORAGE_ACCESS_DENIED")
    assert "does not exist" in refusal["message"]
    error(tenant.ask("POST", "/uploads/confirm", json=confirmation), 502, "STORAGE_ACCESS_DENIED")
    assert tenant.ask("GET", "/user-files").json()["total_count"] == 1
    assert tenant.file(kept)["upload_description"]
    s3.client.create_bucket(Bucket=bucket)
    headers = reserved["upload_headers"]
    assert requests.put(reserved["upload_url"], data, headers=headers, timeout=60).ok
    assert tenant.ask("POST", "/uploads/confirm", json=confirmation).status_code == 200


def test_removed_and_configured_again(s3: S3, tenant: Tenant) -> None:
    bucket = s3.new_bucket()
    assert tenant.configure(s3, bucket).status_code == 200
    id = tenant.upload(noise(14), auto_describe="false").json()["image_id"]
    tenant.finished(id)
    before = s3.keys(bucket)
    assert tenant.ask("DELETE", CONFIG).json()["removed"] is True
    assert tenant.ask("DELETE", CONFIG).json()["removed"] is False
    file = tenant.file(id)
    assert (file["original_url"], file["thumbnail_url"]) == (None, None)
    error(tenant.ask("GET", f"/user-files/{id}/download"), 502, "STORAGE_ACCESS_DENIED")
    assert s3.keys(bucket) == before
    assert tenant.configure(s3, bucket).status_code == 200
    assert requests.get(tenant.file(id)["original_url"], timeout=60).content == noise(14)


def test_it_is_limited_per_minute(s3: S3, tenant: Tenant) -> None:
    for _ in range(5):
        assert tenant.ask("DELETE", CONFIG).status_code == 200
    answer = tenant.ask("DELETE", CONFIG)
    error(answer, 429, "RATE_LIMIT_ERROR")
    assert int(answer.headers["Retry-After"]) > 0
