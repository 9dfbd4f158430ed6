"""Write ``docs/settings.md`` from ``ocelli.settings.Settings``: ``python -m docs.generate``.

The suite compares the file with what this makes, so the two cannot drift apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ocelli.settings import Settings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

TARGET = Path(__file__).with_name("settings.md")

HEAD = """\
# Settings

Generated from `ocelli.settings.Settings` by `python -m docs.generate`; do not edit.

An option of the command line wins over the environment, the environment wins over `ocelli.toml` in
the current folder, and that wins over the default. In `ocelli.toml` the names of the first column
are top-level keys: `port = 8080`.

| name | environment variable | default | meaning |
|---|---|---|---|
"""


def settings_reference() -> str:
    """The whole page."""
    return HEAD + "".join(_row(name, it) for name, it in Settings.model_fields.items())


def _row(name: str, field: FieldInfo) -> str:
    variable = f"{Settings.model_config['env_prefix']}{name.upper()}"
    meaning = (field.description or "").replace("|", "\\|")
    return f"| `{name}` | `{variable}` | {_default(field)} | {meaning} |\n"


def _default(field: FieldInfo) -> str:
    """A default that depends on the machine, or on nothing being set, is told by the meaning."""
    if field.default_factory is not None:
        return "computed"
    return "–" if field.default is None else f"`{field.default}`"


if __name__ == "__main__":
    TARGET.write_text(settings_reference(), encoding="utf-8")
