"""The sight test: generated pictures, what is asked about them, and which answers show sight. Pure.

Models that never receive a picture invent descriptions of it: a wrong projector, a build without
vision, a proxy that drops pictures. So a backend is asked about three pictures whose content is
random, and about a blank one. It sees if two of the three answers are right, or all words were
read, while the answer about the blank picture holds nothing of the three. No question holds
anything of its answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from datetime import datetime

VERSION = 1  # of pictures, questions and rules
VALID_FOR = 24 * 3600.0  # seconds that a result is remembered

COLORS = ("red", "green", "blue", "yellow")
SHAPES = ("circle", "square", "triangle")
FEWEST, MOST = 2, 4  # shapes of one kind
WORDS_SHOWN = 3
WORDS = (
    "ANCHOR", "BASKET", "BRIDGE", "BUTTON", "CANDLE", "CANYON", "CARPET", "CASTLE", "CHERRY",
    "CIRCUS", "COTTON", "DESERT", "DONKEY", "DRAGON", "ENGINE", "FALCON", "FEATHER", "FOREST",
    "GARDEN", "GINGER", "GUITAR", "HAMMER", "HARBOR", "HELMET", "ISLAND", "JACKET", "JUNGLE",
    "KITTEN", "LADDER", "LEMON", "LIZARD", "MAGNET", "MARBLE", "MEADOW", "MIRROR", "MONKEY",
    "MUSEUM", "NEEDLE", "OYSTER", "PALACE", "PARROT", "PENCIL", "PEPPER", "PICKLE", "PILLOW",
    "PLANET", "POCKET", "PUPPET", "RABBIT", "RIBBON", "ROCKET", "SADDLE", "SALMON", "SILVER",
    "SPIDER", "SUMMER", "TEMPLE", "THUNDER", "TICKET", "TIGER", "TOMATO", "TUNNEL", "TURTLE",
    "VALLEY", "VELVET", "VIOLIN", "WALNUT", "WINDOW", "WINTER", "WIZARD",
)  # fmt: skip

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBER = rf"(?:\d+|{'|'.join(_NUMBERS)})"
_LISTED = re.compile(r"^\s*(?:\d+[.)]|[-*])\s+", re.MULTILINE)
_CLAUSE = re.compile(r"[,.;\n]|\b(?:and|while|whereas|but)\b")
_ITEM = re.compile(rf"\b({'|'.join((*SHAPES, *COLORS))})s?\b")


class Sight(StrEnum):
    """What is known of a backend's sight. Only SEEING and UNPROVED ones describe and check."""

    SEEING = "seeing"
    BLIND = "blind"
    UNTESTED = "untested"
    UNPROVED = "unproved"  # its test is switched off

    @property
    def may_look(self) -> bool:
        """Whether it describes, checks and judges."""
        return self in (Sight.SEEING, Sight.UNPROVED)


@dataclass(frozen=True, slots=True)
class SightState:
    """``reason`` says in plain words why it is not SEEING; empty if it is."""

    sight: Sight
    reason: str = ""
    tested_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SightRecord:
    """A remembered result. ``sees`` is None where there is none: ``reason`` says why."""

    sees: bool | None
    reason: str
    tested_at: datetime | None
    is_fresh: bool

    @property
    def state(self) -> SightState:
        """What it says of the backend."""
        if self.sees is None:
            return SightState(Sight.UNTESTED, self.reason)
        return SightState(Sight.SEEING if self.sees else Sight.BLIND, self.reason, self.tested_at)


@dataclass(frozen=True, slots=True)
class Kind:
    """Shapes of one kind in a picture."""

    shape: str
    color: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Trial:
    """One picture: what is in it, and what is asked about it."""

    name: str
    question: str
    words: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    sides: bool = False  # the first of ``kinds`` is on the left, the second on the right

    @property
    def truth(self) -> str:
        """What is in it, for people."""
        if self.words:
            return " ".join(self.words)
        named = [
            f"{each.color} {each.shape}"
            if self.sides
            else f"{each.count} {each.color} {each.shape}s"
            for each in self.kinds
        ]
        return " | ".join(named) if self.sides else ", ".join(named) or "nothing"

    def words_read(self, answer: str) -> int:
        """Return how many of its words ``answer`` has."""
        return sum(bool(re.search(rf"\b{word}\b", answer, re.IGNORECASE)) for word in self.words)

    def is_right(self, answer: str) -> bool:
        """Return whether ``answer`` shows that the picture was seen. Guesses and lists do not."""
        if self.words:
            return self.words_read(answer) >= WORDS_SHOWN - 1
        text = _LISTED.sub("", answer).casefold()
        named = set(_ITEM.findall(text))
        if named != {name for each in self.kinds for name in (each.shape, each.color)}:
            return False
        if self.sides:
            return _sides(text) == [{each.shape, each.color} for each in self.kinds]
        return all(_counts(text, each.shape) == {each.count} for each in self.kinds)

    def leaks(self, answer: str) -> bool:
        """Return whether ``answer``, about another picture, has anything of this one."""
        return self.words_read(answer) > 0 if self.words else self.is_right(answer)


@dataclass(frozen=True, slots=True)
class Trials:
    """The pictures of one test."""

    shown: tuple[Trial, ...]
    blank: Trial


@dataclass(frozen=True, slots=True)
class TrialAnswer:
    """What was answered about one picture."""

    trial: Trial
    answer: str


@dataclass(frozen=True, slots=True)
class SightReport:
    """What a test came to; ``reason`` is empty for a backend that sees."""

    sees: bool
    reason: str
    answers: tuple[TrialAnswer, ...] = field(default=())


def draw_trials(rng: random.Random) -> Trials:
    """Return three random pictures, and the blank one, about which the first question is asked."""
    words = Trial(
        "words",
        "Write down every word that is written in this picture, exactly as it is written. If none "
        "is, say so.",
        words=tuple(rng.sample(WORDS, WORDS_SHOWN)),
    )
    counts = Trial(
        "counts",
        "Count the shapes in this picture: say how many there are of each kind, and their colour.",
        kinds=tuple(
            Kind(shape, color, count)
            for shape, color, count in zip(
                rng.sample(SHAPES, 2),
                rng.sample(COLORS, 2),
                rng.sample(range(FEWEST, MOST + 1), 2),
                strict=True,
            )
        ),
    )
    sides = Trial(
        "sides",
        "Say which shape is on the left of this picture and which is on the right, and the colour "
        "of each.",
        kinds=tuple(map(Kind, rng.sample(SHAPES, 2), rng.sample(COLORS, 2))),
        sides=True,
    )
    return Trials((words, counts, sides), Trial("blank", words.question))


def verdict(trials: Trials, answers: Sequence[TrialAnswer]) -> SightReport | None:
    """Return what the answers so far come to; None while more are needed.

    ``answers`` are those about the pictures in their order, the blank one last: it is asked about
    only where the others show sight.
    """
    shown = [each for each in answers if each.trial is not trials.blank]
    right = sum(each.trial.is_right(each.answer) for each in shown)
    read_all = any(each.trial.words_read(each.answer) == WORDS_SHOWN for each in shown)
    passes = read_all or right >= 2
    left = len(trials.shown) - len(shown)
    if not passes:
        if right + left >= 2:
            return None
        reason = f"It answered {right or 'none'} of {len(shown)} questions about pictures right: "
        reason += "it seems that it does not receive them."
        return SightReport(False, reason, tuple(answers))
    if len(shown) == len(answers):
        return None
    if any(each.leaks(answers[-1].answer) for each in trials.shown):
        reason = "It says of a blank picture what only another picture shows."
        return SightReport(False, reason, tuple(answers))
    return SightReport(True, "", tuple(answers))


def next_trial(trials: Trials, answers: Sequence[TrialAnswer]) -> Trial:
    """Return the picture to ask about next, after answers whose ``verdict`` is None."""
    shown = len(answers)
    read_all = any(each.trial.words_read(each.answer) == WORDS_SHOWN for each in answers)
    right = sum(each.trial.is_right(each.answer) for each in answers)
    return trials.blank if read_all or right >= 2 else trials.shown[shown]


def _counts(text: str, noun: str) -> set[int]:
    """The numbers that ``text`` has for this noun: "three red circles", "circles (red): 3"."""
    before = re.findall(rf"\b({_NUMBER})[ \t]+(?:[a-z-]+[ \t]+){{0,2}}?{noun}s?\b", text)
    after = re.findall(rf"\b{noun}s?\b[ \t]*(?:\([a-z ]+\))?[ \t]*[:=x×-][ \t]*({_NUMBER})\b", text)
    return {_number(each) for each in (*before, *after)}


def _number(word: str) -> int:
    return int(word) if word.isdecimal() else _NUMBERS.index(word)


def _sides(text: str) -> list[set[str]]:
    """What ``text`` says is on the left, and on the right."""
    found: dict[str, set[str]] = {"left": set(), "right": set()}
    side, held = "", set[str]()  # of clauses before: what was said of which side, and of none
    for clause in _CLAUSE.split(text):
        items = {match[1] for match in _ITEM.finditer(clause)}
        of = re.search(r"\b(left|right) (?:side )?of\b", clause)
        if of is not None and _ITEM.search(clause, of.end()):
            other = "right" if of[1] == "left" else "left"
            found[of[1]] |= {match[1] for match in _ITEM.finditer(clause, 0, of.start())}
            found[other] |= {match[1] for match in _ITEM.finditer(clause, of.end())}
            continue
        named = set(re.findall(r"\b(left|right)", clause))
        if len(named) > 1:
            continue
        if named:
            side = named.pop()
            found[side] |= items or held
            side, held = ("", set()) if held and not items else (side, set())
        elif side:
            found[side] |= items
        else:
            held |= items
    return [found["left"], found["right"]]
