"""Every route is in the one table that says who may use it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import Route

from ocelli.api import health, signed_urls
from ocelli.api.aion.router import router as aion_router
from ocelli.api.auth import current_key
from ocelli.api.chat import routes as chat
from ocelli.api.fetch import routes as fetch
from ocelli.api.policy import OPEN, POLICIES, policy_of
from ocelli.domain.errors import InvalidKey, NotAllowed
from ocelli.domain.scopes import SCOPES, KeyRole
from ocelli.usecases.accounts import Accounts


def routes(those: Iterable[Any]) -> Iterator[Route]:
    for route in those:
        if isinstance(route, Route):
            yield route
        else:
            yield from routes(route.original_router.routes)


ALL = [
    *routes(aion_router.routes),
    *chat.PLAIN,
    *routes(fetch.router.routes),
    *routes(chat.router.routes),
    *routes(signed_urls.router.routes),
    *routes(health.router.routes),
]


def asks_for_a_key(dependant: Dependant) -> bool:
    return dependant.call is current_key or any(map(asks_for_a_key, dependant.dependencies))


@pytest.mark.parametrize("route", ALL, ids=lambda route: route.endpoint.__name__)
async def test_each_route_is_in_the_table_and_asks_for_a_key(route: Route) -> None:
    name = route.endpoint.__name__
    if name in OPEN:
        assert name not in POLICIES
    else:
        assert name in POLICIES, f"{name} is missing in ocelli.api.policy"
        if isinstance(route, APIRoute):
            assert asks_for_a_key(route.dependant), f"{name} does not take CurrentKey"
        else:
            await assert_refused_before_its_body_is_read(route)


async def assert_refused_before_its_body_is_read(route: Route) -> None:
    async def receive() -> Any:
        raise AssertionError("there is no key")

    app = SimpleNamespace(state=SimpleNamespace(services=SimpleNamespace(accounts=Accounts(ANY))))
    scope = {"type": "http", "headers": [], "app": app, "endpoint": route.endpoint}
    with pytest.raises(InvalidKey):
        await route.endpoint(Request(scope, receive))


def test_names_are_unique() -> None:
    names = Counter(endpoint.__name__ for endpoint in {route.endpoint for route in ALL})
    assert [name for name, count in names.items() if count > 1] == []


def test_the_table_has_no_other_rows() -> None:
    assert {*POLICIES, *OPEN} == {route.endpoint.__name__ for route in ALL}


def test_the_table_is_consistent() -> None:
    """What ocelli.domain.scopes.covers relies on."""
    for policy in POLICIES.values():
        if policy.scope is not None:
            assert policy.scope in SCOPES
            reads = policy.scope.endswith(":read")
            assert policy.role is (KeyRole.READ if reads else KeyRole.ADMIN)


def test_a_route_without_a_row_asks_for_everything() -> None:
    with pytest.raises(NotAllowed):
        policy_of("somebody_forgot_me").enforce(("write", "api_keys:write"))
    policy_of("somebody_forgot_me").enforce(("admin",))
