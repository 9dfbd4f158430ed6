"""Sort pictures into folders: make a plan, carry it out, undo it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocelli.domain.errors import Conflict
from ocelli.domain.file_query import FileQuery
from ocelli.domain.folders import MAX_FOLDERS
from ocelli.domain.grammar import listing
from ocelli.domain.organizing import (
    MAX_GROUPS,
    MAX_PICTURES,
    Criterion,
    Group,
    Instruction,
    Move,
    OrganizePlan,
    PlanState,
    by_name,
    by_property,
    merged,
    read_instruction,
    usable_name,
)
from ocelli.domain.search import fold
from ocelli.usecases.erased import check_not_erased
from ocelli.usecases.folders import FOLDER, check_depth
from ocelli.usecases.library_model import NO_TOKENS, TokensUsed
from ocelli.usecases.lookup import existing, parse_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from ocelli.domain.folders import Folder
    from ocelli.domain.picture_facts import PictureFacts
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction
    from ocelli.usecases.conversations import Asking
    from ocelli.usecases.library_model import LibraryModel
    from ocelli.usecases.library_search import LibrarySearch

PLAN = "Plan"
SHOWN_AT_ONCE = 100  # pictures that a model is shown in one call
MOST_SHOWN = 500
LONGEST_SHOWN = 300  # characters of a description
MAX_TAGS = 15
_SCHEMA = {
    "type": "object",
    "properties": {
        "groups": {
            "type": "array",
            "maxItems": MAX_GROUPS,
            "items": {
                "type": "object",
                "properties": {
                    "folder": {"type": "string"},
                    "pictures": {"type": "array", "items": {"type": "integer"}},
                },
                "required": ["folder", "pictures"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["groups"],
    "additionalProperties": False,
}
_TASK = (
    "Sort the pictures into folders as `instruction` asks. Each picture has a number `n`; name it"
    " in one folder at most, and leave out those that fit into none. `folders` are those that there"
    " are already: use them again where they fit. At most 50 folders, with short names."
)


@dataclass(frozen=True, slots=True)
class Action:
    """What becomes of a folder; ``created`` says that it is made for these pictures."""

    folder_id: UUID | None
    folder_name: str
    files: int
    created: bool


@dataclass(frozen=True, slots=True)
class Organized:
    """What a plan did."""

    plan: OrganizePlan
    actions: Sequence[Action]
    folders_created: int
    files_moved: int
    tokens: TokensUsed = NO_TOKENS


@dataclass(frozen=True, slots=True)
class Undone:
    """How much of a plan was taken back; the rest was changed since."""

    plan_id: UUID
    files_moved: int
    folders_deleted: int
    files_kept: int
    folders_kept: int


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan that waits to be carried out, and what it cost to make it."""

    plan: OrganizePlan
    tokens: TokensUsed


@dataclass(frozen=True, slots=True)
class _Proposal:
    criterion: Criterion
    groups: list[Group]
    notes: tuple[str, ...]
    tokens: TokensUsed = NO_TOKENS


class Organize:
    """Plans are stored: who made one can carry it out, cancel it, and undo what it did."""

    def __init__(
        self, database: PostgresDatabase, search: LibrarySearch, model: LibraryModel
    ) -> None:
        self._database = database
        self._search = search
        self._model = model

    async def plan(
        self,
        asking: Asking,
        intent: str,
        *,
        image_ids: Sequence[UUID] | None = None,
        parent_id: UUID | None = None,
    ) -> Planned:
        """Make a plan for these pictures; None: for the newest that are in no folder.

        Changes nothing but the plan. Raises NotFound for an unknown picture or folder,
        ValidationFailed if the parent is too deep, UsageLimitExceeded, Conflict if a picture is
        erased meanwhile.
        """
        tenant_id = asking.tenant.id
        async with self._database.snapshot() as tx:
            await _check_parent(tx, tenant_id, parent_id)
            pictures = await _pictures(tx, tenant_id, image_ids)
            folders = [e for e in await tx.folders.all(tenant_id) if e.parent_id == parent_id]
        proposal = await self._propose(asking, intent, pictures, folders)
        summary = _planned_summary(proposal, pictures)
        async with self._database.transaction() as tx:
            await check_not_erased(tx, tenant_id, [each.id for each in pictures])
            plan = await tx.organize_plans.add(
                tenant_id, intent, parent_id, summary, proposal.groups
            )
        return Planned(plan, proposal.tokens)

    async def carry_out(self, tenant_id: UUID, plan_id: UUID) -> Organized:
        """Make the folders of a plan and move the pictures, all or nothing.

        Pictures that were deleted meanwhile are passed over. Raises NotFound for the plan or its
        parent folder, Conflict if it is not waiting to be carried out, ValidationFailed.
        """
        async with self._database.transaction() as tx:
            await check_not_erased(tx, tenant_id)
            existing_folders = await tx.folders.lock(tenant_id)
            plan = await _locked(tx, tenant_id, plan_id, PlanState.PLANNED)
            await _check_parent(tx, tenant_id, plan.parent_id)
            if existing_folders + len(plan.groups) > MAX_FOLDERS:
                raise Conflict(f"There would be more than {MAX_FOLDERS:,} folders.")
            known: dict[str, UUID] = {}
            for each in await tx.folders.all(tenant_id):
                if each.parent_id == plan.parent_id:
                    known.setdefault(fold(each.name), each.id)
            actions: list[Action] = []
            moves: list[Move] = []
            for group in plan.groups:
                action, moved = await _carry_out(tx, plan, group, known)
                actions += [action] if action else []
                moves += moved
            created = [e.folder_id for e in actions if e.created and e.folder_id]
            await tx.organize_plans.carried_out(plan.id, created, moves)
        return Organized(plan, actions, len(created), len(moves))

    async def cancel(self, tenant_id: UUID, plan_id: UUID) -> None:
        """Give a plan up. Raises NotFound, Conflict if it is not waiting to be carried out."""
        async with self._database.transaction() as tx:
            plan = await _locked(tx, tenant_id, plan_id, PlanState.PLANNED)
            await tx.organize_plans.set_state(plan.id, PlanState.CANCELLED)

    async def undo(self, tenant_id: UUID, plan_id: str) -> Undone:
        """Put the pictures back, and delete the folders that were made if they are empty.

        Pictures that were moved again since stay where they are. Raises NotFound, Conflict if the
        plan was not carried out, or is undone.
        """
        async with self._database.transaction() as tx:
            await tx.folders.lock(tenant_id)
            plan = await _locked(tx, tenant_id, parse_id(PLAN, plan_id), PlanState.CARRIED_OUT)
            moved = await tx.folders.take_back(tenant_id, plan.moves)
            deleted = await tx.folders.delete_empty(tenant_id, plan.created_folders)
            await tx.organize_plans.set_state(plan.id, PlanState.UNDONE)
        return Undone(
            plan.id,
            moved,
            deleted,
            files_kept=len(plan.moves) - moved,
            folders_kept=len(plan.created_folders) - deleted,
        )

    async def _propose(
        self,
        asking: Asking,
        intent: str,
        pictures: Sequence[PictureFacts],
        folders: Sequence[Folder],
    ) -> _Proposal:
        if not pictures:
            return _Proposal(Criterion.TAGS, [], ("There are no pictures to sort.",))
        instruction = read_instruction(intent)
        if not self._model.is_configured:
            return await self._by_rules(asking.tenant.id, instruction, pictures)
        groups, tokens, reason = await self._by_model(asking, intent, pictures, folders)
        if reason is None:
            left = len(pictures) - MOST_SHOWN
            notes = (
                (f"{left} pictures were not looked at: ask again for them.",) if left > 0 else ()
            )
            return _Proposal(Criterion.MODEL, groups, notes, tokens)
        ruled = await self._by_rules(asking.tenant.id, instruction, pictures)
        return _Proposal(ruled.criterion, ruled.groups, (reason, *ruled.notes), tokens)

    async def _by_rules(
        self, tenant_id: UUID, instruction: Instruction, pictures: Sequence[PictureFacts]
    ) -> _Proposal:
        notes = instruction.notes
        if instruction.criterion is Criterion.NAMED:
            near, words_only = await self._search.cosines(
                tenant_id, instruction.names, FileQuery(ids=tuple(each.id for each in pictures))
            )
            groups = by_name(instruction.names, pictures, near)
            if words_only:
                notes = (*notes, f"Only words were compared, not meaning: {words_only}.")
        else:
            groups = await asyncio.to_thread(by_property, instruction.criterion, pictures)
        if instruction.criterion in (Criterion.YEAR, Criterion.MONTH, Criterion.DAY):
            undated = sum(each.taken_at is None for each in pictures)
            if undated:
                notes = (*notes, f"{undated} without a date of their own count by their upload.")
        return _Proposal(instruction.criterion, groups, notes)

    async def _by_model(
        self,
        asking: Asking,
        intent: str,
        pictures: Sequence[PictureFacts],
        folders: Sequence[Folder],
    ) -> tuple[list[Group], TokensUsed, str | None]:
        """Return what a model proposes, what it cost, and why there is no proposal, or None."""
        tokens = NO_TOKENS
        groups: dict[str, list[UUID]] = defaultdict(list)
        names = [each.name for each in folders[:MAX_GROUPS]]
        for start in range(0, min(len(pictures), MOST_SHOWN), SHOWN_AT_ONCE):
            shown = pictures[start : min(start + SHOWN_AT_ONCE, MOST_SHOWN)]
            data = {
                "instruction": intent,
                "folders": list(dict.fromkeys([*names, *groups]))[: 2 * MAX_GROUPS],
                "pictures": [_shown(n, each) for n, each in enumerate(shown, 1)],
            }
            answer = await self._model.ask(asking, _TASK, data, _SCHEMA)
            tokens += answer.tokens
            if answer.value is None:
                return [], tokens, answer.reason
            for each in answer.value["groups"]:
                name = usable_name(each["folder"])
                if name is not None:
                    numbers = (n for n in each["pictures"] if 1 <= n <= len(shown))
                    groups[name] += [shown[n - 1].id for n in numbers]
        return merged(Group(name, tuple(ids)) for name, ids in groups.items()), tokens, None


async def _pictures(
    tx: PostgresTransaction, tenant_id: UUID, ids: Sequence[UUID] | None
) -> Sequence[PictureFacts]:
    if ids is None:
        return await tx.picture_facts.outside_of_folders(tenant_id, MAX_PICTURES)
    found = await tx.picture_facts.of(tenant_id, ids)
    check_found(ids, found)
    return found


def check_found(ids: Sequence[UUID], found: Sequence[PictureFacts]) -> None:
    """Raise NotFound about the first of ``ids`` that is no picture of the tenant."""
    known = {each.id for each in found}
    for id in ids:
        existing(id if id in known else None, "Image", id)


async def _check_parent(tx: PostgresTransaction, tenant_id: UUID, parent_id: UUID | None) -> None:
    if parent_id is not None:
        parent = existing(await tx.folders.get(tenant_id, parent_id), FOLDER, parent_id)
        check_depth(parent.depth + 1)


async def _locked(
    tx: PostgresTransaction, tenant_id: UUID, plan_id: UUID, state: PlanState
) -> OrganizePlan:
    plan = existing(await tx.organize_plans.lock(tenant_id, plan_id), PLAN, plan_id)
    if plan.state is not state:
        raise Conflict(f"This plan is {plan.state.replace('_', ' ')}, not {state}.")
    return plan


async def _carry_out(
    tx: PostgresTransaction, plan: OrganizePlan, group: Group, known: Mapping[str, UUID]
) -> tuple[Action | None, list[Move]]:
    """Put the pictures of a group into its folder; None if none of them is to be moved."""
    folder_id = known.get(fold(group.name))
    created = folder_id is None
    if folder_id is None:
        present = await tx.picture_facts.of(plan.tenant_id, group.image_ids)
        if not present:
            return None, []
        folder_id = await tx.folders.add(plan.tenant_id, group.name, plan.parent_id)
    moved = await tx.folders.relocate(plan.tenant_id, group.image_ids, folder_id)
    if not moved:
        return None, []
    return Action(folder_id, group.name, len(moved), created), moved


def _shown(number: int, picture: PictureFacts) -> dict[str, Any]:
    return {
        "n": number,
        "name": picture.label,
        "date": f"{picture.shown_at:%Y-%m-%d}",
        "description": (picture.description or "")[:LONGEST_SHOWN],
        "tags": list(picture.tags[:MAX_TAGS]),
    }


def _planned_summary(proposal: _Proposal, pictures: Sequence[PictureFacts]) -> str:
    """Return a sentence about the folders, and one for each thing that could not be done."""
    placed = sum(len(group.image_ids) for group in proposal.groups)
    sentences = []
    if proposal.groups:
        names = listing([f"{each.name} ({len(each.image_ids)})" for each in proposal.groups])
        sentences.append(f"Sorted {proposal.criterion}: {names}.")
    if left := len(pictures) - placed:
        sentences.append(f"{left} of {len(pictures)} fit into no folder and stay where they are.")
    return " ".join((*sentences, *proposal.notes))
