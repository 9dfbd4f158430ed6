"""The questions that can be asked about a picture."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ocelli.domain.findings import Feature
from ocelli.domain.tagging import TagVocabulary  # noqa: TC001 - rows are read by it

MAX_PROMPT = 20_000
MAX_STATEMENT = 10_000


class Role(StrEnum):
    """The audience of a description; it decides length and style."""

    GENERAL = "general"
    ALTTEXT = "alttext"
    ARTIST = "artist"
    CAPTION = "caption"
    COMEDIAN = "comedian"
    CRITIC = "critic"
    ECOMMERCE = "ecommerce"
    INSPECTOR = "inspector"
    PROMOTER = "promoter"
    PROMPT = "prompt"
    REALTOR = "realtor"
    TWEET = "tweet"


@dataclass(frozen=True, slots=True)
class Question:
    """One question about one picture. The default values are the question of an upload.

    ``prompt`` (at most ``MAX_PROMPT`` characters) replaces ``role``. ``language`` is an English
    name ("German"). ``backends`` are names in the order of their answers; empty means the default
    one. With ``statement`` its claims are checked and nothing is described. Tags are chosen from
    ``vocabulary``, if one is given.
    """

    features: frozenset[Feature] = frozenset(Feature)
    role: Role = Role.GENERAL
    language: str = "English"
    prompt: str | None = None
    backends: tuple[str, ...] = ()
    statement: str | None = None
    vocabulary: TagVocabulary | None = None
