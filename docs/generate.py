"""Write the generated pages: ``python -m docs.generate``.

``docs/settings.md`` comes from ``ocelli.settings.Settings``, ``docs/sdk/reference.md`` from the
docstrings of ``aion``. The suite compares the files with what this makes, so that the two cannot
drift apart.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aion
from aion import exceptions
from aion._lazy import TYPES
from aion.resources.agent_operations import AgentOperationsResource
from aion.resources.agent_search import AgentSearchResource
from aion.resources.api_keys import ApiKeysResource
from aion.resources.audit import AuditResource
from aion.resources.batch import BatchResource
from aion.resources.chat import ChatResource
from aion.resources.colors import ColorsResource
from aion.resources.escalation_policies import EscalationPoliciesResource
from aion.resources.files import FilesResource
from aion.resources.folders import FoldersResource
from aion.resources.history import HistoryResource
from aion.resources.reviews import ReviewsResource
from aion.resources.sessions import SessionsResource
from aion.resources.settings import SettingsResource
from aion.resources.tenant import TenantResource
from aion.resources.upload import UploadResource
from aion.resources.usage import UsageResource
from aion.resources.vocabularies import VocabulariesResource
from aion.resources.webhooks import WebhooksResource
from ocelli.backends.providers import Provider, providers
from ocelli.settings import Settings
from ocelli.settings_tables import BackendSetting, PictureEmbedderSetting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic.fields import FieldInfo

TARGET = Path(__file__).with_name("settings.md")
SDK_TARGET = Path(__file__).with_name("sdk") / "reference.md"

HEAD = """\
# Settings

Generated from `ocelli.settings.Settings` by `python -m docs.generate`; do not edit.

An option of the command line wins over the environment, the environment wins over `ocelli.toml` in
the current folder, and that wins over the default. In `ocelli.toml` the names of the first column
are top-level keys: `port = 8080`.

| name | environment variable | default | meaning |
|---|---|---|---|
"""


BACKENDS = """
## Backends

```toml
default_backend = "openai"

[backends.openai]                  # a provider's name is enough; the key is in OPENAI_API_KEY

[backends.house]                   # anything that speaks the OpenAI chat protocol
base_url = "http://10.0.0.7:8000/v1"
model = "Qwen/Qwen2.5-VL-7B-Instruct"
max_side = 1280
```

A backend whose key is missing is not asked; `ocelli doctor` says so. In each table:

| name | default | meaning |
|---|---|---|
"""
LOOKS = """
## Picture embedder

```toml
[picture_embedder]                 # a CLIP or SigLIP model in a folder
folder = "/srv/models/clip-vit-base-patch32"
```

```toml
[picture_embedder]                 # or a server
base_url = "http://10.0.0.7:8000/v1"
model = "openai/clip-vit-base-patch32"
request = "vllm"
```

What for: [search.md](search.md#by-how-pictures-look).

| name | default | meaning |
|---|---|---|
"""
PROVIDERS = """
Where the default is –, it is the provider's:

| provider | address | key variable | model | answers held to | side, thorough |
|---|---|---|---|---|---|
"""


def settings_reference() -> str:
    """The whole page."""
    settings = "".join(_row(name, it) for name, it in Settings.model_fields.items())
    backends, looks = (
        "".join(
            f"| `{name}` | {_default(it)} | {it.description} |\n"
            for name, it in table.model_fields.items()
        )
        for table in (BackendSetting, PictureEmbedderSetting)
    )
    rows = "".join(_provider_row(it) for it in providers().values())
    return HEAD + settings + BACKENDS + backends + PROVIDERS + rows + LOOKS + looks


def _provider_row(it: Provider) -> str:
    cells = (it.name, it.base_url, it.key_variable, it.model)
    told = " | ".join(f"`{cell}`" if cell else "–" for cell in cells)
    return f"| {told} | `{it.structured}` | {it.max_side}, {it.full_side} |\n"


def _row(name: str, field: FieldInfo) -> str:
    variable = f"{Settings.model_config['env_prefix']}{name.upper()}"
    meaning = (field.description or "").replace("|", "\\|")
    return f"| `{name}` | `{variable}` | {_default(field)} | {meaning} |\n"


def _default(field: FieldInfo) -> str:
    """A default that depends on the machine, or on nothing being set, is told by the meaning."""
    if field.default_factory is not None:
        return "computed" if field.default_factory is not dict else "–"
    return "–" if field.default is None else f"`{field.default}`"


# ---------------------------------------------------------------------------------------------
# The SDK

SDK_HEAD = """\
# SDK reference

Generated from the docstrings of `aion` by `python -m docs.generate`; do not edit. The tasks are
explained in [quick-start.md](quick-start.md) and the pages that it names. Every name here can be
imported from `aion`, and is an attribute of the clients too: `AionVision.UploadResult`.
"""

RESOURCES = {
    "uploads": UploadResource,
    "files": FilesResource,
    "batch": BatchResource,
    "chats": ChatResource,
    "colors": ColorsResource,
    "reviews": ReviewsResource,
    "vocabularies": VocabulariesResource,
    "folders": FoldersResource,
    "agent_operations": AgentOperationsResource,
    "agent_search": AgentSearchResource,
    "escalation_policies": EscalationPoliciesResource,
    "webhooks": WebhooksResource,
    "settings": SettingsResource,
    "tenant": TenantResource,
    "audit": AuditResource,
    "sessions": SessionsResource,
    "history": HistoryResource,
    "api_keys": ApiKeysResource,
    "usage": UsageResource,
}
SECTIONS = {"Args": "Arguments", "Attributes": "Attributes", "Raises": "Raises"}
WIDTH = 88
INDENT = "    "


def sdk_reference() -> str:
    """The whole page."""
    return "\n\n".join([SDK_HEAD.rstrip(), *_sdk_sections()]) + "\n"


def _sdk_sections() -> Iterator[str]:
    yield "## Clients"
    yield from _class(aion.AionVision, "###")
    for name, method in _members(aion.AionVision):
        if callable(method):
            yield from _function(f"client.{name}", method, "####")
    yield from _class(aion.SyncAionVision, "###")
    parts = [name for name in aion.__all__ if re.fullmatch("Sync.+Resource", name)]
    yield f"Its parts are {', '.join(f'`{name}`' for name in parts)}, and others."
    for name, resource in RESOURCES.items():
        yield f"## `client.{name}`"
        yield markdown(inspect.getdoc(resource))
        for method_name, method in _members(resource):
            yield from _function(f"client.{name}.{method_name}", method, "###")
        if name == "chats":
            yield from _class(aion.ChatSessionContext, "###")
            yield from _class(aion.SyncChatSession, "###")
    yield "## Pipelines"
    yield from _class(aion.Pipeline, "###")
    yield "## Configuration"
    yield from _class(aion.ClientConfig, "###")
    yield from _function("load_dotenv", aion.load_dotenv, "###")
    yield "### Environment variables"
    yield "\n".join(
        f"- `{getattr(aion, name)}` (`{name}`)" for name in aion.__all__ if name.startswith("ENV_")
    )
    yield from _class(aion.InsecureTransportWarning, "###")
    for name in ("configure_tracing", "is_tracing_available", "set_correlation_id"):
        yield from _function(name, getattr(aion, name), "###")
    yield "`__version__` is the version of the distribution."
    yield "## Answers"
    yield (
        "Frozen records. Fields that a newer server adds are ignored. Each has "
        "`from_api_response(data)`, which reads decoded JSON, and `to_dict(exclude_none=True)`, "
        "which gives it back. Times are aware datetimes."
    )
    for name in sorted(TYPES, key=str.lower):
        thing = getattr(aion, name)
        if inspect.isclass(thing):
            yield from _class(thing, "###")
        else:
            yield from _function(name, thing, "###")
    yield "## Errors"
    yield markdown(inspect.getdoc(exceptions), language="text")
    for name, error in vars(exceptions).items():
        if name in aion.__all__ and inspect.isclass(error):
            yield from _class(error, "###")


def _class(cls: type, level: str) -> Iterator[str]:
    """Heading, docstring, fields or values, properties and methods."""
    yield f"{level} `{cls.__name__}`"
    if dataclasses.is_dataclass(cls) or issubclass(cls, Enum):
        yield _fenced("python", [f"class {cls.__name__}:", *_fields(cls)])
    yield markdown(inspect.getdoc(cls))
    if cls is not aion.AionVision and (members := "\n".join(_bullets(cls))):
        yield members


def _fields(cls: type) -> Iterator[str]:
    if issubclass(cls, Enum):
        for value in cls:
            yield f'{INDENT}{value.name} = "{value.value}"'
        return
    for item in dataclasses.fields(cls):  # type: ignore[arg-type]
        hint: Any = item.type
        if typing.get_origin(hint) is typing.Annotated:
            hint = typing.get_args(hint)[0]
        line = f"{INDENT}{item.name}: {_hint(hint)}"
        if item.default_factory is not dataclasses.MISSING:
            line += " = ..."
        elif item.default is not dataclasses.MISSING:
            line += f" = {_value(item.default)}"
        yield line


def _bullets(cls: type) -> Iterator[str]:
    for name, member in _members(cls):
        about = " ".join((inspect.getdoc(member) or "").partition("\n\n")[0].split())
        if isinstance(member, property):
            yield f"- `{name}`: {_inline(about)}"
        elif cls is not aion.SyncAionVision or not hasattr(aion.AionVision, name):
            yield f"- `{_signature(name, member, width=10_000)}`: {_inline(about)}"


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties of its own, in the order of the source."""
    for name, member in vars(cls).items():
        plain = getattr(member, "__func__", member)
        wanted = inspect.isfunction(plain) or isinstance(plain, property)
        if wanted and not name.startswith("_"):
            yield name, plain


def _function(title: str, function: Callable[..., Any], level: str) -> Iterator[str]:
    yield f"{level} `{title}`"
    plain = inspect.unwrap(function)
    start = "async def " if inspect.iscoroutinefunction(plain) else "def "
    name = title.rpartition(".")[2]
    yield _fenced("python", [f"{start}{_signature(name, plain, width=WIDTH)}: ..."])
    yield markdown(inspect.getdoc(plain))


def _signature(name: str, function: Callable[..., Any], *, width: int) -> str:
    signature = inspect.signature(function)
    parts, starred = [], False
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            parts.append("*")
        parts.append(_parameter(parameter))
    result = "" if signature.return_annotation is signature.empty else signature.return_annotation
    answer = f" -> {_hint(result)}" if result != "" else ""
    line = f"{name}({', '.join(parts)}){answer}"
    if len(line) <= width:
        return line
    inner = "".join(f"{INDENT}{part},\n" for part in parts)
    return f"{name}(\n{inner}){answer}"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
    text = f"{stars}{parameter.name}"
    if parameter.annotation is not parameter.empty:
        text += f": {_hint(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        text += f" = {_value(parameter.default)}"
    return text


def _hint(hint: Any) -> str:
    """A type without the modules that it comes from."""
    text = hint if isinstance(hint, str) else inspect.formatannotation(hint)
    return re.sub(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])", "", text)


def _value(value: Any) -> str:
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if dataclasses.is_dataclass(value):
        return f"{type(value).__name__}()"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def markdown(doc: str | None, language: str = "python") -> str:
    """A docstring in the style of this project as Markdown.

    Sections become lists, literal blocks and doctests become fenced code.
    """
    lines = (doc or "").splitlines()
    blocks: list[str] = []
    while lines:
        line = lines.pop(0)
        section = line.removesuffix(":")
        if not line.strip():
            continue
        if line.startswith(">>>"):
            code = [line]
            while lines and lines[0].strip():
                code.append(lines.pop(0))
            blocks.append(_fenced("pycon", code))
        elif line.endswith(":") and section in SECTIONS:
            blocks += [f"**{SECTIONS[section]}**", _list(_indented(lines))]
        elif line in ("Returns:", "Yields:"):
            blocks.append(f"**{section}** {_inline(' '.join(_indented(lines)))}")
        else:
            text = [line]
            while lines and lines[0].strip() and not line.endswith("::"):
                line = lines.pop(0)
                text.append(line)
            blocks.append(_inline(" ".join(text).replace("::", ":")) if text != ["::"] else "")
            if line.endswith("::"):
                blocks.append(_fenced(language, _indented(lines)))
    return "\n\n".join(block for block in blocks if block)


def _indented(lines: list[str]) -> list[str]:
    """Takes the indented lines from the start, without their indent."""
    taken = []
    while lines and (not lines[0].strip() or lines[0].startswith(" ")):
        taken.append(lines.pop(0).removeprefix(INDENT))
    return "\n".join(taken).strip("\n").splitlines()


def _list(lines: list[str]) -> str:
    entries: list[str] = []
    for line in lines:
        if line.startswith(" "):
            entries[-1] += f" {line.strip()}"
        else:
            entries.append(line)
    pairs = (entry.partition(": ") for entry in entries)
    return "\n".join(f"- `{name}`: {_inline(text)}" for name, _, text in pairs)


def _inline(text: str) -> str:
    """Roles and double backticks as code."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    return re.sub(r"``([^`]+)``", r"`\1`", text)


def _fenced(language: str, lines: list[str]) -> str:
    return "\n".join([f"```{language}", *lines, "```"])


if __name__ == "__main__":
    TARGET.write_text(settings_reference(), encoding="utf-8")
    SDK_TARGET.write_text(sdk_reference(), encoding="utf-8")
