"""Bodies of ``/vocabularies``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ocelli.api.cursors import NEXT
from ocelli.api.verified import ChosenTagOut
from ocelli.domain.choosing import Mode
from ocelli.domain.vocabulary import MAX_NAME, MAX_TERMS
from ocelli.domain.vocabulary_files import MAX_CHARACTERS, VocabularyFormat


class VocabularyImport(BaseModel):
    """A file with a vocabulary, and its name."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "animals",
                    "format": "text",
                    "content": "animal/dog/terrier = Terrier@de; rat catcher\nanimal/cat\n",
                },
                {
                    "name": "places",
                    "format": "csv",
                    "content": "path,synonyms,description\nplace/beach,shore;seaside,By the sea\n",
                },
            ]
        }
    )

    name: str = Field(min_length=1, max_length=MAX_NAME)
    content: str = Field(
        max_length=MAX_CHARACTERS, description=f"The file, of at most {MAX_TERMS:,} terms."
    )
    format: VocabularyFormat = Field(
        VocabularyFormat.AUTO,
        description="`text`, `csv`, `lightroom` (keyword list), `json` (tags of Immich, rows of "
        "digiKam), `xmp` (tags that digiKam or Lightroom wrote), or `auto`: told by its lines.",
    )


class VocabularyOut(BaseModel):
    """A vocabulary, without its terms."""

    id: str
    name: str
    term_count: int
    digest: str = Field(description="A hash of the terms: equal for equal content.")
    created_at: datetime
    updated_at: datetime


class ImportedVocabulary(VocabularyOut):
    """A vocabulary as it was stored."""

    duplicates: int = Field(
        description="Terms that stood in the file before, in this or another spelling."
    )


class VocabularyList(BaseModel):
    """All vocabularies, by name."""

    vocabularies: list[VocabularyOut]


class SynonymOut(BaseModel):
    """Another name of a term."""

    text: str
    language: str | None


class TermOut(BaseModel):
    """A term; one that is not `selectable` only groups those below it."""

    path: str = Field(description="`animal/dog/terrier`")
    name: str
    synonyms: list[SynonymOut]
    description: str | None
    language: str | None
    selectable: bool


class TermList(BaseModel):
    """One page of terms, in the order of the file."""

    terms: list[TermOut]
    has_more: bool
    next_cursor: str | None = Field(description=NEXT)


class ChoiceRequest(BaseModel):
    """What a picture was described with: words, or the picture."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"words": ["puppy", "two dogs on a beach"]}]}
    )

    words: list[Annotated[str, Field(min_length=1, max_length=2_000)]] | None = Field(
        None, min_length=1, max_length=100, description="Nouns, phrases or sentences."
    )
    file_id: str | None = Field(
        None,
        max_length=36,
        description="A picture instead of words: its tags and description, as they are shown.",
    )
    mode: Mode = Field(
        Mode.STRICT,
        description="`strict`: only terms. `prefer`: words without a term too, as `new`. "
        "`off`: the words as they are, as `new`.",
    )


class NotChosenOut(BaseModel):
    """A word for which there is no term, and how near one came."""

    word: str
    nearest: str | None
    score: float | None


class ChoiceOut(BaseModel):
    """The tags, the best first."""

    tags: list[ChosenTagOut]
    not_chosen: list[NotChosenOut] = Field(description="In `strict` mode only.")
    threshold: float = Field(description="The least cosine of a `similar` term.")
