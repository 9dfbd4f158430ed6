"""Polls are answered before the framework looks for a route and its dependencies.

``fetch_response`` stays what it is, for /docs and for every address that is written in another way;
here the same is done with the same checks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.requests import Request

from ocelli.api.auth import admit, presented
from ocelli.api.fetch import errors
from ocelli.api.fetch.routes import fetch_response
from ocelli.domain.errors import OcelliError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_POLLED = re.compile("/api/response/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


class FetchPolls:
    """Pure ASGI."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        found = (
            _POLLED.fullmatch(scope["path"])
            if scope["type"] == "http" and scope["method"] == "GET"
            else None
        )
        if found is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        request.scope["endpoint"] = fetch_response
        try:
            key = await admit(request, presented(request))
            response = await fetch_response(found[1], key, request.app.state.services)
        except OcelliError as error:
            response = errors.render(request, error)
        await response(scope, receive, send)
