"""What is asked about a picture."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ocelli.domain.findings import Feature

MAX_PROMPT = 20_000
MAX_STATEMENT = 10_000


class Role(StrEnum):
    """For whom a description is written; each has a length and a style of its own."""

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
    """One question about one picture. The default is what an upload asks.

    ``prompt`` (at most ``MAX_PROMPT`` characters) takes the place of ``role``. ``language`` is an
    English name ("German"). ``backends`` are names in the order of their answers; none means the
    default one. With ``statement`` nothing is described: its claims are checked.
    """

    features: frozenset[Feature] = frozenset(Feature)
    role: Role = Role.GENERAL
    language: str = "English"
    prompt: str | None = None
    backends: tuple[str, ...] = ()
    statement: str | None = None
