"""A steady, modest load on every surface, by clients that go on whatever happens."""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import http.server
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.conftest import Server
from tests.console_client import ConsoleClient
from tests.crash_matrix import QUICK
from tests.integration.test_fetch_api import Files
from tests.integration.test_main_job import API
from tests.integration.test_mcp import answer as tool_answer
from tests.integration.test_mcp import connected
from tests.soak.ledger import Ledger, Refused, Wrong

ANSWERED = 120.0
MOST_WAITING = 40
"""Pictures without a description: with more of them no client sends another one."""
KEPT = 400
"""Pictures in the library: with more of them the oldest are deleted."""
SEARCHES = ("a cup of coffee", "an animal", "text on paper", "a person in space", "flowers")


@dataclass
class Load:
    """Clients of one server. ``model`` is a backend of its own, besides the local model."""

    server: Server
    ledger: Ledger
    photos: list[bytes]
    site: str
    receiver: str
    key: str
    relay_key: str  # of a tenant of its own: what is relayed is counted, and makes no row
    model: str
    random: random.Random
    waiting: int = 0  # pictures; kept by who looks into the database

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Raise Refused for what is no success."""
        headers = {"Authorization": f"Bearer {options.pop('key', self.key)}"}
        url = path if path.startswith("http") else f"{self.server.url}{path}"
        options.setdefault("timeout", ANSWERED)
        answer = requests.request(method, url, headers=headers, **options)
        if answer.status_code >= 400:
            raise Refused(answer)
        return answer

    def post(self, path: str, body: Any) -> Any:
        return self.call("POST", path, json=body).json()

    def get(self, path: str, **parameters: Any) -> Any:
        return self.call("GET", path, params=parameters).json()

    def photo(self) -> bytes:
        """A picture that no other is equal to."""
        return self.random.choice(self.photos) + os.urandom(8)

    def run(self, until: float, pause: float) -> None:
        """All surfaces in turn, in an order of chance, each after a pause, until that moment of
        the ledger.
        """
        while True:
            for surface in self.random.sample(SURFACES, len(SURFACES)):
                time.sleep(pause * self.random.uniform(0.5, 1.5))
                if self.ledger.now() > until:
                    return
                if surface in SENDING and self.waiting > MOST_WAITING:
                    continue
                with self.ledger.timed(surface.__name__):
                    surface(self)


# ---- pictures into the library


def upload(load: Load) -> None:
    picture = load.ledger.send(data := load.photo())
    path = f"{API}/user-files/upload/stream"
    fields = {"title": "Soaked", **QUICK}
    sent = load.call("POST", path, files={"file": ("a.jpg", data)}, data=fields).json()
    picture.id, picture.title = str(sent["image_id"]), "Soaked"


def upload_batch(load: Load) -> None:
    files = [load.photo() for _ in range(3)]
    pictures = [load.ledger.send(data) for data in files]
    path = f"{API}/user-files/upload/stream-batch"
    parts = [("files", (f"{number}.jpg", data)) for number, data in enumerate(files)]
    sent = load.call("POST", path, files=parts, data=QUICK).json()
    for picture, each in zip(pictures, sent["immediate_results"], strict=True):
        picture.id = str(each["image_id"])
    load.ledger.accept("session", str(sent["session_id"]))


def presigned(load: Load) -> None:
    picture = load.ledger.send(data := load.photo())
    wanted = {"filename": "a.jpg", "content_type": "image/jpeg", "size_bytes": len(data)}
    reserved = load.post(f"{API}/uploads/request-presigned-url", {**wanted, **QUICK})
    put = requests.put(reserved["upload_url"], data=data, timeout=ANSWERED)
    if put.status_code >= 400:
        raise Refused(put)
    sent = {"object_key": reserved["object_key"], "size_bytes": len(data)}
    picture.id = str(load.post(f"{API}/uploads/confirm", sent)["upload_id"])


def edit(load: Load) -> None:
    """Once each: two edits at a time would leave open which is the last."""
    with load.ledger.lock:
        pictures = [each for each in load.ledger.stored()[-10:] if not each.is_edited]
        if not pictures:
            return
        picture = pictures[0]
        picture.is_edited, picture.title = True, None
    title = f"Edited {load.random.random()}"
    load.call("PATCH", f"{API}/user-files/{picture.id}", json={"title": title})
    picture.title = title


def delete(load: Load) -> None:
    """The oldest, if it is described; more than come in, once there are many."""
    pictures = load.ledger.stored()
    for picture in pictures[: 8 if len(pictures) > KEPT else 1 if len(pictures) > 20 else 0]:
        with load.ledger.lock:
            if picture.delete_sent:
                continue
            picture.delete_sent = True
        load.call("DELETE", f"{API}/user-files/{picture.id}")
        picture.deleted = True


# ---- pictures for an answer


def describe(load: Load) -> None:
    answer = load.post(f"{API}/describe", {"image_base64": encoded(load.photo()), **QUICK})
    assert answer["description"]


def describe_batch(load: Load) -> None:
    images = [{"image_base64": encoded(load.photo())} for _ in range(2)]
    body = {"images": images, "webhook_url": f"{load.receiver}?batch", **QUICK}
    load.ledger.accept("batch", str(load.post(f"{API}/batch/describe", body)["batch_id"]))


def fetch(load: Load) -> None:
    """Two files, so that the answer is polled for."""
    urls = [f"{load.site}/{number}.jpg" for number in load.random.sample(range(8), 2)]
    answer = load.post("/api/fetch", {"url": urls})
    load.ledger.accept("fetch", str(answer["request_id"]))


def said(load: Load, text: str = "What is in this picture?") -> Any:
    url = f"data:image/jpeg;base64,{encoded(load.photo())}"
    picture = {"type": "image_url", "image_url": {"url": url}}
    return [{"role": "user", "content": [{"type": "text", "text": text}, picture]}]


def chat_local(load: Load) -> None:
    answer = load.post("/chat/completions", {"model": "ocelli-local", "messages": said(load)})
    assert answer["choices"][0]["message"]["content"]


def chat_backend(load: Load) -> None:
    """Half of them as a stream."""
    stream = load.random.random() < 0.5
    body = {"model": load.model, "messages": said(load), "stream": stream}
    answer = load.call("POST", "/v1/chat/completions", json=body, key=load.relay_key)
    assert ("[DONE]" if stream else "cat") in answer.text


def ollama(load: Load) -> None:
    asked = {"model": "ocelli-local", "prompt": "What is it?", "stream": False}
    body = {**asked, "images": [encoded(load.photo())]}
    assert load.post("/api/ollama/api/generate", body)["response"]


def ollama_embed(load: Load) -> None:
    body = {"model": "all-minilm", "input": list(SEARCHES)}
    assert len(load.post("/api/ollama/api/embed", body)["embeddings"]) == len(SEARCHES)


def responses(load: Load) -> None:
    url = f"data:image/jpeg;base64,{encoded(load.photo())}"
    content = [
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": url},
    ]
    body = {"model": "ocelli-local", "input": [{"role": "user", "content": content}]}
    made = load.post("/v1/responses", body)
    assert load.get(f"/v1/responses/{made['id']}")["output"] == made["output"]
    load.call("DELETE", f"/v1/responses/{made['id']}")


def photoprism(load: Load) -> None:
    url = f"data:image/jpeg;base64,{encoded(load.photo())}"
    body = {"model": "ocelli-local", "images": [url]}
    assert load.post("/api/v1/vision/labels", body)["result"]["labels"] is not None


def mcp(load: Load) -> None:
    async def ask() -> None:
        async with connected(load.server, "http", "auto", Path(), load.key) as client:
            tool_answer(await client.call_tool("find_images", {"query": "a cup"}))

    asyncio.run(ask())


# ---- reading


def poll(load: Load) -> None:
    for picture in load.ledger.stored()[-5:]:
        assert load.get(f"{API}/uploads/status/{picture.id}")["image_id"] == picture.id


def library(load: Load) -> None:
    assert load.get(f"{API}/user-files", limit=50)["total_count"] >= 0
    load.get(f"{API}/user-files", search="cup")


def search_by_meaning(load: Load) -> None:
    body = {"query": load.random.choice(SEARCHES), "limit": 10}
    load.post(f"{API}/agents/search/images", body)


def library_chat(load: Load) -> None:
    path = f"{API}/chat/sessions"
    session = f"{path}/{load.post(path, {})['session_id']}"
    question = {"message": load.random.choice(["How many pictures do I have?", "Show me cups"])}
    assert load.post(f"{session}/messages", question)["content"]
    load.call("DELETE", session)


def download(load: Load) -> None:
    """One of the newer half, equal to what was sent, and its smallest copy."""
    pictures = load.ledger.stored()
    if pictures := pictures[len(pictures) // 2 :]:
        picture = load.random.choice(pictures)
        data = load.call("GET", f"{API}/user-files/{picture.id}/download").content
        if hashlib.sha256(data).hexdigest() != picture.sha256:
            raise Wrong(f"{picture.id} is not what was sent")
        if load.get(f"{API}/uploads/status/{picture.id}")["is_terminal"]:
            load.call("GET", f"{API}/user-files/{picture.id}/variant/tiny_64")


def export(load: Load) -> None:
    made = load.post(f"{API}/data/export", {"data_type": "descriptions", "format": "jsonl"})
    load.ledger.accept("export", str(made["export_id"]))


def console(load: Load) -> None:
    browser = ConsoleClient(load.server, load.key)
    pictures = load.ledger.stored()[-1:]
    for path in ("/library", "/usage", *(f"/pictures/{each.id}" for each in pictures)):
        page = browser.get(path)
        if page.status_code != 200:
            raise Refused(page)


def operations(load: Load) -> None:
    load.call("GET", "/metrics")
    load.get(f"{API}/usage/summary")
    load.get(f"{API}/webhooks")


SENDING = (upload, upload_batch, presigned, describe_batch, fetch)
SURFACES: tuple[Callable[[Load], None], ...] = (
    *SENDING, edit, delete, describe, chat_local, chat_backend, ollama, ollama_embed, responses,
    photoprism, mcp, poll, library, search_by_meaning, library_chat, download, export, console,
    operations,
)  # fmt: skip


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@contextmanager
def pictures_on_loopback(folder: Path) -> Iterator[str]:
    """Serve a folder; give its address."""
    handler = functools.partial(Files, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
