"""Write ``docs/permissions.md``: ``python -m docs.permissions``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from ocelli.api import health, metrics, signed_urls
from ocelli.api.dialects import dialects
from ocelli.api.policy import policy_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
        *_flat(health.router.routes),
        *_flat(metrics.router.routes),
        *_flat(signed_urls.router.routes),
    ]
    for dialect in dialects():
        found += [*_flat(dialect.router.routes), *_flat(dialect.plain_routes)]
    rows = {_row(path, route) for path, route in found if route.include_in_schema}
    return HEAD + "".join(f"{row}\n" for row in sorted(rows))


def _flat(routes: Iterable[Any], prefix: str = "") -> Iterator[tuple[str, Route]]:
    """Every route with its whole path; routers that were included stand as they are."""
    for route in routes:
        if isinstance(route, Route):
            yield prefix + route.path, route
        else:
            yield from _flat(route.original_router.routes, prefix + route.include_context.prefix)


def _row(path: str, route: Route) -> str:
    methods = ", ".join(sorted((route.methods or set()) - {"HEAD"}))
    policy = policy_of(route.endpoint)
    if policy is None:
        return f"| `{path}` {methods} | – | – | – |"
    limit = policy.per_minute if policy.counted else "never limited"
    scope = f"`{policy.scope}`" if policy.scope else "–"
    return f"| `{path}` {methods} | `{policy.role}` | {scope} | {limit or '–'} |"


if __name__ == "__main__":
    TARGET.write_text(permissions_reference(), encoding="utf-8")
