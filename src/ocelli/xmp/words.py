"""What is to be written of a picture: words, their properties in XMP, and whose they are."""

from __future__ import annotations

import re
from dataclasses import dataclass

# A URN, and so of no domain. Its `#` keeps the names of properties apart from it in every program.
OWN = "urn:uuid:6f1c1f0e-8d0b-4a57-9a3c-3b0f6f5a2d41#"
OWN_PREFIX = "ocelli"
NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0",
    "mediapro": "http://ns.iview-multimedia.com/mediapro/1.0/",
    "acdsee": "http://ns.acdsee.com/iptc/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    OWN_PREFIX: OWN,
}

MAX_ALT_TEXT = 250  # characters; screen readers read it in one go
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # in XML
_SENTENCE_END = re.compile(r"[.!?](?=\s)|[。！？]")


@dataclass(frozen=True, slots=True)
class Property:
    """A property of XMP, written as ``prefix:name``."""

    prefix: str
    name: str

    def __str__(self) -> str:
        return f"{self.prefix}:{self.name}"

    @property
    def uri(self) -> str:
        """Its namespace."""
        return NAMESPACES[self.prefix]


@dataclass(frozen=True, slots=True)
class TagList:
    """A list of tags: ``container`` is its kind, ``separator`` what is between levels of a path.

    Without a separator it has the last level alone.
    """

    property: Property
    container: str
    separator: str | None

    def entry(self, path: tuple[str, ...]) -> str:
        """Return a tag as this list has it. What separates levels is no part of a name."""
        if self.separator is None:
            return path[-1]
        stand_in = {"/": "\u2215", "|": "\u00a6"}[self.separator]
        return self.separator.join(name.replace(self.separator, stand_in) for name in path)

    def path(self, entry: str) -> tuple[str, ...]:
        """Return the levels of an entry."""
        levels = entry.split(self.separator) if self.separator else [entry]
        return tuple(stripped for level in levels if (stripped := level.strip()))


DESCRIPTION = Property("dc", "description")
IMAGE_DESCRIPTION = Property("tiff", "ImageDescription")
ALT_TEXT = Property("Iptc4xmpCore", "AltTextAccessibility")
EXTENDED_DESCRIPTION = Property("Iptc4xmpCore", "ExtDescrAccessibility")
# Programs show the first of these that they know: words in one of them would hide another.
CAPTIONS = (
    DESCRIPTION,
    IMAGE_DESCRIPTION,
    Property("exif", "UserComment"),
    Property("acdsee", "notes"),
)

HEADLINE = Property("photoshop", "Headline")  # a person's keeps our captions out as well

SUBJECTS = TagList(Property("dc", "subject"), "Bag", None)
HIERARCHY = TagList(Property("lr", "hierarchicalSubject"), "Bag", "|")
TAGS = TagList(Property("digiKam", "TagsList"), "Seq", "/")
WRITTEN_LISTS = (SUBJECTS, HIERARCHY, TAGS)
# Read before others by some programs, never written.
OTHER_LISTS = (
    TagList(Property("MicrosoftPhoto", "LastKeywordXMP"), "Bag", "/"),
    TagList(Property("mediapro", "CatalogSets"), "Bag", "|"),
)


@dataclass(frozen=True, slots=True)
class Words:
    """What a machine says of a picture; ``tags`` are paths, of one level unless from a vocabulary.

    ``vocabulary`` is the digest of the terms that they were chosen from.
    """

    description: str
    tags: tuple[tuple[str, ...], ...]
    model: str
    level: str
    confidence: float | None = None
    vocabulary: str | None = None

    def text(self, property: Property) -> str:
        """Return what one of the properties with text is to say."""
        whole = writable(self.description)
        return short(whole) if property == ALT_TEXT else whole

    @property
    def paths(self) -> tuple[tuple[str, ...], ...]:
        """The tags, without characters that XML cannot hold, each once."""
        cleaned = (tuple(filter(None, map(writable, path))) for path in self.tags)
        return tuple(dict.fromkeys(path for path in cleaned if path))


def short(text: str) -> str:
    """Return as many whole sentences as an alternative text may have, else as many words."""
    if len(text) <= MAX_ALT_TEXT:
        return text
    ends = [m.end() for m in _SENTENCE_END.finditer(text, 0, MAX_ALT_TEXT + 1)]
    if ends:
        return text[: ends[-1]]
    start = text[: MAX_ALT_TEXT - 1]
    return (start.rpartition(" ")[0] or start).rstrip(",;: ") + "…"


def writable(text: str) -> str:
    """Return the text without characters that XML cannot hold, and without outer white space."""
    return _UNWRITABLE.sub("", text).replace("\r", "\n").strip()
