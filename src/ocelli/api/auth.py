"""From a header to a tenant."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ocelli.api.services import Services
from ocelli.domain.accounts import ApiKey

_bearer = HTTPBearer(
    auto_error=False,
    description="An API key: `aion_...`. `ocelli keys create` makes one; the first start of "
    "`ocelli serve` prints one.",
)


def services(request: Request) -> Services:
    """The process's services."""
    found: Services = request.app.state.services
    return found


async def current_key(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> ApiKey:
    """Who asks; counts the request. Raises InvalidKey & co. and RateLimited."""
    mine = services(request)
    key = await mine.accounts.authenticate(credentials.credentials if credentials else None)
    request.state.rate = mine.rates.count(key)
    request.state.rate.enforce()
    return key


CurrentKey = Annotated[ApiKey, Depends(current_key)]
CurrentServices = Annotated[Services, Depends(services)]
