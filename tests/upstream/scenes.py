"""Generated scenes with ground truth: coloured shapes, counts and words, of which all is known.

``scene(number)`` is the same for ever. A picture carries its number in a faint strip along its
lower edge, which survives scaling and JPEG: whoever is sent the picture can look up what is in it,
and can do so from nothing but the picture.
"""

from __future__ import annotations

import io
import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import cos, pi, sin

from PIL import Image, ImageDraw, ImageFont

from ocelli.domain.claims import Claim, ClaimType

WIDTH, HEIGHT = 640, 480
WORDS_HEIGHT, STRIP_HEIGHT = 96, 16
COLUMNS, ROWS = 8, 4
MOST = 5

COLORS = {
    "red": (214, 32, 32),
    "green": (24, 140, 50),
    "blue": (30, 60, 210),
    "yellow": (245, 210, 20),
    "orange": (245, 130, 10),
    "purple": (125, 35, 160),
    "black": (15, 15, 15),
    "brown": (120, 70, 30),
}
BACKGROUNDS = {
    "white": (252, 252, 252),
    "light blue": (190, 218, 245),
    "light green": (200, 236, 200),
    "beige": (240, 228, 202),
}
SHAPES = ("circle", "square", "triangle", "star", "diamond", "pentagon")
THINGS = ("heart", "cross", "arrow", "ring")
INVENTIONS = ("dog", "car", "tree", "bicycle", "clock", "chair", "umbrella", "bottle")
WORDS = (
    "OPEN", "MARKET", "STATION", "COFFEE", "GARDEN", "LIBRARY", "BRIDGE", "WINTER", "PLANET",
    "SILVER", "HARBOR", "THEATER", "MUSEUM", "PEPPER", "ROCKET", "CASTLE", "VIOLET", "ORANGE",
)  # fmt: skip
MISREAD = {"O": "Q", "E": "F", "I": "L", "R": "B", "S": "5", "T": "F", "A": "R", "N": "M"}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


@dataclass(frozen=True)
class Group:
    """All shapes of one name; they have one colour. Groups stand from left to right."""

    noun: str
    color: str
    count: int


@dataclass(frozen=True)
class Scene:
    """What is in the picture. The last of ``groups`` is one single thing."""

    number: int
    background: str
    groups: tuple[Group, ...]
    words: tuple[str, ...]

    def group(self, noun: str) -> Group | None:
        return next((group for group in self.groups if group.noun == noun), None)


@dataclass(frozen=True)
class Statement:
    """A claim, with whether it is true of its scene."""

    claim: Claim
    true: bool


@lru_cache(4096)
def scene(number: int, words: tuple[str, ...] | None = None) -> Scene:
    """The scene of this number (0 to 65,535); with ``words`` those are written on it."""
    rng = random.Random(f"scene {number}")
    shapes = rng.sample(SHAPES, 3)
    colors = rng.sample(list(COLORS), 4)
    groups = [
        Group(shape, color, rng.randint(1, MOST))
        for shape, color in zip(shapes, colors, strict=False)
    ]
    groups.append(Group(rng.choice(THINGS), colors[3], 1))
    written = tuple(rng.sample(WORDS, rng.choice((1, 1, 2))))
    return Scene(number, rng.choice(list(BACKGROUNDS)), tuple(groups), words or written)


# --- the picture -----------------------------------------------------------------------------


def draw(it: Scene) -> Image.Image:
    """The picture, 640 by 480."""
    rng = random.Random(f"places {it.number}")
    image = Image.new("RGB", (WIDTH, HEIGHT), BACKGROUNDS[it.background])
    pen = ImageDraw.Draw(image)
    text = "   ".join(it.words)
    size = 44
    while pen.textlength(text, ImageFont.load_default(size)) > WIDTH - 40:
        size -= 2
    pen.text((20, 26), text, fill=(20, 20, 20), font=ImageFont.load_default(size))
    cell_w = WIDTH / COLUMNS
    cell_h = (HEIGHT - WORDS_HEIGHT - STRIP_HEIGHT) / ROWS
    for index, group in enumerate(it.groups):
        cells = [(2 * index + i % 2, i // 2) for i in range(2 * ROWS)]
        for column, row in rng.sample(cells, group.count):
            x = (column + 0.5) * cell_w + rng.uniform(-4, 4)
            y = WORDS_HEIGHT + (row + 0.5) * cell_h + rng.uniform(-4, 4)
            _shape(pen, group.noun, x, y, rng.uniform(25, 33), COLORS[group.color])
    _strip(image, it.number)
    return image


def picture(number: int, format: str = "PNG", words: tuple[str, ...] | None = None) -> bytes:
    """The picture of ``scene(number)`` as a file."""
    out = io.BytesIO()
    draw(scene(number, words)).save(out, format)
    return out.getvalue()


def _shape(
    pen: ImageDraw.ImageDraw, noun: str, x: float, y: float, r: float, fill: tuple[int, int, int]
) -> None:
    def polygon(corners: int, turn: float = -pi / 2, inner: float = 1.0) -> None:
        radii = [r if i % 2 == 0 else r * inner for i in range(corners)]
        angles = [turn + 2 * pi * i / corners for i in range(corners)]
        points = [(x + q * cos(a), y + q * sin(a)) for q, a in zip(radii, angles, strict=True)]
        pen.polygon(points, fill=fill)

    match noun:
        case "circle":
            pen.ellipse((x - r, y - r, x + r, y + r), fill=fill)
        case "ring":
            pen.ellipse((x - r, y - r, x + r, y + r), outline=fill, width=9)
        case "square":
            pen.rectangle((x - r * 0.85, y - r * 0.85, x + r * 0.85, y + r * 0.85), fill=fill)
        case "triangle":
            polygon(3)
        case "pentagon":
            polygon(5)
        case "diamond":
            pen.polygon([(x, y - r), (x + r * 0.6, y), (x, y + r), (x - r * 0.6, y)], fill=fill)
        case "star":
            polygon(10, inner=0.42)
        case "cross":
            pen.rectangle((x - r, y - r / 3, x + r, y + r / 3), fill=fill)
            pen.rectangle((x - r / 3, y - r, x + r / 3, y + r), fill=fill)
        case "arrow":
            pen.rectangle((x - r, y - r / 4, x, y + r / 4), fill=fill)
            pen.polygon([(x, y - r * 0.7), (x + r, y), (x, y + r * 0.7)], fill=fill)
        case "heart":
            pen.ellipse((x - r, y - r, x, y), fill=fill)
            pen.ellipse((x, y - r, x + r, y), fill=fill)
            lower = [(x - r * 0.93, y - r * 0.3), (x + r * 0.93, y - r * 0.3), (x, y + r)]
            pen.polygon(lower, fill=fill)


# The strip: two cells of calibration (light, dark), 16 of the number, 14 of its checksum.
_CELLS = 32
_LIGHT, _DARK = 250, 232


def _bits(number: int) -> list[int]:
    checksum = zlib.crc32(number.to_bytes(2, "big")) & 0x3FFF
    value = (number << 14) | checksum
    return [1, 0, *((value >> shift) & 1 for shift in range(29, -1, -1))]


def _strip(image: Image.Image, number: int) -> None:
    pen = ImageDraw.Draw(image)
    for i, bit in enumerate(_bits(number)):
        level = _LIGHT if bit else _DARK
        box = (i * WIDTH // _CELLS, HEIGHT - STRIP_HEIGHT, (i + 1) * WIDTH // _CELLS, HEIGHT)
        pen.rectangle(box, fill=(level, level, level))


def recognise(file: bytes) -> int | None:
    """The number of the scene in this file, at any size from 160 pixels up; None if it is none."""
    with Image.open(io.BytesIO(file)) as opened:
        grey = opened.convert("L")
    width, height = grey.size
    if width < height or width < 160:
        return None
    top = height * (1 - STRIP_HEIGHT / HEIGHT * 0.75)
    bottom = height * (1 - STRIP_HEIGHT / HEIGHT * 0.25)
    levels = [
        grey.resize(
            (1, 1),
            Image.Resampling.BOX,
            (width * (i + 0.25) / _CELLS, top, width * (i + 0.75) / _CELLS, bottom),
        ).getpixel((0, 0))
        for i in range(_CELLS)
    ]
    middle = (levels[0] + levels[1]) / 2  # type: ignore[operator]
    value = 0
    for level in levels[2:]:
        value = value << 1 | (level > middle)  # type: ignore[operator]
    number = value >> 14
    return number if _bits(number)[2:] == [value >> s & 1 for s in range(29, -1, -1)] else None


# --- what can be said about it ---------------------------------------------------------------


def plural(noun: str) -> str:
    return noun + ("es" if noun.endswith(("s", "ss")) else "s")


def several(group: Group) -> str:
    """ "The circles are", "The heart is"."""
    return f"The {group.noun} is" if group.count == 1 else f"The {plural(group.noun)} are"


def there(noun: str, count: int, color: str | None = None) -> str:
    """ "There are three red circles."."""
    words = noun if count == 1 else plural(noun)
    if color:
        words = f"{color} {words}"
    if count == 1:
        return f"There is {'an' if words[0] in 'aeiou' else 'a'} {words}."
    return f"There are {NUMBERS[count]} {words}."


def true_claims(it: Scene) -> list[list[Claim]]:
    """Everything worth saying, a list of claims per sentence of a description."""
    said = [
        [
            Claim(
                f"The background is {it.background}.",
                ClaimType.SCENE,
                "background",
                value=it.background,
            )
        ]
    ]
    for group in it.groups:
        kind = ClaimType.OBJECT if group.noun in THINGS else ClaimType.COUNT
        count = group.count if kind is ClaimType.COUNT else None
        said.append(
            [
                Claim(there(group.noun, group.count), kind, group.noun, count),
                Claim(
                    f"{several(group)} {group.color}.",
                    ClaimType.ATTRIBUTE,
                    group.noun,
                    value=group.color,
                ),
            ]
        )
    first, second = it.groups[0], it.groups[1]
    said.append([_relation(first, second)])
    said.extend([_word(word)] for word in it.words)
    return said


def _relation(first: Group, second: Group) -> Claim:
    other = second.noun if second.count == 1 else plural(second.noun)
    return Claim(
        f"{several(first)} left of the {other}.",
        ClaimType.RELATION,
        first.noun,
        value=f"left of the {other}",
    )


def _word(word: str) -> Claim:
    return Claim(f'The word "{word}" is written at the top.', ClaimType.TEXT, "word", value=word)


def wrong_claim(it: Scene, claim: Claim, rng: random.Random) -> Claim:
    """What a describer who errs says in place of this true claim; it is false."""
    group = it.group(claim.subject or "")
    match claim.type:
        case ClaimType.COUNT:
            assert group is not None
            wrong = rng.choice([n for n in range(1, MOST + 2) if n != group.count])
            return Claim(there(group.noun, wrong), ClaimType.COUNT, group.noun, wrong)
        case ClaimType.OBJECT:
            thing = rng.choice(INVENTIONS)
            return Claim(there(thing, 1), ClaimType.OBJECT, thing)
        case ClaimType.ATTRIBUTE:
            assert group is not None
            color = rng.choice([name for name in COLORS if name != group.color])
            return Claim(f"{several(group)} {color}.", ClaimType.ATTRIBUTE, group.noun, value=color)
        case ClaimType.SCENE:
            color = rng.choice([name for name in BACKGROUNDS if name != it.background])
            return Claim(f"The background is {color}.", ClaimType.SCENE, "background", value=color)
        case ClaimType.TEXT:
            return _word(misread(claim.value or "", rng))
        case _:
            return _relation(it.groups[1], it.groups[0])


def misread(word: str, rng: random.Random) -> str:
    """With one letter taken for another."""
    places = [i for i, letter in enumerate(word) if letter in MISREAD] or [0]
    i = rng.choice(places)
    return word[:i] + MISREAD.get(word[i], "X") + word[i + 1 :]


def sentence(claims: Sequence[Claim]) -> str:
    """One sentence that states these claims, which belong to one sentence of ``true_claims``."""
    if len(claims) < 2:
        return claims[0].text if claims else ""
    what, color = claims
    count = what.count or 1
    return there(what.subject or "", count, color.value)


_THERE = re.compile(
    r"there (?:is|are) (?:exactly )?(a|an|\w+) (?:(\w+) )?([a-z]+)\.?", re.IGNORECASE
)
_COLOR = re.compile(r"the (\w+) (?:is|are) ((?:light )?\w+)\.?", re.IGNORECASE)
_RELATION = re.compile(r"the (\w+) (?:is|are) (left|right) of the (\w+)\.?", re.IGNORECASE)
_WORD = re.compile(r'"([^"]+)"')


def holds(it: Scene, text: str) -> bool | None:
    """Whether a sentence of the kinds above is true of the scene; None if it is of no such kind."""
    text = text.strip()
    if word := _WORD.search(text):
        return word[1] in (*it.words, " ".join(it.words))
    if found := _RELATION.fullmatch(text):
        places = [_place(it, found[1]), _place(it, found[3])]
        if None in places:
            return False
        first, second = places
        return first < second if found[2].lower() == "left" else first > second  # type: ignore[operator]
    if found := _COLOR.fullmatch(text):
        if found[1].lower() == "background":
            return found[2].lower() == it.background
        group = it.group(singular(found[1]))
        return group is not None and group.color == found[2].lower()
    if found := _THERE.fullmatch(text):
        number, color, noun = found[1].lower(), found[2], singular(found[3])
        group = it.group(noun)
        if number not in ("a", "an", *NUMBERS):
            return None
        count = 1 if number in ("a", "an") else NUMBERS.index(number)
        if group is None:
            return count == 0
        return group.count == count and color in (None, group.color)
    return None


def _place(it: Scene, noun: str) -> int | None:
    nouns = [group.noun for group in it.groups]
    noun = singular(noun)
    return nouns.index(noun) if noun in nouns else None


def singular(word: str) -> str:
    word = word.lower()
    if word.endswith("sses"):
        return word[:-2]
    return word if word.endswith("ss") else word.removesuffix("s")
