"""The folder store's upload URLs over HTTP: one file, one type, one size, once, or nothing."""

from __future__ import annotations

import asyncio
import concurrent.futures
import hashlib
import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from tests.blobs import a_blob
from tests.conftest import Server
from tests.waiting import until

from ocelli.storage.objects_local import LocalObjects

MEGABYTE = 1024 * 1024


@pytest.fixture
def folder(server: Server) -> LocalObjects:
    """The server's own folder with the server's own secret."""
    return LocalObjects(server.data / "objects", (server.data / "secret").read_bytes())


@pytest.fixture
def key() -> str:
    return f"incoming/{uuid.uuid4()}/{uuid.uuid4()}/a b.png"


def signed(
    server: Server,
    folder: LocalObjects,
    key: str,
    *,
    size: int = 1000,
    type: str = "image/png",
    expires_in: int = 60,
) -> str:
    upload = folder.upload_url(key, expires_in=expires_in, content_type=type, max_bytes=size)
    assert (upload.method, upload.headers) == ("PUT", {"Content-Type": type})
    return server.url + upload.url


def put(url: str, data: Any, **headers: str) -> Any:
    return requests.put(url, data=data, headers=headers, timeout=60)


def refused(answer: Any, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["error"]["code"] == code
    assert uuid.UUID(body["request_id"])
    return str(body["error"]["message"])


def staged(server: Server) -> list[str]:
    """What is arriving, without the store's own probes."""
    names = [path.name for path in (server.data / "objects" / ".staging").iterdir()]
    return [name for name in names if not name.startswith("probe-")]


@pytest.fixture(autouse=True)
def _nothing_is_left(server: Server) -> Iterator[None]:
    before = set(staged(server))
    yield
    until(lambda: not set(staged(server)) - before)


def test_a_body_becomes_the_object_once(server: Server, folder: LocalObjects, key: str) -> None:
    data = os.urandom(3 * MEGABYTE + 5)
    url = signed(server, folder, key, size=len(data))
    answer = put(url, data)
    assert answer.status_code == 200
    assert answer.headers["ETag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    assert folder.path(key).read_bytes() == data
    refused(put(url, data), 409, "CONFLICT")
    assert "image/png" in requests.get(
        server.url + folder.url(key, expires_in=9, content_type="image/png"), timeout=60
    ).headers.get("Content-Type", "")


def test_pieces_of_unknown_length(server: Server, folder: LocalObjects, key: str) -> None:
    url = signed(server, folder, key)
    assert put(url, iter([b"a" * 400, b"b" * 600])).status_code == 200
    assert folder.path(key).stat().st_size == 1000


@pytest.mark.parametrize("type", ["image/png", "IMAGE/PNG", "image/png; charset=binary"])
def test_the_signed_type_is_fine(server: Server, folder: LocalObjects, key: str, type: str) -> None:
    assert put(signed(server, folder, key), b"x", **{"Content-Type": type}).status_code == 200


def test_another_type_is_refused(server: Server, folder: LocalObjects, key: str) -> None:
    for type in ("text/html", "image/jpeg", "image/pngx", ""):
        answer = put(signed(server, folder, key), b"x", **{"Content-Type": type})
        refused(answer, 403, "AUTHZ_ERROR")
    assert not folder.path(key).exists()


def test_what_is_tampered_with_is_refused(server: Server, folder: LocalObjects, key: str) -> None:
    url = signed(server, folder, key)
    base, query = url.split("?")
    fields = dict(parse_qsl(query))
    assert set(fields) == {"expires", "type", "size", "signature"}
    for name in fields:
        changed = {**fields, name: fields[name] + "0"}
        missing = {k: v for k, v in fields.items() if k != name}
        for tampered in (changed, missing):
            refused(put(f"{base}?{urlencode(tampered)}", b"x"), 403, "AUTHZ_ERROR")
    refused(put(f"{url}&more=1", b"x"), 403, "AUTHZ_ERROR")
    refused(put(url.replace("a%20b", "a%20c"), b"x"), 403, "AUTHZ_ERROR")
    refused(put(base, b"x"), 403, "AUTHZ_ERROR")
    refused(requests.get(url, timeout=60), 404, "NOT_FOUND")
    reading = server.url + folder.url(key, expires_in=60, content_type="image/png")
    refused(put(reading, b"x"), 403, "AUTHZ_ERROR")
    refused(put(signed(server, folder, key, expires_in=-1), b"x"), 403, "AUTHZ_ERROR")
    other = LocalObjects(folder.root, b"another installation")
    refused(put(signed(server, other, key), b"x"), 403, "AUTHZ_ERROR")
    for outside in ("../../api_key", "/etc/passwd", "a/../../x"):
        answer = put(server.url + "/objects/" + outside + "?" + query, b"x")
        assert answer.status_code in (403, 404, 405)
    assert not folder.path(key).exists()


@pytest.mark.parametrize("declared", [True, False])
def test_more_than_declared_is_refused(
    server: Server, folder: LocalObjects, key: str, declared: bool
) -> None:
    url = signed(server, folder, key, size=1000)
    for size in (1001, MEGABYTE + 7):
        data = b"x" * size
        refused(put(url, data if declared else iter([data])), 413, "HTTP_413")
    assert not folder.path(key).exists()
    assert put(url, b"x" * 1000).status_code == 200, "a refusal does not use the URL up"


def test_nothing_is_refused(server: Server, folder: LocalObjects, key: str) -> None:
    refused(put(signed(server, folder, key), b""), 400, "VALIDATION_ERROR")
    assert not folder.path(key).exists()


def raw(server: Server, url: str, head: str, body: bytes = b"") -> socket.socket:
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60)
    target = f"{parts.path}?{parts.query}"
    connection.sendall(f"PUT {target} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode() + body)
    return connection


def test_ten_gigabytes_are_refused_before_they_come(
    server: Server, folder: LocalObjects, key: str
) -> None:
    url = signed(server, folder, key)
    with raw(server, url, "Content-Length: 10737418240") as connection:
        assert b" 413 " in connection.recv(1000), "before the body, of which nothing is sent"


def test_a_client_that_hangs_up_leaves_nothing(
    server: Server, folder: LocalObjects, key: str
) -> None:
    url = signed(server, folder, key, size=10 * MEGABYTE)
    before = set(staged(server))
    with raw(server, url, f"Content-Length: {9 * MEGABYTE}", b"x" * (2 * MEGABYTE)):
        until(lambda: set(staged(server)) - before)
    until(lambda: not set(staged(server)) - before)
    assert not folder.path(key).exists()
    assert put(url, b"whole").status_code == 200


def test_of_many_at_once_exactly_one_wins(server: Server, folder: LocalObjects, key: str) -> None:
    url = signed(server, folder, key, size=MEGABYTE)
    bodies = [bytes([number]) * MEGABYTE for number in range(16)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda body: put(url, body).status_code, bodies))
    assert sorted(answers) == [200] + [409] * 15
    assert folder.path(key).read_bytes() == bodies[answers.index(200)]


async def test_the_store_itself_lets_one_win(tmp_path: Path) -> None:
    store = LocalObjects(tmp_path, b"s")
    blobs = [a_blob(store.staging, b"%d" % number) for number in range(20)]
    results = await asyncio.gather(
        *(store.put_once("a/b", blob) for blob in blobs), return_exceptions=True
    )
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, FileExistsError) for result in results) == 19
    number = results.index(None)
    assert store.path("a/b").read_bytes() == b"%d" % number
    assert not blobs[number].path.exists()
    assert await store.size("a/b") == len(str(number))
    assert await store.size("a/c") is None
