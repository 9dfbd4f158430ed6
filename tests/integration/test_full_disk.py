"""A disk that is nearly full: nothing new comes in, what is there can be read, and it passes."""

from __future__ import annotations

import base64
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.conftest import Server, reachable, start_server
from tests.integration.test_main_job import API, finished, get, noise, upload
from tests.integration.test_storage import a_tenant, an_image
from tests.waiting import until

from ocelli.domain.errors import StorageFull
from ocelli.domain.images import VariantStatus
from ocelli.media.blob_writer import BlobFactory, BlobWriter, DiskReserve
from ocelli.storage.objects_local import LocalObjects
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.decoders import DecoderPool
from ocelli.usecases.files import MakeVariants
from ocelli.usecases.store_resolver import StoreResolver

MB = 1024 * 1024
SPARE = 1024  # MB that other programs may use or free meanwhile


class Disk:
    """The data folder's; full is what is below the server's mark."""

    def __init__(self, server: Server, ballast: Path) -> None:
        self.server = server
        self._ballast = ballast

    def fill(self) -> None:
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 2 * SPARE * MB)
        until(lambda: ready(self.server).status_code == 503)
        until(lambda: upload(self.server, noise(1)).status_code == 503)

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)
        until(lambda: ready(self.server).status_code == 200)
        until(lambda: upload(self.server, noise(2)).status_code == 200)


def ready(server: Server) -> requests.Response:
    return requests.get(f"{server.url}/health/ready", timeout=60)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    folder = reachable(tmp_path_factory.mktemp("disk"))
    mark = shutil.disk_usage(folder).free // MB - SPARE
    server = start_server(folder / "data", OCELLI_FREE_DISK_MB=str(mark))
    ballast = folder / "ballast"
    yield Disk(server, ballast)
    ballast.unlink(missing_ok=True)
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


def test_nothing_new_comes_in_and_reads_go_on(disk: Disk, photos: dict[str, Path]) -> None:
    server = disk.server
    picture = photos["coffee"].read_bytes()
    id = upload(server, picture).json()["image_id"]
    finished(server, id)
    signed = post(
        server,
        f"{API}/uploads/request-presigned-url",
        json={"filename": "a.png", "content_type": "image/png", "size_bytes": len(picture)},
    ).json()
    encoded = base64.b64encode(picture).decode()
    content = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}}]
    chat = {"model": "ocelli-local", "messages": [{"role": "user", "content": content}]}
    address = "https://example.com/a.png"
    disk.fill()
    assert "MB free" in ready(server).json()["checks"]["store"]
    files = {"file": ("a.png", noise(3, side=2000))}
    refused = {
        "stream": post(server, f"{API}/user-files/upload/stream", files=files),
        "several": post(
            server, f"{API}/user-files/upload/stream-batch", files={"files": ("a.png", picture)}
        ),
        "signed": requests.put(signed["upload_url"], data=picture, timeout=60),
        "reservation": post(
            server,
            f"{API}/uploads/request-presigned-url",
            json={"filename": "b.png", "content_type": "image/png", "size_bytes": 10},
        ),
        "bytes": post(server, f"{API}/describe", json={"image_base64": encoded}),
        "address": post(server, f"{API}/describe", json={"image_url": address}),
        "batch": post(server, f"{API}/batch/describe", json={"images": [{"image_url": address}]}),
        "export": post(server, f"{API}/data/export", json={"format": "csv"}),
        "fetch": post(server, "/api/fetch", json={"url": [address]}),
        "fetch file": post(server, "/api/fetch", files=files),
        "chat": post(server, "/chat/completions", json=chat),
    }
    wrong = {k: (v.status_code, v.text[:200]) for k, v in refused.items() if v.status_code != 503}
    assert wrong == {}
    assert all(answer.headers["Retry-After"] for answer in refused.values())
    error = refused["stream"].json()["error"]
    assert error["code"] == "SERVICE_UNAVAILABLE"
    assert "no room" in error["message"]
    assert "no room" in refused["fetch"].json()["error"]
    assert refused["chat"].json()["error"]["type"] == "server_error"
    assert "no room" in refused["chat"].json()["message"]
    # Nothing is left of them, and all that is there can be read.
    assert list((server.data / "objects" / ".staging").iterdir()) == []
    file = get(server, f"/user-files/{id}").json()
    assert file["description_status"] == "completed"
    assert get(server, f"/user-files/{id}/download").content == picture
    assert get(server, "/user-files").json()["total_count"] >= 1
    patched = requests.patch(
        f"{server.url}{API}/user-files/{id}",
        headers=server.headers,
        json={"title": "Full"},
        timeout=60,
    )
    assert patched.status_code == 200
    disk.free()
    assert get(server, f"/user-files/{id}").json()["title"] == "Full"


def post(server: Server, path: str, **options: Any) -> requests.Response:
    return requests.post(f"{server.url}{path}", headers=server.headers, timeout=60, **options)


def test_a_file_on_its_way_is_cut_off_at_the_mark(tmp_path: Path) -> None:
    """However many come at once: each piece is held against the mark."""
    reserve = DiskReserve((tmp_path,), 1)
    with BlobWriter(tmp_path, reserve=reserve) as blob:
        blob.write(b"1")
        object.__setattr__(reserve, "bytes", 2**62)
        with pytest.raises(StorageFull):
            blob.write(b"2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_all_the_same(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(code, "full")

    with BlobWriter(tmp_path) as blob:
        blob.write(b"1")
        monkeypatch.setattr("ocelli.media.blob_writer.sync", fail)
        with pytest.raises(StorageFull):
            blob.commit(tmp_path / "there")


async def test_smaller_copies_wait_for_room(
    database: PostgresDatabase, tmp_path: Path, photos: dict[str, Path]
) -> None:
    """An accepted picture's work does not fail because there is no room now."""
    tenant, store = await a_tenant(database), LocalObjects(tmp_path / "objects", b"s")
    image = an_image(tenant)
    with BlobFactory(store.staging)() as blob:
        blob.write(photos["coffee"].read_bytes())
        await store.put(image.object_key, blob, "image/png")
    async with database.transaction() as tx:
        await tx.images.add(image)

    async def run(reserve: DiskReserve) -> None:
        stores = StoreResolver(store, None, reserve)
        with closing(DecoderPool(max_pixels=10_000_000, budget=10**9)) as decoders:
            work = MakeVariants(database, stores, decoders)
            await work.run(image.id, last_attempt=True)

    with pytest.raises(StorageFull):
        await run(DiskReserve((tmp_path,), 2**62))
    async with database.transaction() as tx:
        waiting = await tx.images.find(image.id)
    assert waiting is not None
    assert waiting.variant_status is VariantStatus.PROCESSING
    await run(DiskReserve((tmp_path,), 1))
    async with database.transaction() as tx:
        done = await tx.images.find(image.id)
    assert done is not None
    assert done.variant_status is VariantStatus.COMPLETED
