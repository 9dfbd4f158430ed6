"""``ocelli.toml`` of the current folder: what it holds, or where and why it cannot be used."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "ocelli.toml"
SYNTAX = (
    "a line is `name = value` with texts in quotes, or a header `[table]`; "
    "see `ocelli docs settings`"
)
_AT = re.compile(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", re.DOTALL)


class BadSettingsFile(Exception):
    """The file cannot be used; says where and why, ``advice`` what to do."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.advice = advice


def read_settings_file(folder: Path | None = None) -> dict[str, Any]:
    """Return what the file of the folder holds; nothing if there is none.

    Raises BadSettingsFile.
    """
    text = settings_text(folder)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, line = str(error), text.rstrip().count("\n") + 1
        if match := _AT.fullmatch(reason):
            reason, line = match[1], int(match[2] or line)
        raise BadSettingsFile(f"{NAME}, line {line}: {reason}", SYNTAX) from None
    except RecursionError:
        raise BadSettingsFile(f"{NAME} is nested too deeply", SYNTAX) from None


def settings_text(folder: Path | None = None) -> str:
    """Return the text of the file; an empty one if there is no file. Raises BadSettingsFile."""
    path = (folder or Path()) / NAME
    try:
        if not path.is_file() and (path.exists() or path.is_symlink()):
            kind = "a folder" if path.is_dir() else "not a file that can be read"
            raise BadSettingsFile(f"{NAME} is {kind}", "move it away, or put a file in its place")
        data = path.read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        advice = "make it readable for the user who runs this, or move it away"
        raise BadSettingsFile(f"{NAME} cannot be read: {error.strerror}", advice) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadSettingsFile(
            f"{NAME}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8",
            "save the file as UTF-8",
        ) from None


def locate(text: str, keys: Sequence[str]) -> tuple[int, list[str]] | None:
    """Return the line on which the setting begins that these keys lead to, and the keys that led
    there: the last may not be in the file. None if the first is not.

    >>> locate('port = 1\\n[backends.a]\\nmodel = "m"\\n', ["backends", "a", "model", "int"])
    (3, ['backends', 'a', 'model'])
    """
    found = held(tomllib.loads(text), keys)
    if not found:
        return None
    lines = text.split("\n")
    first = 1  # of what follows the longest beginning that is TOML
    for end in range(1, len(lines) + 1):
        try:
            parsed = tomllib.loads("\n".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue
        if held(parsed, found) == found:
            return first, found
        first = end + 1
    return None


def held(value: Any, keys: Sequence[str]) -> list[str]:
    """Return the keys, from the first on, that lead to something in nested tables."""
    found = []
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            break
        value = value[key]
        found.append(key)
    return found
