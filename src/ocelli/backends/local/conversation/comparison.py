"""What is the same and what differs between two pictures, from what is known about them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.backends.local.conversation.facts import NEAR_DUPLICATE, Found, PictureFacts
from ocelli.backends.local.phrases import SCENERY
from ocelli.domain import grammar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MANY = 12  # things that are listed of each


def differences(one: PictureFacts, other: PictureFacts, *, names: tuple[str, str]) -> str:
    """In a few sentences; ``names`` are what the pictures are called ("picture 1")."""
    first, second = names
    if one.sha256 == other.sha256:
        return grammar.sentence(f"{first} and {second} are the same file, byte for byte")
    parts = []
    if _near(one, other):
        parts.append(f"{first} and {second} look almost the same: they are near-duplicates")
    parts += _things(one.said, other.said, names)
    parts += _texts(one.lines, other.lines, names)
    parts += _colors(list(one.colors), list(other.colors), names)
    parts += _sizes(one, other, names)
    if all(part.startswith(("both", f"{first} and")) for part in parts):
        parts.append("no difference was found, though small ones may have been missed")
    return " ".join(grammar.sentence(part) for part in parts)


def _near(one: PictureFacts, other: PictureFacts) -> bool:
    if one.dhash is None or other.dhash is None:
        return False
    return (one.dhash ^ other.dhash).bit_count() <= NEAR_DUPLICATE


def _things(
    one: Mapping[str, Found], other: Mapping[str, Found], names: tuple[str, str]
) -> list[str]:
    parts = []
    shared = [found for noun, found in one.items() if _count(other, noun) == found.count]
    if shared:
        parts.append(f"both show {_list(shared)}")
    for held, missed, name in ((one, other, names[0]), (other, one, names[1])):
        only = [found for noun, found in held.items() if noun not in missed]
        if only:
            parts.append(f"only {name} shows {_list(only)}")
    parts.extend(
        f"{names[0]} shows {_list([found])}, {names[1]} {_list([other[noun]])}"
        for noun, found in one.items()
        if noun in other and other[noun].count != found.count
    )
    return parts


def _count(held: Mapping[str, Found], noun: str) -> int:
    return held[noun].count if noun in held else 0


def _list(things: Sequence[Found]) -> str:
    """ "a cat and possibly a cup"."""
    return grammar.listing(
        [
            ("" if thing.sure else "possibly ")
            + (SCENERY.get(thing.name) or grammar.counted(thing.name, thing.count))
            for thing in things[:MANY]
        ]
    )


def _texts(one: Sequence[str], other: Sequence[str], names: tuple[str, str]) -> list[str]:
    if not one and not other:
        return []
    keys = {line.casefold() for line in one}, {line.casefold() for line in other}
    if keys[0] == keys[1]:
        return ["both have the same text"]
    parts = []
    for lines, known, name in ((one, keys[1], names[0]), (other, keys[0], names[1])):
        only = [f"“{line}”" for line in lines if line.casefold() not in known]
        if only:
            parts.append(f"only {name} reads {grammar.listing(only[:MANY])}")
    return parts


def _colors(one: Sequence[str], other: Sequence[str], names: tuple[str, str]) -> list[str]:
    if not one or not other:
        return []
    if set(one) == set(other):
        return [f"both have the same main colours: {grammar.listing(one)}"]
    return [
        f"the main colours of {names[0]} are {grammar.listing(one)}, "
        f"those of {names[1]} {grammar.listing(other)}"
    ]


def _sizes(one: PictureFacts, other: PictureFacts, names: tuple[str, str]) -> list[str]:
    if one.width is None or one.height is None or other.width is None or other.height is None:
        return []
    if (one.width, one.height) == (other.width, other.height):
        return []
    return [
        f"{names[0]} has {one.width} × {one.height} pixels, "
        f"{names[1]} {other.width} × {other.height}"
    ]
