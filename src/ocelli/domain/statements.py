"""Statements about stored pictures, compared with what is known of them. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ocelli.domain.claims import ClaimType
from ocelli.domain.edits import claim_key
from ocelli.domain.grammar import singular
from ocelli.domain.search import words
from ocelli.domain.sentences import claims_from_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ocelli.domain.picture_facts import PictureFacts

SHORT = 3  # letters; shorter words say too little to be looked for


class Standing(StrEnum):
    """How a statement stands to what is known.

    ``SUPPORTED``: all of its words are known of the pictures. ``CONTRADICTED``: a claim was refuted
    or has another count. ``UNCHECKED``: neither can be said.
    """

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNCHECKED = "unchecked"


def standing(statement: str, pictures: Sequence[PictureFacts]) -> Standing:
    """Return how a statement stands to the pictures that it is about."""
    if not pictures:
        return Standing.UNCHECKED
    key = claim_key(statement)
    refuted = {claim_key(e.claim) for each in pictures for e in each.claims if not e.kept}
    if key in refuted or (len(pictures) == 1 and _has_another_count(statement, pictures[0])):
        return Standing.CONTRADICTED
    said = set(_content(statement))
    known = {word for each in pictures for text in _texts(each) for word in _content(text)}
    return Standing.SUPPORTED if said and said <= known else Standing.UNCHECKED


def _has_another_count(statement: str, picture: PictureFacts) -> bool:
    counts: dict[str, set[int]] = {}
    for claim in picture.claims:
        if claim.kept:
            for subject, count in _counts(claim.text):
                counts.setdefault(subject, set()).add(count)
    return any(
        subject in counts and count not in counts[subject] for subject, count in _counts(statement)
    )


def _counts(text: str) -> Iterator[tuple[str, int]]:
    for claim in claims_from_text(text):
        if claim.type is ClaimType.COUNT and claim.subject and claim.count is not None:
            yield claim.subject, claim.count


def _content(text: str) -> list[str]:
    return [singular(word) for word in words(text) if len(word) > SHORT or word.isdigit()]


def _texts(picture: PictureFacts) -> list[str]:
    told = (picture.title, picture.description, picture.visible_text, picture.filename)
    kept = (each.text for each in picture.claims if each.kept)
    return [*filter(None, told), *picture.tags, *kept]
