"""The random model of tiny_gguf as ``ocelli models pull`` leaves one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ocelli.backends.models.catalogue import FileRole, Model, ModelFile
from ocelli.backends.models.pull import pull_from
from ocelli.backends.models.store import Store, Stored
from tests.vlm.tiny_gguf import CONTEXT, write_tiny_model

NAME = "tiny"
FILES = (
    ModelFile(FileRole.MODEL, "tiny-F32.gguf"),
    ModelFile(FileRole.PROJECTOR, "mmproj-tiny-F32.gguf"),
)


def write_files(folder: Path) -> Path:
    """Write the files of the model into a folder; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tiny_model(*(folder / file.name for file in FILES))
    return folder


def put_tiny_model(models: Path, source: Path) -> Stored:
    """Put the model of ``source`` into the store at ``models``."""
    model = Model(NAME, "Tiny", "tests/tiny", FILES, licence="CC0-1.0", cache_kb=1, max_side=256)
    return pull_from(model, source, Store(models), lambda _: None)


def settings_of(**given: Any) -> dict[str, str]:
    """Environment variables for a server with the model, which writes noise in no form."""
    values = {"structured": "none", "max_tokens": 300, "sight_test": False, **given}
    return {
        "OCELLI_BACKENDS": json.dumps({NAME: values}),
        "OCELLI_MODEL_CONTEXT": str(CONTEXT),
        "OCELLI_MODEL_THREADS": "1",
    }
