"""Settings of a command: its options take precedence over the environment and the file."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretStr, ValidationError

from ocelli.cli.main import fail
from ocelli.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping


def load_settings(**options: Any) -> Settings | None:
    """Return the settings; None after printing what is wrong with them."""
    try:
        settings = Settings(**options)
    except ValidationError as error:
        for problem in error.errors():
            place = [str(part) for part in problem["loc"]]
            message = problem["msg"].removeprefix("Value error, ")
            if place:  # else it names the settings itself
                message = f"{'.'.join(place)} (OCELLI_{place[0].upper()}): {message}"
            fail(message, "docs/settings.md lists all settings")
        return None
    except tomllib.TOMLDecodeError as error:
        fail(f"ocelli.toml: {error}", "docs/settings.md lists all settings")
        return None
    return settings.model_copy(update={"data": settings.data.absolute()})


def to_environment(settings: Settings) -> Mapping[str, str]:
    """Return environment variables that give child processes the same settings."""
    values = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if isinstance(value, dict | tuple):  # pydantic-settings reads these as JSON
            value = json.dumps(value, default=_plain)
        if value is not None:
            values[f"OCELLI_{name.upper()}"] = str(value)
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_none=True)
    raise TypeError(type(value).__name__)
