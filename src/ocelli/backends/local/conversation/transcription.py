"""Requests for the text in a picture and nothing else, as OCR programs write them. Pure.

Such a request is answered with the lines themselves; where there are none, with what it asks for in
that case, or with nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.backends.local.conversation.facts import PictureFacts

LONGEST = 8000

_TEXT = (
    r"(?:(?:all|any|every|each|the|of|only|just|its|this|that|visible|readable|legible|printed|"
    r"written|handwritten|raw|plain|full|exact|complete|entire|extracted|recogni[sz]ed|"
    r"transcribed|detected|ocr|english|text|image|you|can|see|and|verbatim)\s+)*"
    r"(?:texts?|words|writing|lines|transcription|transcript|characters|content of the (?:image|"
    r"document|page))\b"
)
_ASKS = re.compile(
    r"\b(?:transcri(?:be|bing|ption)|ocr)\b"
    rf"|\b(?:extract|output|return|give(?: me)?|provide|write(?: down| out)?|print|reproduce|copy|"
    rf"respond with|reply with|answer with)\s+(?:back\s+)?{_TEXT}"
    rf"|\bread\s+(?:and (?:return|output)\s+)?{_TEXT}(?=[^.!?]*\b(?:only|exactly|verbatim|return|"
    r"output)\b)"
    r"|\b(?:text|character) (?:recognition|extraction)\b"
    r"|\bconvert\b[^.!?]*\bto (?:plain )?(?:text|markdown)\b"
)
# Another demand beside it, unless it is a prohibition or a condition.
_OTHER = re.compile(
    r"(?:^|\b(?:and|then|also|please)\s+)(?:please\s+|then\s+|also\s+)*"
    r"(?:describe[sd]?|describing|captions?|count|summari[sz]e|explain|translate|identify|"
    r"list the objects|"
    r"tell me (?:what|who|how|about)|how many|who|where|what (?:is|are|colou?rs?|objects)|"
    r"(?:is|are) there|do you see|does (?:it|this|the))\b"
)
_NOT = re.compile(r"\b(?:not|don't|never|without|avoid|no)\b|^(?:if|when|where)\b")
_EMPTY = re.compile(
    r"\b(?:if|when|where)\b(?P<case>[^.!?\n]{1,120}?)(?:,|\bthen\b|\s)\s*(?:please\s+|just\s+|simply\s+|"
    r"only\s+)*(?:return|output|reply(?: with)?|respond(?: with)?|answer(?: with)?|write|say|give|"
    r"print|use|leave)\s+(?:only\s+|exactly\s+|with\s+|just\s+|the (?:word|phrase|string|text)\s+)*"
    r"(?P<said>\"[^\"\n]*\"|“[^”\n]*”|'[^'\n]*'|`[^`\n]*`|<[^<>\n]+>|\[[^\[\]\n]+\]|[^.!?;,\n]{1,80})",
    re.IGNORECASE,
)
_NONE = re.compile(r"\b(?:no|not|without|nothing|none|empty|blank|cannot|can't|isn't|unreadable)\b")
_NOTHING = re.compile(
    r"(?:an? |the )?(?:empty|blank)\b.*|nothing\b.*|it (?:empty|blank)\b.*", re.IGNORECASE
)


def asked(*instructions: str) -> bool:
    """Whether these, a system's and a user's, ask for the text of the picture and nothing else."""
    found = False
    for sentence in _sentences(" \n".join(instructions)):
        if _OTHER.search(sentence) and not _NOT.search(sentence):
            return False
        found = found or bool(_ASKS.search(sentence))
    return found


def transcription(pictures: Sequence[PictureFacts], *instructions: str) -> str:
    """The lines of each picture, an empty line between two; the empty answer asked for."""
    blocks = ["\n".join(picture.lines) for picture in pictures]
    text = "\n\n".join(block for block in blocks if block)
    return text or _empty(" \n".join(instructions)[:LONGEST].replace("’", "'"))


def _empty(text: str) -> str:
    """What is wanted where there is no text."""
    for match in _EMPTY.finditer(text):
        said = match["said"].strip()
        if not said or not _NONE.search(match["case"].casefold()):
            continue
        if said[0] in "\"“'`":
            return said[1:-1]
        if said[0] in "<[":
            return said
        if _NOTHING.match(said):
            return ""
        word = said.split()[0]
        return word if word.isupper() or word.casefold() in ("none", "null", "n/a") else said
    return ""


def _sentences(text: str) -> list[str]:
    found = re.split(r"[.!?;\n]+", text[:LONGEST].casefold().replace("’", "'"))
    return [" ".join(part.split()).lstrip("-*#0123456789) ") for part in found if part.strip()]
