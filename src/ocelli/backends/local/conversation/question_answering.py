"""Answers to questions about pictures from what was found in them, without a language model. Pure.

A question is taken sentence by sentence. What a rule below recognises is answered from the
findings; to anything else the answer is what can be seen, and that more needs a vision-language
model.
Nothing is answered that the findings do not hold, and never who a person is.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from ocelli.backends.local.conversation.comparison import differences
from ocelli.backends.local.conversation.facts import FACE, PERSON, Found, PictureFacts
from ocelli.domain import grammar
from ocelli.domain.findings import UNSAFE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Rule = Callable[[re.Match[str], PictureFacts], str | None]

NEEDS_A_MODEL = (
    "This question needs a vision-language model: configure one as [backends.NAME] in ocelli.toml, "
    "or in OCELLI_BACKENDS."
)
NO_PICTURE = "There is no picture to look at, and without a vision-language model Ocelli answers "
NO_PICTURE += "questions about pictures only. To talk about anything else, configure a model as "
NO_PICTURE += "[backends.NAME] in ocelli.toml, or in OCELLI_BACKENDS."
NOT_FOUND = "This does not prove that there is none: small and unusual things are missed."
NO_IDENTITY = "Whose, or who that is, is never told."
NOT_PER_THING = "Which thing has which colour was not determined."
LONGEST, MOST_SENTENCES = 4000, 20
LONGEST_NOUN = 3  # words

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
PICTURE = r"(?:pictures?|images?|photos?|photographs?|pics?|screenshots?|drawings?|graphics?)"
# Where a noun phrase ends.
END = (
    r"(?=\s+(?:are|is|was|were|do|does|can|could|did|have|has|in|on|at|there|here|you|visible|"
    r"appear|shown|seen|it|i|with|within|inside|of|that|which|who|from|this|anywhere|total|please|"
    rf"to|be|present|depicted|and\s+how|and\s+what|the|{PICTURE})\b|[,.;:!?]|$)"
)
NOUN = rf"(?P<noun>[a-z][a-z' -]*?){END}"


def answer(text: str, pictures: Sequence[PictureFacts]) -> str:
    """The answer to ``text``, the last message of a user, about these pictures in order."""
    if not pictures:
        return NO_PICTURE
    asked = " ".join(text[:LONGEST].replace("’", "'").split())
    chosen = _chosen(asked.casefold(), len(pictures))
    parts: list[str] = []
    unanswered = False
    for sentence in _sentences(asked):
        said = (
            _compared(sentence, pictures, chosen)
            or _which(sentence, pictures)
            or _told(sentence, pictures, chosen)
        )
        if said is None:
            unanswered |= sentence.endswith("?")
        elif said not in parts:
            parts.append(said)
    if not parts and asked:
        parts, unanswered = [_each(pictures, chosen, _describe)], True
    if not parts:
        parts = [_each(pictures, chosen, _describe)]
    if unanswered:
        parts.append(NEEDS_A_MODEL)
    return "\n".join(parts)


def _sentences(text: str) -> list[str]:
    found = re.findall(r"[^.!?]+[.!?]?", text.casefold())
    return [part.strip() for part in found if part.strip(" .!?")][:MOST_SENTENCES]


def _chosen(text: str, count: int) -> list[int]:
    """Which pictures are meant, by position: "the second picture", "image 2"; all if none is."""
    numbers = [int(n) - 1 for n in re.findall(rf"\b{PICTURE}\s+(?:no\.?\s*|#)?(\d{{1,4}})\b", text)]
    for at, word in enumerate(ORDINALS):
        if re.search(rf"\b{word}(?:\s+one|\s+{PICTURE})\b", text):
            numbers.append(at)
    if re.search(rf"\blast(?:\s+one|\s+{PICTURE})\b", text):
        numbers.append(count - 1)
    return sorted({number for number in numbers if 0 <= number < count}) or list(range(count))


def _each(
    pictures: Sequence[PictureFacts],
    chosen: Sequence[int],
    tell: Callable[[PictureFacts], str | None],
) -> str:
    """One answer, or one per picture by its number."""
    said = [(number, tell(pictures[number])) for number in chosen]
    if len(pictures) == 1:
        return said[0][1] or ""
    return "\n".join(f"Picture {number + 1}: {words}" for number, words in said)


COMPARE = re.compile(
    r"\b(differen\w*|differs?|compar\w+|same|identical|duplicates?|similar\w*|alike|in common|"
    r"versus|vs|match(?:es|ing)?|changed?|unlike|each other)\b"
)


def _compared(sentence: str, pictures: Sequence[PictureFacts], chosen: Sequence[int]) -> str | None:
    if COMPARE.search(sentence) is None:
        return None
    if len(pictures) == 1:
        return f"There is only one picture, nothing to compare it with. {pictures[0].description}"
    if len(chosen) == 1:
        chosen = list(range(len(pictures)))
    first, *others = chosen
    return "\n".join(
        differences(
            pictures[first],
            pictures[other],
            names=(f"picture {first + 1}", f"picture {other + 1}"),
        )
        for other in others
    )


WHICH = re.compile(
    rf"\b(?:which|what) (?:of (?:the|these) )?(?:{PICTURE}|ones?) (?:has|have|shows?|contains?|"
    rf"includes?|depicts?) (?:an? |any |the |some )?{NOUN}"
)


def _which(sentence: str, pictures: Sequence[PictureFacts]) -> str | None:
    match = WHICH.search(sentence)
    if match is None or len(pictures) == 1:
        return None
    there = [f"picture {n}" for n, seen in enumerate(pictures, 1) if _has(_noun(match), seen)]
    if not there:
        return f"No {_noun(match)} was found in any of them. {NOT_FOUND}"
    return grammar.sentence(grammar.listing(there))


def _has(noun: str, seen: PictureFacts) -> bool:
    return bool(seen.lines) if noun == "text" else _find(noun, seen)[0].count > 0


def describes(sentence: str) -> bool:
    """Whether ``sentence`` (case-folded) asks for a description, and neither to compare."""
    if COMPARE.search(sentence):
        return False
    return next((rule for pattern, rule in RULES if pattern.search(sentence)), None) is _described


def first_detail(sentence: str) -> int | None:
    """Where ``sentence`` asks for anything but a description; None if it does not."""
    found = [
        match.start()
        for pattern, rule in RULES
        if rule is not _described and (match := pattern.search(sentence))
    ]
    return min(found, default=None)


def _told(sentence: str, pictures: Sequence[PictureFacts], chosen: Sequence[int]) -> str | None:
    """By the first rule that knows; None if none does."""
    if re.search(rf"\bhow many {PICTURE}\b", sentence):
        return f"{grammar.number(len(pictures))} {'picture' if len(pictures) == 1 else 'pictures'}."
    for pattern, rule in RULES:
        match = pattern.search(sentence)
        if match is None:
            continue
        if all(rule(match, pictures[number]) for number in chosen):
            return _each(pictures, chosen, partial(rule, match))
    return None


def _describe(seen: PictureFacts) -> str:
    return seen.description


def _text(match: re.Match[str], seen: PictureFacts) -> str:
    del match
    if not seen.lines:
        return "No text could be read."
    return "It reads: " + " / ".join(f"“{line}”" for line in seen.lines)


def _who(match: re.Match[str], seen: PictureFacts) -> str:
    del match
    people, faces = seen.find(PERSON).count, len(seen.findings.faces)
    parts = [grammar.counted(PERSON, people)] if people else []
    parts += [f"{grammar.number(faces)} {'face' if faces == 1 else 'faces'}"] if faces else []
    if not parts:
        return f"No person was found. {NOT_FOUND}"
    return f"{grammar.sentence(grammar.listing(parts))} {NO_IDENTITY}"


def _count(match: re.Match[str], seen: PictureFacts) -> str | None:
    noun = _noun(match)
    if noun in ("object", "thing", "item"):
        counted = [grammar.counted(name, count) for name, count in seen.things.items()]
        return grammar.sentence(grammar.listing(counted)) if counted else "No things were found."
    if noun in ("color", "colour"):
        return _colors(match, seen)
    if noun in ("word", "line"):
        read = sum(len(line.split()) for line in seen.lines)
        count = read if noun == "word" else len(seen.lines)
        return f"{count} {noun if count == 1 else grammar.plural(noun)} could be read."
    return _found(noun, seen, "")


def _found(noun: str, seen: PictureFacts, yes: str) -> str:
    """ "Two dogs.", after ``yes`` if that is asked for; or that none was found."""
    found, left_out = _find(noun, seen)
    if not found.count:
        return f"No {found.name} was found. {NOT_FOUND}"
    words = f"{grammar.number(found.count)} {_several(found.name, found.count)}"
    if not found.sure:
        words = f"probably {words}"
    elif found.at_least:
        words = f"at least {words}"
    note = f" Whether “{left_out}” applies was not determined." if left_out else ""
    return grammar.sentence(f"{yes}{words}") + note


def _several(noun: str, count: int) -> str:
    return noun if count == 1 else grammar.plural(noun)


def _presence(match: re.Match[str], seen: PictureFacts) -> str | None:
    noun = _noun(match)
    if re.search(r"\b(text|writing|words?|letters?|watermark)$", noun):
        return _text(match, seen)
    if re.match(r"(?:any|some|every|no)?(?:one|body)$", noun):
        noun = PERSON
    if re.match(r"(?:any|some|every|no)(?:thing|where)\b|(?:what|how|why|if|it|more)\b", noun):
        return None
    if len(noun.split()) == 1 and grammar.color_in(noun):
        return _has_color(noun, seen)
    parts = [part for part in re.split(r"\s+(?:or|and)\s+", noun) if part]
    if any(len(part.split()) > LONGEST_NOUN for part in parts):
        return None
    return " ".join(_found(_bare(part), seen, "yes, ") for part in parts) or None


def _is_it(match: re.Match[str], seen: PictureFacts) -> str | None:
    """Only yes is known: what it is not called may still be so."""
    parts = [_bare(part) for part in re.split(r"\s+or\s+", _noun(match)) if part]
    there = [part for part in parts if _find(part, seen)[0].count]
    return " ".join(_found(part, seen, "" if parts[1:] else "yes, ") for part in there) or None


def _has_color(word: str, seen: PictureFacts) -> str:
    wanted = grammar.color_in(word)
    shares = {
        color.name: color.fraction
        for color in seen.findings.colors
        if color.name.split()[-1] == wanted
    }
    if not shares:
        return f"No {wanted} is among its main colours."
    return f"Yes: {grammar.listing([f'{name} ({share:.0%})' for name, share in shares.items()])}."


def _colors(match: re.Match[str], seen: PictureFacts) -> str:
    shares = [f"{name} ({share:.0%})" for name, share in seen.colors.items()]
    if not shares:
        return "No colour stands out."
    asked_of_a_thing = re.search(r"colou?rs? (?:is|are|has|have|of)\b", match.string)
    about_it = re.search(rf"\b(it|this|that|there|{PICTURE}|background)\b", match.string)
    note = f" {NOT_PER_THING}" if asked_of_a_thing and not about_it else ""
    return f"The main colours are {grammar.listing(shares)}.{note}"


def _safety(match: re.Match[str], seen: PictureFacts) -> str | None:
    del match
    if seen.findings.safety is None:
        return None
    probability = seen.findings.safety.nsfw
    verdict = "may not be" if probability >= UNSAFE else "is probably"
    return f"The picture {verdict} safe for work: {probability:.0%} that it is not."


def _where(match: re.Match[str], seen: PictureFacts) -> str | None:
    name = _find(_noun(match), seen)[0].name
    boxes = [one.box for one in seen.findings.objects if one.name == name]
    if name == FACE:
        boxes = [face.box for face in seen.findings.faces]
    if not boxes:
        return None
    places = []
    for box in boxes:
        across, down = box.center
        words = [("top", "", "bottom")[_third(down)], ("left", "", "right")[_third(across)]]
        places.append(" ".join(word for word in words if word) or "middle")
    return grammar.sentence(f"{name}: {grammar.listing(places)}")


def _third(position: float) -> int:
    return min(int(position * 3), 2)


def _size(match: re.Match[str], seen: PictureFacts) -> str | None:
    del match
    if seen.width is None or seen.height is None:
        return None
    return f"{seen.width} × {seen.height} pixels."


def _described(match: re.Match[str], seen: PictureFacts) -> str:
    del match
    return seen.description


def _noun(match: re.Match[str]) -> str:
    """What is asked about, in the singular, without articles."""
    return grammar.singular(_bare(match["noun"].strip()))


def _bare(noun: str) -> str:
    return re.sub(r"^(?:(?:an?|any|the|some|other|different|visible)\s+)+(?=\w)", "", noun)


def _find(noun: str, seen: PictureFacts) -> tuple[Found, str]:
    """What is there of it, and the words in front of the noun that findings do not tell."""
    words = noun.split()
    for first in range(len(words)):
        found = seen.find(" ".join(words[first:]))
        if found.count:
            return found, " ".join(words[:first])
    return Found(noun, 0), ""


RULES: tuple[tuple[re.Pattern[str], Rule], ...] = tuple(
    (re.compile(pattern), rule)
    for pattern, rule in (
        (r"\b(?:safe|nsfw|sfw|inappropriate|explicit|nud\w+|offensive|porn\w*)\b", _safety),
        (
            r"\b(?:resolution|dimensions?|(?:how (?:big|large|wide|tall)|what size) is "
            rf"(?:the |this )?{PICTURE}|how many pixels|aspect ratio)\b",
            _size,
        ),
        (rf"\bhow many (?:of the )?{NOUN}", _count),
        (rf"\b(?:number of|count(?: of)?) (?:all )?(?:the )?{NOUN}", _count),
        (
            r"\b(?:who|whose|recogni[sz]e (?:him|her|them|the)|identify (?:the )?"
            r"(?:person|people|man|woman|him|her)|name of the (?:person|man|woman))\b",
            _who,
        ),
        (
            r"\b(?:what (?:does|do|did) .*\b(?:say|read)s?\b|what.s written|written|transcribe|"
            r"ocr|read (?:it|this|the|out|what|me|all|any)|(?:the|any|all|what|which|visible) "
            r"(?:\w+ )?(?:text|words|writing|lettering|inscription)\b|text (?:in|on|of|from))",
            _text,
        ),
        (r"\b(?:colou?rs?|palette|hues?)\b", _colors),
        (rf"\bwhere (?:is|are) (?:the |an? )?{NOUN}", _where),
        (
            r"\b(?:is there|are there|do you see|can you see|did you see|does (?:it|this|the \w+) "
            r"(?:contain|show|have|include)|do (?:they|these|the \w+) (?:contain|show|have|include)"
            rf"|can (?:one|i) see|do we see|contains?|any) (?:an? |any |the |some )?"
            rf"{NOUN}",
            _presence,
        ),
        (rf"\b(?:is|are) (?:this|that|it|these|those|they) (?:an? )?{NOUN}", _is_it),
        (
            r"\b(?:descri(?:be|bing|ption)|caption|alt[- ]?text|summar\w+|tell me (?:about|what)|"
            r"what (?:do|can|did) you see|what.s (?:in|on|this|that|it|here|happening|going on|"
            r"shown|up)|what (?:is|are|was) (?:in|on|this|that|it|these|those|they|here|happening|"
            rf"going on|shown|depicted|visible|the (?:main )?(?:subject|{PICTURE}|content))\b|"
            rf"what .*\b(?:shows?|contains?|depicts?)\b|(?:explain|analy[sz]e|look at|show me|"
            rf"identify|list) .*\b(?:{PICTURE}|this|it|them|objects?|things?)\b|what objects?\b)",
            _described,
        ),
    )
)
