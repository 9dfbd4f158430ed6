"""Describe pictures with the use cases of a server, without HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocelli.cli.main import printable
from ocelli.domain.errors import OcelliError
from ocelli.media.blob_writer import BlobWriter
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.files import Files
from ocelli.usecases.quota import Quota
from ocelli.usecases.store_resolver import StoreResolver
from ocelli.usecases.upload import Upload, UploadRequest
from ocelli.wiring.adapters import objects
from ocelli.wiring.installation import default_tenant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path
    from uuid import UUID

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.analysis import Analysis, VerificationLevel
    from ocelli.settings import Settings

IN_FLIGHT_PER_WORKER = 4
# Seconds, for a few pictures and for many: each poll costs the workers' cores some 0.1 ms.
POLL_INTERVAL, MANY_POLL_INTERVAL = 0.05, 0.25
MANY = 3


@dataclass(frozen=True)
class DescribedFile:
    """The outcome for one picture: its ``analysis``, or the ``error``."""

    path: Path
    analysis: Analysis | None = None
    error: str | None = None

    @property
    def failed(self) -> bool:
        """Whether there is no description."""
        return self.problem is not None

    @property
    def problem(self) -> str | None:
        """The error message; None if there is a description."""
        if self.analysis is not None and self.analysis.failure is not None:
            return self.analysis.failure.message
        return self.error

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of ``--json``."""
        found = self.analysis
        return {
            "file": printable(self.path),
            "status": "failed" if self.failed else "completed",
            "description": found and found.description,
            "tags": list(found.tags) if found else [],
            "visible_text": found and found.visible_text,
            "level": found and found.level,
            "looks": found.looks if found else 0,
            "dropped": [c.claim.text for c in found.claims if not c.kept] if found else [],
            "confidence": found and found.confidence and round(found.confidence, 4),
            "source": [each.source for each in found.findings] if found else [],
            "ms": found and found.processing_ms and round(found.processing_ms, 1),
            "error": self.problem,
        }


async def describe_all(
    settings: Settings,
    dsn: str,
    files: Sequence[Path],
    level: VerificationLevel,
    check: Callable[[], None],
) -> AsyncIterator[DescribedFile]:
    """Yield outcomes in the order in which they finish; a bounded number runs at a time."""
    waiting = iter(files)
    running: set[asyncio.Task[DescribedFile]] = set()
    async with PostgresDatabase(dsn, max_connections=8) as database:
        describer = _Describer(settings, database, await default_tenant(database), level)
        watcher = asyncio.create_task(describer.watch())
        try:
            while True:
                room = IN_FLIGHT_PER_WORKER * settings.workers - len(running)
                for path in _take(waiting, room):
                    running.add(asyncio.create_task(describer.describe(path)))
                if not running:
                    return
                check()
                if watcher.done():
                    watcher.result()
                done, running = await asyncio.wait(
                    running, timeout=1.0, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    yield task.result()
        finally:
            watcher.cancel()
            for task in running:
                task.cancel()


class _Describer:
    """Uploads pictures and waits for their analyses."""

    def __init__(
        self,
        settings: Settings,
        database: PostgresDatabase,
        tenant: Tenant,
        level: VerificationLevel,
    ) -> None:
        self._tenant = tenant
        self._level = level
        self._store = objects(settings)
        stores = StoreResolver(self._store)
        self._upload = Upload(database, stores, Quota(database), max_pixels=settings.max_pixels)
        self._files = Files(database, stores)
        self._max_bytes = settings.max_upload_bytes
        self._waiting: dict[UUID, asyncio.Future[Analysis]] = {}

    async def describe(self, path: Path) -> DescribedFile:
        try:
            with BlobWriter(self._store.staging, max_bytes=self._max_bytes) as staged:
                await asyncio.to_thread(_copy, path, staged)
                accepted = await self._upload.accept(
                    self._tenant,
                    staged,
                    UploadRequest(path.name, variants=False, level=self._level),
                )
            analysis = await self._final(accepted.image.id)
            await self._store.delete(accepted.image.object_key)
        except OcelliError as error:
            return DescribedFile(path, error=error.message)
        except OSError as error:
            return DescribedFile(path, error=error.strerror or str(error))
        return DescribedFile(path, analysis)

    async def _final(self, id: UUID) -> Analysis:
        self._waiting[id] = asyncio.get_running_loop().create_future()
        return await self._waiting[id]

    async def watch(self) -> None:
        """Poll for the final analyses of all waiting pictures, in one query."""
        while True:
            await asyncio.sleep(MANY_POLL_INTERVAL if len(self._waiting) > MANY else POLL_INTERVAL)
            if not self._waiting:
                continue
            for analysis in await self._files.finished(self._tenant.id, list(self._waiting)):
                if analysis.image_id in self._waiting:
                    self._waiting.pop(analysis.image_id).set_result(analysis)


def _copy(path: Path, staged: BlobWriter) -> None:
    if not path.is_file():  # opening a pipe would wait until something writes to it
        raise OSError("This is no regular file but a pipe, a socket or a device.")
    with path.open("rb") as file:
        while chunk := file.read(1024 * 1024):
            staged.write(chunk)


def _take(waiting: Iterator[Path], count: int) -> Iterator[Path]:
    for _ in range(count):
        path = next(waiting, None)
        if path is None:
            return
        yield path
