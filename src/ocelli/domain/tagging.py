"""Tags that were chosen from a vocabulary for a picture, and what the looks say of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

# These are needed at run time: rows are read by the annotations.
from ocelli.domain.choosing import ChosenTag, Match, Mode
from ocelli.domain.claims import Claim, ClaimType, JudgedClaim, Tokens, Verdict
from ocelli.domain.grammar import singular
from ocelli.domain.search import words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ocelli.domain.findings import Findings

MEASURED = 0.97  # the probability of what is computed from the pixels
_NAMING = (ClaimType.OBJECT, ClaimType.COUNT, ClaimType.SCENE)


@dataclass(frozen=True, slots=True)
class TagVocabulary:
    """The vocabulary of a question: tags are chosen from it.

    ``digest`` is that of its terms when the question was asked; ``id`` is None for one that is not
    stored. ``terms`` are those that a backend is offered in one call, and never stored.
    """

    id: str | None
    name: str
    digest: str
    mode: Mode = Mode.STRICT
    terms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OfferedTags:
    """The result of a model call that chooses from offered terms, as the model wrote them."""

    source: str
    model_version: str
    tags: tuple[str, ...]
    tokens: Tokens = Tokens()
    model_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class JudgedTag:
    """A tag with its evidence. Dropped ones (``kept`` is False) stay listed.

    ``source`` is the backend that said ``word``; ``name`` is the name of the term that the word is
    or is like, with ``score`` (see ``ChosenTag``). ``probability`` that the tag fits, 0 to 1, comes
    from ``verdicts``, as that of a claim. ``claims`` are those that state it: it holds with them.
    """

    tag: str
    match: Match
    word: str
    name: str | None
    score: float
    source: str
    kept: bool
    probability: float
    verdicts: tuple[Verdict, ...] = ()
    claims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tagging:
    """The tags of an answer; ``digest`` is that of the terms that they were chosen from."""

    vocabulary: str
    digest: str
    mode: Mode
    tags: tuple[JudgedTag, ...] = ()

    @property
    def kept(self) -> tuple[str, ...]:
        """The tags that hold, in their order."""
        return tuple(each.tag for each in self.tags if each.kept)

    def stated_only_by(self, chosen: Callable[[str], bool]) -> frozenset[str]:
        """Return the tags of which all claims are among the chosen ones."""
        return frozenset(each.tag for each in self.tags if all(map(chosen, each.claims)))

    @property
    def new(self) -> tuple[str, ...]:
        """Those of them that are no terms."""
        return tuple(each.tag for each in self.tags if each.kept and each.match is Match.NEW)


@dataclass(frozen=True, slots=True)
class TagCandidates:
    """Chosen tags before they are judged.

    ``claims`` are to be checked with those of the description, for the tags of which it claims
    nothing; ``stated_by`` has for each tag the positions of its claims among all of them.
    """

    source: str
    tags: tuple[ChosenTag, ...] = ()
    claims: tuple[Claim, ...] = ()
    stated_by: tuple[tuple[int, ...], ...] = ()

    def judged(self, claims: Sequence[JudgedClaim]) -> tuple[JudgedTag, ...]:
        """Return the tags, each judged as the best of its claims."""
        return tuple(
            _judged(self.source, tag, [claims[position] for position in positions])
            for tag, positions in zip(self.tags, self.stated_by, strict=True)
        )


def candidates(
    findings: Findings,
    claims: Sequence[Claim],
    tags: Sequence[ChosenTag],
    named_in: Callable[[str], Sequence[ChosenTag]],
) -> TagCandidates:
    """Return chosen tags with the claims that state them; ``named_in`` finds the terms in words.

    A tag that no claim states becomes a claim of its own, with the score of its word as belief if
    the claims of this backend have one.
    """
    named = [{each.tag for each in named_in(_subject(claim))} for claim in claims]
    beliefs = {}
    if any(claim.belief is not None for claim in claims):
        beliefs = {each.name.casefold(): each.score for each in findings.tags}
        # Their scores are shares of the picture; that they are in it was measured.
        beliefs |= {each.name.casefold(): MEASURED for each in findings.colors}
    own: list[Claim] = []
    stated_by: list[tuple[int, ...]] = []
    for tag in tags:
        positions = tuple(
            position
            for position, claim in enumerate(claims)
            if tag.tag in named[position] or _is_same(tag.word, _subject(claim))
        )
        if not positions:
            positions = (len(claims) + len(own),)
            own.append(_claim(tag, beliefs.get(tag.word.casefold())))
        stated_by.append(positions)
    return TagCandidates(findings.source, tuple(tags), tuple(own), tuple(stated_by))


def _claim(tag: ChosenTag, belief: float | None) -> Claim:
    name = tag.term.name if tag.term else tag.tag
    text = f"The keyword “{name}” fits."
    return Claim(text, ClaimType.OBJECT, subject=singular(name.casefold()), belief=belief)


def _subject(claim: Claim) -> str:
    return (claim.subject or "") if claim.type in _NAMING else ""


def _is_same(word: str, subject: str) -> bool:
    return bool(subject) and singular(" ".join(words(word))) == singular(" ".join(words(subject)))


def _judged(source: str, tag: ChosenTag, claims: Sequence[JudgedClaim]) -> JudgedTag:
    best = max(claims, key=lambda each: (each.kept, each.probability))
    return JudgedTag(
        tag.tag,
        tag.match,
        tag.word,
        tag.name,
        tag.score,
        source,
        best.kept,
        best.probability,
        best.verdicts,
        tuple(each.claim.text for each in claims),
    )


def offering(vocabulary: TagVocabulary, terms: Sequence[str]) -> TagVocabulary:
    """Return the vocabulary with the terms that a backend is offered."""
    return replace(vocabulary, terms=tuple(terms))
