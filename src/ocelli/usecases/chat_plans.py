"""Plans of conversations: what is to be done with pictures, once a person approves it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ocelli.domain.library_chat import SESSION
from ocelli.domain.library_questions import read_question
from ocelli.domain.references import without_markup
from ocelli.usecases.chat_sessions import get_session
from ocelli.usecases.library_retrieval import past_of
from ocelli.usecases.lookup import existing, parse_id
from ocelli.usecases.organize import PLAN

if TYPE_CHECKING:
    from uuid import UUID

    from ocelli.domain.organizing import OrganizePlan
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.usecases.conversations import Asking
    from ocelli.usecases.library_chat import Turn
    from ocelli.usecases.library_model import TokensUsed
    from ocelli.usecases.organize import Organize, Organized

MAX_INTENT = 2_000  # characters of a message that are the instruction
LISTED = 20  # folders


class PlanAction(StrEnum):
    """What a person decides about a plan."""

    APPROVE = "approve"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is said of a plan. ``plan`` is None where there is nothing to do."""

    text: str
    plan: OrganizePlan | None
    tokens: TokensUsed


class ChatPlans:
    """Sorting into folders, proposed in a conversation and carried out when approved."""

    def __init__(self, database: PostgresDatabase, organize: Organize) -> None:
        self._database = database
        self._organize = organize

    async def propose(self, asking: Asking, turn: Turn) -> Proposal:
        """Make a plan of a message; it changes nothing. Raises UsageLimitExceeded.

        It is about the pictures that were talked of, if it refers to them, or else about the
        selection, or the newest pictures that are in no folder.
        """
        session = turn.session
        question = read_question(turn.message.content, turn.message.created_at)
        past = past_of(turn.earlier).within(session.selection)
        ids = past.found if question.refers and past.found else session.selection
        if ids is not None:
            async with self._database.autocommit() as tx:
                ids = await tx.images.existing(session.tenant_id, ids)
        planned = await self._organize.plan(
            asking, turn.message.content[:MAX_INTENT], image_ids=ids
        )
        plan = planned.plan
        if not plan.groups:
            return Proposal(
                f"There is nothing to sort. {without_markup(plan.summary)}".strip(),
                None,
                planned.tokens,
            )
        async with self._database.transaction() as tx:
            await tx.chat_sessions.add_plan(session.id, plan.id)
        return Proposal(_proposed(plan), plan, planned.tokens)

    async def approve(self, tenant_id: UUID, session_id: str, plan_id: str) -> Organized:
        """Carry out a plan. Raises NotFound; Conflict if it does not wait any more."""
        return await self._organize.carry_out(
            tenant_id, await self._find(tenant_id, session_id, plan_id)
        )

    async def cancel(self, tenant_id: UUID, session_id: str, plan_id: str) -> None:
        """Give a plan up. Raises NotFound; Conflict if it does not wait any more."""
        await self._organize.cancel(tenant_id, await self._find(tenant_id, session_id, plan_id))

    async def _find(self, tenant_id: UUID, session_id: str, plan_id: str) -> UUID:
        async with self._database.autocommit() as tx:
            session = await get_session(tx, tenant_id, parse_id(SESSION, session_id))
            id = parse_id(PLAN, plan_id)
            existing(await tx.chat_sessions.has_plan(session.id, id) or None, PLAN, plan_id)
        return id


def _proposed(plan: OrganizePlan) -> str:
    lines = [
        f"- “{without_markup(each.name)}”: {len(each.image_ids)}" for each in plan.groups[:LISTED]
    ]
    more = len(plan.groups) - LISTED
    if more > 0:
        lines.append(f"- and {more} more")
    return "\n".join(
        [
            "I would put the pictures into these folders:",
            *lines,
            "Nothing is moved yet: approve the plan, or cancel it.",
        ]
    )
