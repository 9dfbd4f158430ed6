"""Creating, listing, changing and revoking API keys."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ocelli.domain.accounts import KeyDraft, new_key
from ocelli.domain.audit import Actor, AuditEvent, AuditType
from ocelli.domain.errors import MalformedRequest, NotAllowed, ValidationFailed
from ocelli.domain.scopes import EVERYTHING, checked, covers
from ocelli.domain.timestamps import in_zone
from ocelli.usecases.lookup import existing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from ocelli.domain.accounts import ApiKey, Tier
    from ocelli.domain.fetch_jobs import CreditBalance
    from ocelli.domain.paging import PageRequest
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction

RESERVED_METADATA = ("created_by_user_id", "deactivation_reason", "deactivated_at")
MAX_METADATA_BYTES = 16 * 1024
# An escaped NUL; with a backslash before it, it is text about one.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
LAST_YEAR = 9000  # far from where dates end, in any time zone


class Keys:
    """Use cases around the keys of a tenant, and around all keys for the operator."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def issue(self, tenant: str, tier: Tier, draft: KeyDraft, key: str | None = None) -> str:
        """Create a key (or store ``key``) for the tenant of that name, as the operator.

        The tenant is created if there is none. Without scopes the key may do everything.
        """
        secret = key or new_key()
        draft = replace(draft, scopes=checked(draft.scopes) or EVERYTHING)
        async with self._database.transaction() as tx:
            is_new = await tx.accounts.tenant(tenant) is None
            owner = await tx.accounts.add_tenant(tenant, tier)
            stored = await tx.accounts.add_key(owner.id, secret, draft)
            operator = Actor(owner.id)
            if is_new:
                resource = ("tenant", str(owner.id))
                await tx.audit.add(AuditEvent(operator, AuditType.TENANT_CREATED, resource))
            await _record(tx, operator, AuditType.KEY_CREATED, stored.id, scopes=stored.scopes)
        return secret

    async def add_credits(self, tenant: str, credits: int) -> CreditBalance | None:
        """Add credits; return the balance, or None if there is no tenant of that name."""
        async with self._database.transaction() as tx:
            return await tx.credits.give_to(tenant, credits)

    async def all(self) -> Sequence[ApiKey]:
        """Return the keys of all tenants, newest first."""
        async with self._database.transaction() as tx:
            return await tx.accounts.keys()

    async def revoke(self, prefix_or_id: str) -> int:
        """Revoke keys of any tenant; return how many were active."""
        async with self._database.transaction() as tx:
            revoked = await tx.accounts.revoke(prefix_or_id)
            for tenant_id, id in revoked:
                await _record(tx, Actor(tenant_id), AuditType.KEY_DELETED, id)
        return len(revoked)

    async def create(
        self, creator: ApiKey, draft: KeyDraft, address: str | None = None
    ) -> tuple[ApiKey, str]:
        """Create a key of the creator's tenant; return it and the secret, which is not stored.

        Without scopes it gets the creator's, and belongs to the same member. Raises NotAllowed for
        more rights than the creator has, MalformedRequest for unknown scopes and reserved metadata,
        ValidationFailed.
        """
        scopes = checked(draft.scopes) or creator.scopes
        if not covers(creator.scopes, scopes):
            raise NotAllowed(
                "A key cannot make a key that may do more than itself. "
                f"This one has: {', '.join(creator.scopes)}."
            )
        expires_at = None if draft.expires_at is None else expiry(draft.expires_at)
        _check_metadata(draft.metadata)
        secret = new_key()
        async with self._database.transaction() as tx:
            draft = replace(
                draft, scopes=scopes, expires_at=expires_at, member_id=creator.member_id
            )
            created = await tx.accounts.add_key(creator.tenant.id, secret, draft)
            actor = Actor.of(creator, address)
            await _record(tx, actor, AuditType.KEY_CREATED, created.id, scopes=scopes)
        return created, secret

    async def page(
        self, tenant_id: UUID, *, inactive: bool, page: PageRequest
    ) -> tuple[Sequence[ApiKey], int, bool]:
        """Return a page of keys, newest first, their total number, and if others follow.

        The key of a row is (created_at, id).
        """
        async with self._database.transaction() as tx:
            found, total = await tx.accounts.page(tenant_id, inactive=inactive, page=page)
        keys, more = page.cut(found)
        return keys, total, more

    async def get(self, tenant_id: UUID, id: UUID) -> ApiKey:
        """Return the key. Raises NotFound."""
        async with self._database.transaction() as tx:
            return existing(await tx.accounts.key(tenant_id, id), "API key", id)

    async def change(
        self,
        tenant_id: UUID,
        id: UUID,
        *,
        name: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> ApiKey:
        """Change a key; None leaves a field unchanged, metadata is merged.

        Raises NotFound, and what ``create`` raises for metadata.
        """
        _check_metadata(metadata or {})
        async with self._database.transaction() as tx:
            changed = existing(
                await tx.accounts.change_key(
                    tenant_id, id, name=name, description=description, metadata=metadata or {}
                ),
                "API key",
                id,
            )
            check_json(changed.metadata, "metadata")
        return changed

    async def deactivate(
        self, by: ApiKey, id: UUID, reason: str | None, address: str | None = None
    ) -> None:
        """Revoke the key; its row stays. A revoked key is left unchanged. Raises NotFound."""
        metadata = {"deactivated_at": datetime.now(UTC).isoformat()}
        if reason:
            metadata["deactivation_reason"] = reason
        async with self._database.transaction() as tx:
            existing(await tx.accounts.key(by.tenant.id, id), "API key", id)
            if await tx.accounts.revoke_key(by.tenant.id, id, metadata):
                await _record(tx, Actor.of(by, address), AuditType.KEY_DELETED, id)


def expiry(given: datetime) -> datetime:
    """When a key ends; UTC unless it says another zone. Raises ValidationFailed."""
    if given.year > LAST_YEAR:
        raise ValidationFailed(f"Must be before the year {LAST_YEAR}.", field="expires_at")
    zoned = in_zone(given)
    if zoned <= datetime.now(UTC):
        raise ValidationFailed("`expires_at` is in the past.", field="expires_at")
    return zoned


def _check_metadata(metadata: Mapping[str, Any]) -> None:
    """Raise MalformedRequest for reserved names, ValidationFailed for what cannot be stored."""
    for name in RESERVED_METADATA:
        if name in metadata:
            raise MalformedRequest(f"The metadata key `{name}` is reserved.", field="metadata")
    check_json(metadata, "metadata")


async def _record(
    tx: PostgresTransaction,
    actor: Actor,
    type: AuditType,
    id: UUID,
    *,
    scopes: Sequence[str] = (),
) -> None:
    told = {"scopes": list(scopes)} if scopes else {}
    await tx.audit.add(AuditEvent(actor, type, ("api_key", str(id)), told))


def check_json(value: Mapping[str, Any], field: str) -> None:
    """Raise ValidationFailed for an object of a tenant's own that cannot be stored."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except ValueError:  # NaN, or half a character
        raise ValidationFailed(f"`{field}` is no JSON.", field=field) from None
    if _NUL.search(text):
        raise ValidationFailed(f"`{field}` holds a NUL character.", field=field)
    if size > MAX_METADATA_BYTES:
        raise ValidationFailed(f"`{field}` is larger than {MAX_METADATA_BYTES} bytes.", field=field)
