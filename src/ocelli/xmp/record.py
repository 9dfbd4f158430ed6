"""What of a packet was written here: the properties of the namespace of our own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from ocelli.xmp.words import OWN, Property, Words

if TYPE_CHECKING:
    from ocelli.xmp.packet import Packet

WORDS = "words"


@dataclass(frozen=True, slots=True)
class PictureState:
    """Which state of a picture was described: the hash of its bytes, or of its pixels.

    ``size`` in bytes and ``modified`` in nanoseconds are those of the file, for a quick look.
    """

    hash: str
    size: int | None = None
    modified: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What was written: ``words`` are the marks of texts and tags, also of those removed since."""

    model: str = ""
    level: str = ""
    confidence: str | None = None
    vocabulary: str | None = None
    picture: str = ""
    size: str | None = None
    modified: str | None = None
    time: str = ""
    words: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, packet: Packet) -> Self:
        """Read it from a packet; an empty one if nothing was written here."""
        found = {name: texts[0] for name in FIELDS if (texts := packet.texts(OWN, name))}
        return cls(**found, words=frozenset(packet.texts(OWN, WORDS)))

    @classmethod
    def made(cls, words: Words, picture: PictureState, time: str, marks: frozenset[str]) -> Self:
        """Return the record of words about a picture."""
        return cls(
            words.model,
            words.level,
            None if words.confidence is None else f"{words.confidence:.4f}",
            words.vocabulary,
            picture.hash,
            _text(picture.size),
            _text(picture.modified),
            time,
            marks,
        )

    def wrote(self, property: Property, text: str) -> bool:
        """Whether a text is one that was written here."""
        return mark(property, text) in self.words

    def marks_of(self, property: Property) -> set[str]:
        """Return the marks of all that was written as this property."""
        return {each for each in self.words if each.startswith(f"{property} ")}

    @property
    def fields(self) -> dict[str, str]:
        """The properties with one value each."""
        return {name: value for name in FIELDS if (value := getattr(self, name))}

    def says_same(self, other: Record) -> bool:
        """Whether the other one differs in its time at most."""
        return replace(self, time="") == replace(other, time="")

    def is_of(self, picture: str, levels: frozenset[str], vocabulary: str | None) -> bool:
        """Whether the picture with this hash was described at one of these levels.

        And with tags from this vocabulary, if one is given.
        """
        is_same = bool(self.picture) and self.picture == picture
        return is_same and self.level in levels and vocabulary in (None, self.vocabulary)

    def may_be_of(self, size: int, modified: int) -> bool:
        """Whether the file of the picture looks untouched since."""
        return (self.size, self.modified) == (str(size), str(modified))


FIELDS = ("model", "level", "confidence", "vocabulary", "picture", "size", "modified", "time")


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def mark(property: Property, text: str) -> str:
    """Return by what a text, or an entry of a list, is known as one that was written here."""
    return f"{property} {hashlib.sha256(text.strip().encode()).hexdigest()[:32]}"
