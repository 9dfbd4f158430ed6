"""Idempotency: a request that is repeated with the same key is carried out once.

The key's row is written before the work, so of two requests with one key one works and the other
waits. A process that dies at work stops renewing its row, and a minute later the next attempt may
begin: it finds what the work itself has committed, no more and no less than any other repetition.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from ocelli.domain.errors import AnswerNotKept, StillRunning, ValidationFailed
from ocelli.domain.idempotency import KeyClaim, StoredAnswer
from ocelli.usecases.erased import names_erased

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from uuid import UUID

    from ocelli.domain.idempotency import Earlier
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction

KEPT_FOR = 3600.0
ABANDONED_AFTER = 15.0  # clients wait so long after a crash before their retry goes through
RENEW_INTERVAL = 4.0
WAIT_TIMEOUT = 2.0  # seconds that a request waits for its twin
POLL_INTERVAL = 0.1


class Idempotency:
    """Starts requests with a key, and renews those that are running. One per process."""

    def __init__(
        self, database: PostgresDatabase, *, abandoned_after: float = ABANDONED_AFTER
    ) -> None:
        self._database = database
        self._abandoned_after = abandoned_after
        self._running: dict[UUID, Ticket] = {}

    async def begin(self, tenant_id: UUID, key: str, fingerprint: bytes) -> Ticket | StoredAnswer:
        """Return a ticket to carry out the request, or the stored answer of an earlier one.

        Raises ValidationFailed if the key belongs to another request, StillRunning if its twin has
        not ended within two seconds, AnswerNotKept if it has and its answer was not stored.
        """
        claim = KeyClaim(tenant_id, key, fingerprint, uuid.uuid4())
        for _ in range(int(WAIT_TIMEOUT / POLL_INTERVAL)):
            async with self._database.transaction() as tx:
                earlier = await tx.idempotency.claim(
                    claim, abandoned_after=self._abandoned_after, kept_for=KEPT_FOR
                )
            if earlier is None:
                ticket = self._running[claim.owner] = Ticket(self._database, claim, self._running)
                return ticket
            if earlier.fingerprint != fingerprint:
                raise ValidationFailed(
                    "This Idempotency-Key was sent before, with another request. "
                    "Take a new key for a new request.",
                    field="Idempotency-Key",
                )
            if earlier.finished:
                return _stored_answer(earlier)
            await asyncio.sleep(POLL_INTERVAL)
        raise StillRunning("The first request with this Idempotency-Key is still running.")

    async def renew(self) -> None:
        """Renew the claims of running requests; called every ``RENEW_INTERVAL`` seconds."""
        owners = sorted(self._running)
        if owners:
            async with self._database.transaction() as tx:
                await tx.idempotency.renew(owners)


class Ticket:
    """The right to carry out one request; it ends with ``finish`` or ``release``."""

    def __init__(
        self, database: PostgresDatabase, claim: KeyClaim, running: dict[UUID, Ticket]
    ) -> None:
        self._database = database
        self._claim = claim
        self._running = running

    async def finish(self, answer: StoredAnswer | None) -> None:
        """Store the answer of the request; with None only that it was carried out.

        So it is, too, where the answer names a picture that was erased meanwhile.
        """
        async with self._ended() as tx:
            if answer and await names_erased(tx, self._claim.tenant_id, answer.body):
                answer = None
            await tx.idempotency.finish(self._claim, answer)

    async def release(self) -> None:
        """Give the key back, as nothing was done: it may be sent again."""
        async with self._ended() as tx:
            await tx.idempotency.release(self._claim)

    def _ended(self) -> AbstractAsyncContextManager[PostgresTransaction]:
        self._running.pop(self._claim.owner, None)
        return self._database.transaction()


def _stored_answer(earlier: Earlier) -> StoredAnswer:
    if earlier.answer is None:
        raise AnswerNotKept(
            "The first request with this Idempotency-Key was carried out, and its answer is not "
            "kept (it was a secret, too large, or about what was erased). Look at what it made."
        )
    return earlier.answer
