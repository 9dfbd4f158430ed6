"""A tenant's escalation policies, and which of them a request gets."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachetools import TTLCache

from ocelli.domain.errors import Conflict, ValidationFailed
from ocelli.domain.escalation import MAX_POLICIES, NAME_PATTERN, OFF, Policy, check_steps
from ocelli.usecases.lookup import existing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.analysis import VerificationLevel
    from ocelli.domain.escalation import StoredPolicy
    from ocelli.domain.questions import Question
    from ocelli.storage.postgres.database import PostgresDatabase

# Seconds until another process knows of a changed default; this one knows at once.
REMEMBERED_FOR = 2.0
_REMEMBERED = 10_000  # tenants


@dataclass(frozen=True, slots=True)
class Chosen:
    """How a picture is described: the first step of a policy, or without one what was asked."""

    level: VerificationLevel
    backends: tuple[str, ...] = ()
    policy_id: UUID | None = None

    def of(self, question: Question) -> Question:
        """Return the question as the first step asks it."""
        return question if self.policy_id is None else replace(question, backends=self.backends)


class Policies:
    """Use cases around policies. Everywhere a policy is named by its id or its name."""

    def __init__(self, database: PostgresDatabase, backends: Sequence[str], default: str) -> None:
        self._database = database
        self._backends = backends
        self._default_backend = default
        self._defaults: TTLCache[UUID, StoredPolicy | None] = TTLCache(_REMEMBERED, REMEMBERED_FOR)

    async def store(
        self, tenant_id: UUID, name: str, policy: Policy, *, is_default: bool
    ) -> StoredPolicy:
        """Store a policy in the place of the one with this name, whose spending stays.

        A default one takes the place of the earlier default. Raises ValidationFailed; Conflict if
        there are too many.
        """
        if not re.fullmatch(NAME_PATTERN, name) or name == OFF:
            raise ValidationFailed(
                f"A name has 1 to 64 letters, digits, dots, dashes and underlines, and is not "
                f"`{OFF}`.",
                field="name",
            )
        check_steps(policy, self._backends, self._default_backend)
        async with self._database.transaction() as tx:
            count = await tx.policies.lock(tenant_id)
            if count >= MAX_POLICIES and await tx.policies.find(tenant_id, name) is None:
                raise Conflict(f"There are {MAX_POLICIES} policies; delete one first.")
            id = await tx.policies.put(tenant_id, name, policy, is_default=is_default)
            stored = existing(await tx.policies.get(id), "Policy", name)
        self._defaults.pop(tenant_id, None)
        return stored

    async def all(self, tenant_id: UUID) -> Sequence[StoredPolicy]:
        """Return the tenant's policies, by name."""
        async with self._database.autocommit() as tx:
            return await tx.policies.all(tenant_id)

    async def get(self, tenant_id: UUID, id_or_name: str) -> StoredPolicy:
        """Return one. Raises NotFound."""
        async with self._database.autocommit() as tx:
            found = await tx.policies.find(tenant_id, id_or_name)
        return existing(found, "Policy", id_or_name)

    async def delete(self, tenant_id: UUID, id_or_name: str) -> None:
        """Delete one; pictures that wait for it keep the first step's answer. Raises NotFound."""
        stored = await self.get(tenant_id, id_or_name)
        async with self._database.autocommit() as tx:
            await tx.policies.delete(stored.id)
        self._defaults.pop(tenant_id, None)

    async def choose(
        self,
        tenant_id: UUID,
        asked: str | Policy | None,
        level: VerificationLevel,
        *,
        is_free: bool,
    ) -> Chosen:
        """Return how a request's pictures are described.

        ``asked`` is a policy, its name or id, ``OFF``, or None: then the default one counts if the
        request ``is_free``, which means that it names neither level nor backends. Raises NotFound;
        ValidationFailed if it names both a policy and these.
        """
        if asked == OFF or (asked is None and not is_free):
            return Chosen(level)
        if asked is not None and not is_free:
            raise ValidationFailed(
                "A policy says level and backends itself: leave them out.",
                field="escalation_policy",
            )
        if asked is None:
            stored = await self._default(tenant_id)
        elif isinstance(asked, str):
            stored = await self.get(tenant_id, asked)
        else:
            stored = await self._of_request(tenant_id, asked)
        if stored is None:
            return Chosen(level)
        first = stored.policy.first
        return Chosen(first.level, first.backends, stored.id)

    async def _of_request(self, tenant_id: UUID, policy: Policy) -> StoredPolicy:
        check_steps(policy, self._backends, self._default_backend)
        async with self._database.transaction() as tx:
            id = await tx.policies.put(tenant_id, None, policy, is_default=False)
            return existing(await tx.policies.get(id), "Policy", id)

    async def _default(self, tenant_id: UUID) -> StoredPolicy | None:
        if tenant_id in self._defaults:
            return self._defaults[tenant_id]
        async with self._database.autocommit() as tx:
            found = await tx.policies.default(tenant_id)
        self._defaults[tenant_id] = found
        return found
