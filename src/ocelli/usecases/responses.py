"""Answers that a conversation can go on from, kept for a day."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from ocelli.domain.chat_errors import InvalidValue, ResponseNotFound
from ocelli.domain.errors import Conflict
from ocelli.domain.responses import StoredResponse
from ocelli.usecases.erased import names_erased

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from ocelli.storage.postgres.database import PostgresDatabase

KEPT_FOR = 24 * 3600.0  # seconds
LARGEST_INPUT = 16 * 1024 * 1024  # bytes that are kept of a request's items
LONGEST_CHAIN = 100  # answers that one goes on from
LARGEST_CHAIN = 64 * 1024 * 1024  # bytes of their items together


class Responses:
    """Each belongs to a tenant."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def add(
        self,
        tenant_id: UUID,
        id: UUID,
        previous_id: UUID | None,
        items: Sequence[Any],
        body: Mapping[str, Any],
    ) -> None:
        """Keep an answer, and ``items``, which were new in its request.

        Raises Conflict if they name a picture that was erased meanwhile.
        """
        written = await asyncio.to_thread(_written, items)
        kept = written if len(written) <= LARGEST_INPUT else None
        stored = StoredResponse(id, previous_id, kept, _written(body))
        async with self._database.transaction() as tx:
            if await names_erased(tx, tenant_id, stored.body, kept or b""):
                raise Conflict("A picture that this is about was erased meanwhile.")
            await tx.responses.add(tenant_id, stored)

    async def get(self, tenant_id: UUID, id: UUID) -> StoredResponse:
        """Return it. Raises ResponseNotFound."""
        async with self._database.transaction() as tx:
            found = await tx.responses.get(tenant_id, id)
        if found is None:
            raise ResponseNotFound(f"Response with id 'resp_{id.hex}' not found.")
        return found

    async def delete(self, tenant_id: UUID, id: UUID) -> None:
        """Delete it. Raises ResponseNotFound."""
        async with self._database.transaction() as tx:
            deleted = await tx.responses.delete(tenant_id, id)
        if not deleted:
            raise ResponseNotFound(f"Response with id 'resp_{id.hex}' not found.")

    async def history(self, tenant_id: UUID, id: UUID, param: str) -> list[Any]:
        """Return all items up to the answer ``id`` and its own. Raises ChatError."""
        async with self._database.transaction() as tx:
            chain = await tx.responses.chain(tenant_id, id, limit=LONGEST_CHAIN)
        missing = chain[-1].previous_id if chain else id
        if missing is not None:
            if len(chain) == LONGEST_CHAIN:
                raise InvalidValue(
                    f"This conversation has more than {LONGEST_CHAIN} answers.", param=param
                )
            raise ResponseNotFound(
                f"Previous response with id 'resp_{missing.hex}' not found.", param=param
            )
        lost = next((each for each in chain if each.input is None), None)
        if lost is not None:
            raise InvalidValue(
                f"The items of 'resp_{lost.id.hex}' were too large to be kept: send them again.",
                param=param,
            )
        if sum(len(each.input or b"") for each in chain) > LARGEST_CHAIN:
            raise InvalidValue("This conversation is too large to go on from it.", param=param)
        return await asyncio.to_thread(_items, chain)


def _items(chain: Sequence[StoredResponse]) -> list[Any]:
    found: list[Any] = []
    for each in reversed(chain):
        found += json.loads(each.input or b"[]")
        found += json.loads(each.body)["output"]
    return found


def _written(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
