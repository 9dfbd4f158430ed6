"""A conversation about pictures: what is asked, how it is counted, how an answer is cut. Pure.

**Tokens** of the local model. Text: up to four letters or digits, or one other sign, with the white
space before it, are one token; each message adds four. A picture is 85 tokens at ``low`` detail;
otherwise 85, and 170 for each tile of 512 × 512 pixels once it is made to fit into 2048 × 2048 and
then 768 on its shorter side. The same conversation always counts the same.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ocelli.domain.analysis import Analysis, VerificationLevel

MAX_PICTURES = 500
MAX_CONTEXT = 1_000_000  # tokens of the local model

LONGEST_TOKEN = 4  # characters, without white space
_PER_MESSAGE = 4
_PICTURE = 85
_TILE = 170
_TILE_SIDE = 512
_FIT, _SHORTER = 2048, 768
_TOKEN = re.compile(r"\s*(?:[^\W_]{1,4}|[^\s])|\s+$")


class Detail(StrEnum):
    """The resolution at which a picture is to be read, as OpenAI's API has it."""

    AUTO = "auto"
    LOW = "low"
    HIGH = "high"


class Format(StrEnum):
    """The form of the answer."""

    TEXT = "text"
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"


class Finish(StrEnum):
    """Why an answer ends: complete, cut at the limit of tokens, or a call of a tool."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"


MOST_TOKENS = 10_000_000  # of one answer, whatever a server says


def told_tokens(value: object) -> int | None:
    """Return a number of tokens that a server told; None for what is none.

    >>> told_tokens(-1), told_tokens(10**30), told_tokens("7")
    (0, 10000000, None)
    """
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return min(max(value, 0), MOST_TOKENS)


@dataclass(frozen=True, slots=True)
class PictureRef:
    """A picture as a client names it: an address, a data URL, or bare base64.

    ``param`` is the path of its address in the request, for errors; ``message`` and ``part`` are
    the positions in that path. ``is_object`` says that the client wrote ``{"url": ...}``, the form
    that is required.
    """

    url: str
    param: str
    message: int
    part: int
    detail: Detail = Detail.AUTO
    is_object: bool = True


@dataclass(frozen=True, slots=True)
class ToolInvocation:
    """A function that a model has called; ``arguments`` are JSON in a text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A message of a conversation. ``parts`` keep their order.

    ``calls`` are those that an assistant made; ``call_id`` names the one that a tool answers.
    """

    role: str
    parts: tuple[str | PictureRef, ...]
    calls: tuple[ToolInvocation, ...] = ()
    call_id: str = ""

    @property
    def text(self) -> str:
        """All text parts, joined by line breaks."""
        return "\n".join(part for part in self.parts if isinstance(part, str))


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that an answer may call; ``schema`` is that of its arguments."""

    name: str
    schema: Mapping[str, Any]
    description: str = ""
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A chat request.

    ``model`` is the name that the client used. ``demanding`` are the fields in it that only a
    language model could honour. ``schema`` is that of Format.JSON_SCHEMA, ``schema_name`` its name.
    One of ``tools``, if there are any, must be called. ``offered`` are all tools that a language
    model may call, and ``sampling`` is what else it is told, both as chat completions call it; the
    local model heeds neither.
    """

    model: str
    messages: tuple[ChatMessage, ...]
    max_tokens: int | None = None
    n: int = 1
    stop: tuple[str, ...] = ()
    stream: bool = False
    include_usage: bool = False
    format: Format = Format.TEXT
    schema: Mapping[str, Any] | None = None
    schema_name: str = ""
    demanding: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    offered: tuple[Tool, ...] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)

    @property
    def instructions(self) -> str:
        """The text of all system and developer messages."""
        return "\n".join(
            message.text for message in self.messages if message.role in ("system", "developer")
        )

    @property
    def pictures(self) -> list[PictureRef]:
        """The pictures of all messages, in their order."""
        return [
            part
            for message in self.messages
            for part in message.parts
            if isinstance(part, PictureRef)
        ]

    @property
    def question(self) -> str:
        """The text of the last user message that has any; empty if there is none."""
        texts = [message.text for message in self.messages if message.role == "user"]
        return next((text for text in reversed(texts) if text.strip()), "")

    @property
    def shown_last(self) -> list[PictureRef]:
        """The pictures of the last message that a user wrote."""
        last = max(
            (at for at, message in enumerate(self.messages) if message.role == "user"), default=-1
        )
        return [picture for picture in self.pictures if picture.message == last]


@dataclass(frozen=True, slots=True)
class LevelReport:
    """What became of the verification level that a model's name asks for.

    ``analyses`` are those of the described pictures, in their order; none: the question did not ask
    for a description, and was answered as without a level.
    """

    level: VerificationLevel
    analyses: tuple[Analysis, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenUse:
    """The token counts of an answer, by the rules at the top."""

    text: int
    pictures: int
    completion: int

    @property
    def prompt(self) -> int:
        """Tokens of the prompt: text and pictures."""
        return self.text + self.pictures

    @property
    def total(self) -> int:
        """Tokens of prompt and completion."""
        return self.prompt + self.completion


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """An answer of the local model, or a verified description: all ``n`` choices are the same.

    ``text`` are the arguments of ``tool``, in JSON, where that is called. ``report`` is None where
    no level was asked for.
    """

    model: str
    text: str
    finish: Finish
    n: int
    use: TokenUse
    tool: str | None = None
    report: LevelReport | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer that is being written. ``thought`` leads to it and is none of it."""

    text: str = ""
    thought: str = ""


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """What any model has answered. Counts are of tokens, None where a backend does not say.

    ``report`` is None where no level was asked for.
    """

    model: str
    text: str
    finish: Finish
    calls: tuple[ToolInvocation, ...] = ()
    thought: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    report: LevelReport | None = None


def pieces(text: str, size: int) -> Iterator[str]:
    """Yield ``text`` in pieces of ``size`` tokens."""
    words = tokens(text)
    while piece := "".join(islice(words, size)):
        yield piece


def tokens(text: str) -> Iterator[str]:
    """Yield the tokens of ``text``; joined, they are ``text``."""
    return (match[0] for match in _TOKEN.finditer(text))


def count_text(messages: Iterable[ChatMessage]) -> int:
    """Return the tokens of the texts of ``messages``."""
    return sum(
        _PER_MESSAGE
        + sum(1 for part in message.parts if isinstance(part, str) for _ in tokens(part))
        for message in messages
    )


def count_picture(width: int, height: int, detail: Detail) -> int:
    """Return the tokens of one picture of ``width`` × ``height`` pixels.

    >>> count_picture(1024, 1024, Detail.HIGH), count_picture(2048, 4096, Detail.AUTO)
    (765, 1105)
    """
    if detail is Detail.LOW:
        return _PICTURE
    scale = min(1.0, _FIT / max(width, height))
    scale = min(scale, _SHORTER / min(width, height))
    across, down = (math.ceil(round(side * scale) / _TILE_SIDE) for side in (width, height))
    return _PICTURE + _TILE * max(1, across) * max(1, down)


def cut(text: str, *, stop: tuple[str, ...], max_tokens: int | None) -> tuple[str, Finish, int]:
    """Cut ``text`` before the first of ``stop``, or after ``max_tokens``.

    Returns the text, why it ends, and its tokens.
    """
    ends = [at for mark in stop if mark and (at := text.find(mark)) >= 0]
    if ends:
        text = text[: min(ends)]
    pieces = list(tokens(text))
    if max_tokens is not None and len(pieces) > max_tokens:
        return "".join(pieces[:max_tokens]), Finish.LENGTH, max_tokens
    return text, Finish.STOP, len(pieces)
