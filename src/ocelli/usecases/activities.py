"""What a tenant asked for that takes a while: see it, end it, repeat what failed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocelli.domain.activities import ActivityKind
from ocelli.domain.file_query import FileQuery
from ocelli.usecases.lookup import existing, parse_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.activities import Activity, FailedPicture
    from ocelli.domain.analysis import Analysis
    from ocelli.domain.paging import PageRequest
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.usecases.batches import Batches
    from ocelli.usecases.fetch_jobs import FetchJobs
    from ocelli.usecases.redescribe import Redescribe
    from ocelli.usecases.upload_sessions import Sessions

FAILURES = 200  # of those that are listed
REPEATED_AT_ONCE = 10_000
_NAMES = {
    ActivityKind.SESSION: "Session",
    ActivityKind.BATCH: "Batch",
    ActivityKind.REQUEST: "Request",
}


@dataclass(frozen=True, slots=True)
class ActivityDetails:
    """An activity, its first failures, how many there are, and how many can be repeated."""

    activity: Activity
    failures: Sequence[FailedPicture]
    failed: int
    repeatable: int


class Activities:
    """Use cases around sessions, batches and fetch jobs; each raises NotFound for an unknown id."""

    def __init__(
        self,
        database: PostgresDatabase,
        sessions: Sessions,
        batches: Batches,
        fetch_jobs: FetchJobs,
        redescribe: Redescribe,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._batches = batches
        self._fetch_jobs = fetch_jobs
        self._redescribe = redescribe

    async def page(self, tenant_id: UUID, page: PageRequest) -> tuple[Sequence[Activity], bool]:
        """Return a page, newest first, and if others follow; keys are (created_at, id)."""
        async with self._database.autocommit() as tx:
            return page.cut(await tx.activities.page(tenant_id, page))

    async def details(self, tenant_id: UUID, kind: ActivityKind, id: str) -> ActivityDetails:
        """Return one with its failures."""
        activity = await self._get(tenant_id, kind, id)
        async with self._database.autocommit() as tx:
            failures, failed = await tx.activities.failures(activity, limit=FAILURES)
            repeatable = await tx.activities.to_repeat(activity, limit=REPEATED_AT_ONCE)
        return ActivityDetails(activity, failures, failed, len(repeatable))

    async def cancel(self, tenant_id: UUID, kind: ActivityKind, id: str) -> None:
        """End what has not begun. Raises NotCancellable if that is nothing."""
        activity = await self._get(tenant_id, kind, id)
        if kind is ActivityKind.SESSION:
            await self._sessions.cancel(tenant_id, id)
        elif kind is ActivityKind.BATCH:
            await self._batches.cancel(tenant_id, id)
        else:
            await self._fetch_jobs.cancel(tenant_id, activity.id)

    async def repeat(self, tenant: Tenant, kind: ActivityKind, id: str) -> int:
        """Ask again about pictures of the library that have failed, as they were asked about.

        Returns how many. Raises UsageLimitExceeded.
        """
        activity = await self._get(tenant.id, kind, id)
        async with self._database.autocommit() as tx:
            failed = await tx.activities.to_repeat(activity, limit=REPEATED_AT_ONCE)
        alike: dict[object, list[Analysis]] = defaultdict(list)
        for each in failed:
            alike[each.question, each.level, each.policy_id].append(each)
        count = 0
        for several in alike.values():
            first = several[0]
            done = await self._redescribe.matching(
                tenant,
                FileQuery(ids=tuple(each.image_id for each in several if each.image_id)),
                first.question,
                first.level,
                policy_id=first.policy_id,
            )
            count += done.state.batch.total
        return count

    async def _get(self, tenant_id: UUID, kind: ActivityKind, id: str) -> Activity:
        async with self._database.autocommit() as tx:
            found = await tx.activities.get(tenant_id, kind, parse_id(_NAMES[kind], id))
        return existing(found, _NAMES[kind], id)
