"""A server under small files that cost much: refused, or decoded apart from its own processes."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from tests import bombs
from tests.conftest import Server
from tests.console_client import ConsoleClient
from tests.unit.test_media_pictures import quarters, saved
from tests.waiting import PATIENCE, until

MEGABYTE = 1024 * 1024
UPLOAD = "/api/v2/user-files/upload/stream"
CMYK = bombs.jpeg(10_000, 10_000, components=4)
REFUSED = {
    "jpeg, cmyk, progressive": (CMYK, "too much memory"),
    "jpeg in scans": (bombs.jpeg(10_000, 10_000, progressive=False), "too much memory"),
    "jpeg in very many scans": (bombs.jpeg(64, 64, scans=500), "too many scans"),
    "gif": (bombs.gif(10_000, 10_000), "too much memory"),
    "gif on a small screen": (bombs.gif(10_000, 10_000, screen=(1, 1)), "too much memory"),
    "png, interlaced, 16 bits": (
        bombs.png_head(10_000, 10_000, 16, 6, interlaced=True),
        "too much memory",
    ),
    "frames of a webp": (bombs.animated_webp(80_000), "too many frames"),
    "frames of a gif": (bombs.gif(1, 1, frames=80_000), "too many frames"),
}
DECODED = {
    "jpeg": bombs.jpeg(5_000, 5_000, components=4),
    "gif": bombs.gif(6_000, 6_000),
    "webp": bombs.animated_webp(5_000, width=3_000, height=3_000),
    "png": bombs.png(3_000, 3_000, color=6, depth=16, interlaced=True),
}


Watched = dict[str, list[psutil.Process]]


def processes(server: Server, name: str) -> list[psutil.Process]:
    children = psutil.Process(server.process.pid).children()
    return [each for each in children if name in " ".join(each.cmdline()[-2:]).split()]


def peak(process: psutil.Process) -> int:
    """The most memory it had since ``watched``."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.fixture
def watched(server: Server) -> Watched:
    """The API and the workers, which have had no peak yet."""
    found = {name: processes(server, name) for name in ("api", "worker")}
    assert all(found.values())
    for process in (*found["api"], *found["worker"]):
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    return found


def upload(server: Server, data: bytes) -> requests.Response:
    return requests.post(
        f"{server.url}{UPLOAD}",
        headers=server.headers,
        files={"file": ("picture", data)},
        timeout=PATIENCE,
    )


def alive(server: Server) -> None:
    assert requests.get(f"{server.url}/health/live", timeout=PATIENCE).status_code == 200


def test_uploads(server: Server, watched: Watched) -> None:
    for name, (data, issue) in REFUSED.items():
        answer = upload(server, data)
        assert answer.status_code == 422, name
        assert answer.json()["error"]["details"]["issue"] == issue, name
        alive(server)
    for process in watched["api"]:
        assert peak(process) < 400 * MEGABYTE


def test_other_ways(server: Server, watched: Watched) -> None:
    """Described, asked about in a batch, fetched, and in conversations."""
    text = base64.b64encode(CMYK).decode()
    pictures = [
        base64.b64encode(each).decode()
        for each in (bombs.gif(10_000 - n, 10_000) for n in range(9))
    ]
    parts = [
        {"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{each}"}}
        for each in pictures
    ]
    message = {"role": "user", "content": parts}

    def post(path: str, body: Any, status: int) -> None:
        answer = requests.post(
            server.url + path, headers=server.headers, json=body, timeout=PATIENCE
        )
        assert answer.status_code == status, answer.text[:500]
        assert "memory" in answer.text
        alive(server)

    post("/api/v2/describe/", {"image_base64": text}, 422)
    post("/v1/chat/completions", {"model": "ocelli-local", "messages": [message]}, 400)
    post("/v1/moderations", {"input": parts}, 400)
    for process in watched["api"]:
        assert peak(process) < 400 * MEGABYTE


def test_what_is_accepted_is_decoded_apart(server: Server, watched: Watched) -> None:
    ids = [upload(server, data).json()["image_id"] for data in DECODED.values()]
    small = upload(server, saved(quarters(), "JPEG")).json()["image_id"]

    def is_done(id: str) -> bool:
        answer = requests.get(
            f"{server.url}/api/v2/user-files/{id}", headers=server.headers, timeout=PATIENCE
        )
        return answer.json()["description_status"] in ("completed", "failed")

    until(lambda: all(map(is_done, [small, *ids])))
    for process in watched["worker"]:
        assert peak(process) < 1200 * MEGABYTE
    for process in watched["api"]:
        assert peak(process) < 400 * MEGABYTE


def test_large_files_are_looked_at_in_turn(server: Server, watched: Watched) -> None:
    """Previews of the console hold the files of few pictures in memory, however many ask."""
    comment = b"\xff\xfe" + (65_000).to_bytes(2, "big") + bytes(64_998)
    photo = saved(quarters(), "JPEG")
    large = photo[:2] + comment * 460 + photo[2:]  # 30 MB
    id = upload(server, large).json()["image_id"]
    client = ConsoleClient(server)
    with ThreadPoolExecutor(24) as pool:
        shown = pool.map(lambda _: client.get(f"/pictures/{id}/preview"), range(24))
    assert {each.status_code for each in shown} == {200}
    for process in watched["api"]:
        assert peak(process) < 400 * MEGABYTE
