"""Sort pictures into groups by what is stored of them, by plain rules. Pure.

The instruction is read for folders that it names ("into beaches, mountains and cities") and for
properties ("by month", "by colour"); without either, pictures are sorted by their tags.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ocelli.domain.errors import MalformedRequest
from ocelli.domain.folders import MAX_NAME, folder_name
from ocelli.domain.grammar import is_color, plural, singular
from ocelli.domain.search import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from ocelli.domain.images import Coordinates
    from ocelli.domain.picture_facts import PictureFacts

MAX_PICTURES = 1_000  # that one request sorts
MAX_GROUPS = 50
MAX_NAMED = 20
PLACE_KM = 20.0  # about the size of a city
LONGEST_NAMED = 40  # characters of a folder that an instruction names
# Pictures of a tag that more than this share of them have are told apart by others, if they can.
WIDE_SHARE = 0.5


class Criterion(StrEnum):
    """What pictures are sorted by; the value says it in a sentence."""

    NAMED = "by the folders that the instruction names"
    YEAR = "by year"
    MONTH = "by month"
    DAY = "by day"
    PLACE = "by place"
    COLOR = "by colour"
    FORMAT = "by file format"
    ORIENTATION = "by orientation"
    TEXT = "by whether they show text"
    TAGS = "by their tags"
    MODEL = "as the chat backend proposed"


class PlanState(StrEnum):
    """How far a plan is."""

    PLANNED = "planned"
    CARRIED_OUT = "carried_out"
    CANCELLED = "cancelled"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Instruction:
    """What an instruction asks for. ``names`` are folders; ``notes`` say what cannot be done."""

    criterion: Criterion
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures that go into the folder of this name."""

    name: str
    image_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """A picture that was moved from a folder into another one; None is the root."""

    image_id: UUID
    before: UUID | None
    after: UUID | None


@dataclass(frozen=True, slots=True)
class OrganizePlan:
    """A stored plan. ``created_folders`` and ``moves`` are what it did, once carried out."""

    id: UUID
    tenant_id: UUID
    intent: str
    parent_id: UUID | None
    summary: str
    groups: tuple[Group, ...]
    state: PlanState
    created_at: datetime
    created_folders: tuple[UUID, ...] = ()
    moves: tuple[Move, ...] = ()


_WORDS: tuple[tuple[Criterion, str], ...] = (
    (Criterion.DAY, r"days?|daily"),
    (Criterion.MONTH, r"months?|monthly|dates?|chronolog\w+|times?"),
    (Criterion.YEAR, r"years?|yearly|annual\w*"),
    # After "by" alone, as folders may be called "cities".
    (
        Criterion.PLACE,
        r"(?:by|per)\s+(?:\w+\s+)?(?:places?|locations?|city|cities|country|countries|gps)"
        r"|where (?:\w+ ){1,3}(?:was|were) taken",
    ),
    (Criterion.COLOR, r"colou?rs?|hues?|palettes?"),
    (Criterion.FORMAT, r"formats?|file types?|extensions?"),
    (Criterion.ORIENTATION, r"orientations?"),
    (Criterion.TEXT, r"texts?|writing|visible text"),
    (
        Criterion.TAGS,
        r"tags?|subjects?|topics?|themes?|category|categories|categorise|categorize|contents?|kinds?|types?|motifs?"
        r"|objects?|what they show",
    ),
)
_INTO = re.compile(
    r"\binto\b(?:\s+(?:the\s+|these\s+)?(?:following\s+)?(?:folders?|groups?|categories|albums?))?"
    r"(?:\s+(?:named|called|for))?\s*:?\s*(?P<names>.+)$",
    re.IGNORECASE | re.DOTALL,
)
_QUOTED = re.compile(r'["“]([^"“”]+)["”]')
_BETWEEN = re.compile(r"\s*(?:[,;\n]|\band\b|\bor\b)\s*")
PLACES_HAVE_NO_NAMES = (
    "Places are told by their coordinates, as names of places are not known here; pictures whose"
    " files do not say where they were taken stay where they are."
)
NOT_UNDERSTOOD = (
    "Without a chat backend only names of folders, dates, places, colours, tags, text, file"
    " format and orientation are understood in an instruction; nothing else in it was followed."
)


def read_instruction(intent: str) -> Instruction:
    """Return what an instruction asks for.

    >>> read_instruction("Sort my photos into beaches, mountains and cities").names
    ('beaches', 'mountains', 'cities')
    >>> read_instruction("by month, please").criterion.value
    'by month'
    """
    names = _named(intent)
    if names:
        return Instruction(Criterion.NAMED, names)
    text = " ".join(intent.lower().split())
    for criterion, pattern in _WORDS:
        if re.search(rf"\b(?:{pattern})\b", text):
            notes = (PLACES_HAVE_NO_NAMES,) if criterion is Criterion.PLACE else ()
            return Instruction(criterion, notes=notes)
    return Instruction(Criterion.TAGS, notes=(NOT_UNDERSTOOD,))


def _named(intent: str) -> tuple[str, ...]:
    quoted = _QUOTED.findall(intent)
    if len(quoted) >= 2:
        return _names(quoted)
    found = _INTO.search(intent)
    if not found:
        return ()
    names = _BETWEEN.split(found["names"].strip(" .!"))
    known = re.compile("|".join(rf"(?:{pattern})" for _, pattern in _WORDS))
    fits = (
        len(each) <= LONGEST_NAMED
        and len(each.split()) <= 4
        and not re.match(r"(?:by|per|for|according)\b", each)
        and not known.fullmatch(each)
        for each in (name.lower() for name in names if name)
    )
    return _names(names) if all(fits) else ()


def _names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of folders; none if there are not several."""
    found: dict[str, str] = {}
    for each in names:
        if (name := usable_name(each)) is not None:
            found.setdefault(fold(name), name)
    return tuple(found.values())[:MAX_NAMED] if len(found) > 1 else ()


def usable_name(text: str) -> str | None:
    """Return a text as the name of a folder; None if it has no letter or digit to be one.

    >>> usable_name("  cats/dogs ")
    'cats dogs'
    """
    printable = "".join(c if c.isprintable() and c not in "/\\" else " " for c in text)
    name = " ".join(printable.split())[:MAX_NAME].strip()
    try:
        return folder_name(name) if fold(name) else None
    except MalformedRequest:
        return None


def by_property(criterion: Criterion, pictures: Sequence[PictureFacts]) -> list[Group]:
    """Return the groups of pictures; those of which nothing is known are in none."""
    if criterion is Criterion.TAGS:
        return _grouped((each.id, tag) for each, tag in _by_tag(pictures))
    if criterion is Criterion.PLACE:
        return _grouped(_by_place(pictures))
    key = _KEYS[criterion]
    return _grouped((each.id, key(each)) for each in pictures)


def by_name(
    names: Sequence[str],
    pictures: Sequence[PictureFacts],
    cosines: Mapping[str, Mapping[UUID, float]],
) -> list[Group]:
    """Return a group for each name: of the pictures that it fits best.

    A tag or a word of the title that is the name, in singular or plural, comes before ``cosines``:
    how near the meaning of a picture is to that of each name, where it is near enough.
    """
    forms = {name: {fold(name), fold(singular(name)), fold(plural(name))} for name in names}

    def fitting(picture: PictureFacts) -> str | None:
        said = {fold(each) for each in picture.tags} | {*fold(picture.title).split()}
        for name in names:
            if forms[name] & said:
                return name
        near = [(cosines[name][picture.id], name) for name in names if picture.id in cosines[name]]
        return max(near, key=lambda each: each[0])[1] if near else None

    return _grouped((each.id, fitting(each)) for each in pictures)


def merged(groups: Iterable[Group]) -> list[Group]:
    """Return groups of usable and different names, each picture in the first that has it."""
    return _grouped(
        (id, usable_name(group.name)) for group in groups for id in dict.fromkeys(group.image_ids)
    )


def _by_tag(pictures: Sequence[PictureFacts]) -> Iterable[tuple[PictureFacts, str | None]]:
    """Yield each picture with the most frequent of its tags that it shares, but not with most.

    Tags that only name a colour tell no subjects apart.
    """
    tags = [
        {fold(tag): tag for tag in each.tags if fold(tag) and not is_color(tag)}
        for each in pictures
    ]
    counts = Counter(key for each in tags for key in each)
    names: dict[str, str] = {}
    for each in tags:
        for key, tag in each.items():
            names.setdefault(key, tag)
    wide = max(2, len(pictures) * WIDE_SHARE)

    def rank(key: str) -> tuple[bool, int, str]:
        return (counts[key] > wide, -counts[key], key)

    for picture, known in zip(pictures, tags, strict=True):
        shared = [key for key in known if counts[key] > 1]
        yield picture, names[min(shared, key=rank)] if shared else None


def _by_place(pictures: Sequence[PictureFacts]) -> Iterable[tuple[UUID, str | None]]:
    """Yield each picture with the place that it is at most ``PLACE_KM`` away from.

    A place is where the first picture was taken that is near no other place.
    """
    places: list[Coordinates] = []
    for picture in pictures:
        taken_at = picture.location
        if taken_at is None:
            yield picture.id, None
            continue
        place = min(places, key=taken_at.km_to, default=None)
        if place is None or taken_at.km_to(place) > PLACE_KM:
            places.append(place := taken_at)
        yield picture.id, _coordinates(place)


def _coordinates(place: Coordinates) -> str:
    """Return a place to a hundredth of a degree, about a kilometre: ``48.86° N, 2.35° E``."""
    north, east = place.latitude >= 0, place.longitude >= 0
    latitude, longitude = abs(place.latitude), abs(place.longitude)
    return f"{latitude:.2f}° {'N' if north else 'S'}, {longitude:.2f}° {'E' if east else 'W'}"


def _grouped(pairs: Iterable[tuple[UUID, str | None]]) -> list[Group]:
    """Return the largest groups, by name; each picture once."""
    groups: dict[str, list[UUID]] = {}
    names: dict[str, str] = {}
    placed: set[UUID] = set()
    for id, text in pairs:
        name = None if text is None else usable_name(text)
        if name is None or id in placed:
            continue
        placed.add(id)
        key = fold(name)
        groups.setdefault(key, []).append(id)
        names.setdefault(key, name)
    largest = sorted(groups, key=lambda key: (-len(groups[key]), key))[:MAX_GROUPS]
    return [Group(names[key], tuple(groups[key])) for key in sorted(largest)]


def _orientation(picture: PictureFacts) -> str:
    if picture.width == picture.height:
        return "Square"
    return "Landscape" if picture.width > picture.height else "Portrait"


def _text(picture: PictureFacts) -> str | None:
    if picture.description is None and picture.visible_text is None:
        return None
    return "With text" if picture.visible_text else "Without text"


_KEYS: dict[Criterion, Callable[[PictureFacts], str | None]] = {
    Criterion.YEAR: lambda each: f"{each.shown_at:%Y}",
    Criterion.MONTH: lambda each: f"{each.shown_at:%Y-%m}",
    Criterion.DAY: lambda each: f"{each.shown_at:%Y-%m-%d}",
    Criterion.COLOR: lambda each: each.color,
    Criterion.FORMAT: lambda each: each.format.upper(),
    Criterion.ORIENTATION: _orientation,
    Criterion.TEXT: _text,
}
