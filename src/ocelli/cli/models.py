"""``ocelli models list``, ``pull``, ``bundle``, ``remove``, ``verify``."""

from __future__ import annotations

import asyncio
import contextlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import typer

from ocelli.backends.models.catalogue import (
    OLLAMA,
    FileRole,
    Model,
    ModelError,
    ModelRunner,
    UnknownModel,
    catalogue,
    hub_name,
    model_named,
)
from ocelli.backends.models.download import KEPT
from ocelli.backends.models.hub import Hub
from ocelli.backends.models.llama_server import NOT_INSTALLED
from ocelli.backends.models.machine import gigabytes, this_machine
from ocelli.backends.models.ollama import ollama_models
from ocelli.backends.models.pull import FIRST_PULL, bundle, check_room, described, pull, pull_from
from ocelli.backends.models.store import Store
from ocelli.backends.models.vllm_server import HOW_TO_INSTALL, vllm_program
from ocelli.cli.console import GOOD, console
from ocelli.cli.options import load_settings
from ocelli.cli.output import FAILED, WRONG_USE, fail, print_json, print_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ocelli.backends.models.store import Stored
    from ocelli.settings import Settings

INTERRUPTED = 130  # as shells have it, after Ctrl-C


def show(*, as_json: bool, as_lines: bool = False, **options: Any) -> int:
    """Print the catalogue, and what of it is here. Returns the exit code."""
    settings = load_settings(**options)
    rows = list(_rows(Store(settings.models_folder), settings.runner))
    if as_json or as_lines:
        print_records(rows, lines=as_lines)
    else:
        _print_rows(rows, settings.runner)
    return 0


def fetch(name: str | None, *, source: Path | None, force: bool, **options: Any) -> int:
    """Bring a model here. Returns the exit code."""
    return _run(
        lambda settings: _fetch(
            Store(settings.models_folder), settings.runner, name, source, force
        ),
        options,
    )


def pack(name: str, target: Path, **options: Any) -> int:
    """Write a bundle. Returns the exit code."""

    def write(settings: Settings) -> int:
        stored = Store(settings.models_folder).require(name)
        with _bar(f"checking {name}", stored.model.size) as read:
            size = bundle(stored, target, read)
        typer.echo(f"{target}: {gigabytes(size)}")
        typer.echo(f"there: ocelli models pull {name} --from {target.name}{settings.runner.option}")
        return 0

    return _run(write, options)


def remove(name: str, **options: Any) -> int:
    """Remove a model. Returns the exit code."""

    def unlink(settings: Settings) -> int:
        typer.echo(f"{name}: {gigabytes(Store(settings.models_folder).remove(name))} removed")
        return 0

    return _run(unlink, options)


def verify(name: str | None, *, as_json: bool, **options: Any) -> int:
    """Compare the files of one model, or of all, with their hashes. Returns the exit code."""

    def compare(settings: Settings) -> int:
        store = Store(settings.models_folder)
        chosen = [store.require(name)] if name else store.all()
        with _bar("verifying", sum(each.model.size for each in chosen)) as read:
            found = [(each, one) for each in chosen for one in store.verify(each, read)]
        if as_json:
            print_json(
                [
                    {"model": stored.model.name, "path": str(one.path), "problem": one.problem}
                    for stored, one in found
                ]
            )
        else:
            for _, one in found:
                typer.echo(
                    f"{'✗' if one.problem else '✓'} {one.path}  {one.problem or ''}".rstrip()
                )
            if not found:
                typer.echo("there is no model on this machine")
        return FAILED if any(one.problem for _, one in found) else 0

    return _run(compare, options)


def _fetch(
    store: Store, runner: ModelRunner, name: str | None, source: Path | None, force: bool
) -> int:
    if source is not None:
        model = model_named(name, runner) if name in catalogue(runner) else None
        stored = _fetch_from(model, store, runner, name, source)
    else:
        if name is None:
            raise UnknownModel("name a model.", ", ".join(catalogue(runner)))
        hub = Hub.from_environment()
        wanted = hub_name(name, runner)
        if (found := store.get(wanted.name if wanted else name)) is not None:
            typer.echo(f"{found.model.name} is here already: {found.folder}")
            return 0
        model = asyncio.run(hub.resolve(wanted)) if wanted else model_named(name, runner)
        if not model.files:
            model = asyncio.run(hub.with_files(model))
        _announce(model, hub)
        check_room(model, store, this_machine(), force=force)
        with _download_bars(model) as progress:
            stored = asyncio.run(pull(model, store, hub, progress))
    _say_pins(stored, model)
    if (missing := _missing_program(runner)) is not None:
        typer.echo(missing)
    typer.echo(f"ready: ocelli serve --model {stored.model.name}{runner.option}")
    return 0


def _missing_program(runner: ModelRunner) -> str | None:
    if runner is ModelRunner.VLLM:
        return None if vllm_program() else f"vLLM is not installed: {HOW_TO_INSTALL}"
    return None if find_spec("xllamacpp") else NOT_INSTALLED


def _fetch_from(
    model: Model | None, store: Store, runner: ModelRunner, name: str | None, source: Path
) -> Stored:
    if not source.exists():
        raise ModelError(f"there is no {source}.")
    size = sum(each.stat().st_size for each in source.rglob("*")) if source.is_dir() else 0
    with _bar(f"copying {name or source}", size or source.stat().st_size) as read:
        return pull_from(model, source, store, read, name, runner)


def _announce(model: Model, hub: Hub) -> None:
    openness = {True: ", open", False: ", not an open one", None: ""}[model.is_open]
    licence = f"licence {model.licence}{openness}"
    typer.echo(
        f"{model.title}: {licence} ({model.licence_url}), {gigabytes(model.size)}, "
        f"about {gigabytes(model.memory())} of memory"
    )
    commit = f" at {model.commit[:8]}" if model.commit else ""
    typer.echo(f"from {hub.page(model.repository)}{commit}")


def _say_pins(stored: Stored, asked: Model | None) -> None:
    """Say which hashes are those of what came, as none was known before."""
    if stored.pinned != FIRST_PULL:
        return
    known = {file.path for file in asked.files if file.sha256} if asked else set()
    for file in stored.model.files:
        if file.path not in known:
            typer.echo(
                f"no hash was known for {file.name}: pinned to what came, SHA-256 {file.sha256}"
            )


def _rows(store: Store, runner: ModelRunner) -> Iterator[dict[str, Any]]:
    here = {stored.model.name: stored for stored in store.all()}
    machine = this_machine()
    named = {**catalogue(runner), **{name: stored.model for name, stored in here.items()}}
    for name, model in named.items():
        stored = here.get(name)
        yield {
            **described(model),
            "on_disk": str(stored.folder) if stored else None,
            "pinned": stored.pinned if stored else None,
            "fits": machine.fits(model),
            "measured": store.measured(name) if stored else {},
        }
    for found in ollama_models() if runner is ModelRunner.LLAMA_CPP else ():
        try:
            path = found.path(FileRole.MODEL)
        except ModelError:  # a pull of Ollama's that was cut
            continue
        yield {
            **described(found.model),
            "name": OLLAMA + found.title.removesuffix(":latest"),
            "on_disk": str(path),
            "pinned": "ollama",
            "fits": machine.fits(found.model),
            "measured": store.measured(found.model.name),
        }


def _print_rows(rows: list[dict[str, Any]], runner: ModelRunner) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("", "model", "licence", "size", "memory", "good for", "here", show_lines=False)
    for row in rows:
        here = "on disk" if row["on_disk"] else "" if row["fits"] else "too large"
        table.add_row(
            Text("✓", GOOD) if row["on_disk"] else "",
            row["name"],
            row["licence"],
            gigabytes(row["size"]) if row["files"] else "",
            gigabytes(row["memory"]) if row["files"] else "",
            row["purpose"],
            " ".join(filter(None, (here, _measured(row["measured"])))),
        )
    console().print(table)
    if not any(row["on_disk"] for row in rows):
        typer.echo(f"none is on this machine: ocelli models pull NAME{runner.option}")


def _measured(values: dict[str, Any]) -> str:
    parts = []
    if start := values.get("cold_start_seconds"):
        parts.append(f"starts in {start:.1f} s")
    if speed := values.get("tokens_per_second"):
        parts.append(f"{speed:.1f} tokens/s")
    if memory := values.get("memory_bytes"):
        parts.append(gigabytes(memory))
    return ", ".join(parts)


def _run(command: Callable[[Settings], int], options: dict[str, Any]) -> int:
    """Run a command with the settings; print what goes wrong. Returns the exit code."""
    settings = load_settings(**options)
    try:
        return command(settings)
    except ModelError as error:
        fail(str(error), error.hint)
        return WRONG_USE if isinstance(error, UnknownModel) else FAILED
    except OSError as error:
        fail(f"{error.filename or settings.models_folder}: {error.strerror or error}")
        return FAILED
    except KeyboardInterrupt:
        fail("interrupted.", KEPT)
        return INTERRUPTED


@contextlib.contextmanager
def _bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Give a function that moves a bar on; there is none where standard error is no terminal."""
    with _progress() as progress:
        task = progress.add_task(title, total=total or None)
        yield lambda count: progress.advance(task, count)


@contextlib.contextmanager
def _download_bars(model: Model) -> Iterator[Bars]:
    with _progress() as progress:
        yield Bars(progress, len(model.files))


class Bars:
    """A bar for each file that is downloaded; implements download.Progress."""

    def __init__(self, progress: Any, files: int) -> None:
        self._progress = progress
        self._files = files
        self._number = 0
        self._task: Any = None

    def begin(self, name: str, size: int) -> None:
        """See download.Progress."""
        self._number += 1
        title = f"{self._number}/{self._files} {name}"
        self._task = self._progress.add_task(title, total=size)

    def advance(self, count: int) -> None:
        """See download.Progress."""
        self._progress.advance(self._task, count)


def _progress() -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    stderr = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=stderr,
        disable=not stderr.is_terminal,
    )
