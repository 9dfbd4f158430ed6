"""What is known of servers that speak the OpenAI chat protocol; the rows are providers.toml."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

ANY_PROVIDER = "openai-compatible"
LOCAL = "ocelli-local"  # our own models; see backends/local


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
    in_process: bool = False


@cache
def providers() -> dict[str, Provider]:
    """All rows, by name."""
    text = (files("ocelli.backends") / "providers.toml").read_text(encoding="utf-8")
    rows: dict[str, dict[str, Any]] = tomllib.loads(text)
    return {
        name: Provider(name, **row | {"structured": Structured(row["structured"])})
        for name, row in rows.items()
    }


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
    if row.in_process and base_url:
        return "runs in this process and has no `base_url`"
    if not (base_url or row.base_url or row.in_process):
        return "needs a `base_url`, or a `provider` that has one"
    if not (model or row.model):
        return "needs a `model`"
    return None
