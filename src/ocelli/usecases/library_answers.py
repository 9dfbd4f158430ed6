"""Answers about a library without a language model: from searches, counts, dates and findings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocelli.domain import grammar
from ocelli.domain.chat import ChatMessage, Conversation
from ocelli.domain.findings import LOCAL
from ocelli.domain.known_pictures import known
from ocelli.domain.library_chat import shortened
from ocelli.domain.library_questions import Kind
from ocelli.domain.ports_chat import AnalysedPicture
from ocelli.domain.references import count_mark, picture_mark, without_markup
from ocelli.domain.sentences import sentences
from ocelli.usecases.library_retrieval import NAMED, NEAR

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ocelli.domain.images import Image
    from ocelli.domain.known_pictures import KnownPicture
    from ocelli.domain.library_questions import LibraryQuestion
    from ocelli.domain.ports_chat import Answerer
    from ocelli.usecases.library_retrieval import Gathered

LISTED, NEAR_LISTED = 6, 4  # pictures that are listed of a search
LINE_LENGTH = 160  # characters that are told of each
CAN = (
    "Without a language model Ocelli finds pictures by what they show and by the text in them, "
    "counts them, filters them by date and colour, compares them, and tells what was found in one."
)
CANNOT = f"This question it cannot answer. {CAN}"
CONFIGURE = (
    "For anything else, configure a model as [backends.NAME] in ocelli.toml, or in OCELLI_BACKENDS."
)
ONLY_READS = (
    "This chat only reads the library: nothing was changed. To delete pictures, or to change "
    "their titles and tags, use the console (/console), `client.files.delete` and "
    "`client.files.update` of the SDK, or DELETE and PATCH of /api/v2/user-files/{id}. Folders are "
    "made, renamed and deleted by /api/v2/folders. What can be begun here is sorting: “sort my "
    "photos into folders by month” proposes a plan, and moves nothing before you approve it."
)
NO_PICTURES = "There are no pictures here yet: upload some, and ask again."
NONE_SELECTED = "No picture is selected in this session, so there is nothing to answer from."
WHICH_ONE = (
    "Which picture do you mean? Ask for some first, or name its file, as in “what is in a.jpg?”."
)
OPEN = ("before", "since", "after", "until", "till", "older", "newer")
_NAMED_SO = re.compile(r"“[^”]*”|\b(?P<one>[Pp]icture) (?P<number>\d{1,2})\b")


class LibraryAnswers:
    """Writes answers; ``answerer`` knows what single pictures show. No I/O."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer

    def answer(self, message: str, gathered: Gathered, *, selected: bool = False) -> str:
        """Return the answer, with marks. ``selected``: it is about a selection only."""
        if not gathered.total:
            return NONE_SELECTED if selected else NO_PICTURES
        match gathered.question.kind:
            case Kind.OVERVIEW:
                return _overview(gathered)
            case Kind.COUNT:
                return _counted(gathered)
            case Kind.FIND:
                return _found(gathered)
            case Kind.SIMILAR:
                return _similar(gathered)
            case Kind.WHEN:
                return _about(gathered, _dates)
            case Kind.ABOUT | Kind.COMPARE:
                return _about(gathered, lambda pictures: self._told(message, gathered, pictures))
            case _:
                return f"{CANNOT} {CONFIGURE}"

    def _told(self, message: str, gathered: Gathered, pictures: Sequence[KnownPicture]) -> str:
        """Of what was found in the pictures; one that is not described yet is only named."""
        seen = [each for each in pictures if each.findings is not None]
        lines = [f"{_mark(each)} is not described yet." for each in pictures if each not in seen]
        if gathered.question.kind is Kind.COMPARE and len(pictures) < 2:
            return "\n".join(
                [*lines, "To compare takes two pictures: name both, or find them first."]
            )
        if seen:
            asked = _asked(message, gathered.question)
            conversation = Conversation(LOCAL, (ChatMessage("user", (asked,)),))
            reply = self._answerer.reply(conversation, [_analysed(each) for each in seen])
            lines.append(_with_marks(reply.text, seen))
        return "\n".join(lines)


def _asked(message: str, question: LibraryQuestion) -> str:
    """Return the question as it is put about pictures that are there."""
    if question.kind is Kind.COMPARE:
        return "compare them"
    for name in question.filenames:
        message = re.sub(re.escape(name), "it", message, flags=re.IGNORECASE)
    return message


def _about(gathered: Gathered, tell: Callable[[Sequence[KnownPicture]], str]) -> str:
    lines = [f"There is no picture called “{name}”." for name in gathered.missing]
    if gathered.shown:
        lines.append(tell([known(each) for each in gathered.shown]))
    return "\n".join(lines) or WHICH_ONE


def _overview(gathered: Gathered) -> str:
    overview = gathered.overview
    assert overview is not None
    lines = [f"There {_are(gathered.total)}, {overview.described:,} of them described."]
    if overview.oldest and overview.newest:
        days = list(
            dict.fromkeys(f"{each:%d %B %Y}" for each in (overview.oldest, overview.newest))
        )
        lines.append(f"They are from {' to '.join(days)}.")
    if overview.tags:
        shown = [f"{without_markup(tag)} ({count})" for tag, count in overview.tags]
        lines.append(f"The most frequent tags of the newest are {grammar.listing(shown)}.")
    if overview.folders:
        folders = [
            f"“{without_markup(each.name)}” ({each.file_count})" for each in overview.folders[:12]
        ]
        lines.append(f"Folders: {grammar.listing(folders)}.")
    lines.append("The newest:\n" + _list(gathered.shown[:LISTED]))
    return "\n".join(lines)


def _counted(gathered: Gathered) -> str:
    if not gathered.question.filters and not gathered.question.refers:
        return f"There {_are(gathered.total)}."
    lines = [_matches(gathered)]
    named = gathered.shown[: min(len(gathered.named), LISTED)]
    if named:
        lines.append(_list(named, read=_is_about_text(gathered.question)))
    lines += _near(gathered)
    return "\n".join([*lines, *_notes(gathered)])


def _found(gathered: Gathered) -> str:
    question = gathered.question
    limit = question.limit or LISTED
    named = [each for each in gathered.shown if each.id in set(gathered.named)][:limit]
    lines = [_matches(gathered)]
    if named:
        lines.append(_list(named, read=_is_about_text(question)))
        if gathered.count > len(named):
            lines.append(f"These are the first {len(named)}.")
    return "\n".join([*lines, *_near(gathered), *_notes(gathered)])


def _matches(gathered: Gathered) -> str:
    question, one = gathered.question, gathered.count < 2
    are, have = ("is", "has") if one else ("are", "have")
    said = []
    if question.text:
        said.append(f"{are} described with “{without_markup(question.text)}”")
    if question.color:
        said.append(f"{are} mostly {question.color}")
    if question.written:
        said.append(
            f"{have} the text “{without_markup(question.written)}” in {'it' if one else 'them'}"
        )
    if question.has_text is not None:
        said.append(f"{have} {'' if question.has_text else 'no '}visible text")
    if question.period:
        said.append(f"{are} {_when(question.period.label)}")
    what = " and ".join(said)
    among = " of those" if question.refers else ""
    if not gathered.count:
        none = f"None{among}" if among else "No picture"
        return f"{none} {what or 'is there any more'}."
    noun = "picture" if one else "pictures"
    if not what:
        return f"There {are} {count_mark(NAMED)} {noun}{among}."
    return f"{count_mark(NAMED)} {noun}{among} {what}."


def _when(label: str) -> str:
    """Return "from May 2024", but "since 2020" as it is."""
    return label if label.split()[0] in OPEN else f"from {label}"


def _near(gathered: Gathered) -> list[str]:
    near = set(gathered.near)
    shown = [each for each in gathered.shown if each.id in near][:NEAR_LISTED]
    if not shown:
        return []
    more = "more come" if gathered.count else "come"
    verb = more if len(gathered.near) != 1 else more.replace("come", "comes")
    return [f"By meaning {count_mark(NEAR)} {verb} near:\n{_list(shown)}"]


def _notes(gathered: Gathered) -> list[str]:
    if gathered.words_only and gathered.question.text:
        return [f"Only words were searched, not what they mean: {gathered.words_only}."]
    return []


def _similar(gathered: Gathered) -> str:
    if not gathered.shown:
        return (
            "\n".join(f"There is no picture called “{name}”." for name in gathered.missing)
            or WHICH_ONE
        )
    first, *others = gathered.shown
    if not others:
        return f"No other picture is near in meaning to {_image_mark(first)}."
    return f"These are nearest in meaning to {_image_mark(first)}:\n{_list(others[:LISTED])}"


def _dates(pictures: Sequence[KnownPicture]) -> str:
    lines = []
    for each in pictures:
        taken = each.image.content_created_at
        if taken is not None:
            lines.append(f"{_mark(each)} was taken on {taken:%d %B %Y at %H:%M}.")
        else:
            came = each.image.created_at
            lines.append(
                f"{_mark(each)} does not say when it was taken; it was uploaded on"
                f" {came:%d %B %Y at %H:%M}."
            )
    return "\n".join(lines)


def _are(count: int) -> str:
    return f"is {count} picture" if count == 1 else f"are {count:,} pictures"


def _is_about_text(question: LibraryQuestion) -> bool:
    return bool(question.written or question.has_text)


def _list(images: Sequence[Image], *, read: bool = False) -> str:
    """Return a line for each picture, with what it shows; ``read``: with the text in it."""
    return "\n".join(_line(known(each), read=read) for each in images)


def _line(picture: KnownPicture, *, read: bool) -> str:
    text = " ".join((picture.shown.visible_text or "").split()) if read else ""
    said = f"“{without_markup(shortened(text, LINE_LENGTH))}”" if text else told(picture)
    return f"- {_mark(picture)}: {said}"


def told(picture: KnownPicture) -> str:
    """Return the first sentence of a picture's description, as a quotation in an answer."""
    parts = sentences(picture.shown.description or "")
    if not parts:
        return "not described yet."
    return without_markup(shortened(parts[0], LINE_LENGTH))


def _mark(picture: KnownPicture) -> str:
    return _image_mark(picture.image)


def _image_mark(image: Image) -> str:
    return picture_mark(image.id, image.filename)


def _with_marks(text: str, pictures: Sequence[KnownPicture]) -> str:
    """Return what is said of "picture 1" with the mark of that picture; quotations stay."""
    if len(pictures) == 1:
        return f"{_mark(pictures[0])}: {without_markup(text)}"

    def mark(found: re.Match[str]) -> str:
        number = int(found["number"]) - 1 if found["number"] else -1
        return _mark(pictures[number]) if 0 <= number < len(pictures) else found[0]

    return _NAMED_SO.sub(mark, without_markup(text))


def _analysed(picture: KnownPicture) -> AnalysedPicture:
    assert picture.findings is not None
    image = picture.image
    return AnalysedPicture(picture.findings, image.sha256, width=image.width, height=image.height)
