"""Write ``docs/permissions.md``: ``python -m docs.permissions``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.routing import Route

from ocelli.api import health, metrics, signed_urls
from ocelli.api.dialects import dialects
from ocelli.api.policy import policy_of
from ocelli.console.app import ROUTERS
from ocelli.console.services import PATH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.routing import BaseRoute

TARGET = Path(__file__).with_name("permissions.md")

HEAD = """\
# What a route requires

Generated from `@requires(...)` on each route by `python -m docs.permissions`; do not edit.

A key has one of the roles `read`, `write`, `admin`, each of which includes those before it, or
single scopes. The scope of the third column opens a route without the role. `per minute` is a
limit of the route's own, per key, beside the limit of the key's plan. A route without a role takes
no key.

| route | role | or scope | per minute |
|---|---|---|---|
"""


def permissions_reference() -> str:
    """The page, as Markdown."""
    found = [
        *health.router.routes,
        *metrics.router.routes,
        *signed_urls.router.routes,
    ]
    for dialect in dialects():
        found += [*dialect.router.routes, *dialect.plain_routes]
    rows = {_row(route) for route in _documented(found)}
    rows |= {_row(route, PATH) for router in ROUTERS for route in _documented(router.routes)}
    return HEAD + "".join(f"{row}\n" for row in sorted(rows))


def _documented(routes: Iterable[BaseRoute]) -> list[Route]:
    return [each for each in routes if isinstance(each, Route) and each.include_in_schema]


def _row(route: Route, prefix: str = "") -> str:
    path = prefix + route.path
    methods = ", ".join(sorted((route.methods or set()) - {"HEAD"}))
    policy = policy_of(route.endpoint)
    if policy is None:
        return f"| `{path}` {methods} | – | – | – |"
    limit = policy.per_minute if policy.counted else "never limited"
    scope = f"`{policy.scope}`" if policy.scope else "–"
    return f"| `{path}` {methods} | `{policy.role}` | {scope} | {limit or '–'} |"


if __name__ == "__main__":
    TARGET.write_text(permissions_reference(), encoding="utf-8")
