"""Presigned uploads: reserve, send, confirm; one by one and in batches."""

from __future__ import annotations

import concurrent.futures
import hashlib
import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.conftest import Server
from tests.integration.test_main_job import API, finished, get, noise
from tests.waiting import until

from ocelli.domain.accounts import TIER_LIMITS, Tier
from ocelli.domain.errors import Unavailable
from ocelli.storage.objects_local import LocalObjects
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.policies import Policies
from ocelli.usecases.presigned import Confirmation, Presigned, ReservationRequest
from ocelli.usecases.quota import Quota
from ocelli.usecases.store_resolver import StoreResolver
from ocelli.usecases.upload import Upload


def post(server: Server, path: str, body: Any, key: str | None = None) -> Any:
    headers = {"Authorization": f"Bearer {key or server.key}"}
    return requests.post(f"{server.url}{API}{path}", headers=headers, json=body, timeout=60)


def reserve(server: Server, data: bytes, key: str | None = None, **more: Any) -> Any:
    body = {"filename": "a.png", "content_type": "image/png", "size_bytes": len(data), **more}
    return post(server, "/uploads/request-presigned-url", body, key)


def confirm(
    server: Server, reservation: Any, size: int, key: str | None = None, **more: Any
) -> Any:
    body = {"object_key": reservation["object_key"], "size_bytes": size, **more}
    return post(server, "/uploads/confirm", body, key)


def send(reservation: Any, data: bytes, headers: dict[str, str] | None = None) -> Any:
    return requests.put(reservation["upload_url"], data=data, headers=headers or {}, timeout=60)


def code(answer: Any) -> str:
    return str(answer.json()["error"]["code"])


def test_three_steps(server: Server, photos: dict[str, Path]) -> None:
    data = photos["coffee"].read_bytes()
    asked_at = time.time()
    answer = reserve(server, data, verification_level="critical")
    assert answer.status_code == 200
    reservation = answer.json()
    assert reservation["upload_method"] == "PUT"
    expires_at = datetime.fromisoformat(reservation["expires_at"]).timestamp()
    assert asked_at + 599 < expires_at <= time.time() + 600
    assert reservation["upload_headers"] == {"Content-Type": "image/png"}
    assert send(reservation, data, reservation["upload_headers"]).ok
    done = confirm(server, reservation, len(data), checksum=hashlib.sha256(data).hexdigest())
    assert done.status_code == 200
    id = done.json()["upload_id"]
    assert id == reservation["image_id"]
    file = finished(server, id)
    assert "cup" in file["upload_description"].lower()
    assert file["upload_method"] == "PRESIGNED"
    assert file["full_descriptions"][0]["verification_level"] == "critical"
    assert file["hash"] == hashlib.sha256(data).hexdigest()
    assert requests.get(file["original_url"], timeout=60).content == data
    again = confirm(server, reservation, len(data))
    assert again.status_code == 200
    assert again.json() == done.json()


def test_confirming_what_never_came(server: Server) -> None:
    reservation = reserve(server, noise(1)).json()
    answer = confirm(server, reservation, 100)
    assert (answer.status_code, code(answer)) == (404, "NOT_FOUND")
    data = noise(1)
    assert send(reservation, data).ok
    assert confirm(server, reservation, len(data)).status_code == 200, "and it is not too late"


def test_confirming_something_else(server: Server) -> None:
    data = noise(2)
    reservation = reserve(server, data).json()
    assert send(reservation, data).ok
    wrong = confirm(server, reservation, len(data) + 1)
    assert wrong.status_code == 422
    assert wrong.json()["error"]["details"]["field"] == "size_bytes"
    wrong = confirm(server, reservation, len(data), checksum="0" * 64)
    assert wrong.json()["error"]["details"]["field"] == "checksum"
    assert confirm(server, reservation, len(data)).status_code == 200


def test_what_comes_is_no_picture(server: Server) -> None:
    data = b"not a picture " * 10
    reservation = reserve(server, data).json()
    assert send(reservation, data).ok
    answer = confirm(server, reservation, len(data))
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"] == "file"


def test_two_confirms_at_once(server: Server) -> None:
    data = noise(3, 600)
    reservation = reserve(server, data).json()
    assert send(reservation, data).ok
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: confirm(server, reservation, len(data)), range(6)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert any(answer.status_code == 200 for answer in answers)
    assert confirm(server, reservation, len(data)).status_code == 200
    assert get(server, f"/user-files/{reservation['image_id']}").status_code == 200


def test_another_tenant(server: Server) -> None:
    data = noise(4)
    reservation = reserve(server, data).json()
    assert send(reservation, data).ok
    other = server.new_key("thief")
    assert confirm(server, reservation, len(data), other).status_code == 404
    assert confirm(server, reservation, len(data)).status_code == 200
    assert confirm(server, reservation, len(data), other).status_code == 404


def test_the_url_is_bound(server: Server) -> None:
    data = noise(5)
    reservation = reserve(server, data).json()
    url = reservation["upload_url"]
    assert requests.put(url, data=data + b"x", timeout=60).status_code == 413
    assert send(reservation, data, {"Content-Type": "text/html"}).status_code == 403
    for tampered in (url[:-1] + "x", url.replace("a.png", "b.png"), url.split("?")[0]):
        assert requests.put(tampered, data=data, timeout=60).status_code in (403, 404)
    assert requests.get(url, timeout=60).status_code in (403, 404, 405)
    assert send(reservation, data, {"Content-Type": "image/png"}).ok
    assert send(reservation, data).status_code == 409, "once"


def test_the_same_idempotency_key_is_the_same_reservation(server: Server) -> None:
    key = str(uuid.uuid4())
    data = noise(6)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = pool.map(lambda _: reserve(server, data, idempotency_key=key).json(), range(6))
        assert len({answer["image_id"] for answer in answers}) == 1
    assert reserve(server, data + b"x", idempotency_key=key).status_code == 409


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"size_bytes": 0}, "size_bytes"),
        ({"size_bytes": -1}, "size_bytes"),
        ({"size_bytes": "many"}, "size_bytes"),
        ({"content_type": "application/pdf"}, "content_type"),
        ({"filename": ""}, "filename"),
        ({"storage_target": "moon"}, "storage_target"),
        ({"idempotency_key": "x" * 201}, "idempotency_key"),
    ],
)
def test_reservations_out_of_bounds(server: Server, change: dict[str, Any], field: str) -> None:
    answer = reserve(server, b"x", **change)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"] == field


def test_larger_than_the_tier_allows(server: Server) -> None:
    key = server.new_key("presigned-free", "--tier", "free")
    assert reserve(server, b"x", key, size_bytes=25 * 1024**2).status_code == 200
    assert reserve(server, b"x", key, size_bytes=25 * 1024**2 + 1).status_code == 413


def prepare(server: Server, files: dict[str, bytes], **more: Any) -> Any:
    body = {
        "files": [
            {"filename": name, "size_bytes": len(data), "content_type": "image/jpeg"}
            for name, data in files.items()
        ],
        "intent": "describe",
        **more,
    }
    return post(server, "/uploads/batch-prepare", body)


def confirm_batch(server: Server, batch: Any, files: dict[str, bytes], **failed: str) -> Any:
    confirmations = [
        {
            "object_key": url["object_key"],
            "success": url["filename"] not in failed,
            "file_size": len(files[url["filename"]]),
            "error_message": failed.get(url["filename"]),
        }
        for url in batch["presigned_urls"]
    ]
    body = {"batch_id": batch["batch_id"], "confirmations": confirmations}
    return post(server, "/uploads/batch-confirm", body)


def batch_ended(server: Server, id: str) -> dict[str, Any]:
    def final() -> dict[str, Any] | None:
        status: dict[str, Any] = get(server, f"/uploads/batch/{id}/status").json()
        counts = status["counts"]
        known = ("uploading", "confirming", "queued", "processing", "completed", "failed")
        assert sum(counts[name] for name in known) == counts["total"]
        return status if status["overall_status"] in ("completed", "failed") else None

    return until(final, every=0.05)


def test_a_batch(server: Server, photos: dict[str, Path]) -> None:
    files = {
        "sub/image 1.jpg": photos["china"].read_bytes(),
        "b.jpg": photos["rocket"].read_bytes(),
    }
    batch = prepare(server, files, verification_level="standard").json()
    assert [url["filename"] for url in batch["presigned_urls"]] == list(files), "unchanged"
    assert [url["file_index"] for url in batch["presigned_urls"]] == [0, 1]
    waiting = get(server, f"/uploads/batch/{batch['batch_id']}/status").json()
    assert (waiting["overall_status"], waiting["completion_percentage"]) == ("uploading", 0)
    for url in batch["presigned_urls"]:
        assert send(url, files[url["filename"]]).ok
    done = confirm_batch(server, batch, files).json()
    assert (done["successful_uploads"], done["processing_status"]) == (2, "queued")
    assert [image["image_id"] for image in done["stored_images"]] == [
        url["image_id"] for url in batch["presigned_urls"]
    ]
    status = batch_ended(server, batch["batch_id"])
    assert (status["overall_status"], status["completion_percentage"]) == ("completed", 100)
    session = get(server, f"/uploads/sessions/{batch['batch_id']}/status").json()
    assert (session["upload_method"], session["completed_files"]) == ("presigned", 2)


def test_a_batch_of_which_a_part_fails(server: Server, photos: dict[str, Path]) -> None:
    files = {"a.jpg": photos["china"].read_bytes(), "b.jpg": b"x" * 50, "c.jpg": noise(7)}
    batch = prepare(server, files).json()
    for url in batch["presigned_urls"][:2]:
        assert send(url, files[url["filename"]]).ok
    done = confirm_batch(server, batch, files, **{"c.jpg": "the network is down"}).json()
    assert (done["successful_uploads"], done["failed_uploads"]) == (1, 2)
    assert done["processing_status"] == "partial"
    status = batch_ended(server, batch["batch_id"])
    assert status["overall_status"] == "completed"
    assert status["counts"]["failed"] == 2
    assert any("network" in message for message in status["error_summary"]["messages"])


def test_what_was_confirmed_does_not_fail_by_another_word(
    server: Server, photos: dict[str, Path]
) -> None:
    """A file that is said to have come and, in the same breath or later, not to have come."""
    files = {"a.jpg": photos["china"].read_bytes()}
    batch = prepare(server, files).json()
    (url,) = batch["presigned_urls"]
    assert send(url, files["a.jpg"]).ok
    good = {"object_key": url["object_key"], "success": True, "file_size": len(files["a.jpg"])}
    bad = {**good, "success": False, "error_message": "the network is down"}
    for confirmations in ([good, bad], [bad]):
        body = {"batch_id": batch["batch_id"], "confirmations": confirmations}
        assert post(server, "/uploads/batch-confirm", body).ok
    status = batch_ended(server, batch["batch_id"])
    assert (status["counts"]["completed"], status["counts"]["failed"]) == (1, 0)


async def test_what_was_accepted_is_not_refused_afterwards(
    database: PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store fails once the row is there: the client hears what is true."""

    async def refuse(*_: object) -> None:
        raise Unavailable("The store does not answer.")

    store = LocalObjects(tmp_path, b"s")
    monkeypatch.setattr(store, "delete", refuse)
    stores, quota = StoreResolver(store), Quota(database, TIER_LIMITS)
    upload = Upload(database, stores, quota, max_pixels=1_000_000)
    async with database.transaction() as tx:
        tenant = await tx.accounts.add_tenant(f"p-{uuid.uuid4()}", Tier.STARTER)
    policies = Policies(database, ["ocelli-local"], "ocelli-local")
    presigned = Presigned(database, stores, upload, quota, policies)
    data = noise(11)
    reserved = await presigned.reserve(tenant, ReservationRequest("a.png", "image/png", len(data)))
    key = str(reserved.item.object_key)
    store.path(key).parent.mkdir(parents=True)
    store.path(key).write_bytes(data)
    item = await presigned.confirm(tenant, Confirmation(key, len(data)), describe=False)
    async with database.transaction() as tx:
        assert await tx.images.get(tenant.id, str(item.id))


def test_batches_are_of_one_to_five(server: Server) -> None:
    for count in (0, 6):
        answer = prepare(server, {f"{n}.jpg": b"x" for n in range(count)})
        assert answer.status_code == 422
        assert answer.json()["error"]["details"]["field"] == "files"
    assert prepare(server, {"a.jpg": b"x"}, intent="nonsense").status_code == 422


def test_batches_can_be_cancelled(server: Server) -> None:
    batch = prepare(server, {"a.jpg": noise(8), "b.jpg": noise(9)}).json()
    url = f"{server.url}{API}/batch/{batch['batch_id']}"
    stranger = {"Authorization": f"Bearer {server.new_key('canceller')}"}
    assert requests.delete(url, headers=stranger, timeout=60).status_code == 404
    assert requests.delete(url, headers=server.headers, timeout=60).status_code == 204
    assert batch_ended(server, batch["batch_id"])["overall_status"] == "failed"
    assert requests.delete(url, headers=server.headers, timeout=60).status_code == 400
    first = batch["presigned_urls"][0]
    assert send(first, noise(8)).ok
    assert confirm(server, first, len(noise(8))).status_code == 409


def test_unknown_batches(server: Server) -> None:
    for id in (str(uuid.uuid4()), "nonsense"):
        assert get(server, f"/uploads/batch/{id}/status").status_code == 404
        answer = post(
            server,
            "/uploads/batch-confirm",
            {
                "batch_id": id,
                "confirmations": [{"object_key": "x", "success": True, "file_size": 1}],
            },
        )
        assert answer.status_code == 404


def test_files_of_the_library(server: Server) -> None:
    data = noise(10)
    form = {
        "filename": "a.png",
        "content_type": "image/png",
        "size_bytes": str(len(data)),
        "title": "Mine",
        "tags": "x, y",
    }
    url = f"{server.url}{API}/user-files/upload/initiate"
    for body in ({"data": form}, {"files": {name: (None, value) for name, value in form.items()}}):
        answer = requests.post(url, headers=server.headers, timeout=60, **body)
        assert answer.status_code == 200, answer.text
        reservation = answer.json()
        assert send(reservation, data).ok
        said = {
            "object_key": reservation["object_key"],
            "size_bytes": len(data),
            "image_id": reservation["image_id"],
            "auto_describe": False,
        }
        another = {**said, "image_id": str(uuid.uuid4())}
        assert post(server, "/user-files/upload/confirm", another).status_code == 404
        assert get(server, f"/user-files/{said['image_id']}").status_code == 404  # nothing is done
        done = post(server, "/user-files/upload/confirm", said).json()
        assert post(server, "/user-files/upload/confirm", another).status_code == 404
        assert done["title"] == "Mine"
        assert done["tags"] == ["x", "y"]
        file = get(server, f"/user-files/{done['image_id']}").json()
        assert (file["title"], file["tags"]) == ("Mine", ["x", "y"])
    too_large = requests.post(
        url, headers=server.headers, data={**form, "size_bytes": "52428801"}, timeout=60
    )
    assert too_large.status_code == 413
