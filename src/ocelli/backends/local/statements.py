"""What a description says, as claims that can be checked one by one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.backends.local.content import NSFW, PICTURE
from ocelli.backends.local.lexicon import lexicon
from ocelli.backends.local.phrases import WHERE, Phrase, Topic
from ocelli.backends.local.shapes import is_shape
from ocelli.domain import grammar
from ocelli.domain.claims import Claim, ClaimType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def statements(said: Iterable[Phrase]) -> tuple[Claim, ...]:
    """A claim for everything that was said.

    Each is there once, whatever may have said it again. A closer name is a claim besides the plain
    noun, and every line of text is one of its own: each can be wrong alone.
    """
    claims: dict[str, Claim] = {}
    for one in said:
        for claim in _claims(one):
            claims.setdefault(claim.text, claim)
    return tuple(claims.values())


def _claims(said: Phrase) -> Iterator[Claim]:
    at, belief = said.sentence, said.belief
    match said.topic:
        case Topic.THING | Topic.SURFACE:
            noun = said.of or said.subject
            yield _there_is(noun, said)
            if said.of:
                yield _is_a(said)
        case Topic.DETAIL:
            yield _is_a(said)
        case Topic.SIDE:
            text = grammar.sentence(f"the {said.of} is {said.words}")
            yield Claim(text, ClaimType.RELATION, said.of, None, said.subject, at, belief)
        case Topic.RIDING:
            text = grammar.sentence(f"the {said.of} is riding the {said.subject}")
            yield Claim(text, ClaimType.RELATION, said.of, None, "riding", at, belief)
        case Topic.MEDIUM:
            text = f"The picture is {said.words}."
            yield Claim(text, ClaimType.SCENE, said.subject, None, None, at, belief)
        case Topic.PLACE:
            text = f"The scene is {WHERE[said.subject]}."
            yield Claim(text, ClaimType.SCENE, said.subject, None, None, at, belief)
        case Topic.SCENE if said.of:
            yield _is_a(said)
        case Topic.SCENE if lexicon().is_a(said.subject, "place"):
            text = f"The scene is {said.words}."
            yield Claim(text, ClaimType.SCENE, said.subject, None, None, at, belief)
        case Topic.SCENE:
            yield _there_is(said.subject, said)
        case Topic.FACES:
            verb = "is" if said.count == 1 else "are"
            text = grammar.sentence(f"{said.words} {verb} visible")
            yield Claim(text, ClaimType.COUNT, said.subject, said.count, None, at, belief)
        case Topic.TEXT:
            for part in said.parts:
                text = f"There is text that reads “{part}”."
                yield Claim(text, ClaimType.TEXT, "text", None, part, at, belief)
        case Topic.COLORS:
            for name in said.parts:
                text = grammar.sentence(f"{name} is a dominant colour")
                yield Claim(
                    text, ClaimType.ATTRIBUTE, PICTURE, None, name, at, belief, measured=True
                )
        case Topic.SAFETY:
            text = f"The picture {said.words}."
            yield Claim(text, ClaimType.OTHER, PICTURE, None, NSFW, at, belief)


def _there_is(noun: str, said: Phrase) -> Claim:
    exact = is_shape(noun)
    words = (grammar.counted if exact else grammar.some)(noun, said.count)
    if said.count > 2 and not exact:
        return Claim(
            f"There are {words}.", ClaimType.OBJECT, noun, None, None, said.sentence, said.belief
        )
    if said.count > 1:
        return Claim(
            f"There are {words}.",
            ClaimType.COUNT,
            noun,
            said.count,
            sentence=said.sentence,
            belief=said.belief,
        )
    return Claim(
        f"There is {words}.",
        ClaimType.OBJECT,
        noun,
        sentence=said.sentence,
        belief=said.belief,
    )


def _is_a(said: Phrase) -> Claim:
    return Claim(
        f"The {said.of} is {grammar.counted(said.subject)}.",
        ClaimType.OBJECT,
        said.subject,
        sentence=said.sentence,
        belief=said.belief,
    )
