"""Look at pictures again, thoroughly, before they are spoken of."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.file_query import FileQuery
from ocelli.domain.questions import Question
from ocelli.usecases.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.images import Image
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.usecases.batches import Batches, BatchState
    from ocelli.usecases.redescribe import Redescribe
    from ocelli.usecases.waiting import Listen

AT_MOST = 4  # pictures of one message: each costs the looks of a thorough description


class LookAgain:
    """Describes pictures again, and waits for it at most ``timeout`` seconds."""

    def __init__(
        self,
        database: PostgresDatabase,
        redescribe: Redescribe,
        batches: Batches,
        listen: Listen,
        *,
        timeout: float,
    ) -> None:
        self._database = database
        self._redescribe = redescribe
        self._batches = batches
        self._listen = listen
        self._timeout = timeout

    async def look(self, tenant: Tenant, images: Sequence[Image]) -> Sequence[Image]:
        """Return the pictures as they are after another look at the first ``AT_MOST`` of them.

        What takes too long or fails is as it was. Raises UsageLimitExceeded.
        """
        ids = tuple(each.id for each in images[:AT_MOST])
        done = await self._redescribe.matching(
            tenant, FileQuery(ids=ids), Question(), VerificationLevel.THOROUGH
        )
        id = done.state.batch.id
        await wait_until(
            self._listen,
            id,
            partial(self._batches.get, tenant.id, str(id)),
            _is_finished,
            timeout=self._timeout,
        )
        async with self._database.transaction() as tx:
            found = {each.id: each for each in await tx.images.by_ids([e.id for e in images])}
        return [found[each.id] for each in images if each.id in found]


def _is_finished(state: BatchState) -> bool:
    return state.finished >= state.batch.total
