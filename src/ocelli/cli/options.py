"""Settings of a command: its options take precedence over the environment and the file."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretStr, ValidationError

from ocelli.cli.output import WRONG_USE, fail
from ocelli.settings import Settings
from ocelli.settings_file import NAME, BadSettingsFile, held, locate, settings_text
from ocelli.settings_tables import BackendSetting, PictureEmbedderSetting, TierChange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAMES_ITSELF = re.compile(r"([\w-]+): (.*)", re.DOTALL)
ADVICE = "`ocelli docs settings` lists all settings"


def load_settings(**options: Any) -> Settings:
    """Return the settings. Ends the program after printing what is wrong with them."""
    try:
        settings = Settings(**options)
    except BadSettingsFile as error:
        fail(str(error), error.advice)
    except ValidationError as error:
        for place, message in _problems(error, options):
            fail(f"{place}: {message}", ADVICE)
    else:
        return settings.model_copy(update={"data": settings.data.absolute()})
    sys.exit(WRONG_USE)


def _problems(error: ValidationError, options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give each place and what is wrong there, which may be several things."""
    text = settings_text()
    found: dict[str, list[str]] = {}
    for problem in error.errors():
        keys = [str(part) for part in problem["loc"]]
        message = problem["msg"].removeprefix("Value error, ").replace("Input should", "must")
        if match := NAMES_ITSELF.fullmatch(message):
            name, rest = match.groups()
            if keys == ["backends"] or (not keys and name in Settings.model_fields):
                keys, message = [*keys, name], rest
        if problem["type"] == "extra_forbidden":
            message = _unknown(keys[-1])
        found.setdefault(_place(keys, options, text), []).append(message)
    for place, messages in found.items():
        yield place, " or ".join(messages)


def _place(keys: list[str], options: Mapping[str, Any], text: str) -> str:
    """Return where a setting was given: an option, a variable, or a line of the file."""
    name = keys[0] if keys else ""
    if options.get(name) is not None:
        return f"--{name.replace('_', '-')}"
    variable = f"OCELLI_{name.upper()}"
    given = {known.upper(): value for known, value in os.environ.items()}.get(variable)
    if given is not None:
        with contextlib.suppress(ValueError):
            keys = held({name: json.loads(given)}, keys)  # without the names of types
            return variable + (f" ({'.'.join(keys)})" if len(keys) > 1 else "")
        return variable
    found = locate(text, keys)
    return f"{NAME}, line {found[0]}, {'.'.join(found[1])}" if found else name or NAME


def _unknown(name: str) -> str:
    tables = (Settings, BackendSetting, PictureEmbedderSetting, TierChange)
    known = {name for table in tables for name in table.model_fields}
    close = difflib.get_close_matches(name, known, 1)
    return "there is no such setting" + (f"; did you mean `{close[0]}`?" if close else "")


def to_environment(settings: Settings) -> Mapping[str, str]:
    """Return environment variables that give child processes the same settings."""
    values = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if isinstance(value, dict | tuple | BaseModel):  # pydantic-settings reads these as JSON
            value = json.dumps(value, default=_plain)
        if value is not None:
            values[f"OCELLI_{name.upper()}"] = str(value)
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_none=True)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(type(value).__name__)
