"""Ask about a picture that is kept only as long as its answer: chat, describe, verify, fetch."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from ocelli.domain.analysis import Analysis, Status, VerificationLevel, error_of
from ocelli.usecases.lookup import existing
from ocelli.usecases.waiting import wait_until

if TYPE_CHECKING:
    from uuid import UUID

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.questions import Question
    from ocelli.media.blob_writer import BlobWriter
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction
    from ocelli.usecases.quota import Quota
    from ocelli.usecases.store_resolver import StoreResolver
    from ocelli.usecases.waiting import Listen

FOLDER = "asked"


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A picture at an address."""

    url: str


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A picture of the tenant's library, by its object key."""

    object_key: str


@dataclass(frozen=True, slots=True)
class KeptSource:
    """A picture that ``keep_file`` has stored, for several questions."""

    object_key: str


Source = bytes | UrlSource | StoredSource | KeptSource


class AdHocAnalyses:
    """Analyses of pictures that are kept only as long as their answers.

    Answers are readable for ``ANSWERS_KEPT_FOR`` seconds; housekeeping removes them and their
    pictures.
    """

    def __init__(
        self,
        database: PostgresDatabase,
        stores: StoreResolver,
        quota: Quota,
        listen: Listen,
        *,
        max_bytes: int,
        max_pixels: int,
    ) -> None:
        self._database = database
        self._stores = stores
        self._quota = quota
        self._listen = listen
        self._max_bytes = max_bytes
        self._max_pixels = max_pixels

    async def keep(self, tenant: Tenant, data: bytes) -> str:
        """Store a picture; return its key.

        Raises ValidationFailed if it is no picture, TooLarge.
        """
        with self._stores.new_blob(max_bytes=self._max_bytes) as staged:
            await asyncio.to_thread(staged.write, data)
            return (await self.keep_file(tenant, staged)).object_key

    async def keep_file(self, tenant: Tenant, staged: BlobWriter) -> KeptSource:
        """Store a received file. Raises ValidationFailed if it is no picture, TooLarge."""
        if not staged.is_inspected:
            await asyncio.to_thread(staged.inspect, self._max_pixels)
        content_type = staged.header.format.content_type
        return KeptSource(await store_asked(self._stores, tenant.id, staged, content_type))

    async def place(self, tenant: Tenant, source: Source, analysis: Analysis) -> Analysis:
        """Return the analysis with its picture: stored, or with the address to fetch it from.

        Raises what ``keep`` raises, and NotFound if the tenant has no such object.
        """
        match source:
            case bytes():
                return replace(analysis, object_key=await self.keep(tenant, source))
            case UrlSource(url):
                return replace(analysis, source_url=url, name=analysis.name or url)
            case KeptSource(key):
                return replace(analysis, object_key=key)
            case StoredSource(key):
                async with self._database.transaction() as tx:
                    image = await tx.images.by_key(tenant.id, key)
                target = existing(image, "Object", key).storage_target
                return replace(analysis, object_key=key, storage_target=target, name=key)

    async def ask(
        self,
        tenant: Tenant,
        source: Source,
        question: Question,
        *,
        level: VerificationLevel = VerificationLevel.QUICK,
        urgent: bool = True,
        policy_id: UUID | None = None,
    ) -> Analysis:
        """Store the picture and enqueue the question; after this returns it will be answered.

        Raises what ``place`` raises, and UsageLimitExceeded.
        """
        analysis = await self.place(
            tenant, source, self.new(tenant, question, level, policy_id=policy_id)
        )
        async with self._database.transaction() as tx:
            await self.enqueue(tx, analysis, urgent=urgent)
            await self._quota.reserve(tx, tenant, uploads=0, descriptions=1, credits=level.looks)
        return analysis

    def new(
        self,
        tenant: Tenant,
        question: Question,
        level: VerificationLevel,
        *,
        request_id: UUID | None = None,
        position: int = 0,
        name: str | None = None,
        policy_id: UUID | None = None,
    ) -> Analysis:
        """Return a new analysis without a picture, not yet enqueued."""
        return Analysis(
            id=uuid.uuid4(),
            tenant_id=tenant.id,
            image_id=None,
            object_key="",
            level=level,
            status=Status.QUEUED,
            created_at=datetime.now(UTC),
            question=question,
            request_id=request_id,
            position=position,
            name=name,
            policy_id=policy_id,
            key_id=tenant.key_id,
        )

    async def enqueue(
        self, tx: PostgresTransaction, analysis: Analysis, *, urgent: bool = False
    ) -> None:
        """Add the job and the row, in the caller's transaction."""
        await tx.jobs.analyse(analysis, urgent=urgent)  # counts the backlog, so before the row
        await tx.analyses.add(analysis)

    async def answered(self, tenant_id: UUID, id: UUID, *, timeout: float) -> Analysis:
        """Wait at most ``timeout`` seconds for the analysis to complete, and return it.

        Raises NotInTime, or for a failed analysis ValidationFailed, InvalidImageUrl or
        ImageProcessingFailed.
        """
        analysis = await self.answer(tenant_id, id, timeout=timeout)
        error = error_of(analysis)
        if error is not None:
            raise error
        return analysis

    async def get(self, tenant_id: UUID, id: UUID) -> Analysis:
        """Return the analysis. Raises NotFound, also for one of another tenant."""
        async with self._database.transaction() as tx:
            analysis = await tx.analyses.get(tenant_id, id)
        return existing(analysis, "Analysis", id)

    async def answer(self, tenant_id: UUID, id: UUID, *, timeout: float) -> Analysis:
        """Wait at most ``timeout`` seconds for a final state; return the analysis in any state."""
        return await wait_until(
            self._listen,
            id,
            partial(self.get, tenant_id, id),
            lambda analysis: analysis.status.is_final,
            timeout=timeout,
        )


async def store_asked(
    stores: StoreResolver, tenant_id: UUID, staged: BlobWriter, content_type: str
) -> str:
    """Store a file that belongs to a question; return its key."""
    key = f"{FOLDER}/{tenant_id}/{uuid.uuid4()}"
    await stores.default.put(key, staged, content_type)
    return key
