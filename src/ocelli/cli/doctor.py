"""``ocelli models`` and ``ocelli doctor``."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocelli.backends.models.catalogue import ModelError, ModelRunner, backend_name, catalogue
from ocelli.backends.models.machine import gigabytes, llama_sees_gpus, this_machine
from ocelli.cli.console import BAD, GOOD, console
from ocelli.cli.options import load_settings
from ocelli.cli.output import FAILED, fail, print_json
from ocelli.distribution import (
    NAME,
    PACKAGES,
    conflicting_distributions,
    pip_install,
    shadowed_packages,
)
from ocelli.domain.errors import OcelliError
from ocelli.domain.sight import Sight
from ocelli.storage.embedded import EmbeddedPostgres
from ocelli.storage.objects_local import STAGING
from ocelli.wiring.adapters import objects
from ocelli.wiring.backends import chat_configs
from ocelli.wiring.data_folder import NoInstallation, local_store, running_server
from ocelli.wiring.installation import database_for_command
from ocelli.wiring.models import advice, as_served, chosen_model, launch_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocelli.backends.chat.probe import Probed
    from ocelli.backends.local.model_files import Mismatch, ModelInfo
    from ocelli.settings import Settings

MIN_FREE_BYTES = 1024**3
NOT_YET = "not yet: `ocelli serve` makes it"
GPU_WHEEL = (
    "the installed xllamacpp uses the processor alone; its README names the packages for cards"
)
REINSTALL = pip_install("server", force=True)


def models(*, as_json: bool) -> int:
    """Print the local models, checked against the pinned hashes. Returns the exit code."""
    from ocelli.backends.local.backend import LocalBackend
    from ocelli.backends.local.embedder import MiniLmEmbedder
    from ocelli.backends.local.model_files import models as inventory
    from ocelli.backends.local.model_files import verify
    from ocelli.backends.local.runtime import Runtime

    mismatches = verify()
    if not mismatches:
        runtime = Runtime()
        LocalBackend(runtime=runtime).load()
        MiniLmEmbedder(runtime).embed("a cat")  # which loads it
    listed = inventory()
    if as_json:
        print_json([_model_dict(model) for model in listed])
    else:
        _print_models(listed)
    for problem in mismatches:
        fail(f"{problem.path} is {_state(problem)}", REINSTALL)
    return FAILED if mismatches else 0


def backends(*, as_json: bool) -> int:
    """Print the chat backends of the settings, and whether they answer. Returns the exit code."""
    settings = load_settings()
    probed = _with_sight(_probed(settings), settings)
    if as_json:
        print_json([asdict(each) for each in probed])
    elif probed:
        _print_backends(probed)
    return 0 if all(each.is_good for each in probed) else FAILED


@dataclass(frozen=True)
class DoctorCheck:
    """The result of one check; ``advice`` is set if it failed."""

    name: str
    found: str
    advice: str | None = None


def doctor(*, as_json: bool, **options: Any) -> int:
    """Check the installation and print the results. Returns the exit code."""
    settings = load_settings(**options)
    checks = list(_checks(settings))
    if as_json:
        print_json([vars(check) for check in checks])
    else:
        _print_checks(checks)
    return FAILED if any(check.advice for check in checks) else 0


def _checks(settings: Settings) -> Iterator[DoctorCheck]:
    yield DoctorCheck("python", sys.version.split()[0])
    yield _packages()
    yield _checked(
        "data folder", "choose another with --data or OCELLI_DATA", lambda: _data(settings)
    )
    yield _checked(
        "database",
        "see the message; OCELLI_DATABASE_URL names a Postgres of your own",
        lambda: _database(settings),
    )
    yield _checked("store", "see OCELLI_STORAGE_URL", lambda: _store(settings))
    yield DoctorCheck("server", running_server(settings.data) or "none runs on this folder")
    yield _checked("models", REINSTALL, _models)
    for each in _with_sight(_probed(settings), settings):
        advice = None if each.is_good else f"see [backends.{each.name}] in docs/settings.md"
        if each.sight.startswith(Sight.BLIND):
            advice = f"see docs/sight.md; once it is mended: ocelli models check {each.name}"
        told = f"{each.model} {each.state}, {each.sight}" if each.sight else each.state
        yield DoctorCheck(f"backend {each.name}", told.strip(), advice)
    yield _model(settings)
    yield _graphics(settings)
    free = shutil.disk_usage(_existing(settings.data)).free
    yield DoctorCheck(
        "disk",
        f"{free / 1024**3:.1f} GB free",
        None if free > MIN_FREE_BYTES else "free some space: uploads stop when the disk is full",
    )


def _checked(name: str, advice: str, check: Callable[[], str]) -> DoctorCheck:
    try:
        return DoctorCheck(name, check())
    except Exception as error:  # whatever is wrong is the finding
        return DoctorCheck(name, f"{type(error).__name__}: {error}".strip(), advice)


def _packages() -> DoctorCheck:
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


def _database(settings: Settings) -> str:
    import psycopg

    with (
        _any_database(settings) as (dsn, kind),
        psycopg.connect(dsn, connect_timeout=5) as connection,
    ):
        return f"Postgres {connection.info.server_version // 10_000}, {kind}"


@contextmanager
def _any_database(settings: Settings) -> Iterator[tuple[str, str]]:
    """Give DSN and kind of the installation's database; without one, of a temporary Postgres that
    shows that it can run.
    """
    try:
        with database_for_command(settings) as dsn:
            yield dsn, "embedded" if settings.database_url is None else "configured"
    except NoInstallation:
        with tempfile.TemporaryDirectory(prefix="ocelli-") as folder:
            postgres = EmbeddedPostgres(Path(folder) / "postgres", durable=False)
            try:
                yield postgres.start(), f"embedded, {NOT_YET}"
            finally:
                postgres.stop()


def _store(settings: Settings) -> str:
    folder = local_store(settings)
    if folder is not None and not (folder / STAGING).is_dir():
        return f"{folder}, {NOT_YET}"
    with tempfile.TemporaryDirectory(prefix="ocelli-") as temporary:
        url = settings.storage_url or str(folder)
        store = objects(settings.model_copy(update={"data": Path(temporary), "storage_url": url}))
        asyncio.run(store.check())
        return str(store)


def _probed(settings: Settings) -> list[Probed]:
    if not settings.backends and settings.model is None:
        return []
    from ocelli.backends.chat.probe import Probed, probe_all

    probed = asyncio.run(probe_all(chat_configs(settings)))
    if settings.model is None:
        return probed
    name, runner = backend_name(settings.model), str(settings.runner)
    try:
        chosen_model(settings)
        own = Probed(name, "runs with the server or command", True, runner, settings.model)
    except ModelError as error:
        own = Probed(name, str(error), False, runner, settings.model)
    return [own, *probed]


def _with_sight(probed: list[Probed], settings: Settings) -> list[Probed]:
    """With what the sight test has shown of each; one that is blind is not good."""
    if not probed:
        return probed
    from ocelli.cli.sight import states

    try:
        known = asyncio.run(states(as_served(settings)))
    except (OSError, OcelliError):
        return probed
    found = []
    for each in probed:
        state = known.get(each.name)
        if state is not None:
            told = f"{state.sight}. {state.reason}".strip() if state.reason else str(state.sight)
            is_good = each.is_good and state.sight is not Sight.BLIND
            each = replace(each, sight=told, is_good=is_good)
        found.append(each)
    return found


def _models() -> str:
    from ocelli.backends.local.model_files import models as inventory
    from ocelli.backends.local.model_files import verify

    problems = verify()
    if problems:
        raise RuntimeError(
            "; ".join(f"{connection.path} is {_state(connection)}" for connection in problems)
        )
    return f"{len(inventory())} models, all hashes as pinned"


def _model(settings: Settings) -> DoctorCheck:
    """Say what the model of the settings is, and how it would run; without one, what fits."""
    name = "vision-language model"
    if settings.model is None:
        return DoctorCheck(name, "none is set" if settings.backends else advice(settings))
    try:
        launch = launch_of(chosen_model(settings), settings, this_machine(), key="")
    except ModelError as error:
        return DoctorCheck(name, str(error), error.hint or "see docs/models.md")
    return DoctorCheck(
        name,
        f"{launch.name} with {settings.runner}: "
        + ", ".join(f"{value} {option}" for option, value in launch.options.items()),
    )


def _graphics(settings: Settings) -> DoctorCheck:
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


def _state(problem: Mismatch) -> str:
    return "missing" if problem.found is None else "not the file that Ocelli was tested with"


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


def _model_dict(model: ModelInfo) -> dict[str, Any]:
    return asdict(model)


def _print_checks(checks: list[DoctorCheck]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("", "what", "found", "what to do")
    for check in checks:
        mark = Text("✗", BAD) if check.advice else Text("✓", GOOD)
        table.add_row(mark, check.name, check.found, check.advice or "")
    console().print(table)


def _print_backends(probed: list[Probed]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("", "backend", "provider", "model", "address", "state", "sight")
    for each in probed:
        mark = Text("✓", GOOD) if each.is_good else Text("✗", BAD)
        told = (each.provider, each.model, each.base_url, each.state, each.sight)
        table.add_row(mark, each.name, *told)
    console().print(table)


def _print_models(listed: list[ModelInfo]) -> None:
    from rich.table import Table

    table = Table("model", "for", "from", "licence", "MB", "sha256", "loaded", show_lines=True)
    for model in listed:
        table.add_row(
            model.title,
            model.purpose,
            f"{model.package} {model.package_version or 'missing'}",
            model.licence,
            f"{sum(file.size for file in model.files) / 1e6:.1f}",
            "\n".join(file.sha256[:12] for file in model.files),
            "yes" if model.loaded else "no",
        )
    console().print(table)
