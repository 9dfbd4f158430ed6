"""Export everything that a tenant has into a folder: lines of JSON, and the files.

The lines are of one moment. What was cut short is done by doing it again: files that are there and
whole are not copied twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from ocelli.domain.errors import StorageAccessDenied
from ocelli.domain.images import StorageTarget
from ocelli.media.blob_writer import BlobWriter
from ocelli.usecases.concurrency import bounded_map

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from ocelli.domain.accounts import Tenant
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction
    from ocelli.usecases.store_resolver import StoreResolver

FORMAT = "ocelli-tenant-export/1"
MANIFEST = "manifest.json"
COPIED_AT_ONCE = 4
LINES_AT_ONCE = 64
_READ = 1024 * 1024


class NotAnExport(Exception):
    """The target holds something else; the message says what to do."""


@dataclass(slots=True)
class ExportManifest:
    """What an export holds. ``lines`` and ``sha256`` are by file; ``missing`` are files of pictures
    that could not be copied, and why.
    """

    tenant_id: str
    tenant: str
    made_at: str
    format: str = FORMAT
    complete: bool = False
    lines: dict[str, int] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    missing: dict[str, str] = field(default_factory=dict)


class TenantExport:
    """Writes exports of tenants; memory does not grow with what they have."""

    def __init__(self, database: PostgresDatabase, stores: StoreResolver) -> None:
        self._database = database
        self._stores = stores

    async def write(self, tenant: Tenant, target: Path) -> ExportManifest:
        """Export a tenant into a folder that is new, or holds an export of the same tenant.

        Raises NotAnExport for any other folder, and what database, store and disk raise.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        manifest = ExportManifest(str(tenant.id), tenant.name, now)
        await asyncio.to_thread(_begin, target, manifest)
        async with self._database.snapshot() as tx:
            for name in tx.tenant_export.files:
                await self._write_lines(tx, tenant.id, target, name, manifest)
        for name in ("pictures", "analyses"):
            lines = _lines(target / f"{name}.jsonl")
            while some := await asyncio.to_thread(_next, lines):
                await bounded_map(
                    lambda line: self._copy(tenant.id, target, line, manifest),
                    some,
                    at_once=COPIED_AT_ONCE,
                )
        manifest.complete = True
        await asyncio.to_thread(_write_manifest, target, manifest)
        return manifest

    async def _write_lines(
        self,
        tx: PostgresTransaction,
        tenant_id: UUID,
        target: Path,
        name: str,
        manifest: ExportManifest,
    ) -> None:
        file, count = f"{name}.jsonl", 0
        with BlobWriter(target) as blob:
            async for lines in tx.tenant_export.lines(tenant_id, name):
                text = "".join(f"{line}\n" for line in lines)
                await asyncio.to_thread(blob.write, text.encode())
                count += len(lines)
            await asyncio.to_thread(blob.commit, target / file)
            manifest.lines[file], manifest.sha256[file] = count, blob.sha256

    async def _copy(
        self, tenant_id: UUID, target: Path, line: dict[str, Any], manifest: ExportManifest
    ) -> None:
        """Copy the file that a line names, unless it is there."""
        if line["file"] is None:
            return
        path, wanted = target / line["file"], line.get("sha256")
        if not await asyncio.to_thread(_is_whole, path, wanted):
            try:
                store = await self._stores.find(tenant_id, StorageTarget(line["storage_target"]))
                if store is None:
                    raise StorageAccessDenied("Its bucket is not configured any more.")
                with BlobWriter(target) as blob:
                    await store.copy_to(line["object_key"], blob.write)
                    await asyncio.to_thread(blob.commit, path)
            except (FileNotFoundError, StorageAccessDenied) as error:
                is_gone = isinstance(error, FileNotFoundError)
                manifest.missing[line["file"]] = (
                    "It is not in the store." if is_gone else str(error)
                )
                return
        manifest.files += 1
        manifest.bytes += path.stat().st_size


def _begin(target: Path, manifest: ExportManifest) -> None:
    """Make the folder, or check that it is of the same tenant; mark it as not complete."""
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = target / MANIFEST
    if known.exists():
        before = json.loads(known.read_text(encoding="utf-8"))
        if before.get("tenant_id") != manifest.tenant_id:
            raise NotAnExport(f"{target} holds an export of another tenant.")
    elif any(target.iterdir()):
        raise NotAnExport(f"{target} is not empty, and holds no export.")
    _write_manifest(target, manifest)


def _write_manifest(target: Path, manifest: ExportManifest) -> None:
    with BlobWriter(target) as blob:
        blob.write(json.dumps(asdict(manifest), indent=2, ensure_ascii=False).encode() + b"\n")
        blob.commit(target / MANIFEST)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _next(lines: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(islice(lines, LINES_AT_ONCE))


def _is_whole(path: Path, sha256: str | None) -> bool:
    if sha256 is None or not path.exists():
        return False
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_READ):
            digest.update(chunk)
    return digest.hexdigest() == sha256
