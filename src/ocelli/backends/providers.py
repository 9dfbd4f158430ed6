"""What is known of who runs models: the rows of providers.toml, and those of other packages."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

from ocelli.domain.findings import LOCAL

ANY_PROVIDER = "openai-compatible"
CHAT = "chat"  # the kind of those that speak the OpenAI chat protocol
# Groups of entry points; see ocelli.backends.plugins.
BACKENDS = "ocelli.backends"
PROVIDERS = "ocelli.providers"


class Structured(StrEnum):
    """What an answer can be held to."""

    SCHEMA = "json_schema"
    OBJECT = "json_object"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Provider:
    """One row; the columns are explained at the top of providers.toml."""

    name: str
    base_url: str | None = None
    key_variable: str | None = None
    model: str | None = None
    token_field: str = "max_tokens"  # noqa: S105 (a field's name)
    structured: Structured = Structured.NONE
    detail: bool = False
    max_side: int = 1024
    full_side: int = 1536
    free: bool = False
    kind: str = CHAT
    otel: str | None = None

    @property
    def span_name(self) -> str:
        """The provider's name in spans."""
        return self.otel or self.name

    @property
    def is_server(self) -> bool:
        """Whether it is reached over the OpenAI chat protocol."""
        return self.kind == CHAT


def backend_kinds() -> frozenset[str]:
    """Return the installed kinds of backends."""
    return frozenset(entry_points(group=BACKENDS).names)


@cache
def providers() -> dict[str, Provider]:
    """Return all providers by name; another package may replace one of ours."""
    text = (files("ocelli.backends") / "providers.toml").read_text(encoding="utf-8")
    rows: dict[str, dict[str, Any]] = tomllib.loads(text)
    ours = {
        name: Provider(name, **row | {"structured": Structured(row["structured"])})
        for name, row in rows.items()
    }
    kinds = {name: Provider(name, kind=name) for name in backend_kinds() - {CHAT}}
    named = {entry.name: entry.load() for entry in entry_points(group=PROVIDERS)}
    return kinds | ours | named


def provider(name: str, given: str | None = None) -> Provider | None:
    """The row for a backend called ``name`` whose settings say ``given``; None if there is none."""
    rows = providers()
    if given is not None:
        return rows.get(given)
    return rows.get(name, rows[ANY_PROVIDER])


def problem(name: str, given: str | None, base_url: str | None, model: str | None) -> str | None:
    """What a backend's settings lack, if anything; a key that is missing is none."""
    if name == LOCAL:
        return "this name is taken by the local models"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        return "a name has letters, digits, `-`, `_` and `.`, 64 at most"
    row = provider(name, given)
    if row is None:
        return f"there is no provider {given!r}; there are {', '.join(sorted(providers()))}"
    if row.kind == "transformers" and base_url:
        return "runs in this process and has no `base_url`"
    if row.is_server and not (base_url or row.base_url):
        return "needs a `base_url`, or a `provider` that has one"
    if not (model or row.model) and row.kind in (CHAT, "transformers"):
        return "needs a `model`"
    return None
