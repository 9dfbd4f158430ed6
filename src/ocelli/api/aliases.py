"""Other paths of a surface, where the settings say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.api.dialects import dialects

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from ocelli.api.services import Services


class Aliases:
    """Answers a request as if it had come to the path that ``Dialect.alias`` gives; pure ASGI."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http":
            for dialect in dialects():
                path = dialect.alias(self._services, scope) if dialect.alias else None
                if path is not None:
                    scope = {**scope, "path": path, "raw_path": path.encode()}
                    break
        await self._app(scope, receive, send)
