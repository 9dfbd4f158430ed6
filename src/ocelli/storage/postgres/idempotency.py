"""The table ``idempotency_keys``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.domain.idempotency import Earlier, StoredAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.idempotency import KeyClaim
    from ocelli.storage.postgres.rows import Connection

_OWNED_CLAIM = "tenant_id = %s AND key = %s AND owner = %s AND NOT finished"


class PostgresIdempotencyKeys:
    """The repository of idempotency keys and their answers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def claim(
        self, claim: KeyClaim, *, abandoned_after: float, kept_for: float
    ) -> Earlier | None:
        """Claim a key; return the earlier request if it is taken, None on success.

        Unfinished ones that were not renewed for ``abandoned_after`` seconds, and finished ones
        older than ``kept_for`` seconds, are free to be claimed.
        """
        if await self._claimed(claim, abandoned_after, kept_for):
            return None
        cursor = await self._connection.execute(
            "SELECT * FROM idempotency_keys WHERE tenant_id = %s AND key = %s",
            (claim.tenant_id, claim.key),
        )
        row = await cursor.fetchone()
        if row is None:  # released this very moment: as if it were still at work
            return Earlier(claim.fingerprint, finished=False, answer=None)
        answer = row["status"] and StoredAnswer(row["status"], row["content_type"], row["body"])
        return Earlier(row["fingerprint"], row["finished"], answer)

    async def finish(self, claim: KeyClaim, answer: StoredAnswer | None) -> None:
        """Store the answer, or only that there was one, if ``claim`` still owns the key."""
        kept = (answer.status, answer.content_type, answer.body) if answer else (None, None, None)
        await self._connection.execute(
            "UPDATE idempotency_keys SET finished = true, renewed_at = now(),"
            f" status = %s, content_type = %s, body = %s WHERE {_OWNED_CLAIM}",
            (*kept, claim.tenant_id, claim.key, claim.owner),
        )

    async def release(self, claim: KeyClaim) -> None:
        """Delete the row, if ``claim`` still owns the key."""
        await self._connection.execute(
            f"DELETE FROM idempotency_keys WHERE {_OWNED_CLAIM}",
            (claim.tenant_id, claim.key, claim.owner),
        )

    async def renew(self, owners: Sequence[UUID]) -> None:
        """Renew the claims of running requests."""
        await self._connection.execute(
            "UPDATE idempotency_keys SET renewed_at = now() WHERE owner = ANY(%s) AND NOT finished",
            (list(owners),),
        )

    async def purge(self, *, older_than: float) -> int:
        """Delete rows that were not renewed for ``older_than`` seconds; return how many."""
        cursor = await self._connection.execute(
            "DELETE FROM idempotency_keys WHERE renewed_at < now() - make_interval(secs => %s)",
            (older_than,),
        )
        return cursor.rowcount

    async def _claimed(self, claim: KeyClaim, abandoned_after: float, kept_for: float) -> bool:
        cursor = await self._connection.execute(
            "INSERT INTO idempotency_keys AS known (tenant_id, key, fingerprint, owner)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT (tenant_id, key) DO UPDATE SET"
            " fingerprint = excluded.fingerprint, owner = excluded.owner, renewed_at = now(),"
            " finished = false, status = NULL, content_type = NULL, body = NULL"
            " WHERE known.renewed_at < now() - make_interval(secs =>"
            " CASE WHEN known.finished THEN %s ELSE %s END)",
            (
                claim.tenant_id,
                claim.key,
                claim.fingerprint,
                claim.owner,
                kept_for,
                abandoned_after,
            ),
        )
        return cursor.rowcount == 1
