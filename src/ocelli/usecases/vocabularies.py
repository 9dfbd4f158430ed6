"""A tenant's vocabularies: import, look, delete, and choose tags from one for given words."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

from ocelli.domain.analysis import BackendFailure
from ocelli.domain.choosing import Choice, Mode, TermIndex
from ocelli.domain.effective import effective
from ocelli.domain.errors import Conflict, FailureType, Unavailable, ValidationFailed
from ocelli.domain.sentences import sentences
from ocelli.domain.tagging import TagVocabulary
from ocelli.domain.vocabulary import MAX_NAME, MAX_VOCABULARIES, SEPARATOR, Terms, clean, name_key
from ocelli.domain.vocabulary_files import read
from ocelli.usecases.lookup import existing
from ocelli.usecases.open_vocabulary import OpenVocabulary, nearest_names, nothing_near

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    import numpy as np
    import numpy.typing as npt

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.paging import PageRequest
    from ocelli.domain.vocabulary import Term, Vocabulary
    from ocelli.domain.vocabulary_files import VocabularyFormat
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.usecases.embeddings import Embeddings

    Vectors = npt.NDArray[np.float16]

Value = TypeVar("Value")

_KEPT = 8  # vocabularies in memory; one has up to 15 MB of vectors
_CHUNK = 100  # vectors that are stored together: a cut request has not worked in vain


@dataclass(frozen=True, slots=True)
class Imported:
    """A vocabulary as it was stored; ``duplicates`` were merged with others."""

    vocabulary: Vocabulary
    duplicates: int


@dataclass(frozen=True, slots=True)
class TermPage:
    """A page of the terms of a vocabulary; ``next`` is the key behind it, if any."""

    terms: Sequence[Term]
    next: tuple[int] | None


class Vocabularies:
    """Use cases around vocabularies. Everywhere a vocabulary is named by its id or its name."""

    def __init__(
        self, database: PostgresDatabase, embeddings: Embeddings, *, wait: float = 60.0
    ) -> None:
        """``wait``: seconds that a request makes vectors at most; the next one goes on."""
        self._database = database
        self._wait = wait
        self._embeddings = embeddings
        self._indices: OrderedDict[str, TermIndex] = OrderedDict()
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()
        self._making: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    async def store(
        self, tenant_id: UUID, name: str, content: str, format: VocabularyFormat
    ) -> Imported:
        """Read a file and store its terms in the place of those of the vocabulary of this name.

        Raises ValidationFailed, with the line that cannot be read; Conflict if there are too many.
        """
        name = clean(name)
        if not name_key(name) or len(name) > MAX_NAME or SEPARATOR in name:
            raise ValidationFailed(
                f"A name has 1 to {MAX_NAME} characters, and no {SEPARATOR}.", field="name"
            )
        terms = await asyncio.to_thread(read, content, format)
        async with self._database.transaction() as tx:
            count = await tx.vocabularies.lock(tenant_id)
            is_new = await tx.vocabularies.find(tenant_id, name) is None
            if is_new and count >= MAX_VOCABULARIES:
                raise Conflict(f"There are {MAX_VOCABULARIES} vocabularies; delete one first.")
            stored = await tx.vocabularies.put(tenant_id, name, terms)
        return Imported(stored, terms.duplicates)

    async def all(self, tenant_id: UUID) -> Sequence[Vocabulary]:
        """Return the tenant's vocabularies, by name."""
        async with self._database.autocommit() as tx:
            return await tx.vocabularies.all(tenant_id)

    async def get(self, tenant_id: UUID, id_or_name: str) -> Vocabulary:
        """Return one. Raises NotFound."""
        async with self._database.autocommit() as tx:
            found = await tx.vocabularies.find(tenant_id, id_or_name)
        return existing(found, "Vocabulary", id_or_name)

    async def terms(self, tenant_id: UUID, id_or_name: str, page: PageRequest) -> TermPage:
        """Return a page of the terms, in the order of the file. Raises NotFound."""
        vocabulary = await self.get(tenant_id, id_or_name)
        async with self._database.autocommit() as tx:
            rows, more = page.cut(await tx.vocabularies.page(vocabulary.id, page))
        return TermPage([term for _, term in rows], (rows[-1][0],) if more else None)

    async def delete(self, tenant_id: UUID, id_or_name: str) -> None:
        """Delete one. Raises NotFound."""
        vocabulary = await self.get(tenant_id, id_or_name)
        async with self._database.autocommit() as tx:
            await tx.vocabularies.delete(vocabulary.id)

    async def choose(
        self,
        tenant_id: UUID,
        id_or_name: str,
        words: Sequence[str],
        mode: Mode,
        *,
        said: Sequence[str] = (),
    ) -> Choice:
        """Return the tags for words, and those that the sentences in ``said`` name.

        Raises NotFound, Unavailable.
        """
        vocabulary = await self.get(tenant_id, id_or_name)
        index = await self._index(vocabulary)
        asked = TagVocabulary(str(vocabulary.id), vocabulary.name, index.digest, mode)
        nearest = partial(self._nearest, vocabulary, index)
        return await OpenVocabulary(asked, index, nearest).choose(words, said)

    async def choose_for_picture(
        self, tenant_id: UUID, id_or_name: str, file_id: str, mode: Mode
    ) -> Choice:
        """Return the tags for what is shown of a picture: its tags, and what its description names.

        Claims that verification or a person dropped are not shown, so nothing is chosen for them.
        Raises NotFound, Unavailable.
        """
        async with self._database.autocommit() as tx:
            image = await tx.images.get(tenant_id, file_id)
        shown = effective(existing(image, "File", file_id))
        said = sentences(shown.description or "")
        return await self.choose(tenant_id, id_or_name, shown.tags, mode, said=said)

    async def for_question(
        self, tenant: Tenant, id_or_name: str | None = None, mode: Mode | None = None
    ) -> TagVocabulary | None:
        """Return the vocabulary that a request asks for, or the tenant's default if it names none.

        None for the mode ``off``. Raises NotFound, ValidationFailed for a mode without a
        vocabulary.
        """
        if id_or_name is None:
            default = tenant.vocabulary
            if default is None and mode in (Mode.STRICT, Mode.PREFER):
                raise ValidationFailed(
                    "A mode needs a `vocabulary`: there is no default one.", field="vocabulary_mode"
                )
            if default is None or mode is Mode.OFF:
                return None
            return replace(default, mode=mode or default.mode)
        found = await self.get(tenant.id, id_or_name)
        if mode is Mode.OFF:
            return None
        return TagVocabulary(str(found.id), found.name, found.digest, mode or Mode.STRICT)

    async def default(self, tenant_id: UUID) -> TagVocabulary | None:
        """Return what the tenant's requests use that name none."""
        async with self._database.autocommit() as tx:
            return await tx.vocabularies.default(tenant_id)

    async def set_default(
        self, tenant: Tenant, id_or_name: str | None, mode: Mode
    ) -> TagVocabulary | None:
        """Set that, or nothing with None or the mode ``off``; return it. Raises NotFound.

        Requests follow within ``accounts.REMEMBERED_FOR`` seconds.
        """
        asked = None
        if id_or_name is not None:
            asked = await self.for_question(tenant, id_or_name, mode)
        async with self._database.autocommit() as tx:
            await tx.vocabularies.set_default(tenant.id, asked)
        return asked

    async def open(
        self, tenant_id: UUID, asked: TagVocabulary, *, patient: bool = True
    ) -> OpenVocabulary:
        """Return the vocabulary of a question with its terms as they are now.

        From one that was deleted nothing is chosen, which its ``problems`` say. Raises Unavailable
        if vectors of its names are still to be made; if not ``patient`` it goes without them.
        """
        async with self._database.autocommit() as tx:
            found = await tx.vocabularies.find(tenant_id, asked.id or asked.name)
        if found is None:
            return _deleted(asked)
        index = await self._index(found)
        asked = replace(asked, name=found.name, digest=index.digest)
        try:
            if index.texts:
                await self._matrix(found, list(index.texts))
        except Unavailable as error:
            if patient:
                raise
            problem = _problem(f"{error.message} Meanwhile tags were chosen by names only.", True)
            return OpenVocabulary(asked, index, nothing_near, problem)
        return OpenVocabulary(asked, index, partial(self._nearest, found, index))

    async def _index(self, vocabulary: Vocabulary) -> TermIndex:
        known = self._indices.get(vocabulary.digest)
        if known is None:
            async with self._database.autocommit() as tx:
                terms = Terms(tuple(await tx.vocabularies.terms(vocabulary.id)))
            known = await asyncio.to_thread(TermIndex, terms)
            # What was read may be newer than ``vocabulary``.
            _keep(self._indices, await asyncio.to_thread(lambda: terms.digest), known)
        return known

    async def _nearest(
        self, vocabulary: Vocabulary, index: TermIndex, words: Sequence[str]
    ) -> dict[str, tuple[str, float]]:
        """Return the nearest name of each word, with the cosine."""
        names = list(index.texts)
        if not names:
            return {}
        matrix = await self._matrix(vocabulary, names)
        queries = await self._embeddings.embed(words)
        return await asyncio.to_thread(nearest_names, words, names, matrix, queries)

    async def _matrix(self, vocabulary: Vocabulary, names: Sequence[str]) -> Vectors:
        """Return the vectors of names, a row for each; those that are not stored are made."""
        key = "\n".join(names)
        until = asyncio.get_running_loop().time() + self._wait
        if (matrix := self._vectors.get(key)) is not None:
            return matrix
        # Two would make the same; those of other vocabularies do not wait.
        async with self._making.setdefault(vocabulary.id, asyncio.Lock()):
            if (matrix := self._vectors.get(key)) is not None:
                return matrix
            return _keep(self._vectors, key, await self._made(vocabulary, names, until))

    async def _made(self, vocabulary: Vocabulary, names: Sequence[str], until: float) -> Vectors:
        import numpy as np

        version = self._embeddings.embedder.model_version
        async with self._database.autocommit() as tx:
            known = dict(await tx.vocabularies.vectors(vocabulary.id, version))
        unknown = [each for each in names if each not in known]
        clock = asyncio.get_running_loop().time
        for start in range(0, len(unknown), _CHUNK):
            chunk = unknown[start : start + _CHUNK]
            made = await self._embeddings.embed(chunk)
            vectors = [np.array(each.vector, np.float16).tobytes() for each in made]
            new = dict(zip(chunk, vectors, strict=True))
            known |= new
            async with self._database.autocommit() as tx:
                await tx.vocabularies.add_vectors(vocabulary.id, version, new)
            if clock() >= until and len(unknown) > start + _CHUNK:
                done = len(names) - len(unknown) + start + _CHUNK
                raise Unavailable(
                    f"The vocabulary is new: {done:,} of its {len(names):,} names have vectors. "
                    "Try again, it goes on from there."
                )
        return await asyncio.to_thread(
            lambda: np.stack([np.frombuffer(known[each], np.float16) for each in names])
        )


def _deleted(asked: TagVocabulary) -> OpenVocabulary:
    problem = _problem(
        f"The vocabulary {asked.name!r} was deleted before this picture was described: no tags were"
        " chosen from it.",
        False,
    )
    return OpenVocabulary(asked, TermIndex(Terms(())), nothing_near, problem)


def _problem(message: str, retryable: bool) -> BackendFailure:
    return BackendFailure("vocabulary", FailureType.VALIDATION, message, retryable)


def _keep(kept: OrderedDict[str, Value], key: str, value: Value) -> Value:
    """Keep a value in memory, and drop the oldest ones."""
    kept[key] = value
    while len(kept) > _KEPT:
        kept.popitem(last=False)
    return value
