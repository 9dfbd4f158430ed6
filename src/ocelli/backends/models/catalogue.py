"""The models that can be pulled by name: the rows of ``ocelli/backends/models.toml``."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

HUB = "hf:"  # before the name of a repository on the hub
OLLAMA = "ollama:"  # before the name of a model in Ollama's folder
LONGEST_NAME = 64
MANIFEST = "model.json"  # ours, beside the files of a model
WEIGHTS = ".safetensors"
# What is read with such weights: configuration, tokenizer, processor, chat template.
BESIDE_WEIGHTS = (".json", ".txt", ".model", ".jinja", ".tiktoken")
WORKING_MEMORY = 700 * 1024**2  # bytes, beside weights and context
DEFAULT_CONTEXT = 8192  # tokens of one conversation or look


class ModelError(Exception):
    """A model cannot be had, or not be run; the message is one sentence. ``hint``: what to do."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UnknownModel(ModelError):
    """No model has this name."""


class ModelRunner(StrEnum):
    """What runs a model, which also says in which form its weights are."""

    LLAMA_CPP = "llamacpp"
    VLLM = "vllm"

    @property
    def option(self) -> str:
        """What commands need to be told, with a space before it; nothing for the default."""
        return "" if self is ModelRunner.LLAMA_CPP else f" --runner {self}"


class FileRole(StrEnum):
    """What a file is for: a model and its projector (GGUF), or one of a repository's files, which
    are all needed together.
    """

    MODEL = "model"
    PROJECTOR = "projector"
    PART = "part"


GGUF_ROLES = (FileRole.MODEL, FileRole.PROJECTOR)


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

    ``is_open`` is None where only a repository's name is known. ``files`` are empty where the hub
    has to be asked for them: see ``Hub.with_files``.
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
    runner: ModelRunner = ModelRunner.LLAMA_CPP

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
def catalogue(runner: ModelRunner = ModelRunner.LLAMA_CPP) -> dict[str, Model]:
    """Return all models that ``runner`` can run, by name, in the order of the file."""
    text = (files("ocelli.backends") / "models.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text)
    if runner is ModelRunner.VLLM:
        return {
            name: _for_vllm(_model(name, row), row["vllm"])
            for name, row in rows.items()
            if "vllm" in row
        }
    return {name: _model(name, row) for name, row in rows.items()}


def model_named(name: str, runner: ModelRunner = ModelRunner.LLAMA_CPP) -> Model:
    """Return the row of this name. Raises UnknownModel."""
    if found := catalogue(runner).get(name):
        return found
    raise UnknownModel(
        f"there is no model {name!r} for {runner} in the catalogue.",
        f"{', '.join(catalogue(runner))}, or {HUB}{FORMS[runner]}",
    )


FORMS = {
    ModelRunner.LLAMA_CPP: "OWNER/REPOSITORY:QUANT",
    ModelRunner.VLLM: "OWNER/REPOSITORY",
}


@dataclass(frozen=True, slots=True)
class HubName:
    """``hf:OWNER/REPOSITORY:QUANT``, or without ``quant`` all of the repository."""

    repository: str
    quant: str | None

    @property
    def name(self) -> str:
        """What the model is called here: a backend's name."""
        return _slug("-".join(filter(None, (self.repository, self.quant))))


def hub_name(text: str, runner: ModelRunner | None = None) -> HubName | None:
    """Return what ``text`` names on the hub; None if it does not begin with ``hf:``.

    Raises UnknownModel if the rest is not of the form that ``runner`` needs, or of none.

    >>> hub_name("hf:ggml-org/SmolVLM-500M-Instruct-GGUF:Q8_0").name
    'ggml-org-smolvlm-500m-instruct-gguf-q8_0'
    """
    if not text.startswith(HUB):
        return None
    part = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
    found = re.fullmatch(rf"({part}/{part})(?::({part}))?", text.removeprefix(HUB))
    form = FORMS[runner or ModelRunner.LLAMA_CPP]
    if found is None or (runner is not None and (found[2] is None) == (":" in form)):
        raise UnknownModel(f"{text!r} is not {HUB}{form}.")
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


def _for_vllm(model: Model, weights: dict[str, str]) -> Model:
    return replace(
        model,
        repository=weights["repository"],
        commit=weights.get("commit"),
        files=(),
        runner=ModelRunner.VLLM,
    )


def repository_files(names: Iterable[str]) -> list[str]:
    """Return those files of a repository that vLLM loads a model from: none without safetensors.

    Weights in another form, and a second copy of them (``consolidated``), are left out.
    """
    found = [
        name
        for name in sorted(names)
        if "/" not in name
        and name != MANIFEST
        and name.endswith((WEIGHTS, *BESIDE_WEIGHTS))
        and not name.startswith("consolidated")
    ]
    return found if any(name.endswith(WEIGHTS) for name in found) else []
