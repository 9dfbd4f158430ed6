"""Scripts and styles, at addresses that hold a hash of all of them: modules import one another."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response

from ocelli.api.policy import public
from ocelli.domain.errors import NotFound

FOLDER = Path(__file__).with_name("static")
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FOREVER = "public, max-age=31536000, immutable"

router = APIRouter(prefix="/static")


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is sent."""

    content: bytes
    compressed: bytes
    content_type: str


@cache
def files() -> dict[str, StaticFile]:
    """Return the static files by name."""
    return {
        path.name: StaticFile(
            content := path.read_bytes(),
            gzip.compress(content, mtime=0),
            TYPES[path.suffix],
        )
        for path in sorted(FOLDER.iterdir())
        if path.suffix in TYPES
    }


@cache
def version() -> str:
    """Return the hash."""
    parts = (hashlib.sha256(file.content).digest() for file in files().values())
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def static_path(name: str) -> str:
    """Return the path of a file within the console. Raises KeyError for an unknown name."""
    if name not in files():
        raise KeyError(name)
    return f"/static/{version()}/{name}"


@router.get("/{of_version}/{name}")
@public
async def get_static(of_version: str, name: str, request: Request) -> Response:
    """A file of this version; of another one there is none."""
    file = files().get(name)
    if file is None or of_version != version():
        raise NotFound("File", name)
    headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(file.compressed, headers=headers, media_type=file.content_type)
    return Response(file.content, headers=headers, media_type=file.content_type)
