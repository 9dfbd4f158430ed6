"""The composition of the backends and the engine."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from ocelli.domain.findings import LOCAL
from ocelli.domain.pricing import Roster
from ocelli.domain.verification import Calibration
from ocelli.usecases.verification_engine import Engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from concurrent.futures import Executor
    from pathlib import Path

    from ocelli.backends.config import BackendConfig
    from ocelli.backends.local.runtime import Runtime
    from ocelli.backends.registry import MissingKey, Registry
    from ocelli.domain.claims import Tokens
    from ocelli.domain.embeddings import PictureEmbedder
    from ocelli.domain.ports_backends import SightGate
    from ocelli.settings import Settings
    from ocelli.settings_tables import BackendSetting


def chat_configs(settings: Settings) -> list[BackendConfig | MissingKey]:
    """Return the chat backends of the settings, in their order.

    Without one that has no address yet, as its model runs here, and only with a server.
    """
    from ocelli.backends.models.catalogue import backend_name
    from ocelli.backends.registry import configure

    def values_of(setting: BackendSetting) -> dict[str, Any]:
        values = setting.model_dump(exclude_none=True)
        if setting.key is not None:
            values["key"] = setting.key.get_secret_value()
        return values

    own = backend_name(settings.model or "")
    return [
        configure(name, values_of(setting), os.environ)
        for name, setting in settings.backends.items()
        if setting.base_url or name != own
    ]


def backend_names(settings: Settings) -> tuple[str, ...]:
    """Return the names of the usable backends, in the order of the settings, the local one last."""
    from ocelli.backends.registry import MissingKey

    configured = chat_configs(settings)
    return (*(each.name for each in configured if not isinstance(each, MissingKey)), LOCAL)


def token_cost(settings: Settings) -> Callable[[str, Tokens], float | None]:
    """Return what the tokens of a backend cost in US dollars; None where prices are not known."""
    from ocelli.backends.registry import MissingKey

    configured = (each for each in chat_configs(settings) if not isinstance(each, MissingKey))
    prices = {each.name: each.prices for each in configured}

    def cost(backend: str, tokens: Tokens) -> float | None:
        if backend == LOCAL:
            return 0.0
        return prices[backend].cost(tokens) if backend in prices else None

    return cost


def roster(settings: Settings) -> Roster:
    """Return the roster of backends, without loading any."""
    from ocelli.backends.registry import MissingKey

    configured = [each.name for each in chat_configs(settings) if not isinstance(each, MissingKey)]
    names = (*configured, LOCAL)
    chosen = settings.default_backend
    return Roster(names, chosen if chosen in names and chosen else names[0])


def local_runtime(settings: Settings) -> Runtime:
    """Return the runtime of the local models."""
    from ocelli.backends.local.runtime import Precision, Runtime

    return Runtime(settings.cache or settings.data / "compiled", Precision(settings.precision))


def picture_embedder(settings: Settings) -> PictureEmbedder | None:
    """Return what embeds pictures, if it is set; connections live as long as the process."""
    setting = settings.picture_embedder
    if setting is None:
        return None
    if setting.folder is not None:
        from ocelli.backends.local.clip import ClipEmbedder

        runtime = local_runtime(settings)
        return ClipEmbedder(setting.folder, runtime, least_cosine=setting.least_cosine)
    from ocelli.backends.picture_embeddings import PictureEmbeddingServer

    key = setting.key.get_secret_value() if setting.key else None
    return PictureEmbeddingServer(
        setting.base_url or "",
        setting.model or "",
        setting.request,
        key=key or os.environ.get(setting.key_variable or ""),
        timeout=setting.timeout,
        least_cosine=setting.least_cosine,
    )


@asynccontextmanager
async def build_backends(
    settings: Settings, compute: Executor, sight: SightGate | None = None, *, loaded: bool = True
) -> AsyncIterator[Registry]:
    """Give all backends: the local models and the chat backends.

    Unless ``loaded`` the local models are still being read, and a look waits for what it uses.
    """
    from ocelli.backends.local.backend import LocalBackend
    from ocelli.backends.registry import BackendParts, Registry, registry

    local = LocalBackend(compute, local_runtime(settings))
    load = local.load if loaded else local.begin_loading
    await asyncio.get_running_loop().run_in_executor(compute, load)
    parts = BackendParts(settings.default_backend, settings.checker, settings.judge)
    configs = chat_configs(settings)
    if not configs:
        yield Registry(local, {}, parts)
        return
    import aiohttp  # takes longer than a look of the local models

    connector = aiohttp.TCPConnector(limit=0)  # each backend has a limit of its own
    no_timeout = aiohttp.ClientTimeout(total=None)  # and a time limit
    async with aiohttp.ClientSession(connector=connector, timeout=no_timeout) as session:
        yield registry(local, configs, session, parts, sight)


@asynccontextmanager
async def build_engine(
    settings: Settings,
    compute: Executor,
    *,
    calibration: Calibration | None = None,
    loaded: bool = True,
) -> AsyncIterator[Engine]:
    """Give the engine of a command, once the backends have shown whether they see.

    ``loaded`` as of ``build_backends``.
    """
    from ocelli.usecases.sight import SightGate
    from ocelli.wiring.sight import following_sight, sight_files, sight_subjects

    gate = SightGate(sight_subjects(settings))
    async with (
        build_backends(settings, compute, gate, loaded=loaded) as backends,
        following_sight(gate, backends, sight_files(settings), settled=True),
    ):
        yield engine_over(backends, settings, calibration)


def engine_over(
    backends: Registry, settings: Settings, calibration: Calibration | None = None
) -> Engine:
    """Return the engine over all backends, with the local models as evidence."""
    if calibration is None:
        calibration = read_calibration(settings)
    return Engine(backends, backends.local, calibration, backends.sight)


def read_calibration(settings: Settings) -> Calibration:
    """Read the calibration of ``ocelli eval --fit``; without a file it is the identity."""
    if settings.calibration is None:
        return Calibration()
    entry = json.loads(settings.calibration.read_text(encoding="utf-8"))
    levels = {level: Calibration(_knots(of)) for level, of in entry.get("levels", {}).items()}
    return Calibration(_knots(entry["knots"]), levels)


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write a file for ``read_calibration``."""
    entry = {
        "knots": calibration.knots,
        "levels": {level: each.knots for level, each in calibration.levels.items()},
    }
    path.write_text(json.dumps(entry) + "\n", encoding="utf-8")


def _knots(pairs: list[list[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in pairs)
