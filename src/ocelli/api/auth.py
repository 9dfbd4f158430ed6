"""Authentication of requests, their limits and permissions."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from ocelli.api import idempotency
from ocelli.api.policy import EVERYTHING, Policy, policy_of
from ocelli.api.services import Services
from ocelli.domain.accounts import ApiKey
from ocelli.domain.audit import Actor, AuditType
from ocelli.domain.errors import EndedKey, NotAllowed, OcelliError, RateLimited

_bearer = HTTPBearer(
    auto_error=False,
    description="An API key: `aion_...`. `ocelli keys create` makes one; the first start of "
    "`ocelli serve` prints one.",
)
_header = APIKeyHeader(
    name="X-API-Key", auto_error=False, description="The same key: `Token aion_...`, or alone."
)


async def current_services(request: Request) -> Services:
    """Return the services of the process. A coroutine: FastAPI runs plain functions in threads."""
    found: Services = request.app.state.services
    return found


async def current_key(
    request: Request,
    _: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    __: Annotated[str | None, Depends(_header)],
) -> ApiKey:
    """Authenticate the request, count it, and check that the key may use the route.

    Raises InvalidKey and its like, RateLimited, NotAllowed; see also ocelli.api.idempotency.
    """
    return await admit(request, presented_key(request))


def presented_key(request: Request) -> str | None:
    """Return the key of ``X-API-Key`` or ``Authorization``; None if there is none.

    Before it may be ``Bearer`` or ``Token``; in ``X-API-Key`` it may stand alone.
    """
    api_key_header = request.headers.get("x-api-key")
    scheme, _, key = (
        (api_key_header or request.headers.get("authorization", "")).strip().partition(" ")
    )
    if api_key_header and not key:
        return scheme
    return key.strip() if scheme.lower() in ("bearer", "token") else None


async def admit(request: Request, token: str | None) -> ApiKey:
    """Do as ``current_key`` for a route that reads the key itself."""
    services = await current_services(request)
    return await admit_key(request, services, await authenticate(request, services, token))


async def authenticate(request: Request, services: Services, token: str | None) -> ApiKey:
    """Return the record of the key; the use of an ended one goes into its tenant's audit log.

    Raises InvalidKey, ExpiredKey, DeactivatedKey.
    """
    try:
        return await services.accounts.authenticate(token)
    except EndedKey as error:
        note_ended_key(request, services, AuditType.KEY_FAILED, error)
        raise


def note_ended_key(request: Request, services: Services, type: AuditType, error: EndedKey) -> None:
    """Record that a key which has ended was presented."""
    actor = Actor.of(error.key, client_address(request))
    services.audit.refused(actor, type, ("api_key", str(error.key.id)), error.message)


async def admit_key(request: Request, services: Services, key: ApiKey) -> ApiKey:
    """The same for who asks being known: counts the request, enforces what its route requires."""
    policy = policy_of(request.scope["endpoint"]) or EVERYTHING
    request.state.key = key
    await _limit(request, services, key, policy)
    try:
        policy.enforce(key.scopes)
    except NotAllowed as error:
        _note(request, services, key, AuditType.PERMISSION_DENIED, error)
        raise
    if policy.stores:
        services.disk.enforce()
    await idempotency.begin(request, services.idempotency, key.tenant.id)
    return key


async def _limit(request: Request, services: Services, key: ApiKey, policy: Policy) -> None:
    """Count the request, and keep the state for the headers of the answer. Raises RateLimited."""
    if policy.counted:
        route = request.scope["endpoint"].__name__
        request.state.rate = await services.rates.count(key, route, policy.per_minute)
        try:
            request.state.rate.enforce()
        except RateLimited as error:
            _note(request, services, key, AuditType.RATE_LIMIT_EXCEEDED, error)
            raise


def _note(
    request: Request, services: Services, key: ApiKey, type: AuditType, error: OcelliError
) -> None:
    actor = Actor.of(key, client_address(request))
    route = ("route", request.scope["endpoint"].__name__)
    services.audit.refused(actor, type, route, error.message)


def client_address(request: Request) -> str | None:
    """Return the address that a request comes from; None if that is not known."""
    return request.client.host if request.client else None


CurrentKey = Annotated[ApiKey, Depends(current_key)]
CurrentServices = Annotated[Services, Depends(current_services)]
