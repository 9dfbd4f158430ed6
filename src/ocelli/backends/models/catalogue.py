"""The models that can be pulled by name: the rows of ``ocelli/backends/models.toml``."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

HUB = "hf:"  # before the name of a repository on the hub
OLLAMA = "ollama:"  # before the name of a model in Ollama's folder
LONGEST_NAME = 64
WORKING_MEMORY = 700 * 1024**2  # bytes, beside weights and context
DEFAULT_CONTEXT = 8192  # tokens of one conversation or look


class ModelError(Exception):
    """A model cannot be had, or not be run; the message is one sentence. ``hint``: what to do."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UnknownModel(ModelError):
    """No model has this name."""


class FileRole(StrEnum):
    """What a file is for."""

    MODEL = "model"
    PROJECTOR = "projector"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model; ``size`` in bytes. What is None is not known before it is pulled."""

    role: FileRole
    path: str
    size: int | None = None
    sha256: str | None = None

    @property
    def name(self) -> str:
        """The name of the file, without the folders of its repository."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Model:
    """One row; the columns are explained at the top of models.toml.

    ``is_open`` is None where only a repository's name is known.
    """

    name: str
    title: str
    repository: str
    files: tuple[ModelFile, ...]
    commit: str | None = None
    licence: str = "unknown"
    licence_url: str = ""
    is_open: bool | None = None
    context: int = DEFAULT_CONTEXT
    cache_kb: int = 128
    purpose: str = ""
    thinks: bool = False
    max_side: int = 1024
    full_side: int = 1536

    @property
    def size(self) -> int:
        """Bytes of all files, as far as they are known."""
        return sum(file.size or 0 for file in self.files)

    def memory(self, *, slots: int = 1, context: int = DEFAULT_CONTEXT) -> int:
        """Bytes that it takes with ``slots`` conversations of ``context`` tokens: an estimate."""
        return self.size + slots * context * self.cache_kb * 1024 + WORKING_MEMORY

    def file(self, role: FileRole) -> ModelFile:
        """Return the file of this role. Raises ModelError if there is none."""
        for file in self.files:
            if file.role == role:
                return file
        raise ModelError(f"{self.name} has no {role}.")


@cache
def catalogue() -> dict[str, Model]:
    """Return all models by name, in the order of the file."""
    text = (files("ocelli.backends") / "models.toml").read_text(encoding="utf-8")
    return {name: _model(name, row) for name, row in tomllib.loads(text).items()}


def model_named(name: str) -> Model:
    """Return the row of this name. Raises UnknownModel."""
    if found := catalogue().get(name):
        return found
    raise UnknownModel(
        f"there is no model {name!r} in the catalogue.",
        f"{', '.join(catalogue())}, or {HUB}OWNER/REPOSITORY:QUANT",
    )


@dataclass(frozen=True, slots=True)
class HubName:
    """``hf:OWNER/REPOSITORY:QUANT``."""

    repository: str
    quant: str

    @property
    def name(self) -> str:
        """What the model is called here: a backend's name."""
        return _slug(f"{self.repository}-{self.quant}")


def hub_name(text: str) -> HubName | None:
    """Return what ``text`` names on the hub; None if it does not begin with ``hf:``.

    Raises UnknownModel if the rest is not OWNER/REPOSITORY:QUANT.

    >>> hub_name("hf:ggml-org/SmolVLM-500M-Instruct-GGUF:Q8_0").name
    'ggml-org-smolvlm-500m-instruct-gguf-q8_0'
    """
    if not text.startswith(HUB):
        return None
    part = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
    found = re.fullmatch(rf"({part}/{part}):({part})", text.removeprefix(HUB))
    if found is None:
        raise UnknownModel(f"{text!r} is not {HUB}OWNER/REPOSITORY:QUANT.")
    return HubName(found[1], found[2])


def backend_name(text: str) -> str:
    """Return what a model is called as a backend: ``text`` is what the setting ``model`` says.

    >>> backend_name("ollama:llava:7b"), backend_name("qwen3-vl-2b")
    ('llava-7b', 'qwen3-vl-2b')
    """
    if text.startswith(OLLAMA):
        return _slug(text.removeprefix(OLLAMA))
    try:
        named = hub_name(text)
    except UnknownModel:
        return text
    return named.name if named else text


def _slug(text: str) -> str:
    """Return the name of a backend for ``text``; two long texts with one beginning differ."""
    slug = re.sub(r"[^a-z0-9_.-]+", "-", text.lower())
    if len(slug) <= LONGEST_NAME:
        return slug
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{slug[: LONGEST_NAME - 9]}-{digest}"


def _model(name: str, row: dict[str, Any]) -> Model:
    plain = (
        "title", "repository", "commit", "licence", "licence_url", "context", "cache_kb",
        "purpose", "max_side", "full_side",
    )  # fmt: skip
    return Model(
        name=name,
        files=tuple(
            ModelFile(FileRole(file["role"]), file["path"], file.get("size"), file.get("sha256"))
            for file in row["files"]
        ),
        is_open=row["open"],
        thinks=row["thinking"],
        **{key: row[key] for key in plain if key in row},
    )
