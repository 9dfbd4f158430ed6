"""``ocelli models`` and ``ocelli doctor``."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocelli.backends.models.catalogue import ModelError, backend_name
from ocelli.cli.console import BAD, GOOD, console
from ocelli.cli.options import load_settings
from ocelli.cli.output import FAILED, fail, print_json
from ocelli.domain.errors import OcelliError
from ocelli.domain.installation import DoctorCheck
from ocelli.domain.sight import Sight
from ocelli.storage.embedded import EmbeddedPostgres
from ocelli.storage.objects_local import STAGING
from ocelli.wiring.adapters import objects
from ocelli.wiring.backends import chat_configs
from ocelli.wiring.checks import (
    NOT_YET,
    REINSTALL,
    checked,
    data_folder,
    disk,
    file_state,
    graphics,
    local_models,
    software,
    traces,
    vision_model,
)
from ocelli.wiring.data_folder import NoInstallation, local_store, running_server
from ocelli.wiring.installation import database_for_command
from ocelli.wiring.models import as_served, chosen_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocelli.backends.chat.probe import Probed
    from ocelli.backends.local.model_files import ModelInfo
    from ocelli.settings import Settings


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
        fail(f"{problem.path} is {file_state(problem)}", REINSTALL)
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


def doctor(*, as_json: bool, **options: Any) -> int:
    """Check the installation and print the results. Returns the exit code."""
    settings = load_settings(**options)
    checks = list(_checks(settings))
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        print_checks(checks)
    return FAILED if any(check.advice for check in checks) else 0


def _checks(settings: Settings) -> Iterator[DoctorCheck]:
    yield from software()
    yield data_folder(settings)
    yield checked(
        "database",
        "see the message; OCELLI_DATABASE_URL names a Postgres of your own",
        lambda: _database(settings),
    )
    yield checked("store", "see OCELLI_STORAGE_URL", lambda: _store(settings))
    yield DoctorCheck("server", running_server(settings.data) or "none runs on this folder")
    yield local_models()
    for each in _with_sight(_probed(settings), settings):
        advice = None if each.is_good else f"see [backends.{each.name}] in `ocelli docs settings`"
        if each.sight.startswith(Sight.BLIND):
            advice = f"see `ocelli docs sight`; once it is mended: ocelli models check {each.name}"
        told = f"{each.model} {each.state}, {each.sight}" if each.sight else each.state
        yield DoctorCheck(f"backend {each.name}", told.strip(), advice)
    yield vision_model(settings)
    yield graphics(settings)
    yield disk(settings)
    yield from traces(settings)


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


def _model_dict(model: ModelInfo) -> dict[str, Any]:
    return asdict(model)


def print_checks(checks: list[DoctorCheck]) -> None:
    """Print checks as a table."""
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
