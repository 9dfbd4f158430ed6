"""Ask about a picture that is kept only as long as its answer: chat, describe, verify, fetch."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ocelli.domain.analysis import Analysis, Status, VerificationLevel
from ocelli.domain.errors import (
    FailureType,
    ImageProcessingFailed,
    InvalidImageUrl,
    NotFound,
    NotInTime,
    ValidationFailed,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from uuid import UUID

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.questions import Question
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction
    from ocelli.usecases.quota import Quota
    from ocelli.usecases.store_resolver import StoreResolver

    Listen = Callable[[UUID], AbstractAsyncContextManager[asyncio.Event]]

FOLDER = "asked"
KEPT_FOR = 24 * 3600.0
LOOK_AGAIN = 2.0


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A picture somewhere else."""

    url: str


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A picture of the tenant's library, by its object key."""

    object_key: str


Source = bytes | UrlSource | StoredSource


class AdHocAnalyses:
    """Pictures that belong to a question, not to a library.

    Answers are readable for ``KEPT_FOR`` seconds; housekeeping removes them and their pictures.
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
        """Store a picture; its key. Raises ValidationFailed if it is none, TooLarge."""
        with self._stores.new_blob(max_bytes=self._max_bytes) as staged:
            await asyncio.to_thread(staged.write, data)
            await asyncio.to_thread(staged.inspect, self._max_pixels)
            key = f"{FOLDER}/{tenant.id}/{uuid.uuid4()}"
            await self._stores.default.put(key, staged, staged.header.format.content_type)
        return key

    async def place(self, tenant: Tenant, source: Source, analysis: Analysis) -> Analysis:
        """The analysis with its picture: stored, or with the address to fetch it from.

        Raises what ``keep`` raises, and NotFound for an object that the tenant does not have.
        """
        match source:
            case bytes():
                return replace(analysis, object_key=await self.keep(tenant, source))
            case UrlSource(url):
                return replace(analysis, source_url=url, name=analysis.name or url)
            case StoredSource(key):
                async with self._database.transaction() as tx:
                    image = await tx.images.by_key(tenant.id, key)
                if image is None:
                    raise NotFound("Object", key)
                return replace(
                    analysis, object_key=key, storage_target=image.storage_target, name=key
                )

    async def ask(
        self,
        tenant: Tenant,
        source: Source,
        question: Question,
        *,
        level: VerificationLevel = VerificationLevel.QUICK,
        urgent: bool = True,
    ) -> Analysis:
        """Keep the picture and enqueue the question: once this returns, it will be answered.

        Raises what ``place`` raises, and UsageLimitExceeded.
        """
        analysis = await self.place(tenant, source, self.new(tenant, question, level))
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
    ) -> Analysis:
        """One that has no picture yet and is not enqueued."""
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
        )

    async def enqueue(
        self, tx: PostgresTransaction, analysis: Analysis, *, urgent: bool = False
    ) -> None:
        """The job and the row, in the caller's transaction."""
        await tx.jobs.analyse(analysis, urgent=urgent)  # counts the backlog, so before the row
        await tx.analyses.add(analysis)

    async def answered(self, tenant_id: UUID, id: UUID, *, timeout: float) -> Analysis:
        """The completed analysis.

        Raises NotInTime, or as what the analysis failed: ValidationFailed, InvalidImageUrl,
        ImageProcessingFailed.
        """
        analysis = await self.answer(tenant_id, id, timeout=timeout)
        if not analysis.status.is_final:
            raise NotInTime("There is no answer yet. Ask the same again in a few seconds.")
        failure = analysis.failure
        if failure is None:
            return analysis
        if failure.type is not FailureType.VALIDATION:
            raise ImageProcessingFailed(
                failure.message, type=failure.type, retryable=failure.retryable
            )
        if analysis.source_url is not None:
            raise InvalidImageUrl(failure.message)
        raise ValidationFailed(failure.message, field="image")

    async def get(self, tenant_id: UUID, id: UUID) -> Analysis:
        """Raises NotFound, also for another tenant's."""
        async with self._database.transaction() as tx:
            analysis = await tx.analyses.get(tenant_id, id)
        if analysis is None:
            raise NotFound("Analysis", str(id))
        return analysis

    async def answer(self, tenant_id: UUID, id: UUID, *, timeout: float) -> Analysis:
        """Wait until it is final, at most ``timeout`` seconds; as it is then, final or not."""
        async with self._listen(id) as changed:
            deadline = asyncio.get_running_loop().time() + timeout
            while True:
                changed.clear()
                analysis = await self.get(tenant_id, id)
                left = deadline - asyncio.get_running_loop().time()
                if analysis.status.is_final or left <= 0:
                    return analysis
                try:
                    async with asyncio.timeout(min(left, LOOK_AGAIN)):
                        await changed.wait()
                except TimeoutError:
                    continue  # a lost notification costs a moment, not the answer
