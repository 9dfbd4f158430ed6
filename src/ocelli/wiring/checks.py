"""Checks of an installation that need no network and no running server."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ocelli.backends.models.catalogue import ModelError, ModelRunner, catalogue
from ocelli.backends.models.machine import gigabytes, llama_sees_gpus, this_machine
from ocelli.distribution import (
    NAME,
    PACKAGES,
    conflicting_distributions,
    pip_install,
    shadowed_packages,
)
from ocelli.domain.installation import DoctorCheck
from ocelli.wiring.models import advice, chosen_model, launch_of
from ocelli.wiring.tracing import how_to_install, lacks_tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ocelli.backends.local.model_files import Mismatch
    from ocelli.settings import Settings

MIN_FREE_BYTES = 1024**3
NOT_YET = "not yet: `ocelli serve` makes it"
GPU_WHEEL = (
    "the installed xllamacpp uses the processor alone; its README names the packages for cards"
)
REINSTALL = pip_install("server", force=True)


def quick_checks(settings: Settings) -> list[DoctorCheck]:
    """Return what is found without asking other programs. Blocks, for about a second."""
    return [
        *software(),
        data_folder(settings),
        local_models(),
        vision_model(settings),
        graphics(settings),
        disk(settings),
        *traces(settings),
    ]


def traces(settings: Settings) -> Iterator[DoctorCheck]:
    """Check that traces can be made, if the settings ask for them."""
    if settings.otlp_endpoint is None:
        return
    if lacks_tracing(settings):
        yield DoctorCheck("traces", "what makes them is not installed", how_to_install())
    else:
        yield DoctorCheck("traces", f"sent to {urlsplit(settings.otlp_endpoint).hostname}")


def software() -> Iterator[DoctorCheck]:
    """Check the interpreter and the packages."""
    yield DoctorCheck("python", sys.version.split()[0])
    yield packages()


def data_folder(settings: Settings) -> DoctorCheck:
    """Check that the folder of the data can be written."""
    return checked(
        "data folder", "choose another with --data or OCELLI_DATA", lambda: _data(settings)
    )


def local_models() -> DoctorCheck:
    """Check the files of the local models."""
    return checked("models", REINSTALL, _models)


def disk(settings: Settings) -> DoctorCheck:
    """Check the room on the disk of the data."""
    free = shutil.disk_usage(_existing(settings.data)).free
    return DoctorCheck(
        "disk",
        f"{free / 1024**3:.1f} GB free",
        None if free > MIN_FREE_BYTES else "free some space: uploads stop when the disk is full",
    )


def checked(name: str, advice: str, check: Callable[[], str]) -> DoctorCheck:
    """Return what ``check`` returns, or raises with the ``advice``."""
    try:
        return DoctorCheck(name, check())
    except Exception as error:  # whatever is wrong is the finding
        return DoctorCheck(name, f"{type(error).__name__}: {error}".strip(), advice)


def packages() -> DoctorCheck:
    """Check that what is imported as ours is ours."""
    if others := conflicting_distributions():
        names = sorted({name for found in others.values() for name in found})
        return DoctorCheck(
            "packages",
            "; ".join(f"{name} is also in {', '.join(found)}" for name, found in others.items()),
            f"use an environment of its own, or pip uninstall {' '.join(names)} and "
            f"pip install --force-reinstall --no-deps {NAME}",
        )
    if elsewhere := shadowed_packages():
        return DoctorCheck(
            "packages",
            "; ".join(f"{name} is imported from {path}" for name, path in elsewhere.items()),
            "take that folder out of PYTHONPATH, or run the command in another folder",
        )
    return DoctorCheck("packages", f"{' and '.join(PACKAGES)} are ours alone")


def _data(settings: Settings) -> str:
    if settings.data.is_dir():
        with tempfile.TemporaryFile(dir=settings.data):
            return str(settings.data)
    if not os.access(_existing(settings.data), os.W_OK | os.X_OK):
        raise PermissionError(f"{settings.data} cannot be made")
    return f"{settings.data}, {NOT_YET}"


def _models() -> str:
    from ocelli.backends.local.model_files import models as inventory
    from ocelli.backends.local.model_files import verify

    problems = verify()
    if problems:
        raise RuntimeError(
            "; ".join(f"{connection.path} is {file_state(connection)}" for connection in problems)
        )
    return f"{len(inventory())} models, all hashes as pinned"


def vision_model(settings: Settings) -> DoctorCheck:
    """Say what the model of the settings is, and how it would run; without one, what fits."""
    name = "vision-language model"
    if settings.model is None:
        return DoctorCheck(name, "none is set" if settings.backends else advice(settings))
    try:
        launch = launch_of(chosen_model(settings), settings, this_machine(), key="")
    except ModelError as error:
        return DoctorCheck(name, str(error), error.hint or "see `ocelli docs models`")
    return DoctorCheck(
        name,
        f"{launch.name} with {settings.runner}: "
        + ", ".join(f"{value} {option}" for option, value in launch.options.items()),
    )


def graphics(settings: Settings) -> DoctorCheck:
    """Say what the graphics cards could run."""
    machine = this_machine()
    if not machine.gpus:
        return DoctorCheck("graphics card", "none is needed, and none was found")
    cards = ", ".join(f"{gpu.name} ({gigabytes(gpu.memory)})" for gpu in machine.gpus)
    if settings.runner is ModelRunner.VLLM:
        return DoctorCheck("graphics card", cards)
    fitting = [name for name, each in catalogue().items() if machine.fits_gpu(each)]
    found = f"{cards}: could run {', '.join(fitting) or 'none of the catalogue'}"
    return DoctorCheck("graphics card", found, None if llama_sees_gpus() else GPU_WHEEL)


def file_state(problem: Mismatch) -> str:
    """Say what is wrong with a file of a model."""
    return "missing" if problem.found is None else "not the file that Ocelli was tested with"


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
