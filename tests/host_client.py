"""A client of the server that stands before a model's process."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from ocelli.backends.models.host import ModelHost

PICTURE = "data:image/jpeg;base64,AAAA"


@dataclass
class HostClient:
    """Asks a host; ``folder`` is that of its process, which keeps a log there."""

    folder: Path
    url: str
    session: aiohttp.ClientSession
    measured: dict[str, Any] = field(default_factory=dict)

    @property
    def log(self) -> list[str]:
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    async def send(self, text: str, picture: str = PICTURE) -> tuple[int, Any]:
        """The status and the body of an answer."""
        parts = [
            {"type": "text", "text": text},
            {"type": "image_url", "image_url": {"url": picture}},
        ]
        body = {"model": "eyes", "messages": [{"role": "user", "content": parts}]}
        async with self.session.post(
            f"{self.url}/v1/chat/completions", json=body, headers={"Authorization": "Bearer secret"}
        ) as response:
            return response.status, json.loads(await response.read() or b"null")


Client = TypeVar("Client", bound=HostClient)


@asynccontextmanager
async def hosted(kind: type[Client], folder: Path, *launch: Any) -> AsyncIterator[Client]:
    """A host of a model; ``launch`` and, if it is another one, the command of its process."""
    stop = asyncio.Event()
    how, *command = launch
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with aiohttp.ClientSession() as session:
            client = kind(folder, url, session)
            host = ModelHost(how, client.measured.update, *command)
            running = asyncio.create_task(host.run(listener, stop))
            try:
                yield client
            finally:
                stop.set()
                await running
