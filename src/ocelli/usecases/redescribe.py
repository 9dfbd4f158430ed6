"""Describe pictures of the library again; the earlier descriptions are kept as their history."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ocelli.domain.analysis import Analysis, Status
from ocelli.domain.batches import Batch, BatchKind, Progress
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.file_query import FileQuery
from ocelli.usecases.batches import BatchState, settle_batch
from ocelli.usecases.lookup import existing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.analysis import VerificationLevel
    from ocelli.domain.images import Original
    from ocelli.domain.questions import Question
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction
    from ocelli.usecases.quota import Quota

MAX_PICTURES = 10_000  # of one request
AT_ONCE = 1_000  # rows of one statement


@dataclass(frozen=True, slots=True)
class Redescription:
    """An accepted request: its batch, and how many pictures waited for the same answer already.

    Those are not in the batch.
    """

    state: BatchState
    already_queued: int = 0


class Redescribe:
    """Asks about pictures again, as a batch whose items are further analyses of the pictures.

    ``request_key`` is what the client calls its request: a repetition gets the same batch, also if
    the answer to the first one was lost in a crash.
    """

    def __init__(self, database: PostgresDatabase, quota: Quota) -> None:
        self._database = database
        self._quota = quota

    async def one(
        self,
        tenant: Tenant,
        image_id: str,
        question: Question,
        level: VerificationLevel,
        *,
        policy_id: UUID | None = None,
        request_key: str | None = None,
    ) -> tuple[UUID, Redescription]:
        """Enqueue one picture, given by its id or the beginning of it; return its id, too.

        Raises NotFound, UsageLimitExceeded.
        """
        async with self._database.transaction() as tx:
            image = existing(await tx.images.get(tenant.id, image_id), "File", image_id)
            query = FileQuery(ids=(image.id,))
            done = await self._submit(
                tx, tenant, query, question, level, request_key, policy_id=policy_id
            )
        return image.id, done

    async def matching(
        self,
        tenant: Tenant,
        query: FileQuery,
        question: Question,
        level: VerificationLevel,
        *,
        policy_id: UUID | None = None,
        request_key: str | None = None,
        webhook_url: str | None = None,
    ) -> Redescription:
        """Enqueue all pictures that match; after this returns each will be described.

        All in one transaction. Raises ValidationFailed if they are more than ``MAX_PICTURES``,
        UsageLimitExceeded.
        """
        async with self._database.transaction() as tx:
            return await self._submit(
                tx,
                tenant,
                query,
                question,
                level,
                request_key,
                policy_id=policy_id,
                webhook_url=webhook_url,
            )

    async def _submit(
        self,
        tx: PostgresTransaction,
        tenant: Tenant,
        query: FileQuery,
        question: Question,
        level: VerificationLevel,
        request_key: str | None,
        *,
        policy_id: UUID | None,
        webhook_url: str | None = None,
    ) -> Redescription:
        id = uuid.uuid4() if request_key is None else uuid.uuid5(tenant.id, request_key)
        await tx.analyses.lock_questions(tenant.id)  # of two that ask the same, one sees the other
        earlier = await tx.batches.get(tenant.id, id)
        if earlier is not None:
            return Redescription(BatchState(earlier, await tx.batches.progress(id)))
        originals, total = await tx.images.originals(tenant.id, query, limit=MAX_PICTURES)
        if total > MAX_PICTURES:
            raise ValidationFailed(
                f"{total:,} pictures match, more than the {MAX_PICTURES:,} of one request. "
                "Narrow the filter, such as by date_from and date_to.",
                field="date_from",
                issue="too many pictures",
            )
        waiting = await tx.analyses.waiting(
            tenant.id, [each.image_id for each in originals], question, level, policy_id
        )
        new = [each for each in originals if each.image_id not in waiting]
        batch = Batch(
            id=id,
            tenant_id=tenant.id,
            kind=BatchKind.DESCRIBE,
            level=level,
            total=len(new),
            inputs=tuple(
                {"image_id": str(each.image_id), "object_key": each.object_key} for each in new
            ),
            created_at=datetime.now(UTC),
            webhook_url=webhook_url,
        )
        await tx.batches.add(batch)
        await _enqueue(tx, _analyses(tenant, batch, new, question, policy_id))
        await self._quota.reserve(
            tx, tenant, uploads=0, descriptions=len(new), credits=len(new) * level.looks
        )
        await settle_batch(tx, id)  # where nothing is left to be done
        state = BatchState(batch, Progress(Counter({Status.QUEUED: len(new)})))
        return Redescription(state, already_queued=len(waiting))


def _analyses(
    tenant: Tenant,
    batch: Batch,
    originals: Sequence[Original],
    question: Question,
    policy_id: UUID | None,
) -> list[Analysis]:
    return [
        Analysis(
            id=uuid.uuid4(),
            tenant_id=tenant.id,
            image_id=original.image_id,
            object_key=original.object_key,
            storage_target=original.storage_target,
            level=batch.level,
            status=Status.QUEUED,
            created_at=batch.created_at,
            question=question,
            request_id=batch.id,
            position=position,
            policy_id=policy_id,
            key_id=tenant.key_id,
        )
        for position, original in enumerate(originals)
    ]


async def _enqueue(tx: PostgresTransaction, analyses: Sequence[Analysis]) -> None:
    for start in range(0, len(analyses), AT_ONCE):
        several = analyses[start : start + AT_ONCE]
        await tx.jobs.analyse(*several)  # counts the backlog, so before the rows
        await tx.analyses.add(*several)
