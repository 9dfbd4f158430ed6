"""Bringing a model here: from the hub, from a folder, or from a bundle; and making a bundle."""

from __future__ import annotations

import contextlib
import json
import shutil
import tarfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ocelli.backends.models.catalogue import (
    MANIFEST,
    FileRole,
    Model,
    ModelError,
    ModelFile,
    ModelRunner,
    UnknownModel,
    backend_name,
    catalogue,
    repository_files,
)
from ocelli.backends.models.download import Download, Interrupted, WrongFile
from ocelli.backends.models.machine import Machine, gigabytes
from ocelli.backends.models.store import copied, model_from, sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocelli.backends.models.download import Progress, Received
    from ocelli.backends.models.hub import Hub
    from ocelli.backends.models.store import Store, Stored

DISK_RESERVE = 256 * 1024**2  # bytes that stay free
FROM_CATALOGUE = "catalogue"
FROM_HUB = "hub"
FIRST_PULL = "first pull"
LONGEST_MANIFEST = 1024**2


def check_room(model: Model, store: Store, machine: Machine, *, force: bool = False) -> None:
    """Raise ModelError if the model fits neither the disk nor, without ``force``, the memory."""
    if not force and (short := _short_memory(model, machine)):
        needed = gigabytes(model.memory())
        raise ModelError(f"{model.name} needs about {needed} {short}.", "--force pulls it anyway")
    here = next(path for path in (store.folder, *store.folder.parents) if path.exists())
    free = shutil.disk_usage(here).free
    if free < model.size + DISK_RESERVE:
        raise ModelError(
            f"{model.name} takes {gigabytes(model.size)} on the disk; {here} has "
            f"{gigabytes(free)} free.",
            "OCELLI_MODELS_DIR names another folder",
        )


def _short_memory(model: Model, machine: Machine) -> str | None:
    """Say of what there is too little."""
    if machine.fits_gpu(model):
        return None
    if model.runner is ModelRunner.VLLM:
        return f"of memory on a graphics card; this machine's has {gigabytes(machine.gpu_memory)}"
    if machine.memory >= model.memory():
        return None
    return f"of memory; this machine has {gigabytes(machine.memory)}"


async def pull(model: Model, store: Store, hub: Hub, progress: Progress) -> Stored:
    """Download all files of a model. Raises ModelError; then nothing is left of it in the store,
    unless the download was only interrupted.
    """
    with store.arriving(model.name) as folder:
        try:
            files, commit = [], model.commit
            for file in model.files:
                received = await _received(model, file, folder, hub, progress)
                files.append(replace(file, size=received.size, sha256=received.sha256))
                commit = commit or received.commit
            return store.complete(
                folder, replace(model, files=tuple(files), commit=commit), _pinned_by(model)
            )
        except Interrupted:
            raise
        except ModelError:
            store.discard(model.name)
            raise


async def _received(
    model: Model, file: ModelFile, folder: Path, hub: Hub, progress: Progress
) -> Received:
    target = folder / file.name
    download = Download(
        hub, model.repository, model.commit, file.path, target, progress, file.size, file.sha256
    )
    return await download.fetch()


def _pinned_by(model: Model) -> str:
    if not _has_pins(model):
        return FIRST_PULL
    is_row = model.runner is ModelRunner.LLAMA_CPP and model.name in catalogue()
    return FROM_CATALOGUE if is_row else FROM_HUB


def pull_from(
    model: Model | None,
    source: Path,
    store: Store,
    read: Callable[[int], None],
    name: str | None = None,
    runner: ModelRunner = ModelRunner.LLAMA_CPP,
) -> Stored:
    """Copy a model from a folder with its files, or from a bundle, and check every hash.

    Without ``model`` the source's own manifest says what it is; it must be ``name`` if that is
    given. Hashes of the catalogue count before those of the source. Raises ModelError.
    """
    with _opened(source) as (names, open_file):
        told = _manifest(names, open_file, source)
        if told is not None and told[0].runner is not runner:
            there = told[0].runner
            raise ModelError(f"{source} is for {there}, not for {runner}.", f"--runner {there}")
        pinned = FROM_CATALOGUE
        if model is None and told is not None:
            model = catalogue(runner).get(told[0].name)
        if told is not None and (model is None or told[0].name == model.name):
            if model is None or not _has_pins(model):
                model, pinned = told  # what another machine got when it pulled
        elif model is not None and not _has_pins(model):
            pinned = FIRST_PULL
        if model is None:
            raise ModelError(f"{source} has no {MANIFEST}.", "name a model of the catalogue")
        if name is not None and model.name != backend_name(name):
            raise UnknownModel(f"{source} holds {model.name}, not {name}.")
        if not model.files:
            model = _with_files_of(model, names, source)
        for file in model.files:
            if file.name not in names:
                raise ModelError(f"{source} has no {file.name}.")
        with store.arriving(model.name) as folder:
            try:
                files = [_copied(file, open_file, folder, read) for file in model.files]
                return store.complete(folder, replace(model, files=tuple(files)), pinned)
            except (ModelError, OSError) as error:
                store.discard(model.name)
                if isinstance(error, ModelError):
                    raise
                raise ModelError(f"{source} cannot be copied ({error.strerror}).") from error


def _with_files_of(model: Model, names: set[str], source: Path) -> Model:
    """Return a model for vLLM with the files of a folder."""
    found = repository_files(names)
    if not found:
        raise ModelError(f"{source} has no safetensors: vLLM cannot run what it has.")
    return replace(model, files=tuple(ModelFile(FileRole.PART, each) for each in found))


def bundle(stored: Stored, target: Path, read: Callable[[int], None]) -> int:
    """Write a model as a tar file, for a machine without a network; return its bytes.

    Every file is compared with its hash first. Raises ModelError.
    """
    for file in stored.model.files:
        path = stored.folder / file.name
        if not path.is_file() or sha256_of(path, read) != file.sha256:
            raise ModelError(f"{path} is not the file that was pulled.")
    unfinished = target.with_name(f"{target.name}.part")
    try:
        with tarfile.open(unfinished, "w") as tar:
            for name in (MANIFEST, *(file.name for file in stored.model.files)):
                tar.add(stored.folder / name, f"{stored.model.name}/{name}")
        unfinished.rename(target)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ModelError(f"{target} cannot be written ({error.strerror}).") from error
    return target.stat().st_size


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[tuple[set[str], Callable[[str], IO[bytes]]]]:
    """Give the names of the files in a folder or bundle, and a function that opens one."""
    if source.is_dir():
        folder = next((each.parent for each in source.glob(f"*/{MANIFEST}")), source)
        if (source / MANIFEST).exists():
            folder = source
        yield {each.name for each in folder.iterdir()}, lambda name: (folder / name).open("rb")
        return
    with contextlib.ExitStack() as stack:
        try:
            tar = stack.enter_context(tarfile.open(source, "r:"))
            members = {Path(each.name).name: each for each in tar if each.isfile()}
        except (tarfile.TarError, OSError) as error:
            raise ModelError(f"{source} is neither a folder nor a bundle.") from error

        def open_member(name: str) -> IO[bytes]:
            file = tar.extractfile(members[name])
            assert file is not None  # only files are members here
            return file

        yield set(members), open_member


def _manifest(
    names: set[str], open_file: Callable[[str], IO[bytes]], source: Path
) -> tuple[Model, str] | None:
    """Return the model that the source names, and where its hashes are from."""
    if MANIFEST not in names:
        return None
    with open_file(MANIFEST) as file:
        try:
            entry = json.loads(file.read(LONGEST_MANIFEST))
            return model_from(entry["model"]), str(entry["pinned"])
        except (ValueError, LookupError, TypeError) as error:
            raise ModelError(f"{MANIFEST} of {source} cannot be read.") from error


def _copied(
    file: ModelFile,
    open_file: Callable[[str], IO[bytes]],
    folder: Path,
    read: Callable[[int], None],
) -> ModelFile:
    target = folder / file.name
    with open_file(file.name) as incoming, target.open("wb") as outgoing:
        found = copied(incoming, outgoing, read)
    if file.sha256 and found != file.sha256:
        raise WrongFile(
            f"{file.name} is not the file that was asked for: its SHA-256 is {found[:16]}… instead "
            f"of {file.sha256[:16]}…."
        )
    return replace(file, size=target.stat().st_size, sha256=found)


def _has_pins(model: Model) -> bool:
    return bool(model.files) and all(file.sha256 for file in model.files)


def described(model: Model) -> dict[str, object]:
    """Return a model as JSON has it."""
    return {**asdict(model), "size": model.size, "memory": model.memory()}
