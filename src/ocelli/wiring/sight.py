"""The composition of the sight test: who is tested, and where results are remembered."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from ocelli import __version__
from ocelli.backends.local.runtime import cache_folder
from ocelli.backends.providers import BACKENDS
from ocelli.domain.sight import VERSION
from ocelli.storage.sight_files import SightFiles
from ocelli.usecases.sight import SightGate, SightSubject
from ocelli.wiring.backends import chat_configs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ocelli.backends.config import BackendConfig
    from ocelli.backends.registry import Registry
    from ocelli.settings import Settings
    from ocelli.usecases.sight import SightStore


def sight_subjects(settings: Settings) -> list[SightSubject]:
    """Return the backends of the settings that can be asked, in their order."""
    from ocelli.backends.config import BackendConfig

    return [
        SightSubject(each.name, _key(each), each.sight_test, each.breaker_failures)
        for each in chat_configs(settings)
        if isinstance(each, BackendConfig)
    ]


def sight_files(settings: Settings) -> SightFiles:
    """Return what is remembered without a database."""
    return SightFiles((settings.cache or cache_folder()) / "sight")


@asynccontextmanager
async def sight_store(settings: Settings) -> AsyncIterator[SightStore]:
    """Give what a server on this installation remembers; without one, the files of commands."""
    # Commands without a database import this module, too: these take 0.3 s of each of them.
    from ocelli.storage.embedded import EmbeddedPostgres
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.storage.postgres.schema import missing
    from ocelli.storage.postgres.sight import PostgresSight

    postgres = EmbeddedPostgres(settings.data / "postgres")
    dsn = postgres.dsn if postgres.exists and postgres.runs_elsewhere else None
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()
    if dsn is None or await asyncio.to_thread(missing, dsn) != []:
        yield sight_files(settings)
        return
    async with PostgresDatabase(dsn, max_connections=1) as database:
        yield PostgresSight(database)


@asynccontextmanager
async def following_sight(
    gate: SightGate, backends: Registry, store: SightStore, *, settled: bool = False
) -> AsyncIterator[None]:
    """Test the backends, and follow their tests elsewhere, for the length of the block.

    ``settled``: it begins once each has a result, or could not be asked.
    """
    if not gate.has_tests:
        yield
        return
    if settled:
        await gate.settle(store, backends.configured)
    running = asyncio.create_task(gate.run(store, backends.configured), name="sight")
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait({running})


def _key(config: BackendConfig) -> str:
    """Of server, model and version: that of the package whose code asks it, and of the test."""
    entries = entry_points(group=BACKENDS, name=config.provider.kind)
    package = next((each.dist.version for each in entries if each.dist), __version__)
    return f"{VERSION}:{package}:{config.identity}"
