"""Every route says who may use it."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import Route

from ocelli.api import health, llms, metrics, signed_urls
from ocelli.api.auth import current_key
from ocelli.api.dialects import dialects
from ocelli.api.ollama.auth import current_caller
from ocelli.api.policy import is_marked, policy_of
from ocelli.domain.errors import InvalidKey, NotAllowed
from ocelli.domain.scopes import SCOPES, KeyRole
from ocelli.usecases.accounts import Accounts

ROUTERS = [
    *(each.router for each in dialects()),
    *(each.router for each in (signed_urls, health, metrics, llms)),
]
ALL = [
    *(route for router in ROUTERS for route in router.routes if isinstance(route, Route)),
    *(route for dialect in dialects() for route in dialect.plain_routes),
]


def asks_for_a_key(dependant: Dependant) -> bool:
    return dependant.call in (current_key, current_caller) or any(
        map(asks_for_a_key, dependant.dependencies)
    )


@pytest.mark.parametrize("route", ALL, ids=lambda route: route.endpoint.__name__)
async def test_each_route_says_what_it_requires_and_asks_for_a_key(route: Route) -> None:
    name = route.endpoint.__name__
    assert is_marked(route.endpoint), f"{name} needs @requires(...) or @public"
    if policy_of(route.endpoint) is None:
        assert not isinstance(route, APIRoute) or not asks_for_a_key(route.dependant)
    elif isinstance(route, APIRoute):
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


def test_few_routes_take_no_key() -> None:
    public = {route.endpoint.__name__ for route in ALL if policy_of(route.endpoint) is None}
    assert public == {
        *("get_object", "put_object", "home", "live", "ready", "metrics"),
        *("ollama_running", "llms_txt", "documentation_page"),
    }


def test_the_policies_are_consistent() -> None:
    """What ocelli.domain.scopes.covers relies on."""
    for policy in filter(None, (policy_of(route.endpoint) for route in ALL)):
        if policy.scope is not None:
            assert policy.scope in SCOPES
            reads = policy.scope.endswith(":read")
            assert policy.role is (KeyRole.READ if reads else KeyRole.ADMIN)


def test_a_route_that_says_nothing_requires_everything() -> None:
    def forgotten() -> None: ...

    policy = policy_of(forgotten)
    assert policy is not None
    with pytest.raises(NotAllowed):
        policy.enforce(("write", "api_keys:write"))
    policy.enforce(("admin",))


def test_what_adds_files_or_work_is_refused_while_the_disk_is_full() -> None:
    """The others change a row or two, or give up room; conversations store only for our model."""
    policies = {route.endpoint.__name__: policy_of(route.endpoint) for route in ALL}
    adding = {name for name, policy in policies.items() if policy is not None and policy.stores}
    writing = {
        name
        for name, policy in policies.items()
        if policy is not None and policy.role is KeyRole.WRITE
    }
    assert writing - adding == {
        *("cancel_batch", "cancel_session", "delete_file", "delete_files", "delete_policy"),
        *("delete_vocabulary", "delete_folder", "rename_folder", "move_folder", "move_files"),
        *("close_chat_session", "rename_chat_session", "set_chat_session_mode"),
        *(
            "select_chat_session_images",
            "accept_reviews",
            "reject_reviews",
            "undo_edit",
            "update_file",
        ),
        *("extract_colors", "extract_colors_of_many", "chat_completions"),
        *("ollama_chat", "ollama_embed", "ollama_embeddings", "ollama_generate"),
        *("undo_organize", "cancel_response", "create_response", "delete_response", "not_served"),
    }
    assert adding - writing == {"create_export"}


def test_every_route_of_a_dialect_has_its_prefix() -> None:
    for dialect in dialects():
        for route in dialect.router.routes:
            assert isinstance(route, APIRoute)
            assert route.path.startswith(tuple(dialect.prefixes)), route.path
