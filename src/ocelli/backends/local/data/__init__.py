"""Data files of the local backend: word lists, model pins, and the one model we carry ourselves."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any


def read(name: str) -> dict[str, Any]:
    """The TOML file ``name`` of this folder."""
    return tomllib.loads((files(__name__) / name).read_text(encoding="utf-8"))
