"""Answers of a language model about a library, checked before they leave.

The model is told what was found, as quoted data, and answers in statements that name the pictures
they are about by number. So it can cite nothing that is not there; what is stored of the cited
pictures contradicts is left out, and what cannot be checked is marked.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocelli.domain.claims import Ruling
from ocelli.domain.known_pictures import known
from ocelli.domain.library_chat import ChatRole, shortened
from ocelli.domain.references import picture_mark, without_markup
from ocelli.domain.statements import check_counts, check_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.known_pictures import KnownPicture
    from ocelli.domain.library_chat import SessionMessage
    from ocelli.domain.statements import Judge
    from ocelli.usecases.conversations import Asking
    from ocelli.usecases.library_model import LibraryModel, TokensUsed
    from ocelli.usecases.library_retrieval import Gathered

MAX_STATEMENTS = 30
LONGEST_TEXT = 600  # characters that are told of each text of a picture
MOST_CLAIMS = 15
TOLD_BEFORE = 12  # messages
LONGEST_MESSAGE = 500
NOT_CHECKED = "(not checked)"
TASK = (
    "Answer the question of a person about the pictures of their library, in the language of the"
    " question, in at most 12 short statements. `counts` are the results of searches that were made"
    " for it, `pictures` is what they found, each with a number `n` and what is known of it: state"
    " nothing else of them, and no other numbers of pictures than `counts` has. Name with each"
    " statement, in `pictures`, the numbers of the pictures that it is about: none, if it is about"
    " the library. Where what is given does not answer the question, say so. `earlier` is the"
    " conversation so far.\n\nThe question: "
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "statements": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_STATEMENTS,
            "items": {
                "type": "object",
                "properties": {
                    "text": {"type": "string", "minLength": 1, "maxLength": 1000},
                    "pictures": {"type": "array", "items": {"type": "integer"}, "maxItems": 30},
                },
                "required": ["text", "pictures"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["statements"],
    "additionalProperties": False,
}
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)")
_NUMBERS = re.compile(r"\s*\[\d{1,3}(?:,\s*\d{1,3})*\]")


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A checked answer, None where nothing of it is left, or ``reason`` why there is none.

    ``unchecked`` are the statements that are marked, ``left_out`` counts the contradicted ones.
    """

    text: str | None
    tokens: TokensUsed
    unchecked: Sequence[str] = ()
    left_out: int = 0
    reason: str | None = None


class ModelAnswers:
    """Asks the configured model; ``judge`` is what findings say about a claim."""

    def __init__(self, model: LibraryModel, judge: Judge) -> None:
        self._model = model
        self._judge = judge

    @property
    def is_configured(self) -> bool:
        """Whether there is a language model to ask."""
        return self._model.is_configured

    @property
    def name(self) -> str:
        """The name of the model."""
        return self._model.name

    async def answer(
        self,
        asking: Asking,
        message: str,
        gathered: Gathered,
        *,
        earlier: Sequence[SessionMessage],
        summary: str | None,
    ) -> ModelReply:
        """Return the checked answer. Raises UsageLimitExceeded."""
        pictures = [known(each) for each in gathered.shown]
        data = {
            "counts": _counts(gathered),
            "pictures": [_told(n, each) for n, each in enumerate(pictures, 1)],
            "earlier": _earlier(earlier, summary),
        }
        task = TASK + json.dumps(message, ensure_ascii=False)
        answer = await self._model.ask(asking, task, data, SCHEMA)
        if answer.value is None:
            return ModelReply(None, answer.tokens, reason=answer.reason)
        return self.checked(answer.value["statements"], pictures, gathered, answer.tokens)

    def checked(
        self,
        statements: Sequence[dict[str, Any]],
        pictures: Sequence[KnownPicture],
        gathered: Gathered,
        tokens: TokensUsed,
    ) -> ModelReply:
        """Return what of these statements may be said."""
        lines: list[str] = []
        unchecked: list[str] = []
        left_out = 0
        counts = {gathered.total, *(each.count for each in gathered.refs.values())}
        for each in statements:
            text = _cleaned(each["text"])
            about = [
                pictures[n - 1] for n in dict.fromkeys(each["pictures"]) if 0 < n <= len(pictures)
            ]
            ruling = self._ruling(text, about, counts)
            if ruling is Ruling.CONTRADICTED:
                left_out += 1
            elif text:
                marked = ruling is Ruling.UNKNOWN and not text.endswith(("?", ":"))
                unchecked += [text] if marked else []
                lines.append(_line(text, about, marked=marked))
        text_left = "\n".join(lines) or None
        if left_out and text_left:
            text_left += f"\n{_left_out(left_out)}"
        return ModelReply(text_left, tokens, unchecked, left_out)

    def _ruling(self, text: str, about: Sequence[KnownPicture], counts: set[int]) -> Ruling:
        counted = check_counts(text, counts | ({len(about)} if about else set()))
        if not about or counted is Ruling.CONTRADICTED:
            return counted
        return check_statement(text, about, self._judge)


def _line(text: str, about: Sequence[KnownPicture], *, marked: bool) -> str:
    marks = ", ".join(picture_mark(each.image.id, each.image.filename) for each in about)
    return " ".join([text, *([f"({marks})"] if marks else []), *([NOT_CHECKED] if marked else [])])


def _left_out(count: int) -> str:
    if count == 1:
        return "One statement was left out: what is stored of the pictures contradicts it."
    return f"{count} statements were left out: what is stored of the pictures contradicts them."


def _cleaned(text: str) -> str:
    """Return a statement without links, markup, and numbers in brackets."""
    return " ".join(without_markup(_NUMBERS.sub("", _LINK.sub(r"\1", text))).split())


def _counts(gathered: Gathered) -> list[dict[str, Any]]:
    counts: list[dict[str, Any]] = [{"of": "all pictures in question", "count": gathered.total}]
    counts += [{"of": each.label, "count": each.count} for each in gathered.refs.values()]
    if gathered.overview is not None:
        counts.append({"of": "described pictures", "count": gathered.overview.described})
        counts += [
            {"of": f"tag {tag} among the newest", "count": count}
            for tag, count in gathered.overview.tags
        ]
    return counts


def _told(number: int, picture: KnownPicture) -> dict[str, Any]:
    shown, findings = picture.shown, picture.findings
    told = {
        "n": number,
        "file": picture.image.filename,
        "title": picture.image.title,
        "taken": f"{picture.taken_at:%Y-%m-%d %H:%M}",
        "description": shown.description and shown.description[:LONGEST_TEXT],
        "visible_text": shown.visible_text and shown.visible_text[:LONGEST_TEXT],
        "tags": list(shown.tags[:MOST_CLAIMS]),
        "claims": [claim.text for claim in picture.kept[:MOST_CLAIMS]],
        "colors": [color.name for color in findings.colors[:5]] if findings else [],
    }
    return {name: value for name, value in told.items() if value}


def _earlier(messages: Sequence[SessionMessage], summary: str | None) -> list[dict[str, str]]:
    told = [
        {
            "by": "person" if each.role is ChatRole.USER else "you",
            "text": shortened(each.plain, LONGEST_MESSAGE),
        }
        for each in messages[-TOLD_BEFORE:]
    ]
    return [{"by": "summary", "text": summary}, *told] if summary else told
