"""Reports over stored pictures, in Markdown. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocelli.domain.claims import Ruling
from ocelli.domain.grammar import is_color
from ocelli.domain.picture_facts import stored_together
from ocelli.domain.search import fold
from ocelli.domain.statements import check_statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ocelli.domain.picture_facts import PictureFacts

MOST_TAGS = 12
MOST_STATEMENTS = 30
MOST_LISTED = 100  # pictures in the list at the end
MOST_REFERENCES = 10  # of one statement
LONGEST = 300  # characters of a quoted text
NOT_CHECKED = "*(not checked)*"
_MARKUP = re.compile(r"([\\`*_\[\]<>#|~])")


@dataclass(frozen=True, slots=True)
class Statement:
    """What is said of some pictures; ``pictures`` are positions from 0."""

    text: str
    pictures: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """Statements under a heading."""

    heading: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A report in Markdown, and what it says in short."""

    text: str
    summary: str


def plain(text: str, longest: int = LONGEST) -> str:
    """Return a text as Markdown shows it, in one line.

    >>> plain("a *b*" + chr(10) + "# c")
    'a \\\\*b\\\\* \\\\# c'
    """
    line = " ".join(text.split())
    cut = line if len(line) <= longest else f"{line[:longest]}…"
    return _MARKUP.sub(r"\\\1", cut)


def overview(pictures: Sequence[PictureFacts]) -> str:
    """Return how many pictures there are, from when, and what they show most."""
    if not pictures:
        return "There are no pictures to report on."
    times = sorted(each.shown_at for each in pictures)
    first, last = f"{times[0]:%Y-%m-%d}", f"{times[-1]:%Y-%m-%d}"
    when = first if first == last else f"{first} to {last}"
    described = sum(each.description is not None for each in pictures)
    text = f"{_counted(len(pictures))} of {when}; {described} described."
    tags = top_tags(pictures)[:3]
    if tags:
        text += f" Most frequent: {', '.join(f'{plain(tag)} ({count})' for tag, count in tags)}."
    return text


def top_tags(pictures: Sequence[PictureFacts]) -> list[tuple[str, int]]:
    """Return the tags with the numbers of their pictures, the most frequent first.

    Those that only name a colour come last.
    """
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for each in pictures:
        tags = {fold(tag): tag for tag in each.tags if fold(tag)}
        counts.update(tags.keys())
        names = {**tags, **names}
    ranked = sorted(counts.items(), key=lambda each: (is_color(each[0]), -each[1], each[0]))
    return [(names[key], count) for key, count in ranked]


def counted_report(intent: str, pictures: Sequence[PictureFacts]) -> Report:
    """Return a report from counts and kept claims alone."""
    summary = overview(pictures)
    sections = [_tags_section(pictures), _claims_section(pictures), _text_section(pictures)]
    note = (
        "Written without a language model: counts and stored statements only. The request was not"
        " followed beyond that."
    )
    return Report(_document("Report", intent, summary, sections, pictures, [note]), summary)


def written_report(
    intent: str,
    title: str,
    summary: str,
    sections: Iterable[Section],
    pictures: Sequence[PictureFacts],
) -> Report:
    """Return a report that a language model wrote: without what stored claims contradict.

    What they do not say is marked.
    """
    kept, dropped, unchecked = [], 0, 0
    for section in sections:
        lines = []
        for each in section.statements:
            ruling = _ruling(each.text, [pictures[n] for n in each.pictures])
            dropped += ruling is Ruling.CONTRADICTED
            unchecked += ruling is Ruling.UNKNOWN
            if ruling is not Ruling.CONTRADICTED:
                mark = f" {NOT_CHECKED}" if ruling is Ruling.UNKNOWN else ""
                lines.append(f"- {plain(each.text)}{_references(each.pictures)}{mark}")
        kept.append((plain(section.heading), lines))
    notes = []
    if dropped:
        notes.append(f"{dropped} statements were left out: stored claims contradict them.")
    if unchecked:
        notes.append(f"{NOT_CHECKED}: stored claims neither support nor contradict the statement.")
    all_pictures = _ruling(summary, pictures)
    if all_pictures is Ruling.CONTRADICTED:
        summary = overview(pictures)
    short = plain(summary, 4 * LONGEST)
    if all_pictures is Ruling.UNKNOWN:
        short = f"{short} {NOT_CHECKED}"
    return Report(_document(plain(title), intent, short, kept, pictures, notes), short)


def _ruling(text: str, pictures: Sequence[PictureFacts]) -> Ruling:
    return check_statement(text, [stored_together(pictures)])


def _document(
    title: str,
    intent: str,
    summary: str,
    sections: Iterable[tuple[str, Sequence[str]]],
    pictures: Sequence[PictureFacts],
    notes: Sequence[str],
) -> str:
    parts = [f"# {title}", f"> {plain(intent)}", summary]
    for heading, lines in sections:
        if lines:
            parts += [f"## {heading}", "\n".join(lines)]
    if pictures:
        listed = [
            f"{number}. {plain(each.label)} (`{each.id}`)"
            for number, each in enumerate(pictures[:MOST_LISTED], 1)
        ]
        if len(pictures) > MOST_LISTED:
            listed.append(f"\n… and {len(pictures) - MOST_LISTED} more.")
        parts += ["## Pictures", "\n".join(listed)]
    if notes:
        parts.append("\n\n".join(notes))
    return "\n\n".join(parts) + "\n"


def _tags_section(pictures: Sequence[PictureFacts]) -> tuple[str, list[str]]:
    shared = [(tag, count) for tag, count in top_tags(pictures) if count > 1 or len(pictures) == 1]
    return "What they show", [
        f"- {plain(tag)}: {_counted(count)}" for tag, count in shared[:MOST_TAGS]
    ]


def _claims_section(pictures: Sequence[PictureFacts]) -> tuple[str, list[str]]:
    where: Mapping[str, list[int]] = defaultdict(list)
    sure: dict[str, float] = defaultdict(float)
    for number, picture in enumerate(pictures):
        for text in dict.fromkeys(each.text for each in picture.claims if each.kept):
            where[text].append(number)
        for each in picture.claims:
            sure[each.text] = max(sure[each.text], each.probability or 0.0)
    best = sorted(where, key=lambda text: (-len(where[text]), -sure[text], text))
    return "What is stated", [
        f"- {plain(text)}{_references(where[text])}" for text in best[:MOST_STATEMENTS]
    ]


def _text_section(pictures: Sequence[PictureFacts]) -> tuple[str, list[str]]:
    lines = [
        f"- “{plain(each.visible_text)}”{_references([number])}"
        for number, each in enumerate(pictures)
        if each.visible_text
    ]
    return "What can be read", lines[:MOST_STATEMENTS]


def _references(numbers: Sequence[int]) -> str:
    shown = [str(n + 1) for n in numbers[:MOST_REFERENCES]]
    more = ", …" if len(numbers) > MOST_REFERENCES else ""
    return f" \\[{', '.join(shown)}{more}\\]" if shown else ""


def _counted(count: int) -> str:
    return "1 picture" if count == 1 else f"{count} pictures"
