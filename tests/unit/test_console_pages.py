"""The console's files, routes and templates, without a server."""

from __future__ import annotations

import gzip
import inspect
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from jinja2 import TemplateSyntaxError

from aion import SyncAionVision
from ocelli.api.policy import is_marked, policy_of
from ocelli.console import navigation, pages, static
from ocelli.console.api_requests import ApiRequest
from ocelli.console.app import ROUTERS
from ocelli.console.compare import mapping as compare
from ocelli.console.drop import mapping as drop
from ocelli.console.jobs import mapping as jobs
from ocelli.console.library import mapping as library
from ocelli.console.pictures.routes import api_requests
from ocelli.console.playground import mapping as playground
from ocelli.console.privacy import mapping as privacy
from ocelli.console.review.routes import api_requests as review_requests
from ocelli.console.security import content_security_policy
from ocelli.console.usage import mapping as usage
from ocelli.console.visitors import current_visitor, owner_visitor, parse_form
from ocelli.console.vocabulary import mapping as vocabulary
from ocelli.console.webhooks import mapping as webhooks
from ocelli.domain.activities import Activity, ActivityKind
from ocelli.domain.erasures import RetentionDays
from ocelli.domain.errors import MalformedRequest
from ocelli.domain.questions import Question
from ocelli.domain.vocabulary import Vocabulary
from ocelli.domain.webhooks import Endpoint

ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
TEMPLATES = sorted(pages.FOLDER.rglob("*.html"))
# Of htmx what needs eval, and what the policy of content forbids.
FORBIDDEN = re.compile(
    r"hx-on|hx-trigger=[\"'][^\"']*\[|[\"']js:|javascript:|<style|\sstyle=|\son[a-z]+="
    r"|<script(?![^>]*\ssrc=)|\|\s*safe"
)


def calls(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for each in dependant.dependencies:
        yield from calls(each)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.endpoint.__name__)
def test_each_route_says_what_it_requires_and_asks_who_it_is(route: APIRoute) -> None:
    assert is_marked(route.endpoint), "it needs @requires(...) or @public"
    asks = {current_visitor, owner_visitor} & set(calls(route.dependant))
    assert bool(asks) == (policy_of(route.endpoint) is not None)


def test_what_is_public_is_signing_in_and_static_files() -> None:
    public = {route.path for route in ROUTES if policy_of(route.endpoint) is None}
    assert public == {"/sign-in", "/static/{of_version}/{name}"}


def test_names_of_endpoints_are_distinct() -> None:
    """Limits are counted under them."""
    names = [route.endpoint.__name__ for route in ROUTES]
    assert len(names) == len(set(names))


def test_every_entry_of_the_navigation_leads_to_a_page() -> None:
    paths = {route.path for route in ROUTES if "GET" in (route.methods or ())}
    assert {entry.path for entry in navigation.ENTRIES} <= paths


def test_scripts_and_styles_are_small() -> None:
    sizes = {
        name: len(gzip.compress(file.content))
        for name, file in static.files().items()
        if not name.endswith(".svg")
    }
    assert sum(sizes.values()) <= 100 * 1024, sizes


def test_scripts_need_no_eval() -> None:
    for name, file in static.files().items():
        if name != "htmx.min.js":  # which has it for what is forbidden below
            assert not re.search(rb"\beval\b|new Function|innerHTML", file.content), name


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_nothing_inline_and_nothing_of_htmx_that_needs_eval(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    found = FORBIDDEN.search(text)
    assert found is None, found
    try:
        pages.environment().parse(text)
    except TemplateSyntaxError as error:
        pytest.fail(f"line {error.lineno}: {error.message}")


def test_the_policy_names_the_stores_of_pictures_and_nothing_else() -> None:
    policy = content_security_policy(["https://bucket.test"])
    assert "img-src 'self' blob: https://bucket.test;" in policy
    assert policy.count("https:") == 1


def test_a_request_is_shown_as_it_can_be_sent() -> None:
    request = ApiRequest(
        "Search",
        "POST",
        "/api/v2/x",
        "files.list",
        {"search": "it's", "tags": ["a b"], "limit": None},
        query={"q": ["a b", "c"], "empty": ""},
        body={"text": "it's ünïcode $HOME"},
    )
    curl = request.curl("https://host.test")
    assert "'https://host.test/api/v2/x?q=a+b&q=c'" in curl
    assert """'{"text": "it'"'"'s ünïcode $HOME"}'""" in curl
    program = request.python("https://host.test")
    compile(program, "shown", "exec")
    assert """client.files.list(search="it's", tags=['a b'])""" in program


def sdk_accepts(request: ApiRequest) -> bool:
    """Return whether the SDK has the method, with these parameters."""
    with SyncAionVision("aion_" + "x" * 43) as client:
        method: Any = client
        for name in request.call.split("."):
            method = getattr(method, name)
        inspect.signature(method).bind(*request.positional, **request.arguments)
    return True


def test_the_requests_that_pages_show_are_those_of_the_sdk() -> None:
    filters = library.Filters(search="cat", tags="a, b")
    batch = Activity(
        ActivityKind.BATCH, UUID(int=1), datetime.now(UTC), None, 1, 0, 0, 0, 0, False, False, ""
    )
    shown: Any = SimpleNamespace(image=SimpleNamespace(id=UUID(int=4)))
    now = datetime.now(UTC)
    terms = Vocabulary(UUID(int=2), "animals", 1, "", now, now)
    endpoint = Endpoint(UUID(int=5), UUID(int=6), "https://x.example", None, (), now, now)
    for request in (
        *library.api_requests(filters, by_meaning=True),
        *library.api_requests(
            library.Filters(state="failed", confidence="low", color="blue"), by_meaning=False
        ),
        *compare.api_requests(Question(), ()),
        *api_requests(str(UUID(int=3)), 3, None),
        *review_requests(shown),
        drop.api_request(),
        jobs.list_request(),
        *jobs.requests_of(batch),
        *jobs.requests_of(replace(batch, kind=ActivityKind.SESSION)),
        *usage.api_requests(),
        playground.api_request(Question(prompt="a"), playground.ask("local", "quick", ["local"])),
        *vocabulary.api_requests(),
        *vocabulary.api_requests(terms),
        *webhooks.api_requests(),
        *privacy.api_requests(RetentionDays(pictures=30)),
        *webhooks.api_requests(endpoint),
    ):
        assert sdk_accepts(request), request.title


@pytest.mark.parametrize("body", [b"\xff", b"a=%00", b"a=%ff", b"a&" * 3000])
def test_forms_that_are_none_are_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        parse_form(body)
    assert parse_form(b"a=1&a=%C3%A4&b=").all("a") == ["1", "ä"]
