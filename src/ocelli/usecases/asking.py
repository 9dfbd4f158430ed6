"""Ask about a picture that is kept only as long as its answer: chat, describe, verify, fetch."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ocelli.domain.analysis import Analysis, Level, Status
from ocelli.domain.errors import NotFound
from ocelli.media.header import read_header
from ocelli.usecases.staging import StagedFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from uuid import UUID

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.ports import Database, Transaction
    from ocelli.domain.questions import Question
    from ocelli.usecases.quota import Quota
    from ocelli.usecases.stores import Stores

    Listen = Callable[[UUID], AbstractAsyncContextManager[asyncio.Event]]

FOLDER = "asked"
KEPT_FOR = 24 * 3600.0
LOOK_AGAIN = 2.0


class Asking:
    """Pictures that belong to a question, not to a library.

    Answers are readable for ``KEPT_FOR`` seconds; housekeeping removes them and their pictures.
    """

    def __init__(
        self,
        database: Database,
        stores: Stores,
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
        with StagedFile(self._stores.staging, max_bytes=self._max_bytes) as staged:
            await asyncio.to_thread(staged.write, data)
            staged.close()
            header = await asyncio.to_thread(read_header, staged.path, max_pixels=self._max_pixels)
            key = f"{FOLDER}/{tenant.id}/{uuid.uuid4()}"
            await self._stores.default.put(key, staged.path, header.format.content_type)
        return key

    async def ask(
        self,
        tenant: Tenant,
        picture: bytes,
        question: Question,
        *,
        level: Level = Level.QUICK,
        urgent: bool = True,
    ) -> Analysis:
        """Keep the picture and enqueue the question: once this returns, it will be answered.

        Raises what ``keep`` raises, and UsageLimitExceeded.
        """
        analysis = self.new(tenant, question, level, object_key=await self.keep(tenant, picture))
        async with self._database.transaction() as tx:
            await self.enqueue(tx, analysis, urgent=urgent)
            await self._quota.reserve(tx, tenant, uploads=0, descriptions=1, credits=level.looks)
        return analysis

    def new(
        self,
        tenant: Tenant,
        question: Question,
        level: Level,
        *,
        object_key: str = "",
        source_url: str | None = None,
        request_id: UUID | None = None,
        position: int = 0,
        name: str | None = None,
    ) -> Analysis:
        """One that is not enqueued yet."""
        return Analysis(
            id=uuid.uuid4(),
            tenant_id=tenant.id,
            image_id=None,
            object_key=object_key,
            level=level,
            status=Status.QUEUED,
            created_at=datetime.now(UTC),
            question=question,
            source_url=source_url,
            request_id=request_id,
            position=position,
            name=name,
        )

    async def enqueue(self, tx: Transaction, analysis: Analysis, *, urgent: bool = False) -> None:
        """The job and the row, in the caller's transaction."""
        await tx.jobs.analyse(analysis, urgent=urgent)  # counts the backlog, so before the row
        await tx.analyses.add(analysis)

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
