"""Where Ollama's API is: below a prefix of ours, and at the root as Ollama has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.api.cors import CrossOrigin

if TYPE_CHECKING:
    from starlette.types import Scope

    from ocelli.api.services import Services

PREFIX = "/api/ollama"

SERVED = ("version", "tags", "ps", "show", "generate", "chat", "embed", "embeddings", "pull")
# Of Ollama's own management, which is not for clients here.
REFUSED = ("copy", "create", "delete", "me", "push", "signout", "status")
BLOBS = "/api/blobs/"

CORS = CrossOrigin(exposed=b"x-request-id, retry-after")

_AT_ROOT = frozenset(f"/api/{name}" for name in (*SERVED, *REFUSED))
_OPENAI = f"{PREFIX}/v1/"  # some clients go on to chat completions at the same base


def alias(services: Services, scope: Scope) -> str | None:
    """The path of ours that a request means, if it came to another one."""
    path: str = scope["path"]
    if path.startswith(_OPENAI):
        return path.removeprefix(PREFIX)
    if not services.ollama.at_root:
        return None
    if path in _AT_ROOT or path.startswith(BLOBS):
        return PREFIX + path
    if path == "/" and scope["method"] in ("GET", "HEAD") and not _is_browser(scope):
        return PREFIX
    return None


def _is_browser(scope: Scope) -> bool:
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
