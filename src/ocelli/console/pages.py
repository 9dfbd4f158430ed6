"""Rendering of pages: templates, what all of them know, and the headers they need."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2
from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from ocelli.console import navigation
from ocelli.console.api_requests import ApiRequest
from ocelli.console.security import CSP, content_security_policy
from ocelli.console.services import Console, console_of
from ocelli.console.static import static_path
from ocelli.console.visitors import Visitor
from ocelli.domain.scopes import allows

FOLDER = Path(__file__).with_name("templates")


def preview(data: bytes) -> Response:
    """Return a JPEG of ``usecases.previews``, which a browser keeps for an hour."""
    return Response(
        data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"}
    )


@cache
def environment() -> jinja2.Environment:
    """Return the environment of the templates. Whatever is put into one is shown as text."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"moment": _moment, "percent": _percent, "size": _size, "query": urlencode}
    made.filters |= {"breakable": _breakable, "counted": _counted}
    return made


async def render(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> HTMLResponse:
    """Return a page. ``visitor``, ``console``, ``navigation`` and the like are known to all."""
    console = console_of(request)
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    origins = (
        await console.services.files.origins(visitor.key.tenant.id) if visitor is not None else ()
    )
    html = (
        environment()
        .get_template(template)
        .render({**_shared(request, console, visitor), **context})
    )
    policy = {CSP: content_security_policy(origins)}
    return HTMLResponse(html, status, {**policy, **(headers or {})})


def _shared(request: Request, console: Console, visitor: Visitor | None) -> dict[str, Any]:
    base_url = console.services.base_url(request)

    def api_request(example: ApiRequest) -> dict[str, str]:
        return {
            "title": example.title,
            "curl": example.curl(base_url),
            "python": example.python(base_url),
        }

    return {
        "root": console.root,
        "prefix": console.prefix,
        "static": lambda name: console.root + static_path(name),
        "visitor": visitor,
        "may": lambda role: visitor is not None and allows(visitor.key.scopes, role),
        "entries": entries_for(visitor) if visitor is not None else (),
        "here": request.url.path.removeprefix(request.scope.get("root_path", "")),
        "api_request": api_request,
    }


def entries_for(visitor: Visitor) -> list[navigation.NavigationEntry]:
    """Return the entries of the navigation that a visitor may open."""
    return [
        each
        for each in navigation.ENTRIES
        if allows(visitor.key.scopes, each.role)
        and (visitor.owns_installation or not each.for_owner)
    ]


def _moment(value: datetime | None) -> Markup:
    """Return a ``<time>``, which a script turns into the time of the viewer's zone."""
    if value is None:
        return Markup("–")
    in_utc = value.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        in_utc.isoformat(timespec="seconds"), in_utc.strftime("%Y-%m-%d %H:%M")
    )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _breakable(name: str) -> Markup:
    """Say where the name of a file may go on in a new line: not in the middle of its ending."""
    return Markup("<wbr>").join(re.split(r"(?<=[_-])(?=\w)|(?=\.\w{1,5}$)", name))


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _size(count: int) -> str:
    """Return a number of bytes for people.

    >>> _size(2_500_000)
    '2.4 MB'
    """
    amount, units = float(count), ("bytes", "KB", "MB", "GB", "TB")
    for unit in units:
        if amount < 1024 or unit == units[-1]:
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "bytes" or amount >= 100 else f"{amount:.1f} {unit}"
