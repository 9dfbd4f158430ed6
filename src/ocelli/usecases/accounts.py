"""Authentication by API key, and the counting of the use of keys."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from ocelli.domain.accounts import KEY_PATTERN, ApiKey, KeyDraft, KeyUse, hash_key
from ocelli.domain.errors import DeactivatedKey, ExpiredKey, InvalidKey
from ocelli.domain.scopes import KeyRole
from ocelli.usecases.batcher import consume_error

if TYPE_CHECKING:
    from uuid import UUID

    from ocelli.storage.postgres.database import PostgresDatabase


REMEMBERED_FOR = 2.0


class Accounts:
    """Checks keys and counts their use.

    A valid key is cached for ``REMEMBERED_FOR`` seconds; a revoked one is rejected after that time.
    """

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._lookups: dict[bytes, asyncio.Task[ApiKey]] = {}  # those of good keys stay for a while
        self._used: dict[UUID, KeyUse] = {}
        self._keyless: dict[tuple[str, str], bytes] = {}

    async def authenticate(self, key: str | None) -> ApiKey:
        """Return the record of the key. Raises InvalidKey, ExpiredKey or DeactivatedKey."""
        if not key:
            raise InvalidKey(
                "An API key is required: send `Authorization: Bearer aion_...`. "
                "`ocelli keys create` makes one."
            )
        if not KEY_PATTERN.fullmatch(key):
            raise InvalidKey("This is not an API key: keys look like `aion_` and 43 characters.")
        return await self.authenticate_hash(hash_key(key))

    async def authenticate_keyless(self, tenant: str, surface: str) -> ApiKey:
        """For callers of ``surface`` who cannot send a key: one of the tenant of that name.

        It is made when it is first needed, opens everything up to the role ``write``, and stands in
        the tenant's list of keys; revoked, it stays so. No text is this key: what its hash is of is
        refused by ``authenticate``. Raises InvalidKey, DeactivatedKey.
        """
        known = self._keyless.get((tenant, surface))
        if known is None:
            known = await self._make_keyless(tenant, surface)
        return await self.authenticate_hash(known)

    async def _make_keyless(self, tenant: str, surface: str) -> bytes:
        async with self._database.transaction() as tx:
            owner = await tx.accounts.tenant(tenant)
            if owner is None:
                raise InvalidKey(
                    f"Callers without a key count as the tenant {tenant!r}, which does not exist. "
                    "`ocelli keys create --tenant` makes one."
                )
            secret = f"without a key: {surface} {owner.id}"
            draft = KeyDraft(
                f"{surface}, without a key",
                (KeyRole.WRITE.value,),
                "Counts requests that came without a key. Revoke it to refuse them.",
            )
            await tx.accounts.add_key(owner.id, secret, draft)
        hashed = self._keyless[tenant, surface] = hash_key(secret)
        return hashed

    async def authenticate_hash(self, hashed: bytes) -> ApiKey:
        """Do as ``authenticate`` for a key of which the hash is known."""
        found = await asyncio.shield(self._shared_lookup(hashed))
        now = datetime.now(UTC)
        if found.expires_at is not None and found.expires_at <= now:
            raise ExpiredKey("This API key has expired.", found)
        self._count(found.id, KeyUse(now, 1))
        return found

    async def save_use(self) -> None:
        """Store the counted uses of keys; called periodically, not once per request.

        After an error the counts are kept for the next call.
        """
        used, self._used = self._used, {}
        if not used:
            return
        try:
            async with self._database.transaction() as tx:
                await tx.accounts.touch(used)
        except BaseException:
            for id, use in used.items():
                self._count(id, use)
            raise

    def _count(self, id: UUID, use: KeyUse) -> None:
        before = self._used.get(id)
        if before is not None:
            use = KeyUse(max(before.last_used_at, use.last_used_at), before.count + use.count)
        self._used[id] = use

    def _shared_lookup(self, hashed: bytes) -> asyncio.Task[ApiKey]:
        """Return the look-up of a key, which concurrent requests share."""
        lookup = self._lookups.get(hashed)
        if lookup is None:
            lookup = self._lookups[hashed] = asyncio.create_task(self._look_up(hashed))
            lookup.add_done_callback(partial(self._lookup_ended, hashed))
        return lookup

    def _lookup_ended(self, hashed: bytes, lookup: asyncio.Task[ApiKey]) -> None:
        consume_error(lookup)
        if lookup.cancelled() or lookup.exception():
            del self._lookups[hashed]
        else:
            asyncio.get_running_loop().call_later(REMEMBERED_FOR, self._lookups.pop, hashed)

    async def _look_up(self, hashed: bytes) -> ApiKey:
        async with self._database.autocommit() as tx:
            key = await tx.accounts.key_by_hash(hashed)
        if key is None:
            raise InvalidKey("This API key is not known here.")
        if key.revoked_at is not None:
            raise DeactivatedKey("This API key has been revoked.", key)
        return key
