"""What the library has for a question: searches, counts, filters, and the pictures themselves."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ocelli.domain import grammar
from ocelli.domain.colors import ColorQuery
from ocelli.domain.effective import effective
from ocelli.domain.file_query import FileQuery, SortBy
from ocelli.domain.library_chat import ResultRef
from ocelli.domain.library_questions import Kind, LibraryQuestion, Order
from ocelli.domain.paging import PageRequest
from ocelli.domain.search import SearchMode, parse
from ocelli.media.colors import names as color_names
from ocelli.usecases.library_search import MOST_FOUND

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.folders import Folder
    from ocelli.domain.images import Image
    from ocelli.domain.library_chat import ChatSession, SessionMessage
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.usecases.colors import Colors
    from ocelli.usecases.library_search import LibrarySearch

MOST_SHOWN = 12  # pictures that an answer can speak of
TALKED_OF = 6  # pictures that "they" and "it" stand for
MOST_COMPARED = 4
SAMPLED = 200  # newest pictures whose tags are counted for an overview
MOST_TAGS = 12
# Pictures that are near in meaning alone are spoken of only so near: half as far again as the
# search itself goes, as here nothing shows how well each fits.
NEAR_COSINE = 0.375
MOSTLY, SOMEWHAT = 30.0, 10.0  # percent of a picture that a colour must have
NAMED, NEAR = "search_1", "search_2"


@dataclass(frozen=True, slots=True)
class Overview:
    """What a library holds. Tags are those of the newest ``SAMPLED`` pictures."""

    described: int
    oldest: datetime | None
    newest: datetime | None
    tags: Sequence[tuple[str, int]]
    folders: Sequence[Folder]


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found. ``total``: the pictures that the session is about.

    ``named`` are the matches (``count`` of them), ``near`` those that only mean about the same.
    ``shown`` are the pictures to speak of, the best first. ``missing``: file names of the question
    that no picture has. ``words_only``: why was not searched by meaning, or None.
    """

    question: LibraryQuestion
    total: int
    named: Sequence[UUID] = ()
    count: int = 0
    near: Sequence[UUID] = ()
    shown: Sequence[Image] = ()
    label: str = ""
    missing: Sequence[str] = ()
    overview: Overview | None = None
    words_only: str | None = None
    searched: bool = False

    @property
    def refs(self) -> dict[str, ResultRef]:
        """The counts that an answer can refer to."""
        refs = {}
        if self.searched:
            refs[NAMED] = ResultRef(self.count, tuple(self.named[:MOST_FOUND]), self.label)
        if self.near:
            label = f"near in meaning to {self.label}"
            refs[NEAR] = ResultRef(len(self.near), tuple(self.near), label)
        return refs


@dataclass(frozen=True, slots=True)
class Past:
    """What a conversation talked of: the pictures of the last answer, and all that it found.

    ``lists`` are the pictures of each answer, the last first: what "the second one" counts in.
    """

    shown: Sequence[UUID] = ()
    found: Sequence[UUID] = ()
    lists: Sequence[Sequence[UUID]] = ()

    def within(self, selection: Sequence[UUID] | None) -> Past:
        """Return it without pictures outside of a selection, if there is one."""
        if selection is None:
            return self
        return Past(
            [id for id in self.shown if id in selection],
            [id for id in self.found if id in selection],
            [[id for id in each if id in selection] for each in self.lists],
        )

    def at(self, positions: Sequence[int]) -> Sequence[UUID]:
        """Return the pictures at ``positions`` of the last list that has all of them.

        A single picture is a list only where there is no other: after "the second one", "the first
        one" is of the same list as that.
        """
        last = max(each + 1 if each >= 0 else -each for each in positions)
        several = [each for each in self.lists if len(each) > 1]
        for listed in (*several, *self.lists):
            if len(listed) >= last:
                return [listed[at] for at in positions]
        return ()


@dataclass(frozen=True, slots=True)
class _Matches:
    named: Sequence[UUID]
    count: int
    near: Sequence[UUID] = field(default=())
    words_only: str | None = None


def past_of(messages: Sequence[SessionMessage]) -> Past:
    """Return what the last answer that had pictures talked of, and the lists of all of them."""
    lists = [each.image_ids for each in reversed(messages) if each.image_ids]
    for each in reversed(messages):
        ids = [id for ref in each.refs.values() for id in ref.ids]
        if each.image_ids or ids:
            return Past(each.image_ids, ids or each.image_ids, lists)
    return Past()


class Retrieval:
    """Gathers what a question needs. Everything is read within the session's selection."""

    def __init__(self, database: PostgresDatabase, search: LibrarySearch, colors: Colors) -> None:
        self._database = database
        self._search = search
        self._colors = colors

    async def gather(self, session: ChatSession, question: LibraryQuestion, past: Past) -> Gathered:
        """Return what there is for the question."""
        scope = FileQuery(ids=session.selection)
        async with self._database.autocommit() as tx:
            _, total = await tx.images.matches(session.tenant_id, scope, limit=0)
        gathered = Gathered(question, total)
        if not total:
            return gathered
        past = past.within(session.selection)
        match question.kind:
            case Kind.OVERVIEW:
                return await self._overview(session.tenant_id, scope, gathered)
            case Kind.ABOUT | Kind.COMPARE | Kind.SIMILAR | Kind.WHEN:
                return await self._about(session, scope, gathered, past)
            case Kind.FIND | Kind.COUNT:
                return await self._found(session.tenant_id, scope, gathered, past)
            case _:
                return gathered

    async def _found(
        self, tenant_id: UUID, scope: FileQuery, gathered: Gathered, past: Past
    ) -> Gathered:
        question = gathered.question
        if question.refers and past.found:
            scope = _within(scope, past.found)
        matches = await self._matches(tenant_id, scope, question)
        wanted = min(question.limit or MOST_SHOWN, MOST_SHOWN)
        ids = [*matches.named, *matches.near][:wanted]
        return replace(
            gathered,
            named=matches.named,
            count=matches.count,
            near=matches.near,
            shown=await self._images(tenant_id, ids),
            label=_label(question),
            words_only=matches.words_only,
            searched=True,
        )

    async def _matches(
        self, tenant_id: UUID, scope: FileQuery, question: LibraryQuestion
    ) -> _Matches:
        query = scope
        if question.period is not None:
            query = replace(query, since=question.period.since, before=question.period.before)
        if question.color is not None:
            query = _within(query, await self._colored(tenant_id, question.color))
        if question.written is not None:
            query = replace(query, search=parse(question.written), mode=SearchMode.VISIBLE_TEXT)
        query = replace(query, has_text=question.has_text)
        near: list[UUID] = []
        words_only = None
        if question.text and question.written is None:
            found = await self._search.search(
                tenant_id, question.text, query, limit=MOST_SHOWN, named=synonyms(question.text)
            )
            near = [
                hit.image.id
                for hit in found.hits
                if hit.cosine and hit.cosine >= NEAR_COSINE and hit.image.id not in found.named
            ]
            words_only = found.words_only
            query = replace(query, search=parse(synonyms(question.text)))
        if question.order is not None:
            query = replace(query, descending=question.order is Order.NEWEST)
        elif query.search is not None:
            query = replace(query, sort_by=SortBy.RELEVANCE)
        async with self._database.transaction() as tx:
            named, count = await tx.images.matches(tenant_id, query, limit=MOST_FOUND)
        if question.color and question.order is None and query.ids is not None:
            there = set(named)
            named = [id for id in query.ids if id in there]  # the most of that colour first
        return _Matches(named, count, near, words_only)

    async def _colored(self, tenant_id: UUID, color: str) -> Sequence[UUID]:
        """Return the pictures with much of a colour, the most of it first."""
        best: dict[UUID, float] = {}
        for name in color_names():
            if name.split()[-1] != color:
                continue
            query = ColorQuery(name=name, min_percentage=SOMEWHAT)
            matches, _, _ = await self._colors.search(tenant_id, query, PageRequest(MOST_FOUND))
            for each in matches:
                best[each.image_id] = best.get(each.image_id, 0.0) + each.percentage
        ranked = sorted(best.items(), key=lambda each: -each[1])
        return [id for id, share in ranked if share >= MOSTLY]

    async def _about(
        self, session: ChatSession, scope: FileQuery, gathered: Gathered, past: Past
    ) -> Gathered:
        """Of single pictures: those that are named, pointed at, or talked of before."""
        question, tenant_id = gathered.question, session.tenant_id
        named, missing = await self._called(tenant_id, scope, question.filenames)
        pointed = await self._pointed_at(session, scope, question, past)
        ids = [*named, *pointed]
        if not ids and not missing:
            ids = list(await self._searched(tenant_id, scope, question))
        most = MOST_COMPARED if question.kind is Kind.COMPARE else TALKED_OF
        images = await self._images(tenant_id, list(dict.fromkeys(ids))[:most])
        gathered = replace(gathered, shown=images, missing=missing)
        if question.kind is not Kind.SIMILAR or not images:
            return gathered
        return await self._similar(tenant_id, scope, gathered)

    async def _pointed_at(
        self, session: ChatSession, scope: FileQuery, question: LibraryQuestion, past: Past
    ) -> Sequence[UUID]:
        if not question.refers and not question.positions:
            return ()
        talked_of = past.shown or session.selection or ()
        if not talked_of:
            async with self._database.transaction() as tx:
                talked_of, _ = await tx.images.matches(session.tenant_id, scope, limit=TALKED_OF)
        if not question.positions:
            return talked_of
        return (past if past.lists else Past(lists=[talked_of])).at(question.positions)

    async def _searched(
        self, tenant_id: UUID, scope: FileQuery, question: LibraryQuestion
    ) -> Sequence[UUID]:
        """Return the best match of the question, or to compare, of each side of it."""
        if question.order is not None:
            ordered = await self._matches(tenant_id, scope, replace(question, text=""))
            return ordered.named[: question.limit or 2]
        sides = [question.text]
        if question.kind is Kind.COMPARE:
            sides = [side for side in _sides(question.text) if side][:MOST_COMPARED]
        ids: list[UUID] = []
        for side in sides:
            found = await self._matches(tenant_id, scope, replace(question, text=side))
            ids += [id for id in (*found.named, *found.near) if id not in ids][:1]
        return ids

    async def _similar(self, tenant_id: UUID, scope: FileQuery, gathered: Gathered) -> Gathered:
        first = gathered.shown[0]
        text = effective(first).description
        if not text:
            return gathered
        found = await self._search.search(tenant_id, text, scope, limit=MOST_SHOWN, named="")
        others = [hit.image for hit in found.hits if hit.image.id != first.id]
        return replace(
            gathered,
            shown=[first, *others[: MOST_SHOWN - 1]],
            near=[each.id for each in others],
            label=first.title or first.filename,
            words_only=found.words_only,
        )

    async def _called(
        self, tenant_id: UUID, scope: FileQuery, names: Sequence[str]
    ) -> tuple[list[UUID], list[str]]:
        """Return the pictures of these file names, and the names that none has."""
        ids: list[UUID] = []
        missing: list[str] = []
        for name in names[:MOST_COMPARED]:
            query = replace(scope, search=parse(f'"{name}"'), mode=SearchMode.METADATA)
            async with self._database.transaction() as tx:
                found, _ = await tx.images.page(tenant_id, query, limit=MOST_SHOWN, offset=0)
            exact = [each.id for each in found if each.filename.casefold() == name]
            ids += exact[:1]
            missing += [] if exact else [name]
        return ids, missing

    async def _overview(self, tenant_id: UUID, scope: FileQuery, gathered: Gathered) -> Gathered:
        async with self._database.transaction() as tx:
            images = tx.images
            _, described = await images.matches(tenant_id, replace(scope, described=True), limit=0)
            newest, _ = await images.page(tenant_id, scope, limit=SAMPLED, offset=0)
            oldest, _ = await images.page(
                tenant_id, replace(scope, descending=False), limit=1, offset=0
            )
            folders = await tx.folders.all(tenant_id)
        tags = Counter(
            tag
            for image in newest
            for tag in effective(image).tags
            if tag not in color_names()  # which every picture has
        )
        overview = Overview(
            described,
            _taken(oldest[0]) if oldest else None,
            _taken(newest[0]) if newest else None,
            tags.most_common(MOST_TAGS),
            folders,
        )
        return replace(gathered, overview=overview, shown=newest[:MOST_SHOWN])

    async def _images(self, tenant_id: UUID, ids: Sequence[UUID]) -> Sequence[Image]:
        """Return these pictures in this order, without those that are deleted by now."""
        async with self._database.transaction() as tx:
            found = {each.id: each for each in await tx.images.by_ids(list(ids))}
        return [found[id] for id in ids if id in found and found[id].tenant_id == tenant_id]


def synonyms(text: str) -> str:
    """Return a search for a thing, by what else it may be called.

    >>> synonyms("women")
    '"women" or "woman" or "person" '
    """
    if len(text.split()) > 2 or '"' in text:
        return f"{text} "  # with the space behind it the last word is no beginning of one
    noun = grammar.singular(text.casefold())
    canonical = grammar.canonical(noun)
    names = dict.fromkeys((text, noun, canonical, *grammar.members(canonical)))
    if len(names) == 1 or (len(text.split()) > 1 and not grammar.members(canonical)):
        return f"{text} "
    return " or ".join(f'"{name}"' for name in names) + " "


def _sides(text: str) -> list[str]:
    """Return what is to be compared: "the dog with the cat" has two sides."""
    padded = f" {text} "
    for word in (" and ", " with ", " to ", " from ", " or "):
        padded = padded.replace(word, "|")
    return [" ".join(side.removeprefix("the ").split()) for side in padded.split("|")]


def _within(query: FileQuery, ids: Sequence[UUID]) -> FileQuery:
    """Return the query within these pictures only."""
    allowed = None if query.ids is None else set(query.ids)
    return replace(query, ids=tuple(id for id in ids if allowed is None or id in allowed))


def _taken(image: Image) -> datetime:
    return (image.content_created_at or image.created_at).astimezone(UTC)


def _label(question: LibraryQuestion) -> str:
    """Return what was searched, in words."""
    parts = [f"“{question.text}”"] if question.text else []
    if question.color:
        parts.append(f"mostly {question.color}")
    if question.written:
        parts.append(f"the text “{question.written}”")
    if question.has_text is not None:
        parts.append("text" if question.has_text else "no text")
    if question.period:
        parts.append(question.period.label)
    return ", ".join(parts) or "all pictures"
