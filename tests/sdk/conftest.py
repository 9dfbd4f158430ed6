"""A server of our own on loopback; real HTTP, real files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from tests.sdk.sdk_server import KEY, FakeServer, picture

from aion import AionVision


@pytest.fixture
def server() -> Iterator[FakeServer]:
    server = FakeServer().start()
    yield server
    server.stop()


@pytest.fixture
async def client(server: FakeServer) -> AsyncIterator[AionVision]:
    async with AionVision(
        KEY, base_url=server.url, retry_delay=0.01, polling_interval=0.05, polling_timeout=60
    ) as client:
        yield client


@pytest.fixture
def photos(tmp_path: Path) -> Callable[..., list[Path]]:
    """Makes files: ``photos(3)`` or ``photos("a.jpg", "sub/b.png")``."""

    def make(*wanted: int | str) -> list[Path]:
        names = [f"img{n}.jpg" for n in range(wanted[0])] if isinstance(wanted[0], int) else wanted
        paths = [tmp_path / str(name) for name in names]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture())
        return paths

    return make
