"""Erase pictures and tenants for good, on request or by retention.

An erasure is a row before anything is erased, and complete when all of it is: a process that dies
in between leaves the rest to the next. Each step may be done twice.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING

from ocelli.domain.analysis import Failure
from ocelli.domain.audit import Actor, AuditEvent, AuditType
from ocelli.domain.erasures import (
    MAX_PICTURES,
    OPERATOR,
    RETENTION,
    Erasure,
    ErasureKind,
    ErasureReason,
)
from ocelli.domain.errors import (
    FailureType,
    NotFound,
    OcelliError,
    StorageAccessDenied,
    Unavailable,
)
from ocelli.domain.images import StorageTarget, VariantType
from ocelli.usecases.analyse import fail_analysis
from ocelli.usecases.concurrency import bounded_map
from ocelli.usecases.files import variant_key
from ocelli.usecases.lookup import existing, parse_id

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from uuid import UUID

    from ocelli.domain.accounts import ApiKey
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction
    from ocelli.usecases.store_resolver import StoreResolver

    OnErased = Callable[[ErasureReason, int], None]

FOLDERS = ("asked", "exports", "incoming", "installation", "uploads", "variants")  # of keys
OBJECTS_AT_ONCE = 8
OPEN_AT_ONCE = 20
POLL_INTERVAL = 30.0  # seconds
DUE_AT_ONCE = 1000
_JUST_NOW = -60.0  # seconds; the clocks of stores differ from ours
_ERASED = Failure(FailureType.UNKNOWN, "The picture was erased.", retryable=False)

log = logging.getLogger(__name__)


class Erasures:
    """Use cases around erasure. ``on_erased`` is told how many pictures are gone, and why."""

    def __init__(
        self,
        database: PostgresDatabase,
        stores: StoreResolver,
        on_erased: OnErased = lambda *_: None,
    ) -> None:
        self._database = database
        self._stores = stores
        self._on_erased = on_erased

    async def erase_pictures(
        self, by: ApiKey, ids: Sequence[str], address: str | None = None
    ) -> Erasure:
        """Erase pictures, also deleted ones; return the receipt.

        It is not complete yet if a store does not answer: that is tried again. Raises NotFound for
        an id that is no picture of the tenant; then none is erased.
        """
        tenant_id = by.tenant.id
        erasure = _erasure(
            tenant_id, [parse_id("File", id) for id in dict.fromkeys(ids)], f"key:{by.id}"
        )
        async with self._database.transaction() as tx:
            await _begin(tx, erasure, Actor.of(by, address))
        return await self._attempt(erasure)

    async def erase_tenant(self, name: str) -> Erasure | None:
        """Erase a tenant with all that it has, for the operator; None without one of that name.

        Its keys end first. What was begun before is gone on with. Raises what stores raise.
        """
        async with self._database.transaction() as tx:
            tenant = await tx.accounts.tenant(name)
            if tenant is None:
                return None
            open_ones = await tx.erasures.open(limit=10_000)
            begun = [each for each in open_ones if _is_of(each, tenant.id)]
            erasure = begun[0] if begun else _tenant_erasure(tenant.id)
            await tx.erasures.add(erasure)
            await tx.erasing.revoke_keys(tenant.id)
        return await self.carry_out(erasure)

    async def get(self, tenant_id: UUID, id: str) -> Erasure:
        """Return an erasure. Raises NotFound."""
        async with self._database.autocommit() as tx:
            return existing(
                await tx.erasures.get(tenant_id, parse_id("Erasure", id)), "Erasure", id
            )

    async def page(
        self, tenant_id: UUID, *, limit: int, offset: int
    ) -> tuple[Sequence[Erasure], int]:
        """Return a page of a tenant's erasures, the newest first, and the number of all."""
        async with self._database.snapshot() as tx:
            return await tx.erasures.page(tenant_id, limit=limit, offset=offset)

    async def run(self, stop: asyncio.Event) -> None:
        """Carry out what was begun elsewhere and not ended, until ``stop`` is set."""
        while not stop.is_set():
            try:
                await self.catch_up()
            except Exception as error:  # the next round tries again
                log.warning(
                    "erasures: %s", error if isinstance(error, Unavailable) else repr(error)
                )
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), POLL_INTERVAL)

    async def catch_up(self) -> int:
        """Carry out erasures that were begun and are not complete; return how many now are.

        Each is tried: one whose store does not answer keeps no other waiting for ever.
        """
        completed, last = 0, None
        while True:
            async with self._database.autocommit() as tx:
                page = await tx.erasures.open(limit=OPEN_AT_ONCE, after=last)
            if not page:
                return completed
            for last in page:
                completed += (await self._attempt(last)).completed_at is not None

    async def retain(self) -> int:
        """Erase what is older than its tenant keeps it; return the number of pictures.

        At most a thousand of each pass, and a hundred of each tenant before another's.
        """
        async with self._database.transaction() as tx:
            await tx.erasures.purge_by_retention()
            due = await tx.erasures.due_pictures(limit=DUE_AT_ONCE, of_one_tenant=MAX_PICTURES)
        erased = 0
        for tenant_id, rows in groupby(sorted(due), key=lambda row: row[0]):
            ids = [id for _, id in rows]
            erasure = replace(_erasure(tenant_id, ids, RETENTION), reason=ErasureReason.RETENTION)
            try:
                async with self._database.transaction() as tx:
                    await _begin(tx, erasure, Actor(tenant_id))
            except NotFound:  # a picture was erased meanwhile
                continue
            await self._attempt(erasure)
            erased += len(ids)
        return erased

    async def reapply(self, receipts: Iterable[Erasure]) -> int:
        """Erase again what a restore has brought back, by the receipts; return how many counted.

        All of it is out of sight, and will be erased, once the first transaction has ended. Raises
        what the stores raise.
        """
        again = []
        async with self._database.transaction() as tx:
            for each in receipts:
                back = await tx.erasing.is_there(each.tenant_id, each.image_ids)
                erasure = replace(each, completed_at=None, counts={}) if back else each
                if not await tx.erasures.add(erasure) or not back:
                    continue
                again.append(erasure)
                if each.kind is ErasureKind.TENANT:
                    await tx.erasing.revoke_keys(each.tenant_id)
                await _hide(tx, each.tenant_id, each.image_ids)
        for erasure in again:
            await self.carry_out(erasure)
        return len(again)

    async def _attempt(self, erasure: Erasure) -> Erasure:
        """Carry out an erasure; if that is not possible now, it stays open."""
        try:
            return await self.carry_out(erasure)
        except (OcelliError, OSError) as error:
            log.warning("erasure %s waits: %s", erasure.id, error)
            return erasure

    async def carry_out(self, erasure: Erasure) -> Erasure:
        """Erase what is still there, and return the receipt. Raises what the stores raise."""
        if erasure.kind is ErasureKind.TENANT:
            return await self._erase_tenant(erasure)
        return await self._erase_pictures(erasure)

    async def _erase_pictures(self, erasure: Erasure) -> Erasure:
        """Objects go first: without rows they could not be found again."""
        tenant_id, ids = erasure.tenant_id, erasure.image_ids
        removed: set[tuple[str, StorageTarget]] = set()
        left = 0
        while True:
            async with self._database.transaction() as tx:
                if await tx.erasures.lock(erasure.id) is None:
                    return existing(
                        await tx.erasures.get(tenant_id, erasure.id), "Erasure", erasure.id
                    )
                found = {(o.key, o.target) for o in await tx.erasing.objects(tenant_id, ids)}
                if found <= removed:
                    await tx.erasures.wait_for_writers(tenant_id)
                    for analysis in await tx.erasing.unfinished(ids):
                        await fail_analysis(tx, analysis, _ERASED)
                    counts = await tx.erasing.pictures(tenant_id, ids)
                    counts |= {"objects": len(removed) - left, "objects_left": left}
                    await tx.erasures.count(erasure.id, counts)
                    receipt = await tx.erasures.complete(erasure.id)
                    break
            new = found - removed
            for target in StorageTarget:
                left += await self._remove(
                    tenant_id, target, [key for key, where in new if where is target]
                )
            removed |= new
            await self._remove_unrecorded(tenant_id, ids)
        self._on_erased(erasure.reason, counts["pictures"])
        return receipt

    async def _remove_unrecorded(self, tenant_id: UUID, ids: Sequence[UUID]) -> None:
        """Remove variants that were stored by a worker that died before their rows were."""
        keys = [
            variant_key(tenant_id, id, type)
            for id in ids
            for type in VariantType
            if type is not VariantType.ORIGINAL
        ]
        await self._remove(tenant_id, StorageTarget.DEFAULT, keys)

    async def _erase_tenant(self, erasure: Erasure) -> Erasure:
        tenant_id = erasure.tenant_id
        async with self._database.autocommit() as tx:
            custom = await tx.erasing.custom_objects(tenant_id)
        left = await self._remove(tenant_id, StorageTarget.CUSTOM, custom)
        bucket = {"bucket_objects": len(custom) - left, "objects_left": left}
        await self._sweep(erasure)
        while True:
            async with self._database.transaction() as tx:
                locked = await tx.erasures.lock(erasure.id)
                if locked is None:
                    return existing(
                        await tx.erasures.get(tenant_id, erasure.id), "Erasure", erasure.id
                    )
                if (
                    not bucket.keys() & locked.counts.keys()
                ):  # a run that was cut short counted them
                    await tx.erasures.count(erasure.id, bucket)
                ids = await tx.erasing.ids_of(tenant_id, limit=MAX_PICTURES)
                if not ids:
                    await tx.erasures.count(erasure.id, await tx.erasing.tenant(tenant_id))
                    break
                counts = await tx.erasing.some_of_tenant(tenant_id, ids)
                await tx.erasures.count(erasure.id, counts)
            self._on_erased(erasure.reason, counts["pictures"])
        # What came in the meantime has no rows: those would need their tenant's.
        await self._sweep(erasure)
        async with self._database.transaction() as tx:
            return await tx.erasures.complete(erasure.id)

    async def _sweep(self, erasure: Erasure) -> None:
        """Remove all objects of a tenant in the installation's store, and count them."""
        store = self._stores.default
        for folder in FOLDERS:
            under = f"{folder}/{erasure.tenant_id}"
            async for keys in store.keys(under=under, older_than=_JUST_NOW):
                await bounded_map(store.delete, keys, at_once=OBJECTS_AT_ONCE)
                async with self._database.autocommit() as tx:
                    await tx.erasures.count(erasure.id, {"objects": len(keys)})
        await store.delete(f"installation/{erasure.tenant_id}")

    async def _remove(self, tenant_id: UUID, target: StorageTarget, keys: Collection[str]) -> int:
        """Remove objects; return how many are left, as the tenant's own bucket denies access."""
        if not keys:
            return 0
        try:
            store = await self._stores.find(tenant_id, target)
            if store is None:
                return len(keys)
            await bounded_map(store.delete, list(keys), at_once=OBJECTS_AT_ONCE)
        except StorageAccessDenied as error:
            if target is StorageTarget.DEFAULT:
                raise
            log.warning("objects of tenant %s stay in its bucket: %s", tenant_id, error)
            return len(keys)
        return 0


def _erasure(tenant_id: UUID, ids: Sequence[UUID], by: str) -> Erasure:
    return Erasure(
        uuid.uuid4(), tenant_id, ErasureKind.PICTURES, ids, ErasureReason.REQUEST, by,
        datetime.now(UTC),
    )  # fmt: skip


def _tenant_erasure(tenant_id: UUID) -> Erasure:
    return replace(_erasure(tenant_id, (), OPERATOR), kind=ErasureKind.TENANT)


def _is_of(erasure: Erasure, tenant_id: UUID) -> bool:
    return erasure.kind is ErasureKind.TENANT and erasure.tenant_id == tenant_id


async def _begin(tx: PostgresTransaction, erasure: Erasure, by: Actor) -> None:
    """Store an erasure, and take its pictures out of sight. Raises NotFound."""
    for id in await _hide(tx, erasure.tenant_id, erasure.image_ids):
        raise NotFound("File", str(id))
    await tx.erasures.add(erasure)
    told = {"pictures": len(erasure.image_ids), "reason": erasure.reason.value}
    await tx.audit.add(AuditEvent(by, AuditType.DATA_ERASED, ("erasure", str(erasure.id)), told))


async def _hide(tx: PostgresTransaction, tenant_id: UUID, ids: Iterable[UUID]) -> list[UUID]:
    """Mark pictures as deleted that are not yet; return the ids that are none of the tenant's.

    Pictures are locked in the order of their ids and before the tenant, as wherever they change.
    """
    freed, unknown = 0, []
    for id in sorted(ids):
        image = await tx.images.find(id)
        if image is None or image.tenant_id != tenant_id:
            unknown.append(id)
        elif await tx.images.delete(tenant_id, id) is not None:
            freed += image.size_bytes
    if freed:
        await tx.usage.free(tenant_id, freed)
    return unknown
