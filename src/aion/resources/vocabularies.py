"""The terms that tags are chosen from: ``client.vocabularies``."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aion._paths import segment
from aion.resources._base import Resource, given, in_thread, pages, require
from aion.types.vocabularies import (
    TagChoice,
    Vocabulary,
    VocabularyList,
    VocabularyTerm,
    VocabularyTermList,
)

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Sequence

    from aion.types.vocabularies import VocabularyMode

VocabularyFormat = Literal["auto", "text", "csv", "lightroom", "json", "xmp"]
_LARGEST_FILE = 32_000_000  # bytes: 8 million characters, of up to 4 bytes each


class VocabulariesResource(Resource):
    """Import vocabularies, look at them, and choose tags from them.

    A vocabulary is named by its id or its name.
    """

    async def list(self) -> list[Vocabulary]:
        """All vocabularies, by name."""
        answer = await self._http.json("GET", "/vocabularies")
        return VocabularyList.from_api_response(answer).vocabularies

    async def get(self, vocabulary: str) -> Vocabulary:
        """One vocabulary, without its terms.

        Raises:
            ResourceNotFoundError: there is none.
        """
        path = f"/vocabularies/{segment(vocabulary)}"
        return Vocabulary.from_api_response(await self._http.json("GET", path))

    async def import_text(
        self, name: str, content: str, *, format: VocabularyFormat = "auto"
    ) -> Vocabulary:
        """Import the content of a file, in the place of the vocabulary of this name.

        Args:
            name: of the vocabulary.
            content: a path such as ``animal/dog/terrier`` in each line, or another ``format``.
            format: ``text``, ``csv``, ``lightroom`` (keyword list), ``json`` (tags of Immich, rows
                of digiKam), ``xmp``, or ``auto``: told by its lines.

        Raises:
            ValidationError: it cannot be read; the message names the line. Nothing is changed.
        """
        body = {"name": name, "content": content, "format": format}
        return Vocabulary.from_api_response(
            await self._http.json("POST", "/vocabularies", json=body)
        )

    async def import_file(
        self,
        file: str | os.PathLike[str],
        *,
        name: str | None = None,
        format: VocabularyFormat = "auto",
    ) -> Vocabulary:
        """Import a file: UTF-8, or UTF-16 with a byte order mark.

        Args:
            file: the path of the file.
            name: of the vocabulary; by default that of the file, without its suffix.
            format: as for ``import_text``.

        Raises:
            ValidationError: it cannot be read; the message says why. Nothing is changed.
            OSError: there is no such file.
        """
        path = Path(file)
        content = await in_thread(text_of, path)
        return await self.import_text(name or path.stem, content, format=format)

    async def terms(
        self, vocabulary: str, *, page_size: int = 500
    ) -> AsyncIterator[VocabularyTerm]:
        """All terms, in the order of the file.

        Raises:
            ResourceNotFoundError: there is no such vocabulary.
        """
        path = f"/vocabularies/{segment(vocabulary)}/terms"

        async def fetch(where: dict[str, Any]) -> tuple[Sequence[VocabularyTerm], bool, str | None]:
            params = given(limit=page_size, cursor=where.get("cursor"))
            page = VocabularyTermList.from_api_response(
                await self._http.json("GET", path, params=params)
            )
            return page.terms, page.has_more, page.next_cursor

        async for term in pages(fetch):
            yield term

    async def choose(
        self,
        vocabulary: str,
        words: Sequence[str] | None = None,
        *,
        file_id: str | None = None,
        mode: VocabularyMode = "strict",
    ) -> TagChoice:
        """The tags for 1 to 100 words, phrases or sentences, or a picture, and why each was chosen.

        Args:
            vocabulary: its id or name.
            words: what a picture was described with.
            file_id: a picture, instead of words: its tags and description, as they are shown.
            mode: ``strict``: only terms; ``prefer``: words without a term too, as new; ``off``: the
                words as they are.

        Raises:
            ResourceNotFoundError: there is no such vocabulary, or picture.
            ValidationError: no words and no picture, or more than 100.
        """
        require(not isinstance(words, str), "give a list of words", "words")
        require((words is None) != (file_id is None), "give either words or file_id", "words")
        require(words is None or 1 <= len(words) <= 100, "give 1 to 100 words", "words")
        path = f"/vocabularies/{segment(vocabulary)}/choose"
        body = given(words=words and list(words), file_id=file_id, mode=mode)
        return TagChoice.from_api_response(await self._http.json("POST", path, json=body))

    async def delete(self, vocabulary: str) -> None:
        """Delete a vocabulary. Tags that were chosen from it stay.

        Raises:
            ResourceNotFoundError: there is none.
        """
        await self._http.json("DELETE", f"/vocabularies/{segment(vocabulary)}")


def text_of(path: Path) -> str:
    """The text of a vocabulary's file. Raises ValidationError, OSError."""
    require(path.stat().st_size <= _LARGEST_FILE, f"{path.name} is larger than 32 MB", "file")
    data = path.read_bytes()
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        require(False, f"{path.name} is not UTF-8: line {line}", "file")
        raise
