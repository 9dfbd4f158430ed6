"""Load the picture of an analysis: from a store, an address, or a video of many frames."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from ocelli.domain.analysis import Status
from ocelli.domain.errors import AnalysisFailed, FailureType, OcelliError
from ocelli.domain.fetch_jobs import InsufficientCredits, is_video_page
from ocelli.media.sniff import HEAD_BYTES, is_video
from ocelli.usecases.adhoc import store_asked
from ocelli.usecases.fetch_jobs import positions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.ports_fetch import Fetcher, Frame, VideoPages, Videos
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.usecases.decoders import DecoderPool
    from ocelli.usecases.store_resolver import StoreResolver


class ImageLoader:
    """Loads pictures in workers."""

    def __init__(
        self,
        database: PostgresDatabase,
        stores: StoreResolver,
        fetcher: Fetcher,
        videos: Videos,
        pages: VideoPages,
        decoders: DecoderPool,
        *,
        max_bytes: int,
    ) -> None:
        self._database = database
        self._stores = stores
        self._fetcher = fetcher
        self._videos = videos
        self._pages = pages
        self._decoders = decoders
        self._max_bytes = max_bytes

    async def open(self, analysis: Analysis) -> bytes | None:
        """Return the picture; None for a video, whose frames become analyses of their own.

        Raises AnalysisFailed and what the store raises.
        """
        if analysis.object_key:
            store = await self._stores.store_of(analysis)
            data = await store.read(analysis.object_key)
        else:
            data = await self._fetch(analysis)
        if not is_video(data[:HEAD_BYTES]) or not await self._is_of_request(analysis):
            return data
        await self._expand(analysis, data)
        return None

    async def _is_of_request(self, analysis: Analysis) -> bool:
        """Return whether it belongs to a fetch job: only those have room for several frames."""
        if analysis.request_id is None:
            return False
        async with self._database.autocommit() as tx:
            return await tx.fetch_jobs.exists(analysis.request_id)

    async def _fetch(self, analysis: Analysis) -> bytes:
        """Fetch the address. Failures are final: only the client repeats a fetch."""
        url = analysis.source_url or ""
        try:
            if is_video_page(url) and await self._is_of_request(analysis):
                return await self._pages.download(url)
            return (await self._fetcher.get(url, videos=analysis.request_id is not None)).data
        except OcelliError as error:
            raise AnalysisFailed(FailureType.VALIDATION, error.message, retryable=False) from error

    async def _store(self, analysis: Analysis, data: bytes) -> str:
        with self._stores.new_blob(max_bytes=self._max_bytes) as staged:
            await asyncio.to_thread(staged.write, data)
            return await store_asked(
                self._stores, analysis.tenant_id, staged, "application/octet-stream"
            )

    async def _expand(self, video: Analysis, data: bytes) -> None:
        """Store frames as they are decoded, then add their rows and jobs in one commit.

        A second run finds the video skipped, or leaves objects for housekeeping.
        """
        assert video.request_id is not None
        async with self._database.transaction() as tx:
            request = await tx.fetch_jobs.lock(video.request_id)
        if request is None:
            return
        frames = self._videos.frames(
            data, interval=request.parameters.interval, max_frames=request.parameters.max_frames
        )
        found: list[Analysis] = []
        async with self._decoders.room(video.tenant_id, self._videos.memory):
            while (frame := await self._next(video.tenant_id, frames)) is not None:
                key = await self._store(video, frame.data)
                found.append(_of_frame(video, frame, len(found) + 1, key))
        async with self._database.transaction() as tx:
            if await tx.fetch_jobs.lock(request.id) is None or not await tx.analyses.skip(video.id):
                return
            await tx.analyses.add(*found)
            await tx.jobs.analyse(*found, positions=positions(0, len(found)))
            more = request.plan.cost * (
                len(found) - request.parameters.frames_expected(video.source_url)
            )
            if more > 0:
                await tx.fetch_jobs.reserve(request.id, more)
                if not await tx.credits.take(request.tenant_id, more):
                    raise AnalysisFailed(
                        FailureType.VALIDATION, InsufficientCredits().message, retryable=False
                    )

    async def _next(self, tenant_id: UUID, frames: Iterator[Frame]) -> Frame | None:
        return await self._decoders.step(tenant_id, lambda: next(frames, None))


def _of_frame(video: Analysis, frame: Frame, number: int, key: str) -> Analysis:
    return replace(
        video,
        id=uuid.uuid4(),
        status=Status.QUEUED,
        object_key=key,
        source_url=None,
        position=video.position + number,
        name=f"{video.name}#t={frame.seconds:g}",
        started_at=None,
        attempts=0,
    )
