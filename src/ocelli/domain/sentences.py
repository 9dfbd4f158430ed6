"""Split texts into sentences, and sentences into claims, by simple rules.

For texts that come without claims: a model's plain answer, a statement that a client wants
verified. A sentence that no rule matches becomes one claim of type OTHER, so nothing is lost.

    >>> [(c.type.value, c.subject, c.count) for c in claims_from_text("There are two red cups.")]
    [('count', 'red cup', 2)]
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocelli.domain import grammar
from ocelli.domain.claims import Claim, ClaimType

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBERS = {
    "no": 0, "zero": 0, "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5,
    "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
    "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19, "twenty": 20,
}  # fmt: skip
_MOST = 10_000  # a larger number is no count of things in a picture

COLORS = frozenset({
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey",
    "gray", "violet", "turquoise", "teal", "cyan", "magenta", "beige", "gold", "golden", "silver",
    "navy", "maroon", "tan", "cream",
})  # fmt: skip
_SHADES = "light|dark|bright|pale|deep|vivid|pastel"

# More than one, and no number of them.
_SOME = (
    "several|some|many|multiple|numerous|a few|a lot of|lots of|a couple of|two or more"
    "|a (?:large |small |big )?(?:group|crowd|number|bunch|pile|row|herd|flock|pair) of"
)
# Before the end of a thing's name: what follows says where it is or what it does.
_STOP = re.compile(
    r"\s+(?:on|in|at|of|with|under|over|above|below|near|next|beside|behind|between|by|from|to|into"
    r"|onto|against|around|along|across|inside|outside|that|which|who|whose|where|while|as|for"
    r"|is|are|was|were|has|have|can|visible|present|shown|\w+ing|left|right)\b.*",
    re.IGNORECASE | re.DOTALL,
)
_PAST = re.compile(r"\w{3,}ed")
_KEPT_ING = re.compile(
    r"\b(?:\w*building|ceiling|painting|ring|string|wing|king|railing|dining|frying|parking|ping"
    r"|rocking|sewing|vending)s?$"
)
_THERE = re.compile(
    r"(?:in the (?:picture|image|photo|scene|background|foreground),? )?there (?:is|are) "
    r"(?:(?:exactly|only|just|also|a total of) )*(.+)",
    re.IGNORECASE | re.DOTALL,
)
_SHOWS = re.compile(
    r"(?:the|this) (?:picture|image|photo|photograph|scene) (?:shows|depicts|contains|features) "
    r"(?:exactly |only |just )?(.+)",
    re.IGNORECASE | re.DOTALL,
)
_ITEM = re.compile(rf"({_SOME}|\d{{1,5}}|[a-z]+) (?:single )?(\S.*)", re.IGNORECASE | re.DOTALL)
_COUNTER = rf"(?:\d{{1,5}}|(?i:{_SOME}|{'|'.join(_NUMBERS)}))"
_AND = re.compile(rf",? and (?={_COUNTER} )|, (?={_COUNTER} )")
_IS = re.compile(
    rf"(?:the|an?|its|his|her|their|all(?: of)? the) (.+?) (?:is|are) "
    rf"(?:all |mostly |mainly |entirely )?((?:(?:{_SHADES})[ -])?(?:{'|'.join(sorted(COLORS))}))",
    re.IGNORECASE,
)
_WHERE = re.compile(
    r"(?:the|an?|one|two|three) (.+?) (?:is|are|stands?|sits?|lies?|hangs?) (?:directly )?"
    r"((?:to the )?(?:left|right) of|above|below|under|underneath|on top of|beside|next to|behind"
    r"|in front of|between|inside|on|in) (?:the|an?|its) (.+)",
    re.IGNORECASE | re.DOTALL,
)
_SCENE = re.compile(
    r"\b(?:(?:in|out)doors|at (?:night|dusk|dawn)|daylight|(?:setting|background) (?:is|shows))\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"“([^”]+)”|\"([^\"]+)\"|„([^“”]+)[“”]|«\s*([^»]+?)\s*»")

_END = re.compile(r"([.!?…]+[\"”’»)\]]*)(\s+)|([。！？])|(\n+)")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:Mr|Mrs|Ms|Dr|Prof|St|No|Nr|vs|etc|approx|ca|e\.g|i\.e|z\.B|[A-Z])\.$"
)


def sentences(text: str) -> tuple[str, ...]:
    """Return the sentences of ``text``, trimmed; only white space is lost between them.

    A full stop after an abbreviation, in a number or inside quotation marks ends none.

    >>> sentences('Mr. X reads "Stop. Go." aloud. It is 2.5 m.')
    ('Mr. X reads "Stop. Go." aloud.', 'It is 2.5 m.')
    """
    parts, start = [], 0
    for end in _END.finditer(text):
        before = text[start : end.end(1) if end[1] else end.end()]
        if end[1] and (_ABBREVIATION.search(before) or _continues(text, end.end(), before)):
            continue
        parts.append(before.strip())
        start = end.end()
    parts.append(text[start:].strip())
    return tuple(part for part in parts if part)


def _continues(text: str, position: int, before: str) -> bool:
    """Return whether the sentence goes on: its quotation is open, or a small letter follows."""
    if before.count("“") > before.count("”") and "”" in text[position:]:
        return True
    if before.count('"') % 2 and '"' in text[position:].split("\n")[0]:
        return True
    return text[position : position + 1].islower()


def claims_from_text(text: str) -> tuple[Claim, ...]:
    """Return the claims of ``text``, in its order; every sentence gives at least one."""
    return tuple(
        claim
        for position, sentence in enumerate(sentences(text))
        for claim in _claims(sentence, position)
    )


def _claims(sentence: str, position: int) -> Iterator[Claim]:
    body = sentence.rstrip(".!。！ ")
    if quoted := [next(filter(None, found)) for found in _QUOTED.findall(sentence)]:
        if len(quoted) > 1 or not _QUOTED.sub("", body).strip():
            for words in quoted:
                yield _text(f"The text “{words}” can be read.", words, position)
        if len(quoted) == 1 and _QUOTED.sub("", body).strip():
            yield _text(sentence, quoted[0], position)
        elif _QUOTED.sub("", body).strip():
            yield Claim(sentence, sentence=position)
    elif found := _THERE.fullmatch(body) or _SHOWS.fullmatch(body):
        yield from _listed(sentence, found[1], position)
    elif found := _IS.fullmatch(body):
        subject, color = grammar.singular(found[1].lower()), found[2].lower()
        yield Claim(sentence, ClaimType.ATTRIBUTE, subject, value=color, sentence=position)
    elif _SCENE.search(body):
        yield Claim(sentence, ClaimType.SCENE, sentence=position)
    elif found := _WHERE.fullmatch(body):
        subject, where = grammar.singular(found[1].lower()), f"{found[2].lower()} the {found[3]}"
        yield Claim(sentence, ClaimType.RELATION, subject, value=where, sentence=position)
    elif all(_is_phrase(item) for item in _AND.split(body)):
        yield from _listed(sentence, body, position)
    else:
        yield Claim(sentence, sentence=position)


def _text(statement: str, words: str, position: int) -> Claim:
    return Claim(statement, ClaimType.TEXT, value=words, sentence=position)


def _listed(sentence: str, list_: str, position: int) -> Iterator[Claim]:
    """Yield a claim for each item of "three cups, a plate and two forks"."""
    items = _AND.split(list_)
    understood = [_item(item) for item in items]
    if not all(understood):
        yield Claim(sentence, sentence=position)
        return
    for item, found in zip(items, understood, strict=True):
        assert found is not None
        noun, count, counted = found
        item = item.strip()
        alone = f"There {'is' if count == 1 else 'are'} {item[:1].lower()}{item[1:]}."
        yield Claim(
            sentence if len(items) == 1 else alone,
            ClaimType.COUNT if counted else ClaimType.OBJECT,
            noun,
            count if counted else None,
            sentence=position,
        )


def _is_phrase(item: str) -> bool:
    """Return whether an item is a noun phrase ("two dogs on a beach"), without a verb.

    A verb ("a dog sleeps") would be the last word of the name. So the last word must be a plural
    for several things, and must be none for one.
    """
    found, understood = _ITEM.fullmatch(item.strip()), _item(item)
    if found is None or understood is None:
        return False
    name = _name(found[2].lower())
    last = name.split()[-1]
    if understood[1] == 1:
        return not grammar.is_plural(last) and not _PAST.fullmatch(last)
    return grammar.is_plural(last) or grammar.plural(name) == name


def _item(item: str) -> tuple[str, int, bool] | None:
    """Return noun, number (2 for "several"), and whether the number is stated ("one", not "a")."""
    found = _ITEM.fullmatch(item.strip())
    if found is None:
        return None
    word = found[1].lower()
    some = re.fullmatch(_SOME, word) is not None
    count = 2 if some else int(word) if word.isdigit() else _NUMBERS.get(word)
    name = _name(found[2].lower())
    if count is None or count > _MOST or not name:
        return None
    return (
        name if count == 1 else grammar.singular(name),
        count,
        word not in ("a", "an") and not some,
    )


def _name(words: str) -> str:
    """Return the name of the thing: "red circle" of "red circle on a table"."""
    for stop in _STOP.finditer(" " + words):
        head, rest = words[: max(stop.start() - 1, 0)], words[max(stop.start() - 1, 0) :].split()
        if rest and (not head or _KEPT_ING.search(rest[0])):
            return _name_after(head, rest)
        return head.strip(" ,;:")
    return words.strip(" ,;:")


def _name_after(head: str, rest: list[str]) -> str:
    """Return a name that goes on after a noun in -ing ("building"), or after its first word."""
    after = _STOP.sub("", " " + " ".join(rest[1:])) if len(rest) > 1 else ""
    return " ".join(f"{head} {rest[0]}{after}".split())
