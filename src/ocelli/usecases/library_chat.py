"""Answer messages of conversations about a library.

A message is stored before its answer is looked for, and the answer in one transaction with the
tokens that it took: after a crash there is a message without an answer, and never half of one. A
message whose answer fails is taken back, as its sender is told so.
"""

from __future__ import annotations

import time
import uuid
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING

from ocelli.domain.errors import Conflict
from ocelli.domain.findings import LOCAL
from ocelli.domain.ids import uuid_of
from ocelli.domain.library_chat import (
    SESSION,
    ChatRole,
    SessionMessage,
    check_open,
    compacted,
    title_of,
    tokens_of,
)
from ocelli.domain.library_questions import Kind, read_question
from ocelli.domain.references import cited
from ocelli.usecases.chat_sessions import get_session
from ocelli.usecases.erased import check_not_erased
from ocelli.usecases.library_answers import ONLY_READS
from ocelli.usecases.library_retrieval import past_of
from ocelli.usecases.lookup import existing, parse_id

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from typing import Any
    from uuid import UUID

    from ocelli.domain.images import Image
    from ocelli.domain.library_chat import ChatSession
    from ocelli.domain.organizing import OrganizePlan
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction
    from ocelli.usecases.chat_plans import ChatPlans
    from ocelli.usecases.conversations import Asking
    from ocelli.usecases.library_answers import LibraryAnswers
    from ocelli.usecases.library_model_answers import ModelAnswers
    from ocelli.usecases.library_retrieval import Gathered, Retrieval
    from ocelli.usecases.look_again import LookAgain

SEARCH_AGENT, ANSWER_AGENT = "ImageSearchAgent", "AnalysisAgent"
FOLDER_AGENT = "FolderAgent"
SEARCH_TOOL = "search_images"


@dataclass(frozen=True, slots=True)
class Turn:
    """A message that was accepted: its session as it was then, and the messages before it.

    ``answer_id`` is the id that its answer will have. ``answer`` is there already if the message
    was sent before.
    """

    session: ChatSession
    message: SessionMessage
    answer_id: UUID
    place: int
    earlier: Sequence[SessionMessage]
    started: float
    detailed: bool = False
    answer: SessionMessage | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What is being done; ``reasoning`` is why."""

    phase: str
    agent: str
    message: str
    reasoning: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A search that begins."""

    tool: str
    agent: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A search that has ended."""

    tool: str
    count: int


@dataclass(frozen=True, slots=True)
class PicturesFound:
    """The pictures that the answer can speak of."""

    images: Sequence[Image]


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer as it is stored, the pictures that it cites, and the session after it."""

    message: SessionMessage
    images: Sequence[Image]
    session: ChatSession
    agents: Sequence[str]


@dataclass(frozen=True, slots=True)
class PlanProposed:
    """A plan that waits for a person's decision."""

    plan: OrganizePlan

    @property
    def data(self) -> dict[str, Any]:
        """What clients are told of it."""
        return {
            "plan_id": str(self.plan.id),
            "summary": self.plan.summary,
            "actions": [
                {
                    "action": "create_and_move_files",
                    "folder_name": each.name,
                    "file_count": len(each.image_ids),
                }
                for each in self.plan.groups
            ],
        }


Event = Step | ToolCall | ToolResult | PicturesFound | PlanProposed | Answered


@dataclass(frozen=True, slots=True)
class Written:
    """An answer that is not stored yet. ``notes``: see SessionMessage."""

    text: str
    input_tokens: int
    output_tokens: int
    notes: dict[str, Any]


class LibraryChat:
    """Conversations about libraries."""

    def __init__(
        self,
        database: PostgresDatabase,
        retrieval: Retrieval,
        local: LibraryAnswers,
        model: ModelAnswers,
        plans: ChatPlans,
        look_again: LookAgain,
    ) -> None:
        self._database = database
        self._retrieval = retrieval
        self._local = local
        self._model = model
        self._plans = plans
        self._look_again = look_again

    async def accept(
        self,
        tenant_id: UUID,
        id: str,
        text: str,
        *,
        expected: Sequence[str] | None = None,
        detailed: bool = False,
        request_key: str | None = None,
    ) -> Turn:
        """Store a message; after this returns it is not lost.

        ``request_key``: what the client calls its request. A repetition, after a crash, finds its
        message, and the answer if there was one.
        ``detailed``: for its answer the pictures in question are looked at again.

        Where ``expected`` differs from what the session is about, that is changed to it; ids of no
        picture of the tenant are passed over. Raises NotFound, SessionClosed, SessionLimitReached.
        """
        started = time.perf_counter()
        async with self._database.transaction() as tx:
            session = existing(
                await tx.chat_sessions.lock(tenant_id, parse_id(SESSION, id)), SESSION, id
            )
            id_ = uuid.uuid4() if request_key is None else uuid.uuid5(session.id, request_key)
            message = SessionMessage(id_, ChatRole.USER, text, datetime.now(UTC), tokens_of(text))
            earlier = await tx.chat_sessions.messages(session.id)
            sent = await tx.chat_sessions.sent(session.id, message.id)
            if sent is not None:
                place, answer = sent
                before = list(takewhile(lambda each: each.id != message.id, earlier))
                answer_id = answer.id if answer else uuid.uuid4()
                return Turn(session, message, answer_id, place, before, started, detailed, answer)
            check_open(session)
            if expected is not None:
                await _heal(tx, session, expected)
            if not session.is_named and not session.places:
                await tx.chat_sessions.rename(session.id, title_of(text), is_named=False)
            place = await tx.chat_sessions.accept(session.id, message)
            session = await get_session(tx, tenant_id, session.id)
        return Turn(session, message, uuid.uuid4(), place, earlier, started, detailed)

    async def answer(self, asking: Asking, turn: Turn) -> AsyncGenerator[Event]:
        """Yield what is done for an answer, and at last the answer. Raises OcelliError.

        Conflict: a picture that the answer is about was erased meanwhile.
        """
        try:
            async with aclosing(self._events(asking, turn)) as events:
                async for event in events:
                    yield event
        except Exception:
            async with self._database.transaction() as tx:
                await tx.chat_sessions.withdraw(turn.session.id, turn.message.id)
            raise

    async def _events(self, asking: Asking, turn: Turn) -> AsyncGenerator[Event]:
        if turn.answer is not None:
            yield await self._answered_before(turn, turn.answer)
            return
        question = read_question(turn.message.content, turn.message.created_at)
        if question.kind is Kind.ORGANIZE:
            async for event in self._planned(asking, turn):
                yield event
            return
        if question.kind is Kind.CHANGE:  # no search: what it lists would look like what was done
            written = _written_locally(turn, ONLY_READS, {"vision_used": False})
            yield await self._store(turn, None, written, (ANSWER_AGENT,))
            return
        yield Step(
            "searching",
            SEARCH_AGENT,
            "Searching the library",
            f"Read as: {question.kind}; search: {question.text or 'none'}",
        )
        yield ToolCall(SEARCH_TOOL, SEARCH_AGENT)
        gathered = await self._retrieval.gather(turn.session, question, past_of(turn.earlier))
        yield ToolResult(SEARCH_TOOL, gathered.count or len(gathered.shown))
        if turn.detailed and gathered.shown:
            yield Step("analysis", ANSWER_AGENT, "Looking again, thoroughly")
            shown = await self._look_again.look(asking.tenant, gathered.shown)
            gathered = replace(gathered, shown=shown)
        if gathered.shown:
            yield PicturesFound(gathered.shown)
        yield Step("analysis", ANSWER_AGENT, "Writing the answer")
        written = await self._written(asking, turn, gathered)
        yield await self._store(turn, gathered, written, (SEARCH_AGENT, ANSWER_AGENT))

    async def _answered_before(self, turn: Turn, answer: SessionMessage) -> Answered:
        async with self._database.transaction() as tx:
            found = {each.id: each for each in await tx.images.by_ids(list(answer.image_ids))}
        images = [found[id] for id in answer.image_ids if id in found]
        return Answered(answer, images, turn.session, ())

    async def _planned(self, asking: Asking, turn: Turn) -> AsyncGenerator[Event]:
        """Propose what a message asks to be done with pictures."""
        yield Step("analysis", FOLDER_AGENT, "Making a plan")
        proposal = await self._plans.propose(asking, turn)
        notes: dict[str, Any] = {"provider": self._model.name, "vision_used": False}
        if proposal.plan is not None:
            planned = PlanProposed(proposal.plan)
            notes["plan"] = planned.data
            yield planned
        used = proposal.tokens
        written = Written(
            proposal.text,
            used.input or turn.message.token_count or 0,
            used.output or tokens_of(proposal.text),
            {**notes, "model": self._model.name},
        )
        yield await self._store(turn, None, written, (FOLDER_AGENT,))

    async def _written(self, asking: Asking, turn: Turn, gathered: Gathered) -> Written:
        """Return the answer of the model, or what can be said without one."""
        notes: dict[str, Any] = {
            "vision_used": turn.detailed and bool(gathered.shown),
            "offers_detailed_analysis": bool(gathered.shown) and not turn.detailed,
        }
        local = self._local.answer(
            turn.message.content, gathered, selected=turn.session.selection is not None
        )
        if not self._model.is_configured or not gathered.total:
            return _written_locally(turn, local, notes)
        reply = await self._model.answer(
            asking,
            turn.message.content,
            gathered,
            earlier=turn.earlier[turn.session.summarised :],
            summary=turn.session.summary,
        )
        used = reply.tokens
        if reply.text is None:
            reason = reply.reason or "What the model said is contradicted by what is stored."
            written = _written_locally(turn, f"{local}\n{reason}", notes)
            return replace(written, input_tokens=written.input_tokens + used.input)
        notes |= {"provider": self._model.name, "model": self._model.name}
        if reply.unchecked:
            notes["unchecked"] = list(reply.unchecked)
        if reply.left_out:
            notes["left_out"] = reply.left_out
        return Written(
            reply.text,
            used.input or turn.message.token_count or 0,
            used.output or tokens_of(reply.text),
            notes,
        )

    async def _store(
        self, turn: Turn, gathered: Gathered | None, written: Written, agents: Sequence[str]
    ) -> Answered:
        """Store the answer.

        Raises NotFound if its session was deleted, Conflict if a picture was erased meanwhile that
        it was made from, or an earlier message about one.
        """
        shown = _cited(written.text, gathered.shown if gathered else ())
        message = SessionMessage(
            turn.answer_id,
            ChatRole.ASSISTANT,
            written.text,
            datetime.now(UTC),
            written.output_tokens,
            round((time.perf_counter() - turn.started) * 1000),
            tuple(each.id for each in shown),
            gathered.refs if gathered else {},
            written.notes,
        )
        id, tenant_id = turn.session.id, turn.session.tenant_id
        told = {each.id for each in gathered.shown} if gathered else set()
        told.update(*(each.ids for each in message.refs.values()))
        async with self._database.transaction() as tx:
            await check_not_erased(tx, tenant_id, told)
            await _check_unchanged(tx, turn)
            stored = await tx.chat_sessions.answer(
                id,
                message,
                turn.place,
                input_tokens=written.input_tokens,
                output_tokens=written.output_tokens,
            )
            existing(stored or None, SESSION, id)
            session = await get_session(tx, tenant_id, id)
            summary, until = compacted(
                session.summary, session.summarised, [*turn.earlier, turn.message, message]
            )
            if until > session.summarised:
                await tx.chat_sessions.summarise(id, summary, until)
                session = replace(session, summary=summary, summarised=until)
        return Answered(message, shown, session, agents)


def _written_locally(turn: Turn, text: str, notes: dict[str, Any]) -> Written:
    return Written(
        text,
        turn.message.token_count or 0,
        tokens_of(text),
        {"provider": LOCAL, "model": LOCAL, **notes},
    )


async def _heal(tx: PostgresTransaction, session: ChatSession, expected: Sequence[str]) -> None:
    """Make the session about the pictures that its client thinks it is about."""
    ids = [id for text in expected if (id := uuid_of(text)) is not None]
    known = await tx.images.existing(session.tenant_id, ids) if ids else []
    selection = None if not expected else tuple(known)
    if selection != session.selection:
        await tx.chat_sessions.select(session.id, list(known), use_all_images=selection is None)


async def _check_unchanged(tx: PostgresTransaction, turn: Turn) -> None:
    """Raise Conflict if an earlier message is not what the answer was made from: it was erased."""
    stored = {each.id: each.content for each in await tx.chat_sessions.messages(turn.session.id)}
    if any(stored.get(each.id, each.content) != each.content for each in turn.earlier):
        raise Conflict("An earlier message was erased meanwhile.")


def _cited(text: str, images: Sequence[Image]) -> Sequence[Image]:
    """Return the pictures that a text refers to, in its order."""
    found = []
    for prefix in cited(text):
        found += [each for each in images if each.id.hex.startswith(prefix)][:1]
    return found
