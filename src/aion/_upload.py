"""The engine behind ``upload()``: many files, few requests, every file accounted for."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aion._batch import DEFAULT_BATCH_SIZE, Slot, existing_ids, in_chunks, plan_requests
from aion._errors import is_not_offered
from aion._files import BATCH_CHUNK_SIZE, FileFailed, Reading, read_all
from aion._ledger import Ledger
from aion._retry import Window
from aion._senders import Outcome, Sender
from aion._tasks import tasks
from aion._waiting import fetch_existing
from aion._watch import Watch
from aion.exceptions import (
    AionvisionError,
    AionvisionTimeoutError,
    DescriptionError,
    QuotaExceededError,
    RateLimitError,
    UploadError,
    ValidationError,
)
from aion.types.upload import BatchUploadResults, QuotaInfo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from aion._callbacks import Callbacks
    from aion._files import Source
    from aion._http import Http

MAX_CONCURRENT_REQUESTS = 16
FILES_PER_READ = 10  # hashed in one trip to a thread


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller wants; times in seconds."""

    wait: bool
    raise_on_failure: bool
    timeout: float
    interval: float
    storage_target: str
    fields: dict[str, str]


class UploadCall:
    """One call of ``upload()``, from its files to their results.

    A few senders work side by side, as many as the server takes. A sender fetches the next group
    of files; when there is none, the next hundred files are read, hashed and looked up first. So
    disk and network overlap, and no more than a few pieces of files are in memory.
    """

    def __init__(
        self, http: Http, sources: Sequence[Source], options: Options, callbacks: Callbacks
    ) -> None:
        self._http = http = http.patient()
        self._options = options
        self._ledger = Ledger(sources, callbacks, wait=options.wait)
        self._sender = Sender(http, options.fields, options.storage_target)
        self._watch = Watch(http, self._ledger, timeout=options.timeout, interval=options.interval)
        self._unread = deque(in_chunks(self._ledger.slots, BATCH_CHUNK_SIZE))
        self._ready: deque[list[Slot]] = deque()
        self._firsts: dict[str, Slot] = {}  # hash → the first file of this call that has it
        self._preparing = asyncio.Lock()
        self._batch_size = DEFAULT_BATCH_SIZE
        self._window = Window()
        self._busy = 0
        self._room = asyncio.Condition()
        self._successes = 0
        self._lookup_offered = True
        self._fatal: AionvisionError | None = None

    async def run(self) -> BatchUploadResults:
        """Upload everything; wait for descriptions if the caller wants to."""
        slots = self._ledger.slots
        if not slots:
            return BatchUploadResults()
        stopped: AionvisionError | None = None
        try:
            async with tasks() as self._watchers:
                await self._send_all()
        except (AionvisionTimeoutError, DescriptionError) as error:
            if error is not self._fatal:
                raise  # waiting took too long, or what came of it is bad: nothing broke off
            stopped = error
        except AionvisionError as error:
            stopped = error
        if stopped:
            raise self._ledger.broken_off(stopped)
        return self._ledger.conclude(raise_on_failure=self._options.raise_on_failure)

    async def _send_all(self) -> None:
        """Raises what stopped it, after all requests under way have ended."""
        try:
            await self._ask_for_limits()
            async with tasks() as senders:
                for _ in range(min(self._window.ceiling, len(self._ledger.slots))):
                    senders.create_task(self._send_groups())
        except AionvisionError as error:
            self._fatal = self._fatal or error
        if self._fatal:
            raise self._fatal

    # --- the plan's limits -------------------------------------------------------------------

    async def _ask_for_limits(self) -> None:
        quota = await self._quota(len(self._ledger.slots))
        self._batch_size = max(1, min(quota.max_batch_size or DEFAULT_BATCH_SIZE, BATCH_CHUNK_SIZE))
        self._window.ceiling = min(
            MAX_CONCURRENT_REQUESTS, quota.max_concurrent_uploads or MAX_CONCURRENT_REQUESTS
        )
        if not quota.can_proceed:
            await self._ask_again_without_duplicates(quota)

    async def _ask_again_without_duplicates(self, quota: QuotaInfo) -> None:
        """What the server has already costs nothing: count only what is new."""
        while self._unread:
            await self._prepare(self._unread.popleft())
        new = sum(map(len, self._ready))
        if new and not (quota := await self._quota(new)).can_proceed:
            raise QuotaExceededError(
                quota.message or f"{new} files are more than the {quota.available} that are left",
                available=quota.available,
                limit=quota.monthly_limit,
            )

    async def _quota(self, count: int) -> QuotaInfo:
        try:
            params = {"file_count": count}
            answer = await self._http.json("GET", "/uploads/quota-check", params=params)
        except AionvisionError as error:
            if not is_not_offered(error):
                raise
            return QuotaInfo(can_proceed=True)
        return QuotaInfo.from_api_response(answer)

    # --- reading -----------------------------------------------------------------------------

    async def _next_group(self) -> list[Slot] | None:
        async with self._preparing:
            while not self._ready and self._unread:
                await self._prepare(self._unread.popleft())
            if not self._ready:
                return None
            group = self._ready.popleft()
            if rest := group[self._batch_size :]:
                self._ready.appendleft(rest)
            return group[: self._batch_size]

    async def _prepare(self, chunk: Sequence[Slot]) -> None:
        """Read and hash a chunk; settle what needs no sending; plan requests for the rest."""
        fresh: list[Slot] = []
        for slot, reading in zip(chunk, await _read([s.source for s in chunk]), strict=True):
            if reading.failure:
                await self._reject_file(slot, reading.failure)
                continue
            await self._ledger.read(slot, reading.size, reading.sha256)
            first = self._firsts.setdefault(reading.sha256, slot)
            if first is slot:
                fresh.append(slot)
            else:
                await self._ledger.twin(slot, first)
        self._ready += plan_requests(await self._without_existing(fresh), self._batch_size)

    async def _without_existing(self, slots: list[Slot]) -> list[Slot]:
        """Settles the files that the server has already; returns the others."""
        ids = await self._look_up([s.sha256 for s in slots])
        names = {ids[s.sha256]: s.source.filename for s in slots if s.sha256 in ids}
        results = await self._sender.again(await fetch_existing(self._http, names))
        existing = [s for s in slots if ids.get(s.sha256) in results]
        for slot in existing:
            await self._ledger.arrived(slot, results[ids[slot.sha256]])
        self._wait_for(existing)
        return [s for s in slots if not s.arrived]

    async def _look_up(self, hashes: list[str]) -> dict[str, str]:
        if not hashes or not self._lookup_offered:
            return {}
        try:
            body = {"hashes": hashes}
            return existing_ids(
                await self._http.json("POST", "/uploads/check-duplicates", json=body)
            )
        except AionvisionError as error:
            if not is_not_offered(error):
                raise
            self._lookup_offered = False
            return {}

    # --- sending -----------------------------------------------------------------------------

    async def _send_groups(self) -> None:
        while not self._fatal:
            async with self._turn():
                try:
                    group = await self._next_group()
                    if group is None:
                        return
                    await self._send(group)
                except AionvisionError as error:
                    self._fatal = self._fatal or error

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        async with self._room:
            await self._room.wait_for(lambda: self._busy < self._window.size)
            self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            async with self._room:
                self._room.notify_all()

    async def _send(self, group: list[Slot]) -> None:
        successes, complaints = self._successes, self._http.complaints
        try:
            outcome = await self._sender.send(group)
        except FileFailed as failed:
            await self._send_without(group, failed)
        except RateLimitError:
            if self._busy == 1 and self._successes == successes:
                raise  # no other request is running, and still this one is rejected
            self._ready.append(group)
        except (ValidationError, UploadError) as error:
            await self._refused(group, error)
        except AionvisionError as error:
            if len(group) == 1 or not is_not_offered(error):
                raise
            self._batch_size = 1  # a server that takes files one by one only
            self._ready.appendleft(group)
        else:
            self._successes += 1
            await self._note(outcome)
        self._window.adjust(overloaded=self._http.complaints > complaints)

    async def _send_without(self, group: list[Slot], failed: FileFailed) -> None:
        """One file changed on disk: it fails, the others are sent again."""
        rest = []
        for slot in group:
            if slot.source is failed.source:
                await self._reject_file(slot, failed.reason)
            else:
                rest.append(slot)
        if rest:
            self._ready.append(rest)

    async def _refused(self, group: list[Slot], error: AionvisionError) -> None:
        """The server does not want this request: halve it, or find out which file it is."""
        if error.details.get("field") in (*self._options.fields, "storage_target"):
            raise error
        if not isinstance(error.__cause__ or error, ValidationError):
            raise error
        if len(group) > 1:
            if error.details.get("status") != 413:
                raise error
            middle = len(group) // 2
            self._ready += [group[:middle], group[middle:]]
            return
        await self._ledger.rejected(group[0], error)

    async def _reject_file(self, slot: Slot, reason: str) -> None:
        name = str(slot.source.path or slot.source.filename)
        await self._ledger.rejected(slot, UploadError(reason, filename=name, stage="upload"))

    async def _note(self, outcome: Outcome) -> None:
        if outcome.session_id:
            self._ledger.session_id = outcome.session_id
        for slot, refusal in outcome.refused:
            await self._ledger.rejected(
                slot, refusal.cause, kind=refusal.kind, retryable=refusal.retryable
            )
        for slot, result in outcome.arrived:
            await self._ledger.arrived(slot, result)
        self._wait_for([slot for slot, _ in outcome.arrived], outcome.session_id)

    def _wait_for(self, slots: list[Slot], session_id: str | None = None) -> None:
        pending = [s for s in slots if s.result and s.result.is_pending]
        if not self._options.wait or not pending:
            return
        if session_id:
            self._watchers.create_task(self._watch.session(session_id, pending))
        elif self._watch.add(pending):
            self._watchers.create_task(self._watch.files())


async def _read(sources: list[Source]) -> list[Reading]:
    """Read files in a few threads; a cancelled call does not leave them reading."""
    abandoned = threading.Event()
    try:
        parts = await asyncio.gather(
            *(
                asyncio.to_thread(read_all, part, abandoned)
                for part in in_chunks(sources, FILES_PER_READ)
            )
        )
    finally:
        abandoned.set()
    return [reading for part in parts for reading in part]
