"""The models that Ollama keeps on this disk, found without asking Ollama."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocelli.backends.models.catalogue import (
    GGUF_ROLES,
    OLLAMA,
    FileRole,
    Model,
    ModelError,
    ModelFile,
    UnknownModel,
    backend_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LIBRARY = "registry.ollama.ai/library"
LAYERS = {
    "application/vnd.ollama.image.model": FileRole.MODEL,
    "application/vnd.ollama.image.projector": FileRole.PROJECTOR,
}


@dataclass(frozen=True, slots=True)
class OllamaModel:
    """A model with a projector; ``title`` is what Ollama calls it."""

    model: Model
    title: str
    folder: Path

    def path(self, role: FileRole) -> Path:
        """Return where the file of this role is. Raises ModelError if it is not there."""
        found = self.folder / "blobs" / self.model.file(role).path
        if not found.is_file():
            raise ModelError(f"{found} is missing.", f"ollama pull {self.title}")
        return found


def folders(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Return the folders in which Ollama keeps models on this machine."""
    given = environment.get("OLLAMA_MODELS")
    usual = (Path.home() / ".ollama/models", Path("/usr/share/ollama/.ollama/models"))
    return [path for path in ([Path(given)] if given else usual) if _is_folder(path)]


def ollama_models(environment: Mapping[str, str] = os.environ) -> Iterator[OllamaModel]:
    """Yield those that have a projector of their own: no other program runs the rest."""
    for folder in folders(environment):
        manifests = folder / "manifests"
        for path in sorted(manifests.rglob("*")):
            if path.is_file() and (found := _read(folder, path)) is not None:
                yield found


def ollama_model(text: str, environment: Mapping[str, str] = os.environ) -> OllamaModel:
    """Return the model that ``ollama:NAME`` or ``ollama:NAME:TAG`` means. Raises UnknownModel."""
    wanted = text.removeprefix(OLLAMA)
    if ":" not in wanted:
        wanted += ":latest"
    found = {each.title: each for each in ollama_models(environment)}
    if wanted in found:
        return found[wanted]
    there = ", ".join(OLLAMA + title for title in found) or "none"
    raise UnknownModel(
        f"Ollama has no {wanted} with a projector of its own on this disk; there are: {there}."
    )


def _read(folder: Path, path: Path) -> OllamaModel | None:
    try:
        layers: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["layers"]
        files = tuple(
            ModelFile(
                LAYERS[layer["mediaType"]],
                layer["digest"].replace(":", "-"),
                int(layer["size"]),
                layer["digest"].removeprefix("sha256:"),
            )
            for layer in layers
            if layer["mediaType"] in LAYERS
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    if {file.role for file in files} != set(GGUF_ROLES):
        return None
    name = path.relative_to(folder / "manifests").as_posix()
    title = ":".join(name.removeprefix(f"{LIBRARY}/").rsplit("/", 1))
    model = Model(
        name=backend_name(OLLAMA + title.removesuffix(":latest")),
        title=title,
        repository=name,
        files=files,
        purpose="found in Ollama's folder",
    )
    return OllamaModel(model, title, folder)


def _is_folder(path: Path) -> bool:
    try:
        return (path / "manifests").is_dir()
    except OSError:  # of another user
        return False
