"""The models on this machine: a folder each, which appears only when it is whole.

``FOLDER/NAME/`` has the files and ``model.json``, which says what they are. What is on its way is
in ``FOLDER/.partial/NAME/``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any

from ocelli.backends.models.catalogue import (
    MANIFEST,
    FileRole,
    Model,
    ModelError,
    ModelFile,
    ModelRunner,
    UnknownModel,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

PARTIAL = ".partial"
MEASURED = ".measured"
BLOCK = 1024**2
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Stored:
    """A model in the store. ``pinned``: where its hashes are from."""

    model: Model
    folder: Path
    pinned: str

    def path(self, role: FileRole) -> Path:
        """Return where the file of this role is. Raises ModelError if it is not there."""
        found = self.folder / self.model.file(role).name
        if not found.is_file():
            hint = f"ocelli models pull {self.model.name}{self.model.runner.option}"
            raise ModelError(f"{found} is missing.", hint)
        return found


@dataclass(frozen=True, slots=True)
class Verified:
    """What became of a file: ``problem`` is None if it is as pinned."""

    path: Path
    problem: str | None


class Store:
    """The folder of the models."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Stored]:
        """Return the models that are here, by name."""
        if not self.folder.is_dir():
            return []
        found = (self._read(each) for each in sorted(self.folder.iterdir()) if each.is_dir())
        return [stored for stored in found if stored is not None]

    def get(self, name: str) -> Stored | None:
        """Return the model of this name; None if it is not here."""
        return self._read(self.folder / name) if NAME.fullmatch(name) else None

    def require(self, name: str) -> Stored:
        """Return the model of this name. Raises UnknownModel."""
        if stored := self.get(name):
            return stored
        here = ", ".join(each.model.name for each in self.all()) or "none"
        raise UnknownModel(f"there is no model {name!r} on this machine; there are: {here}.")

    @contextlib.contextmanager
    def arriving(self, name: str) -> Iterator[Path]:
        """Give the folder in which a model gets together; ``complete`` ends it.

        Raises ModelError if another process is at it.
        """
        partial = self.folder / PARTIAL
        partial.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = partial / f"{name}.lock"
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ModelError(
                    f"{name} is on its way already: another command pulls it."
                ) from None
            folder = partial / name
            folder.mkdir(mode=0o700, exist_ok=True)
            try:
                yield folder
            finally:
                lock.unlink(missing_ok=True)
                _remove_empty(folder, partial)

    def complete(self, arrived: Path, model: Model, pinned: str) -> Stored:
        """Make a model of the folder in which all its files arrived."""
        stamps = {file.name: _stamp(arrived / file.name) for file in model.files}
        entry = {"pinned": pinned, "model": asdict(model), "stamps": stamps}
        _write(arrived / MANIFEST, entry)
        folder = self.folder / model.name
        if folder.exists():
            shutil.rmtree(folder)
        arrived.rename(folder)
        return Stored(model, folder, pinned)

    def discard(self, name: str) -> bool:
        """Remove what has come of a model that is not whole; whether there was something."""
        partial = self.folder / PARTIAL / name
        if not partial.is_dir():
            return False
        shutil.rmtree(partial)
        _remove_empty(partial.parent)
        return True

    def remove(self, name: str) -> int:
        """Remove a model, or what has come of it; return the bytes. Raises UnknownModel."""
        stored = self.get(name)
        if stored is None:
            partial = self.folder / PARTIAL / name
            size = _size(partial) if NAME.fullmatch(name) else 0
            if NAME.fullmatch(name) and self.discard(name):
                return size
            self.require(name)
        assert stored is not None
        size = _size(stored.folder)
        gone = stored.folder.with_name(f".{name}.removed")
        shutil.rmtree(gone, ignore_errors=True)
        stored.folder.rename(gone)  # at once, however long removing takes
        shutil.rmtree(gone)
        self.discard(name)
        self._measured(name).unlink(missing_ok=True)
        return size

    def verify(
        self, stored: Stored, read: Callable[[int], None] = lambda _: None
    ) -> list[Verified]:
        """Compare every file with its hash; ``read`` is told of bytes as they are read."""
        return [
            Verified(path := stored.folder / file.name, _problem(path, file, read))
            for file in stored.model.files
        ]

    def check(self, stored: Stored) -> None:
        """Compare the files that were touched since they were pulled, or compared last. Raises
        ModelError.
        """
        manifest = stored.folder / MANIFEST
        entry = json.loads(manifest.read_text(encoding="utf-8"))
        stamps = entry.get("stamps", {})
        found = {}
        for file in stored.model.files:
            path = stored.folder / file.name
            if path.is_file():
                found[file.name] = _stamp(path)  # of before it is read
            if found.get(file.name, []) == stamps.get(file.name):
                continue
            if problem := _problem(path, file, lambda _: None):
                raise ModelError(
                    f"{path} is not the file that was pulled: {problem}.",
                    f"ocelli models remove {stored.model.name}{stored.model.runner.option}, then "
                    "pull it again",
                )
        if found != stamps:
            with contextlib.suppress(OSError):  # a folder that only others may write
                _write(manifest, {**entry, "stamps": found})

    def measured(self, name: str) -> dict[str, Any]:
        """Return what was measured when the model last ran here; empty if it never did."""
        try:
            found = json.loads(self._measured(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def measure(self, name: str, values: dict[str, Any]) -> None:
        """Keep what was measured."""
        path = self._measured(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(path, values)

    def _measured(self, name: str) -> Path:
        return self.folder / MEASURED / f"{name}.json"

    def _read(self, folder: Path) -> Stored | None:
        try:
            entry = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            return Stored(model_from(entry["model"]), folder, str(entry["pinned"]))
        except (OSError, ValueError, LookupError, TypeError):
            return None


def model_from(entry: dict[str, Any]) -> Model:
    """Read a model of a manifest. Raises LookupError, TypeError or ValueError if it is none."""
    files = tuple(
        ModelFile(FileRole(file["role"]), str(file["path"]), file["size"], file["sha256"])
        for file in entry["files"]
    )
    runner = ModelRunner(entry.get("runner", ModelRunner.LLAMA_CPP))
    model = Model(**{**entry, "files": files, "runner": runner})
    if not NAME.fullmatch(model.name) or any(_is_unsafe(file.name) for file in files):
        raise ValueError(f"{model.name!r} is no name of a model")
    return model


def sha256_of(path: Path, read: Callable[[int], None]) -> str:
    """Return the SHA-256 of a file; ``read`` is told of bytes as they are read."""
    with path.open("rb") as file:
        return copied(file, None, read)


def copied(incoming: IO[bytes], outgoing: IO[bytes] | None, read: Callable[[int], None]) -> str:
    """Copy a file, if it has somewhere to go, and return its SHA-256; ``read`` is told of bytes as
    they are read.
    """
    digest = hashlib.sha256()
    while block := incoming.read(BLOCK):
        digest.update(block)
        if outgoing is not None:
            outgoing.write(block)
        read(len(block))
    return digest.hexdigest()


def _problem(path: Path, file: ModelFile, read: Callable[[int], None]) -> str | None:
    try:
        size = path.stat().st_size
    except OSError:
        return "missing"
    if file.size is not None and size != file.size:
        return f"{size:,} bytes instead of {file.size:,}"
    found = sha256_of(path, read)
    return None if found == file.sha256 else f"SHA-256 {found[:16]}… instead of {file.sha256}"


def _write(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON, all or nothing."""
    unfinished = path.with_suffix(".new")
    unfinished.write_text(f"{json.dumps(values, indent=2)}\n", encoding="utf-8")
    unfinished.replace(path)


def _remove_empty(*folders: Path) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):  # it holds something
            folder.rmdir()


def _stamp(path: Path) -> list[int]:
    """What changes when a file is written."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _is_unsafe(name: str) -> bool:
    return name in ("", ".", "..") or os.sep in name or name == MANIFEST


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
