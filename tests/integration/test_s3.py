"""The S3 store against a real server, over the wire: bytes, signatures, refusals."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.blobs import a_blob
from tests.conftest import Server, reachable, start_server
from tests.integration.test_main_job import API, finished, get, noise, upload
from tests.s3.store import REGION, S3
from tests.waiting import eventually, until

from ocelli.domain.errors import StorageAccessDenied, TooLarge, Unavailable
from ocelli.domain.s3_buckets import Bucket, Credentials, parse_bucket_url
from ocelli.media.blob_writer import BlobWriter
from ocelli.storage import guarded_http, objects_s3
from ocelli.storage.objects_s3 import S3Objects


@pytest.fixture
def bucket(s3: S3) -> str:
    return s3.new_bucket()


@pytest.fixture
def store(s3: S3, bucket: str, tmp_path: Path) -> S3Objects:
    return opened(s3, bucket, tmp_path)


def opened(s3: S3, bucket: str, folder: Path, **changes: str) -> S3Objects:
    return S3Objects(
        Bucket(bucket, REGION, changes.get("endpoint", s3.endpoint), prefix="some/prefix/"),
        folder,
        credentials=Credentials(changes.get("key", s3.key), changes.get("secret", s3.secret)),
    )


async def put(store: S3Objects, key: str, data: bytes, type: str = "image/png") -> None:
    blob = a_blob(store.staging, data)
    await store.put(key, blob, type)
    assert not blob.path.exists()


async def test_put_read_delete(s3: S3, store: S3Objects, bucket: str) -> None:
    key = "uploads/é ü/a b+c%d.png"
    await put(store, key, b"1")
    assert await store.read(key) == b"1"
    assert await store.size(key) == 1
    assert s3.keys(bucket) == [f"some/prefix/{key}"]
    head = s3.client.head_object(Bucket=bucket, Key=f"some/prefix/{key}")
    assert head["ContentType"] == "image/png"
    await put(store, key, b"22")
    assert await store.read(key) == b"22"
    await store.delete(key)
    await store.delete(key)
    assert await store.size(key) is None
    with pytest.raises(FileNotFoundError):
        await store.read(key)
    await store.check()


async def test_large_objects_pass_through_in_pieces(store: S3Objects) -> None:
    data = hashlib.shake_256(b"x").digest(5 * 1024 * 1024 + 7)
    await put(store, "a", data)
    sizes: list[int] = []
    with BlobWriter(store.staging, max_bytes=len(data)) as staged:

        def write(piece: bytes) -> None:
            sizes.append(len(piece))
            staged.write(piece)

        await store.copy_to("a", write)
        assert staged.sha256 == hashlib.sha256(data).hexdigest()
    assert len(sizes) >= 6
    assert max(sizes) <= 1024 * 1024
    with BlobWriter(store.staging, max_bytes=100) as small, pytest.raises(TooLarge):
        await store.copy_to("a", small.write)


async def test_keys_by_folder_and_age(store: S3Objects) -> None:
    for key in ("uploads/t/1", "uploads/t/2", "uploads-not/t/3", "incoming/t/4"):
        await put(store, key, b"x")

    async def all_are_old() -> bool:  # a store counts in seconds
        found = [k async for ks in store.keys(under="uploads", older_than=0) for k in ks]
        return found == ["uploads/t/1", "uploads/t/2"]

    await eventually(all_are_old)
    assert [k async for ks in store.keys(under="uploads", older_than=3600) for k in ks] == []


async def test_a_url_reads_one_object_for_some_time(store: S3Objects) -> None:
    await put(store, "a b.png", b"picture")
    url = store.url("a b.png", expires_in=60, content_type="image/png")
    answer = requests.get(url, timeout=60)
    assert (answer.status_code, answer.content) == (200, b"picture")
    assert answer.headers["Content-Type"] == "image/png"
    assert requests.get(url[:-4] + "0000", timeout=60).status_code == 403
    assert requests.get(url.replace("a%20b", "a%20c"), timeout=60).status_code == 403
    assert requests.get(url.replace("Expires=60", "Expires=6000"), timeout=60).status_code == 403
    assert requests.put(url, b"mine", timeout=60).status_code == 403
    saved = store.url("a b.png", expires_in=60, content_type="image/png", filename='é"\n.png')
    answer = requests.get(saved, timeout=60)
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''%C3%A9%22%0A.png"


async def test_an_upload_url_takes_one_type_at_one_place(store: S3Objects) -> None:
    upload = store.upload_url("a.png", expires_in=60, content_type="image/png", max_bytes=100)
    assert (upload.method, upload.headers) == ("PUT", {"Content-Type": "image/png"})

    def send(url: str, type: str | None) -> int:
        headers = {"Content-Type": type} if type else {}
        return requests.put(url, b"picture", headers=headers, timeout=60).status_code

    assert send(upload.url, "text/html") == 403
    assert send(upload.url, None) == 403
    assert send(upload.url[:-4] + "0000", "image/png") == 403
    assert send(upload.url.replace("a.png", "b.png"), "image/png") == 403
    assert await store.size("a.png") is None
    assert send(upload.url, "image/png") == 200
    assert await store.read("a.png") == b"picture"
    assert requests.get(upload.url, timeout=60).status_code == 403


async def test_urls_expire(store: S3Objects) -> None:
    await put(store, "a.png", b"picture")
    write = store.upload_url("b.png", expires_in=1, content_type="image/png", max_bytes=9)
    read = store.url("a.png", expires_in=1, content_type="image/png")  # ends last
    headers = dict(write.headers or {})
    until(lambda: requests.get(read, timeout=60).status_code == 403, every=0.2)
    assert requests.put(write.url, b"x", headers=headers, timeout=60).status_code == 403
    assert await store.size("b.png") is None


async def refusals(store: S3Objects) -> set[str]:
    """The messages of everything that can be asked; each must be a refusal."""
    messages = set()
    staged = a_blob(store.staging, b"x")
    for work in (
        store.put("a", staged, "image/png"),
        store.read("a"),
        store.size("a"),
        store.copy_to("a", lambda _: None),
    ):
        with pytest.raises(StorageAccessDenied) as refused:
            await work
        messages.add(refused.value.message)
    with pytest.raises(OSError, match=r".") as unusable:
        await store.check()
    assert staged.path.exists(), "what could not be stored is still there"
    return {*messages, str(unusable.value)}


async def test_wrong_credentials_are_refused_clearly(
    s3: S3, bucket: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    secret = "another-secret-of-mine-000"
    said = await refusals(opened(s3, bucket, tmp_path, secret=secret))
    assert all(f"The bucket {bucket} refuses access" in each for each in said), said
    said |= await refusals(opened(s3, bucket, tmp_path, key="nobody:nobody-at-all"))
    assert not [each for each in said if secret in each or "nobody" in each]
    assert secret not in caplog.text
    assert "nobody:nobody-at-all" not in caplog.text


async def test_a_bucket_that_is_gone_is_no_missing_file(
    s3: S3, store: S3Objects, bucket: str
) -> None:
    await put(store, "a", b"1")
    s3.drop(bucket)
    assert await refusals(store) == {f"The bucket {bucket} does not exist."}
    upload = store.upload_url("a.png", expires_in=60, content_type="image/png", max_bytes=100)
    headers = dict(upload.headers or {})
    assert requests.put(upload.url, b"x", headers=headers, timeout=60).status_code == 404


async def test_a_store_that_does_not_answer_is_unavailable(s3: S3, tmp_path: Path) -> None:
    nowhere = opened(s3, "none", tmp_path, endpoint="http://127.0.0.1:9")
    with pytest.raises(Unavailable) as error:
        await nowhere.read("a")
    assert error.value.retryable
    with pytest.raises(OSError, match="does not answer"):
        await nowhere.check()


class Dripping(http.server.BaseHTTPRequestHandler):
    """Promises a lot and sends a byte now and then, until it is ``over``.

    Without an end the thread that reads would keep this process from its own.
    """

    over = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.drip()

    def do_HEAD(self) -> None:
        if self.path.endswith("quick"):
            self.send_response(200)
            self.send_header("Content-Length", "7")
            self.end_headers()
        else:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Endless: ")
            self.drip()

    def do_DELETE(self) -> None:
        self.do_HEAD()

    def do_PUT(self) -> None:
        while not self.over.wait(0.1) and self.rfile.read(1024):
            pass

    def drip(self) -> None:
        try:
            while not self.over.wait(0.1):
                self.wfile.write(b"x")
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def dripping() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Dripping.over.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    Dripping.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


async def listed(store: S3Objects) -> None:
    async for _ in store.keys(under="uploads", older_than=0):
        pass


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.read("a"),
        lambda store: store.size("a"),
        lambda store: store.delete("a"),
        lambda store: put(store, "a", bytes(16_000_000)),
        listed,
    ],
    ids=["read", "size", "delete", "put", "list"],
)
@pytest.mark.parametrize("guarded", [False, True])
async def test_a_store_that_drips_holds_nobody_up_and_no_thread(
    dripping: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[S3Objects], Awaitable[object]],
    guarded: bool,
) -> None:
    monkeypatch.setattr(objects_s3, "PUT_TIMEOUT", 0.3)
    monkeypatch.setattr(guarded_http, "public_addresses", lambda name, _: [name])
    slow = S3Objects(
        Bucket("any", REGION, dripping),
        tmp_path,
        credentials=Credentials("a", "b"),
        guarded=guarded,
        threads=1,
        timeout=0.3,
    )
    with pytest.raises(Unavailable):  # all of it would take a day
        await call(slow)

    async def answers() -> bool:
        with suppress(Unavailable):
            return await slow.size("quick") == 7
        return False

    await eventually(answers)  # in the one thread there is


def test_storage_urls() -> None:
    assert parse_bucket_url("s3://b/p/q/?endpoint=https://h:1&region=eu-1") == Bucket(
        "b", "eu-1", "https://h:1", "p/q/"
    )
    assert parse_bucket_url("s3://b") == Bucket("b", "us-east-1")
    for wrong in ("s3://", "s3:///p", "http://b", "s3://b?enpoint=x", "s3://b?x", "s3://b#f"):
        with pytest.raises(ValueError, match=r"."):
            parse_bucket_url(wrong)


@pytest.fixture(scope="module")
def server(s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that keeps everything in a bucket."""
    bucket = s3.new_bucket()
    running = start_server(
        reachable(tmp_path_factory.mktemp("on_s3")) / "data",
        *("--workers", "1"),
        OCELLI_STORAGE_URL=s3.url(bucket, "in/here"),
        **s3.environment,
    )
    yield running
    running.stop()
    assert running.process.stdout is not None
    running.process.stdout.close()


def test_a_server_on_a_bucket(server: Server, s3: S3, photos: dict[str, Path]) -> None:
    data = photos["coffee"].read_bytes()
    id = upload(server, data, "my coffee.png").json()["image_id"]
    file = finished(server, id)
    assert "cup" in file["upload_description"].lower()
    assert file["variant_count"] == 5
    for url in ("original_url", "medium_url", "thumbnail_url", "full_url"):
        assert file[url].startswith(s3.endpoint)
        assert requests.get(file[url], timeout=60).status_code == 200
    download = get(server, f"/user-files/{id}/download")
    assert download.content == data
    assert download.headers["Content-Disposition"].endswith("my%20coffee.png")
    assert not (server.data / "objects").exists()
    ready = requests.get(f"{server.url}/health/ready", timeout=60).json()
    assert ready["checks"]["store"] == "ok"
    for method in (requests.get, requests.put):
        assert method(f"{server.url}/objects/a?signature=b", timeout=60).status_code in (403, 404)
    refused = upload(server, noise(20), storage_target="custom")
    assert refused.status_code == 422


def test_a_presigned_upload_into_the_bucket(server: Server, s3: S3) -> None:
    def ask(path: str, **body: Any) -> Any:
        url = f"{server.url}{API}/uploads/{path}"
        return requests.post(url, headers=server.headers, json=body, timeout=60)

    data = noise(21)
    wanted = {"filename": "a.png", "content_type": "image/png", "size_bytes": len(data)}
    reserved = ask("request-presigned-url", **wanted).json()
    assert reserved["upload_url"].startswith(s3.endpoint)
    url, key = reserved["upload_url"], reserved["object_key"]
    assert requests.put(url, data, headers=reserved["upload_headers"], timeout=60).ok
    too_few = ask("confirm", object_key=key, size_bytes=len(data) - 1)
    assert too_few.status_code == 422
    confirmed = ask("confirm", object_key=key, size_bytes=len(data))
    assert confirmed.status_code == 200, confirmed.text
    file = finished(server, confirmed.json()["upload_id"])
    assert requests.get(file["original_url"], timeout=60).content == data


def test_a_reservation_takes_no_more_than_it_says(server: Server) -> None:
    """S3 has no bound on a signed PUT: the confirmation finds out."""

    def ask(path: str, **body: Any) -> Any:
        url = f"{server.url}{API}/uploads/{path}"
        return requests.post(url, headers=server.headers, json=body, timeout=60)

    data = noise(22) + bytes(1000)
    wanted = {"filename": "a.png", "content_type": "image/png", "size_bytes": len(data) - 900}
    reserved = ask("request-presigned-url", **wanted).json()
    headers = reserved["upload_headers"]
    assert requests.put(reserved["upload_url"], data, headers=headers, timeout=60).ok
    answer = ask("confirm", object_key=reserved["object_key"], size_bytes=len(data))
    assert answer.status_code in (413, 422), answer.text
