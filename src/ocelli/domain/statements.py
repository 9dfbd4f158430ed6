"""Check statements about pictures, of conversations and reports, against what is stored. Pure.

A statement holds as far as the least of its claims, about each of the pictures that it names. What
people and verification refuted, another number or colour of the same thing, and what the findings
speak against contradict it; kept claims, findings and the stored words support it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from ocelli.domain import grammar
from ocelli.domain.claims import ClaimType, Ruling
from ocelli.domain.edits import claim_key
from ocelli.domain.search import words
from ocelli.domain.sentences import claims_from_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from ocelli.domain.claims import Claim, Verdict
    from ocelli.domain.findings import Findings

    Judge = Callable[[Claim, Findings], Verdict | None]

SURE = 0.5  # strength from which findings contradict
_ORDER = (Ruling.CONTRADICTED, Ruling.UNKNOWN, Ruling.SUPPORTED)
_DENIES = re.compile(
    r"\b(?:no|not|never|neither|nor|without|none|cannot)\b|n['’]t\b", re.IGNORECASE
)
_THINGS = (ClaimType.OBJECT, ClaimType.COUNT)
_COUNTED = re.compile(
    r"\b(?P<number>\d[\d,]*|no|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
    r" (?:\w+ )?(?:pictures?|images?|photos?)\b",
    re.IGNORECASE,
)
_WITHOUT_MEANING = frozenset(words(
    "a an the this that these those it its is are was were be been being has have had there here of"
    " in on at by with and or to from for as into onto over under near next beside behind front"
    " picture pictures image images photo photos shows show shown showing depicts depicting"
    " depicted contains containing visible seen can which who what where while also some several"
    " both each one two three he she they his her their them appears appear looks look like taken"
    " titled described description file named called says reads text"
))  # fmt: skip


class Stored(Protocol):
    """What is stored of a picture, or of several."""

    @property
    def kept(self) -> Sequence[Claim]:
        """The claims that hold."""
        ...

    @property
    def refuted(self) -> Sequence[Claim]:
        """The claims that do not."""
        ...

    @property
    def findings(self) -> Findings | None:
        """What a backend found, if it is to be compared with that."""
        ...

    def words(self) -> Collection[str]:
        """Return all words that are stored, as searches compare them, in the singular too."""
        ...


def check_statement(text: str, pictures: Sequence[Stored], judge: Judge | None = None) -> Ruling:
    """Return whether a statement about these pictures is supported, contradicted, or unknown.

    ``judge`` says what findings say about a claim; it is not needed where there are none.
    """
    claims = claims_from_text(text)
    return _least(check_claim(claim, each, judge) for claim in claims for each in pictures)


def check_counts(text: str, counts: Collection[int]) -> Ruling:
    """Return whether the numbers of pictures in a statement are among those that were counted."""
    said = [_number(found["number"]) for found in _COUNTED.finditer(text)]
    if not said:
        return Ruling.UNKNOWN
    return Ruling.SUPPORTED if all(each in counts for each in said) else Ruling.CONTRADICTED


def check_claim(claim: Claim, picture: Stored, judge: Judge | None) -> Ruling:
    """Return what is stored of a picture says about a claim."""
    stored = _by_claims(claim, picture)
    if stored is Ruling.CONTRADICTED:
        return stored
    verdict = judge(claim, picture.findings) if judge and picture.findings else None
    if verdict is not None and verdict.ruling is Ruling.CONTRADICTED and verdict.strength >= SURE:
        # The describer's own words are no less than what the detectors found beside them.
        return stored if stored is Ruling.SUPPORTED else Ruling.CONTRADICTED
    if stored is Ruling.SUPPORTED:
        return stored
    is_specific = claim.subject is not None or claim.type is ClaimType.TEXT
    if verdict is not None and verdict.ruling is Ruling.SUPPORTED and is_specific:
        return Ruling.SUPPORTED
    return Ruling.SUPPORTED if _is_said(claim, picture) else Ruling.UNKNOWN


def _by_claims(claim: Claim, picture: Stored) -> Ruling:
    """Compare with the claims that hold and with those that do not."""
    key = claim_key(claim.text)
    if any(claim_key(each.text) == key for each in picture.kept):
        return Ruling.SUPPORTED
    if any(claim_key(each.text) == key for each in picture.refuted):
        return Ruling.CONTRADICTED
    subject = _noun(claim)
    if subject is None:
        return Ruling.UNKNOWN
    same = [each for each in picture.kept if _noun(each) == subject]
    if not same and any(
        _noun(each) == subject and each.type in _THINGS for each in picture.refuted
    ):
        return Ruling.CONTRADICTED if claim.count != 0 else Ruling.SUPPORTED
    return _compared(claim, same)


def _compared(claim: Claim, same: Sequence[Claim]) -> Ruling:
    """Compare a claim with others about the same thing."""
    if claim.type is ClaimType.OBJECT and any(each.type in _THINGS for each in same):
        return Ruling.SUPPORTED
    if claim.type is ClaimType.COUNT:
        counts = {each.count for each in same if each.count is not None}
        if claim.count == 0 and any(each.type in _THINGS for each in same):
            return Ruling.CONTRADICTED
        if counts:
            return Ruling.SUPPORTED if claim.count in counts else Ruling.CONTRADICTED
    if claim.type is ClaimType.ATTRIBUTE and claim.value:
        values = {
            grammar.color_in(each.value)
            for each in same
            if each.type is ClaimType.ATTRIBUTE and each.value
        } - {None}
        if values:
            agrees = grammar.color_in(claim.value) in values
            return Ruling.SUPPORTED if agrees else Ruling.CONTRADICTED
    return Ruling.UNKNOWN


def _noun(claim: Claim) -> str | None:
    return None if claim.subject is None else grammar.canonical(claim.subject)


def _is_said(claim: Claim, picture: Stored) -> bool:
    """Return whether all words of a claim that mean something are stored of the picture.

    Numbers mean something where things are counted.
    """
    if _DENIES.search(claim.text):
        return False
    numbers = grammar.NUMBERS if claim.type is ClaimType.COUNT else ()
    said = [word for word in words(claim.text) if word not in _WITHOUT_MEANING or word in numbers]
    stored = picture.words()
    return bool(said) and all(word in stored or grammar.singular(word) in stored for word in said)


def _least(rulings: Iterable[Ruling]) -> Ruling:
    return min(rulings, key=_ORDER.index, default=Ruling.UNKNOWN)


def _number(text: str) -> int:
    text = text.lower().replace(",", "")
    return int(text) if text.isdigit() else grammar.NUMBERS.index(text)
