"""What a message asks about a library, read by rules. Pure.

Rules are English. What they do not recognise is a search for the words of the message, in whatever
language: so nothing is refused for how it is put.

    >>> from datetime import datetime, UTC
    >>> now = datetime(2026, 5, 4, tzinfo=UTC)
    >>> asked = read_question("How many photos of dogs are from 2023?", now)
    >>> asked.kind.value, asked.text, asked.period.label
    ('count', 'dogs', '2023')
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from ocelli.domain import grammar
from ocelli.domain.date_phrases import period_in

if TYPE_CHECKING:
    from datetime import datetime

    from ocelli.domain.date_phrases import Period

LONGEST_READ = 2_000  # characters of a message that the rules read
LONGEST_SEARCH = 300
LAST = -1
MOST_POSITIONS = 12

_PICTURES = (
    r"(?:pictures?|images?|photos?|photographs?|pics?|shots?|screenshots?|snapshots?|files?|ones?)"
)
_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip
_COLORS = "|".join(sorted({*grammar.colors(), "gray", "violet", "golden"}, key=len, reverse=True))
_QUOTED = re.compile(r"[\"“„«]([^\"”“»]{1,200})[\"”“»]")

_ORGANIZE = re.compile(
    r"^(?:please |can you |could you |now )*(?:organi[sz]e|sort|group|arrange|categori[sz]e|move|"
    r"put|file)\b"
    rf".*\b(?:folders?|by|into|them|(?:my|all|these|those|the) {_PICTURES})\b"
)
# Orders that change something else. Verbs that pictures are searched by as well ("crop circles",
# "star wars") need an object that is no such search.
_ASKING = (
    r"(?:please |can you |could you |would you |will you |now |just |then |let's |go ahead and |"
    r"i (?:want|need|would like|'d like) (?:you )?to |i'd like (?:you )?to |"
    r"how (?:do|can|could|should|would) (?:i|we|you) )*"
)
_OBJECT = (
    rf"(?:all|every|everything|each|the|my|our|these|those|this|that|them|it|both|any|{_PICTURES}|"
    r"duplicates?|\S+\.\w+)"
)
_CHANGE = re.compile(
    rf"^{_ASKING}(?:"
    r"(?:delete|erase|rename|retitle|retag|untag|get rid of|throw away)\b(?! (?:keys?|buttons?)\b)|"
    rf"(?:remove|discard|trash|tag|label|mark|edit|change|replace|crop|rotate|resize|"
    r"share|hide|archive|copy|merge|clear|purge|wipe|star|favou?rite|rate|"
    rf"publish|upload|import|correct|fix) {_OBJECT}\b(?!.*\bfolders?\b)|"
    r"(?:add|assign|attach|set|change) (?:\S+ ){0,6}?(?:tags?|labels?|titles?|captions?|"
    r"descriptions?|names?)\b.*\b(?:to|of|for|from|on)\b|"
    r"(?:move|put|throw)\b.*\b(?:trash|bin|rubbish|garbage)\b|"
    r"clean up\b|"
    r"(?:make|create|add|delete|remove) (?:a |an |the |my )?(?:new )?(?:folders?|albums?)\b"
    r")"
)
_COMPARE = re.compile(
    r"\b(?:compar\w+|differences?|differs?|different from|versus|vs|in common|"
    r"same as|identical)\b"
)
_COMPARE_WORDS = re.compile(
    r"\b(?:compar\w+|differences?|differ|different|between|versus|vs|common|same|identical|two|both)\b",
    re.IGNORECASE,
)
_LIKE = re.compile(
    rf"\b(?:similar to|like|resembl\w+) (?:it|this|that|the (?:\w+ )?{_PICTURES}|this one|that one)"
    r"\b"
    rf"|\b(?:more|others|{_PICTURES}) like (?:it|this|that|\S+\.\w+)(?!\w)"
    rf"|\bsimilar (?:{_PICTURES}|to)\b"
)
_COUNT = re.compile(r"\b(?:how many|number of|count(?: of)?|how much)\b")
_OF_SEVERAL = re.compile(r"\b(?P<some>any |some |one |none )?of (?:these|those|them)\b")
_WHEN = re.compile(
    r"\b(?:when (?:was|were|did)|(?:what|which) (?:date|day|year)|how old (?:is|are))\b"
)
_OLDEST = re.compile(r"\b(?:oldest|earliest)\b")
_NEWEST = re.compile(r"\b(?:newest|latest|most recent|recently|last added)\b")
_SAYS = re.compile(
    r"\b(?:with|has|have|having|contain\w*|show\w*) (?:the |some |any )?(?:visible |written )?"
    r"(?:text|words?|writing|lettering)\b(?P<one>.*)"
    rf"|\b{_PICTURES} (?:that |which )?(?:say|says|saying|read|reads|reading|mention\w*)\b"
    r"(?P<two>.*)"
    r"|\b(?:it|where it) (?:says|reads)\b(?P<three>.*)"
)
_NO_TEXT = re.compile(
    r"\b(?:without|have no|has no|with no|that do not have|don't have) (?:any |visible )*"
    r"(?:text|words?|writing|lettering)\b"
)
_TEXT_WORDS = re.compile(
    r"^\s*(?:(?:in|on) (?:it|them)|at all)?\s*(?:that (?:says?|reads?)|saying|reading|of|is|:)?\s*"
)
_BEHIND_TEXT = re.compile(r"\s+(?:(?:on|in) (?:it|them)|and(?: (?:are|is|were|was))?)[\s?.!]*$")
# What is asked beside: ", and what does it say?"
_FURTHER = re.compile(
    r"(?:[,;?.]\s*|\s+and\s+)(?:and\s+|then\s+)?(?:what|which|how|who|where|tell|show|list|read)\b.*"
)
_COLORED = re.compile(
    rf"^(?:mostly |mainly |predominantly |very |all |rather )?(?:in )?(?P<color>{_COLORS})"
    r"(?: colou?red| in colou?r| colou?rs?| tones?)?$"
    rf"|^(?:a lot of|lots of|much|plenty of) (?P<much>{_COLORS})$"
)
_LIBRARY = re.compile(
    rf"\b(?:what (?:{_PICTURES} )?(?:do|have) i (?:have|got)|"
    r"what(?:'s| is) in (?:my|the|this) (?:library|collection)|"
    r"(?:describe|summari[sz]e|summary of|overview of|about|tell me about) (?:my|the|this|all) "
    rf"(?:whole |entire |my )*(?:library|collection|{_PICTURES})|what kinds? of {_PICTURES}|"
    rf"what (?:are|is) (?:my|all my|the) {_PICTURES}(?: of| about)?$|overview)\b"
)
_TAGS = re.compile(r"\b(?:what|which|list|show|most common|top) (?:\w+ ){0,3}tags\b")
_DETAIL = re.compile(
    r"\b(?:what (?:colou?rs?|text|is (?:in|on|it|this|that)|does|are (?:in|the)|do you see)|"
    r"descri\w+|tell me|who|where|is (?:it|this|that|there)|are (?:they|there)|"
    r"does (?:it|this|that)|how (?:big|large|many)|more about|details?|caption|read|analy[sz]e|"
    r"summari[sz]e|what objects|colou?rs?)\b"
)
_REFERS = re.compile(
    rf"\b(?:these|those|them|they|their|it|its|this {_PICTURES}|that {_PICTURES}|(?:this|that) one|"
    r"(?:of|in|is|about|analy[sz]e|describe) (?:this|that)|which ones?(?= \w)|"
    r"(?:in|of|on|about) the (?:picture|image|photo)|selected|the selection)\b"
)
_THESE = re.compile(r"\b(?:these|those|them)\b")
_ORDINAL = re.compile(
    rf"\b(?:the )?(?P<word>{'|'.join(_ORDINALS)}|last)(?: (?P<several>two|three|four|five))?"
    rf"(?: (?:{_PICTURES}|result|match))?\b"
    rf"|\b(?:{_PICTURES}|number|no\.?|result|#)\s*#?(?P<number>\d{{1,3}})\b"
)
_COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5}
_BOTH = re.compile(r"\b(?:both|the two|these two|those two)\b")
_FILE = re.compile(r"[\w()+@-][\w()+@.-]*\.(?:jpe?g|png|webp|gif|heic|heif|avif|tiff?|bmp)\b")
_FIRST_FEW = re.compile(
    r"\b(?P<how>last|latest|newest|most recent|oldest|earliest|first) "
    rf"(?P<count>\d{{1,3}}|{'|'.join(grammar.NUMBERS[2:])}) (?:{_PICTURES}|uploads?)\b"
    rf"|\b(?P<before>\d{{1,3}}|{'|'.join(grammar.NUMBERS[2:])}) "
    rf"(?P<which>latest|newest|most recent|oldest|earliest) (?:{_PICTURES}|uploads?)\b"
)
_ELSE = re.compile(
    r"^(?:please |can you |could you )*(?:why|write|compose|translate|explain|sing|who are you|"
    r"what (?:can|are) you|how (?:do|can|should|would) (?:i|we|you)|should (?:i|we)|tell me a|"
    r"what is (?:your|the (?:meaning|capital|weather|time))|thanks?|thank you|help)\b"
)

# What asks, and names nothing that could be in a picture.
_COMMAND_WORDS = """
show find search list give get display look see tell want need have has had got do does did can
could would will please me i i'd i'm my mine you your we us our any all some every each there is
are was were be being been which what what's who whose where when how many much number
count of the a an that this these those them they it its picture pictures image images photo
photos photograph photographs pic pics shot shots file files one ones library collection and or
also just only for to with show's hello hi hey ok okay thanks thank let now then again more
contain contains containing depict depicts depicting showing shows including include includes
exist exists total altogether taken made uploaded added whole entire as well about from in on at
say says by if so but not no yes oldest earliest newest latest recent recently most last first
second third
"""
_COMMANDS = frozenset(_COMMAND_WORDS.split())
_SMALL_WORDS = "in on at by with of and or a an the for to from as"
_SMALL = frozenset(_SMALL_WORDS.split())
_WORD = re.compile(r"[^\s?!,;:()\[\]{}\"“”„«»]+")


class Kind(StrEnum):
    """What is to be done for an answer."""

    FIND = "find"
    COUNT = "count"
    OVERVIEW = "overview"
    ABOUT = "about"
    COMPARE = "compare"
    SIMILAR = "similar"
    WHEN = "when"
    ORGANIZE = "organize"
    CHANGE = "change"
    OTHER = "other"


class Order(StrEnum):
    """Which of the matches are wanted first."""

    OLDEST = "oldest"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True)
class LibraryQuestion:
    """A message as the rules read it.

    ``text`` is what is searched, empty: nothing. ``written`` is looked for in visible text;
    ``has_text``: with any text, or without.
    ``limit``: so many of them. ``positions`` are pictures of the last answer, from 0, LAST for its
    last one. ``refers``: it is about what was talked of before. ``filenames`` are those in it.
    """

    kind: Kind
    text: str = ""
    period: Period | None = None
    color: str | None = None
    written: str | None = None
    has_text: bool | None = None
    order: Order | None = None
    limit: int | None = None
    positions: tuple[int, ...] = ()
    refers: bool = False
    filenames: tuple[str, ...] = ()

    @property
    def filters(self) -> bool:
        """Whether it says which pictures it is about, by anything but what was said before."""
        said = self.text or self.period or self.color or self.written
        return bool(said) or self.has_text is not None


def read_question(message: str, now: datetime) -> LibraryQuestion:
    """Return what a message asks."""
    asked = " ".join(message[:LONGEST_READ].casefold().replace("’", "'").split())
    filenames = tuple(dict.fromkeys(found.strip() for found in _FILE.findall(asked)))
    rest = _FILE.sub(" ", asked)
    if _CHANGE.match(asked):
        return LibraryQuestion(Kind.CHANGE)
    if _ORGANIZE.match(asked):
        return LibraryQuestion(Kind.ORGANIZE, asked, refers=bool(_THESE.search(asked)))
    few = _few(rest)
    rest = few[2] if few else rest
    positions = () if few else _positions(rest)
    period = period_in(rest, now)
    rest = period.rest if period else rest
    written, has_text, rest = _written(rest)
    refers = bool(_REFERS.search(rest) or positions)
    text = _searched(rest, message)
    color = _colored(text)
    read = LibraryQuestion(
        Kind.FIND,
        "" if color else text,
        period,
        color,
        written,
        has_text,
        few[0] if few else _order(rest),
        few[1] if few else None,
        positions,
        refers,
        filenames,
    )
    return _with_kind(read, asked)


def _few(text: str) -> tuple[Order, int, str] | None:
    """Return which and how many of "the last 5 photos", and the text without that."""
    found = _FIRST_FEW.search(text)
    if found is None:
        return None
    how, count = found["how"] or found["which"], found["count"] or found["before"]
    if how in ("first", "last") and not count.isdigit():
        return None
    number = int(count) if count.isdigit() else grammar.NUMBERS.index(count)
    oldest = how in ("oldest", "earliest", "first")
    order = Order.OLDEST if oldest else Order.NEWEST
    return order, max(1, number), f"{text[: found.start()]} {text[found.end() :]}"


def _with_kind(read: LibraryQuestion, asked: str) -> LibraryQuestion:
    """Return it with what it asks for."""
    pointing = bool(read.refers or read.filenames)
    if _ELSE.match(asked) and not pointing:
        return replace(read, kind=Kind.OTHER)
    if _LIKE.search(asked) and (pointing or read.positions):
        return replace(read, kind=Kind.SIMILAR, text="")
    if _COMPARE.search(asked):
        return replace(read, kind=Kind.COMPARE, text=_COMPARE_WORDS.sub("", read.text).strip())
    if _LIBRARY.search(asked) or _TAGS.search(asked):
        return replace(read, kind=Kind.OVERVIEW, text="")
    if _WHEN.search(asked) and (pointing or read.text or read.order):
        return replace(read, kind=Kind.WHEN)
    of_several = _OF_SEVERAL.search(asked)
    counts = _COUNT.search(asked) or (of_several and of_several["some"])
    in_detail = read.positions or read.filenames or _DETAIL.search(asked)
    if pointing and in_detail and not (of_several and counts):
        return replace(read, kind=Kind.ABOUT)
    if counts:
        return replace(read, kind=Kind.COUNT)
    if read.filters or read.order or read.filenames:
        return read
    if pointing:
        return replace(read, kind=Kind.ABOUT)
    if re.search(
        rf"\b(?:all|my|every|any)\b.*\b{_PICTURES}\b|\b{_PICTURES} (?:do|have) i\b", asked
    ):
        return read
    return replace(read, kind=Kind.OTHER)


def _positions(text: str) -> tuple[int, ...]:
    found: list[int] = []
    for each in _ORDINAL.finditer(text):
        if each["number"]:
            found.append(int(each["number"]) - 1)
        elif each["word"] == "last":
            if each[0] != "last" and " added" not in text:
                found += range(-_COUNTS.get(each["several"] or "", 1), 0)
        else:
            start = _ORDINALS.index(each["word"])
            if start or each["several"] or each[0] not in ("first", "the first"):
                found += range(start, start + _COUNTS.get(each["several"] or "", 1))
            elif re.search(rf"\bthe first\b(?! {_PICTURES})", text):
                found.append(start)
    if not found and _BOTH.search(text):
        found = [0, 1]
    return tuple(dict.fromkeys(each for each in found if each >= -MOST_POSITIONS))[:MOST_POSITIONS]


def _order(text: str) -> Order | None:
    if _OLDEST.search(text):
        return Order.OLDEST
    return Order.NEWEST if _NEWEST.search(text) else None


def _written(text: str) -> tuple[str | None, bool | None, str]:
    """Return what is to be read in pictures, whether they have text, and the message without it."""
    without = _NO_TEXT.search(text)
    if without:
        return None, False, text[: without.start()]
    found = _SAYS.search(text)
    if found is None:
        return None, None, text
    said = found["one"] or found["two"] or found["three"] or ""
    quoted = _QUOTED.search(said)
    wanted = quoted[1] if quoted else _unquoted(said)
    if len(wanted) > LONGEST_SEARCH or (not wanted and found["one"] is None):
        return None, None, text
    return wanted or None, None if wanted else True, text[: found.start()]


def _unquoted(said: str) -> str:
    """Return the words that are to be read, without what else is asked."""
    for aside in (_FURTHER, _TEXT_WORDS, _BEHIND_TEXT):
        said = aside.sub("", said)
    return said.strip(" ?.!'")


def _searched(text: str, message: str) -> str:
    """Return the words of a question that can be searched, in their order and as written."""
    written = {word.casefold(): word for word in _WORD.findall(message)}
    kept: list[str] = []
    for word in _WORD.findall(text):
        bare = word.strip("'.")
        if not bare or (bare in _COMMANDS and bare not in _SMALL):
            continue
        if bare in _SMALL and not kept:
            continue
        kept.append(written.get(word, word).strip("'."))
    while kept and kept[-1].casefold() in _SMALL:
        del kept[-1]
    return " ".join(kept)[:LONGEST_SEARCH]


def _colored(text: str) -> str | None:
    found = _COLORED.match(text.casefold())
    return grammar.color_in(found["color"] or found["much"]) if found else None
