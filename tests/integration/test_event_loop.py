"""One small request must not stop the server: no callback of the event loop may take 50 ms of CPU.

The API runs in this process, on a loop in Python whose callbacks are measured, and every route that
the OpenAPI document knows is sent its nastiest small and large requests.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import http.client
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from tests import bombs
from tests.waiting import until

from ocelli.api.connections import Connections
from ocelli.settings import Settings
from ocelli.wiring.api import build_api
from ocelli.wiring.installation import prepare, write_store_marker

LIMIT = 0.05  # seconds of the loop's thread, waiting not counted
CHAT = "/v1/chat/completions"
MEGABYTE = 1024 * 1024


@dataclass
class Loop:
    """A running API. ``slow`` are the callbacks that took too long since it was last looked at."""

    url: str = ""
    key: str = ""
    paths: dict[str, Any] = field(default_factory=dict)
    thread: int = 0
    limit: float = LIMIT
    slow: list[str] = field(default_factory=list)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        content_type: str | None = "application/json",
        **headers: str,
    ) -> tuple[int, bytes]:
        """The answer, once no callback was slow."""
        connection = http.client.HTTPConnection(self.url, timeout=240)
        try:
            connection.request(
                method,
                path,
                body,
                {
                    "Authorization": f"Bearer {self.key}",
                    **({"Content-Type": content_type} if content_type and body else {}),
                    **headers,
                },
            )
            answer = connection.getresponse()
            said = answer.status, answer.read()
        finally:
            connection.close()
        slow, self.slow = self.slow, []
        assert not slow, f"{method} {path[:80]} {body[:60]!r} ({len(body)} bytes): {slow}"
        return said


@pytest.fixture(scope="module")
def loop(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    measured = Loop(key=f"aion_{uuid.uuid4().hex}", limit=LIMIT * slowness())
    run = asyncio.events.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        if threading.get_ident() != measured.thread:
            return run(handle)
        started = time.thread_time()
        try:
            return run(handle)
        finally:
            if (took := time.thread_time() - started) > measured.limit:
                measured.slow.append(f"{took * 1000:.0f} ms: {handle!r}"[:500])

    settings = Settings(
        data=tmp_path_factory.mktemp("loop"),
        database_url=dsn,
        bootstrap_key=measured.key,
        analysis_timeout=0.2,
        fetch_wait=0.1,
        fetch_timeout=0.5,
        backends={"vllm": {"model": "far", "base_url": "http://127.0.0.1:9/v1"}},
    )
    server = started(settings, dsn, measured)
    gc.collect()
    gc.freeze()  # as a server does: this process has more to look through than that
    asyncio.events.Handle._run = timed  # type: ignore[assignment,method-assign]
    yield measured
    asyncio.events.Handle._run = run  # type: ignore[method-assign]
    gc.unfreeze()
    server.should_exit = True
    until(lambda: not any(each.name == "measured" for each in threading.enumerate()))


def started(settings: Settings, dsn: str, measured: Loop) -> uvicorn.Server:
    async def install() -> None:
        await asyncio.to_thread(prepare, settings, dsn)
        await asyncio.to_thread(write_store_marker, settings, dsn)

    thread = threading.Thread(target=lambda: asyncio.run(install()))
    thread.start()
    thread.join()
    app = build_api(settings, dsn)
    limits = Connections(max_connections=100, per_address=100, proxies=["127.0.0.1/32"])
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=limits.protocol,  # type: ignore[arg-type]
        ws="none",
        log_config=None,
        access_log=False,
        port=0,
    )
    server = uvicorn.Server(config)

    def serve() -> None:
        measured.thread = threading.get_ident()
        server.run()

    threading.Thread(target=serve, name="measured").start()
    until(lambda: server.started)
    measured.url = "127.0.0.1:{1}".format(*server.servers[0].sockets[0].getsockname())
    measured.paths = app.openapi()["paths"]
    return server


def slowness() -> float:
    """How much longer Python takes here than on the machine that the limit was measured on."""
    took = []
    for _ in range(3):
        begun = time.thread_time()
        sum(range(2_000_000))
        took.append(time.thread_time() - begun)
    return max(1.0, min(took) / 0.05)


def values(count: int) -> bytes:
    """JSON whose parts cost most."""
    return b"[" + b"[]," * count + b"[]]"


def form(parts: int) -> bytes:
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    return part * parts + b"--b--\r\n"


JSON, FORM, PARTS = "application/json", "application/x-www-form-urlencoded", "multipart/form-data"
SMALL = [
    (values(19_000), JSON),
    (b'{"a":' * 5_000, JSON),
    (b'{"a":"' + b"\\u0041" * 9_000 + b'"}', JSON),
    (b"{" + b",".join(b'"%d":1' % n for n in range(6_000)) + b"}", JSON),
    (b'{"a":' + b"9" * 4_000 + b"}", JSON),
    (b'{"a":[' + b"1e308," * 9_000 + b"1]}", JSON),
    (b"a=" + b"%41" * 19_000, FORM),
    (b"a&" * 29_000, FORM),
    (form(900), f"{PARTS}; boundary=b"),
    (b"--b\r\n" * 11_000, f"{PARTS}; boundary=b"),
    (b"\r\n-" * 15_000, f"{PARTS}; boundary=" + "-" * 60),
]
LARGE = [
    (values(MEGABYTE), JSON),
    (b'{"a":"' + b"\\u0041" * (MEGABYTE // 2) + b'"}', JSON),
    (form(20_000), f"{PARTS}; boundary=b"),
]
SURFACES = (
    "/api/v2/user-files",
    "/api/v2/user-files/upload/stream",
    "/api/fetch",
    CHAT,
    "/metrics",
)
WRITES = ("POST", "PUT", "PATCH", "DELETE")


def filled(path: str, value: str) -> str:
    return re.sub(r"\{[^}]*\}", value, path)


def test_every_route_with_small_bodies(loop: Loop) -> None:
    for path, operations in {**loop.paths, "/objects/{key}": {"put": {}}}.items():
        for method in operations:
            for body, content_type in SMALL if method.upper() in WRITES else [(b"", "")]:
                loop.ask(method.upper(), filled(path, str(uuid.uuid4())), body, content_type)


def test_every_route_with_large_bodies(loop: Loop) -> None:
    for path, operations in loop.paths.items():
        for method in operations:
            for body, content_type in LARGE if method.upper() in WRITES else []:
                loop.ask(method.upper(), filled(path, str(uuid.uuid4())), body, content_type)


def test_every_route_with_large_addresses_and_heads(loop: Loop) -> None:
    """Within the bounds of heads, see test_connections."""
    for path, operations in loop.paths.items():
        for method in operations:
            loop.ask(method.upper(), filled(path, "%41" * 4_000))
            address = filled(path, str(uuid.uuid4()))
            for query in ("a&" * 7_000, "tags=" + "%41," * 3_500, "q=" + "(" * 15_000):
                loop.ask(method.upper(), f"{address}?{query}")
            for name, value in HEADS if path in SURFACES else ():
                loop.ask(method.upper(), address, b"{}", None, **{name: value})


HEADS = (
    ("Cookie", "a;" * 30_000),
    ("Content-Type", PARTS + "; boundary=" + '"\\' * 25_000),
    ("Content-Type", "a/" * 30_000),
    ("X-Forwarded-For", "127.0.0.1," * 6_000),
    ("X-API-Key", "aion_" * 12_000),
    ("Accept", "a/b;q=1," * 7_000),
    ("Range", "bytes=" + "0-1," * 15_000),
    ("Idempotency-Key", "a" * 60_000),
)


def said(content: Any, **more: Any) -> bytes:
    message = {"role": "user", "content": content}
    return json.dumps({"model": "ocelli-local", "messages": [message], **more}).encode()


def schema(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}


def deep(keyword: str, inner: Any, depth: int = 12) -> Any:
    made = inner
    for _ in range(depth):
        made = {keyword: [made, made], "unevaluatedProperties": False}
    return made


# Made when they are sent: together they have 100 MB.
REQUESTS: dict[str, Callable[[], bytes]] = {
    "60 MB of text": lambda: said("a " * 30_000_000),
    "a text as long as may be": lambda: said("a " * 1_990_000),
    "white space": lambda: said(" " * 3_900_000),
    "24 MB of []": lambda: b'{"model":"ocelli-local","messages":' + values(8_000_000) + b"}",
    "a schema of 8 MB": lambda: said(
        "a",
        response_format=schema(
            {"properties": {f"a{n}": {"type": "string"} for n in range(300_000)}}
        ),
    ),
    "a schema as large as may be": lambda: said(
        "a", response_format=schema({"properties": {f"a{n}": {"type": "null"} for n in range(990)}})
    ),
    "a schema that doubles": lambda: said(
        "a", response_format=schema(deep("allOf", {"type": "object"}))
    ),
    "a schema that refers to itself": lambda: said(
        "a",
        response_format=schema(
            {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}] * 99}}}
        ),
    ),
    "a long question": lambda: said("is there a " + "a " * 1_990),
    "nouns without an end": lambda: said("how many " + "a-" * 1_990),
    "many messages": lambda: json.dumps(
        {"model": "ocelli-local", "messages": [{"role": "user", "content": "a"}] * 9_999}
    ).encode(),
    "stops": lambda: said("a", stop=["a" * MEGABYTE] * 4),
    "a long name": lambda: said("a", model="a" * MEGABYTE),
    "a long bias": lambda: said("a", logit_bias={"a" * MEGABYTE: "b"}),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_conversations(loop: Loop, name: str) -> None:
    status, answer = loop.ask("POST", CHAT, REQUESTS[name]())
    assert status < 500, answer[:500]


def shown(*pictures: bytes) -> list[dict[str, Any]]:
    return [
        {
            "type": "image_url",
            "image_url": {"url": "data:image/gif;base64," + base64.b64encode(each).decode()},
        }
        for each in pictures
    ]


@pytest.mark.parametrize("model", ["ocelli-local", "vllm"])
def test_pictures_in_a_conversation(loop: Loop, model: str) -> None:
    for pictures in (
        [bombs.gif(10_000 - n, 10_000) for n in range(100)],  # 5 KB
        [bombs.gif(3_000 - n, 3_000) for n in range(100)],
        [bombs.gif(2_000 - n, 2_000) for n in range(8)],
        [bombs.png_head(9, n) for n in range(1, 400)],
        [bombs.animated_webp(80_000 - n) for n in range(5)],
        [bombs.jpeg(10_000, 10_000 - n, components=4) for n in range(3)],
    ):
        status, answer = loop.ask("POST", CHAT, said(shown(*pictures), model=model))
        assert status in (400, 413, 502, 503, 504), answer[:500]


def test_pictures_that_are_moderated(loop: Loop) -> None:
    many = [bombs.gif(10_000 - n, 10_000) for n in range(8)]
    status, answer = loop.ask(
        "POST", "/v1/moderations", json.dumps({"input": shown(*many)}).encode()
    )
    assert status == 400, answer[:500]


def test_files_in_base64(loop: Loop, photos: dict[str, Path]) -> None:
    text = base64.b64encode(bytes(40 * MEGABYTE))
    photo = base64.b64encode(photos["china"].read_bytes())
    for body in (b'{"image_base64":"%s"}' % text, b'{"image_base64":"%s"}' % photo):
        loop.ask("POST", "/api/v2/describe/", body)
        loop.ask("POST", "/api/v2/batch/describe", b'{"images":[%s]}' % body)
    loop.ask("POST", "/api/fetch", b'{"file":["%s"]}' % text)
    loop.ask("POST", "/api/fetch", b"file=" + text.replace(b"=", b"%3D"), FORM)
    loop.ask("POST", "/api/fetch", b'{"tags":%s}' % values(2_000_000))
    loop.ask("POST", f"/api/fetch?{'url=a&' * 2_000}", b"{}")
    loop.ask("POST", "/api/fetch", b'{"tag_score":"%s","url":"http://a"}' % (b"1" * MEGABYTE))
