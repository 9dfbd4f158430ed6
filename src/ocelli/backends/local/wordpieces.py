"""Word pieces of the uncased English BERT: the tokens that the embedder reads.

The same tokens as those of the model's own tokenizer, but that special tokens in a text are words
like any other.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_WORD = 100  # characters; what is longer is unknown
START, END, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
# Each of these signs is a word; kana and Hangul are written in words.
_HAN = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


def token_ids(text: str, *, limit: int) -> tuple[list[int], bool]:
    """Return at most ``limit`` tokens, start and end included, and whether that is the whole text.

    No more of the text is read than that takes.
    """
    pieces = vocabulary()
    found = (piece for word in _words(text) for piece in _pieces(word, pieces))
    room = limit - 2
    ids = list(islice(found, room + 1))
    return [pieces[START], *ids[:room], pieces[END]], len(ids) <= room


@cache
def vocabulary() -> Mapping[str, int]:
    """Return the numbers of all pieces; one that continues a word starts with ``##``."""
    text = (files("ocelli.backends.local.data") / "wordpieces.txt").read_text(encoding="utf-8")
    return {piece: number for number, piece in enumerate(text.splitlines())}


def _words(text: str) -> Iterator[str]:
    """Yield words, punctuation and Han signs, in lower case and without accents."""
    word: list[str] = []
    for char in _folded(text):
        alone = _is_punctuation(char) or _is_han(char)
        if alone or char.isspace():
            if word:
                yield "".join(word)
                word.clear()
            if alone:
                yield char
        else:
            word.append(char)
    if word:
        yield "".join(word)


def _folded(text: str) -> Iterator[str]:
    for char in text:
        if char in "\t\n\r":
            yield " "
        elif unicodedata.category(char).startswith("C") or char == "\ufffd":
            continue
        else:
            for part in unicodedata.normalize("NFD", char):
                if unicodedata.category(part) != "Mn":
                    yield from part.lower()


def _pieces(word: str, pieces: Mapping[str, int]) -> Iterator[int]:
    """Yield the longest pieces from the left; one unknown if the word does not come out even."""
    if len(word) > MAX_WORD:
        yield pieces[UNKNOWN]
        return
    found = []
    start = 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in pieces:
                found.append(pieces[piece])
                start = end
                break
        else:
            yield pieces[UNKNOWN]
            return
    yield from found


def _is_han(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in _HAN)


def _is_punctuation(char: str) -> bool:
    """Return whether it is one, or an ASCII sign that is no letter, digit or space."""
    if char.isascii():
        return not char.isalnum() and char.isprintable() and char != " "
    return unicodedata.category(char).startswith("P")
