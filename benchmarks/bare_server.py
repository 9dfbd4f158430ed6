"""The baseline of everything over HTTP: uvicorn as ``ocelli serve`` runs it, without Ocelli.

``POST /sink`` hashes and writes what it is sent, one megabyte at a time in a thread while the next
one is received; with ``?durable`` it also waits for the disk. Anything else answers ``{}``.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.requests import Request
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

PIECE = 1024 * 1024


class Bare:
    """The application."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        content = b"{}"
        if request.url.path == "/sink":
            digest = await self._sink(request, durable=request.url.query == "durable")
            content = digest.encode()
        await Response(content, media_type="application/json")(scope, receive, send)

    async def _sink(self, request: Request, *, durable: bool) -> str:
        digest = hashlib.sha256()
        path = self._folder / uuid.uuid4().hex
        working: asyncio.Task[None] | None = None
        with path.open("xb", buffering=0) as file:

            def keep(piece: bytes) -> None:
                digest.update(piece)
                file.write(piece)

            waiting: list[bytes] = []
            size = 0
            async for chunk in request.stream():
                waiting.append(chunk)
                size += len(chunk)
                if size >= PIECE or not chunk:
                    if working is not None:
                        await working
                    piece = b"".join(waiting)
                    working = asyncio.create_task(asyncio.to_thread(keep, piece))
                    waiting, size = [], 0
            if working is not None:
                await working
            await asyncio.to_thread(keep, b"".join(waiting))
            if durable:
                await asyncio.to_thread(os.fsync, file.fileno())
        return digest.hexdigest()


def main(folder: str) -> None:
    """Listen on a free port until SIGTERM."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        config = uvicorn.Config(
            Bare(Path(folder)),
            loop="uvloop",
            http="httptools",
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
        )
        print(f"ready http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1])
