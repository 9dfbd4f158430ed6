"""Remove what is no longer needed. Each step may be interrupted anywhere and repeated."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocelli.domain.analysis import ANSWERS_KEPT_FOR
from ocelli.domain.errors import OcelliError
from ocelli.domain.images import StorageTarget
from ocelli.domain.webhooks import KEPT_FOR as DELIVERIES_KEPT_FOR
from ocelli.usecases.erasures import Erasures
from ocelli.usecases.idempotency import KEPT_FOR
from ocelli.usecases.responses import KEPT_FOR as RESPONSES_KEPT_FOR

if TYPE_CHECKING:
    from ocelli.domain.images import Image
    from ocelli.domain.ports_storage import Objects
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.usecases.store_resolver import StoreResolver

HOUR = 3600.0
DAY = 24 * HOUR
ABANDONED_AFTER = DAY  # longer than any upload takes
RECOVERABLE_FOR = 30 * DAY
AT_ONCE = 100
EXPORTS_KEPT_FOR = 7 * DAY
REMEMBERED_FOR = 30 * DAY
AUDIT_KEPT_FOR = 365 * DAY
REQUESTS_KEPT_FOR, REQUESTS_KEPT = 30 * DAY, 100_000  # the second: of each tenant
MOST_RETAINED = 10_000  # pictures of a run
PLANS_KEPT_FOR = 30 * DAY  # so long can it be undone what they did
FOLDERS = ("asked", "exports", "incoming", "uploads", "variants")  # of keys: folder/tenant/...

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SweepReport:
    """The numbers of removed things; ``retained`` are pictures that were kept long enough."""

    staged: int
    objects: int
    images: int
    answers: int = 0
    retained: int = 0


class Housekeeping:
    """The periodic removal; one worker runs it once an hour."""

    def __init__(
        self, database: PostgresDatabase, stores: StoreResolver, erasures: Erasures | None = None
    ) -> None:
        self._database = database
        self._stores = stores
        self._erasures = erasures or Erasures(database, stores)

    async def run(self) -> SweepReport:
        """Remove files of interrupted uploads, objects without a row, pictures deleted long ago."""
        async with self._database.transaction() as tx:
            await tx.exports.purge(older_than=EXPORTS_KEPT_FOR)  # the files become orphans
            await tx.analyses.purge(older_than=ANSWERS_KEPT_FOR)  # their pictures, too
            await tx.batches.purge(older_than=ANSWERS_KEPT_FOR)
            await tx.fetch_jobs.purge(older_than=ANSWERS_KEPT_FOR)
            await tx.responses.purge(older_than=RESPONSES_KEPT_FOR)
            await tx.answers.purge(older_than=REMEMBERED_FOR)
            await tx.organize_plans.purge(older_than=PLANS_KEPT_FOR)
            await tx.audit.purge(older_than=AUDIT_KEPT_FOR)
            await tx.request_log.purge(older_than=REQUESTS_KEPT_FOR, most=REQUESTS_KEPT)
            await tx.policies.purge(older_than=ANSWERS_KEPT_FOR)
            await tx.webhooks.purge(older_than=DELIVERIES_KEPT_FOR)
        return SweepReport(
            staged=await asyncio.to_thread(self._staged),
            objects=await self._orphans(),
            images=await self._deleted(),
            answers=await self._answers(),
            retained=await self._retained(),
        )

    async def _retained(self) -> int:
        """Erase what tenants keep no longer, tenant by tenant in turns; return how many pictures.

        What one run does not reach, the next one does.
        """
        total = 0
        while total < MOST_RETAINED and (erased := await self._erasures.retain()):
            total += erased
        return total

    async def _answers(self) -> int:
        """Remove stored answers of requests with an Idempotency-Key; return how many."""
        async with self._database.transaction() as tx:
            return await tx.idempotency.purge(older_than=KEPT_FOR)

    def _staged(self) -> int:
        removed = 0
        for file in self._stores.new_blob.folder.iterdir():
            if file.stat().st_mtime < time.time() - ABANDONED_AFTER:
                file.unlink(missing_ok=True)
                removed += 1
        return removed

    async def _orphans(self) -> int:
        """Remove objects that have had no row for a day; return how many.

        In a tenant's own bucket only those that were sent to signed URLs and never confirmed.
        """
        removed = 0
        for folder in FOLDERS:
            removed += await self._unknown(self._stores.default, folder)
        async with self._database.transaction() as tx:
            tenants = await tx.s3_configs.tenants()
        for tenant_id in tenants:
            try:
                bucket = await self._stores.of(tenant_id, StorageTarget.CUSTOM)
                removed += await self._unknown(bucket, f"incoming/{tenant_id}")
            except (OcelliError, OSError) as error:
                log.warning("the bucket of tenant %s was not swept: %s", tenant_id, error)
        return removed

    async def _unknown(self, store: Objects, folder: str) -> int:
        removed = 0
        async for keys in store.keys(under=folder, older_than=ABANDONED_AFTER):
            async with self._database.transaction() as tx:
                unknown = await tx.images.unknown(keys)
            for key in unknown:
                await store.delete(key)
            removed += len(unknown)
        return removed

    async def _deleted(self) -> int:
        """Remove deleted pictures; return how many.

        Objects go before rows: a row without objects is found again. Pictures in a bucket that
        denies access now are left for the next run.
        """
        removed = kept = 0
        while True:
            async with self._database.transaction() as tx:
                images = await tx.images.deleted(
                    older_than=RECOVERABLE_FOR, limit=AT_ONCE, skip=kept
                )
            for image in images:
                try:
                    await self._remove(image)
                except (OcelliError, OSError) as error:
                    log.warning("image %s could not be removed: %s", image.id, error)
                    kept += 1
                else:
                    removed += 1
            if len(images) < AT_ONCE:
                return removed

    async def _remove(self, image: Image) -> None:
        """Remove objects and row; the objects stay if their bucket is no longer configured."""
        store = await self._stores.find(image.tenant_id, image.storage_target)
        if store is not None:
            for key in (image.object_key, *(each.object_key for each in image.variants)):
                await store.delete(key)
        async with self._database.transaction() as tx:
            await tx.images.forget(image.id)
