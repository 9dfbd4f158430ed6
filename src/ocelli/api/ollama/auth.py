"""Who asks: a key of ours, or a caller that cannot send one.

Several tools know a host and a port and nothing else. Where the settings name a tenant for them,
requests without a key of ours count as that tenant's, from some networks only. A browser on such a
machine asks for whatever page is open in it, so a page's requests are told from a tool's.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ocelli.api.auth import admit, admit_key, current_services, presented_key
from ocelli.api.origins import is_foreign_page
from ocelli.api.proxies import parse_address
from ocelli.api.services import Services
from ocelli.domain.accounts import KEY_PATTERN, ApiKey
from ocelli.domain.errors import InvalidKey

SURFACE = "ollama"
# Ends of names that no public name server answers for: a page cannot make one of them its own.
_PRIVATE_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")

_bearer = HTTPBearer(
    auto_error=False,
    description="An API key, where the operator has not named a tenant for callers without one.",
)


async def current_caller(
    request: Request,
    _: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> ApiKey:
    """Who asks, and whether they may; counts the request. Raises as ``auth.current_key`` does.

    What does not look like a key of ours is none: clients send words of their own, or nothing.
    """
    services = await current_services(request)
    token = presented_key(request)
    tenant = services.ollama.tenant
    if tenant is None or (token and KEY_PATTERN.fullmatch(token)):
        return await admit(request, token)
    _check_caller(request, services)
    key = await services.accounts.authenticate_keyless(tenant, SURFACE)
    return await admit_key(request, services, key)


def _check_caller(request: Request, services: Services) -> None:
    """Raise InvalidKey unless the caller may do without a key."""
    address = parse_address(request.client.host) if request.client else None
    networks = map(ip_network, services.ollama.networks)
    if address is None or not any(address in network for network in networks):
        raise InvalidKey(
            f"Callers from {address or 'an unknown address'} need an API key here: send "
            "`Authorization: Bearer aion_...`, or add the network to OCELLI_OLLAMA_NETWORKS."
        )
    host = request.url.hostname or ""
    if not _is_private(host) and host != urlsplit(services.public_url or "").hostname:
        raise InvalidKey(
            f"Under the name {host[:100]!r} an API key is needed: without one this server answers "
            "to addresses, to local names, and to that of OCELLI_PUBLIC_URL."
        )
    is_cross_site = request.headers.get("sec-fetch-site") == "cross-site"
    if is_cross_site or is_foreign_page(request, services.public_url):
        raise InvalidKey("Pages of other hosts need an API key.")


def _is_private(host: str) -> bool:
    """An address, or a name that means something in a local network only."""
    return parse_address(host) is not None or "." not in host or host.endswith(_PRIVATE_NAMES)


CurrentCaller = Annotated[ApiKey, Depends(current_caller)]
