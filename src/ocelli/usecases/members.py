"""Invite people, change what they may do, and remove them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.domain.accounts import KeyDraft, new_key
from ocelli.domain.audit import Actor, AuditEvent, AuditType
from ocelli.domain.errors import Conflict, NotAllowed, ValidationFailed
from ocelli.domain.members import MAX_MEMBERS, SCOPES, Invited, Member, MemberRole, email_address
from ocelli.domain.scopes import covers
from ocelli.usecases.lookup import existing, parse_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.accounts import ApiKey
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction

MEMBER = "Member"


class Members:
    """Use cases around the members of a tenant. Changes of a tenant's members take turns."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def all(self, tenant_id: UUID) -> Sequence[Member]:
        """Return the owner and all members."""
        async with self._database.snapshot() as tx:
            return await tx.members.all(tenant_id)

    async def invite(
        self, by: ApiKey, email: str, role: MemberRole, address: str | None = None
    ) -> Invited:
        """Make a member and a key for them.

        Raises ValidationFailed for an address that is none, or a member's; NotAllowed for a role
        above that of ``by``; Conflict if there are too many members.
        """
        email = email_address(email)
        _check_covered(by, role)
        secret = new_key()
        tenant_id = by.tenant.id
        async with self._database.transaction() as tx:
            if await tx.members.lock(tenant_id) >= MAX_MEMBERS:
                raise Conflict(f"There are {MAX_MEMBERS:,} members; remove some first.")
            member = await tx.members.add(tenant_id, email, role)
            if member is None:
                raise ValidationFailed(f"{email} is a member already.", field="email")
            draft = KeyDraft(email, SCOPES[role], "Made with the invitation.", member_id=member.id)
            key = await tx.accounts.add_key(tenant_id, secret, draft)
            actor = Actor.of(by, address)
            told = {"email": email, "role": role.value}
            await _record(tx, actor, AuditType.MEMBER_ADDED, member.id, told)
            await tx.audit.add(AuditEvent(actor, AuditType.KEY_CREATED, ("api_key", str(key.id))))
        return Invited(member, secret)

    async def change_role(
        self, by: ApiKey, id: str, role: MemberRole, address: str | None = None
    ) -> Member:
        """Change a role, and what the member's keys may do: within two seconds.

        Raises NotFound; NotAllowed for the owner, and for roles above that of ``by``.
        """
        _check_covered(by, role)
        async with self._database.transaction() as tx:
            member = await _changeable(tx, by, id)
            await tx.members.set_role(member.id, role)
            for number, (key_id, scopes) in enumerate(await tx.members.keys(member.id)):
                if number == 0 or not covers(SCOPES[role], scopes):  # the first came with them
                    await tx.members.set_scopes(key_id, SCOPES[role])
            told = {"email": member.email, "before": member.role.value, "role": role.value}
            actor = Actor.of(by, address)
            await _record(tx, actor, AuditType.MEMBER_ROLE_CHANGED, member.id, told)
            return existing(await tx.members.get(by.tenant.id, member.id), MEMBER, id)

    async def remove(self, by: ApiKey, id: str, address: str | None = None) -> Member:
        """Remove a member and revoke their keys, also those that they made.

        Raises NotFound; NotAllowed for the owner, for oneself, and for roles above that of ``by``.
        """
        async with self._database.transaction() as tx:
            member = await _changeable(tx, by, id)
            if member.id == by.member_id:
                raise NotAllowed("You cannot remove yourself: ask another administrator.")
            keys = await tx.members.keys(member.id)
            await tx.members.remove(member.id)
            actor = Actor.of(by, address)
            told = {"email": member.email, "role": member.role.value}
            await _record(tx, actor, AuditType.MEMBER_REMOVED, member.id, told)
            for key_id, _ in keys:
                resource = ("api_key", str(key_id))
                await tx.audit.add(AuditEvent(actor, AuditType.KEY_DELETED, resource))
        return member


async def _changeable(tx: PostgresTransaction, by: ApiKey, id: str) -> Member:
    """Return a member whom ``by`` may change. Raises NotFound, NotAllowed."""
    await tx.members.lock(by.tenant.id)
    member_id = parse_id(MEMBER, id)
    if member_id == by.tenant.id:
        raise NotAllowed("The owner's role cannot be changed, and the owner cannot be removed.")
    member = existing(await tx.members.get(by.tenant.id, member_id), MEMBER, id)
    _check_covered(by, member.role)
    return member


def _check_covered(by: ApiKey, role: MemberRole) -> None:
    if not covers(by.scopes, SCOPES[role]):
        raise NotAllowed(
            f"A key cannot decide about a role above its own. This one has: {', '.join(by.scopes)}."
        )


async def _record(
    tx: PostgresTransaction, actor: Actor, type: AuditType, id: UUID, told: dict[str, str]
) -> None:
    await tx.audit.add(AuditEvent(actor, type, ("member", str(id)), told))
