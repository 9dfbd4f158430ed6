"""Comparing what is said to be written with what was read. Pure."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rapidfuzz.distance import Levenshtein

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.findings import TextLine

SIMILAR = 0.6
# So much of a long line is the reader's own noise, not another text.
NOISE, NOISE_LENGTH = 0.93, 25
SHORT = 4  # letters that are found inside other words by chance
LONGEST = 80  # letters that are compared; more say the same and cost more
# Scripts that the text reader knows.
SCRIPTS = ("LATIN", "CJK", "DIGIT", "HIRAGANA", "KATAKANA", "FULLWIDTH", "GREEK SMALL LETTER MU")


@dataclass(frozen=True, slots=True)
class _Word:
    """A word as it was read, as it is compared, and the score of its line."""

    shown: str
    letters: str
    score: float


@dataclass(frozen=True, slots=True)
class Match:
    """The ``text`` that was read most like the one that was asked for; ``score`` is its line's."""

    similarity: float
    text: str = ""
    score: float = 0.0
    length: int = 0

    @property
    def is_similar(self) -> bool:
        """Whether it stands where the wanted text should."""
        return self.similarity >= SIMILAR

    @property
    def is_noise(self) -> bool:
        """Whether the difference is so small in so long a text that it says nothing."""
        return self.similarity >= NOISE and self.length >= NOISE_LENGTH


def legible(text: str) -> bool:
    """Whether the text reader could read this at all: letters or digits of a script it knows."""
    letters = [letter for letter in unicodedata.normalize("NFKD", text) if letter.isalnum()]
    return bool(letters) and all(
        unicodedata.name(letter, "").startswith(SCRIPTS) or letter.isascii() for letter in letters
    )


def words_of(text: str) -> list[str]:
    """Words without case, accents and punctuation."""
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(c for c in plain if not unicodedata.combining(c)).casefold()
    return "".join(c if c.isalnum() or c.isspace() else "" for c in plain).split()


def best_match(wanted: str, lines: Sequence[TextLine]) -> Match:
    """The place in ``lines`` that reads most like ``wanted``, which may end in "…".

    Spaces do not count, since readers drop them, but short texts must be words of their own.
    """
    goal = "".join(words_of(wanted))
    cut = wanted.endswith("…") or len(goal) > LONGEST
    goal = goal[:LONGEST]
    read = [
        _Word(part, "".join(words_of(part)), line.score)
        for line in lines
        for part in line.text.split()
    ]
    if (cut or len(goal) > SHORT) and goal in "".join(word.letters for word in read):
        return Match(1.0, wanted.removesuffix("…"), 1.0, len(goal))
    distance, first, last = _nearest(goal, [word.letters for word in read])
    found = read[first:last]
    longer = max(len(goal), sum(len(word.letters) for word in found))
    return Match(
        max(0.0, 1 - distance / longer) if longer else 0.0,
        " ".join(word.shown for word in found),
        min((word.score for word in found), default=0.0),
        len(goal),
    )


def _nearest(goal: str, words: Sequence[str]) -> tuple[int, int, int]:
    """The fewest edits from ``goal`` to a run of whole words, and which run (first, end).

    No run at all is ``len(goal)`` edits away; of several that are as near, the first to end and
    the longest of those. Each letter more changes the distance by one at most, so after a run that
    is far away the next few are passed over.
    """
    best = len(goal), 0, 0
    for end in range(1, len(words) + 1):
        run, shortest = "", len(goal) - best[0]
        for first in range(end - 1, -1, -1):
            run = words[first] + run
            if len(run) - len(goal) > best[0]:
                break
            if len(run) < shortest or not words[first]:
                continue
            distance = Levenshtein.distance(goal, run)
            if distance < best[0] or (distance == best[0] and best[2] == end):
                best = distance, first, end
            shortest = len(run) + distance - best[0]
    return best
