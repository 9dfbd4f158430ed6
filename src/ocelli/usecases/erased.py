"""Store nothing about pictures that were erased while it was made.

An answer is made from what was read of pictures seconds ago. Where they are erased meanwhile, what
is said of them may not be stored after the erasure has looked for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import UUID

from ocelli.domain.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Collection

    from ocelli.storage.postgres.database import PostgresTransaction

_ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


async def check_not_erased(
    tx: PostgresTransaction, tenant_id: UUID, ids: Collection[UUID] = ()
) -> None:
    """Keep off erasures until the transaction ends. Comes before any other lock of it.

    Raises Conflict if one of the pictures was erased already.
    """
    await tx.erasures.hold_off(tenant_id)
    if ids and await tx.erasures.reached(tenant_id, ids):
        raise Conflict("A picture that this is about was erased meanwhile.")


async def names_erased(tx: PostgresTransaction, tenant_id: UUID, *texts: bytes) -> bool:
    """Keep off erasures until the transaction ends; return whether texts name erased pictures."""
    await tx.erasures.hold_off(tenant_id)
    ids = {UUID(found.decode()) for text in texts for found in _ID.findall(text)}
    return bool(ids) and await tx.erasures.reached(tenant_id, ids)
