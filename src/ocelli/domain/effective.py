"""What is shown of a picture: the person's word first, then the machine's. Pure.

Every surface, export and index that shows a stored picture asks here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from ocelli.domain.claims import Claim, JudgedClaim
from ocelli.domain.edits import NONE, ClaimVerdict, ReviewStatus, claim_key
from ocelli.domain.sentences import sentences
from ocelli.domain.verification import (
    NOTHING_LEFT,
    sentence_of,
    tags_without_dropped,
    text_without_dropped,
    without_dropped,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from ocelli.domain.edits import Annotations, Authorship, ClaimReview, Review
    from ocelli.domain.images import Image
    from ocelli.domain.tagging import Tagging


class Source(StrEnum):
    """Whose words a text is.

    ``ACCEPTED``: a machine's, approved by a person. ``CORRECTED``: a machine's, in which a person's
    verdicts on claims and tags are carried out.
    """

    PERSON = "person"
    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    MACHINE = "machine"


class MachineAnswer(Protocol):
    """The machine's words: an ``Analysis``, or what a query reads of one."""

    @property
    def id(self) -> UUID: ...  # noqa: D102
    @property
    def description(self) -> str | None: ...  # noqa: D102
    @property
    def visible_text(self) -> str | None: ...  # noqa: D102
    @property
    def tags(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def claims(self) -> tuple[JudgedClaim, ...]: ...  # noqa: D102
    @property
    def tagging(self) -> Tagging | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class MachineWords:
    """The machine's words, where a query reads no more of an analysis."""

    id: UUID
    description: str | None = None
    visible_text: str | None = None
    tags: tuple[str, ...] = ()
    claims: tuple[JudgedClaim, ...] = ()
    tagging: Tagging | None = None


@dataclass(frozen=True, slots=True)
class EffectiveClaim:
    """A claim with what a person says about it, if anything.

    ``claim`` is as it was made, ``text`` as it holds: corrected, or the same. ``kept``: it counts
    as true. ``in_description``: the newest description makes it, or made it before verification.
    """

    claim: str
    text: str
    kept: bool
    in_description: bool
    probability: float | None = None
    review: ClaimReview | None = None


@dataclass(frozen=True, slots=True)
class Effective:
    """What is shown of a picture. A source is None where there is nothing to show."""

    title: str | None
    description: str | None
    description_source: Source | None
    visible_text: str | None
    tags: tuple[str, ...]
    tags_source: Source | None
    alt_text: str | None = None
    review: Review | None = None

    @property
    def title_source(self) -> Source | None:
        """Machines give no titles."""
        return Source.PERSON if self.title else None

    @property
    def alt_text_source(self) -> Source | None:
        """Nor do they write alternative texts of stored pictures."""
        return Source.PERSON if self.alt_text else None

    @property
    def review_status(self) -> ReviewStatus:
        """A person's decision; pending where there is none."""
        return self.review.status if self.review else ReviewStatus.PENDING

    @property
    def reviewed(self) -> Authorship | None:
        """Who decided, and when."""
        return self.review.by if self.review else None


def effective(image: Image) -> Effective:
    """Return what is shown of a picture."""
    return effective_words(image.title, image.tags, image.annotations, image.described)


def effective_words(
    title: str | None,
    tags: tuple[str, ...],
    annotations: Annotations,
    machine: MachineAnswer | None,
) -> Effective:
    """Return what is shown of a person's title, tags and annotations, and a machine's answer."""
    if machine is not None and _is_rejected(annotations.review, machine):
        machine = None
    description, described_by = _description(annotations, machine)
    shown_tags, tagged_by = _tags(tags, annotations, machine)
    return Effective(
        title=title,
        description=description,
        description_source=described_by if description else None,
        visible_text=_visible_text(annotations, machine),
        tags=shown_tags,
        tags_source=tagged_by if shown_tags else None,
        alt_text=annotations.alt_text,
        review=annotations.review,
    )


def effective_claims(
    annotations: Annotations, machine: MachineAnswer | None
) -> list[EffectiveClaim]:
    """Return the claims of a machine's answer, and those of people that it does not make."""
    made = machine.claims if machine else ()
    here = {claim_key(each.claim.text) for each in made}
    shown = [_claim(each, annotations.claims.get(claim_key(each.claim.text))) for each in made]
    return shown + [
        EffectiveClaim(
            each.claim,
            each.text or each.claim,
            kept=each.verdict is not ClaimVerdict.REJECTED,
            in_description=False,
            review=each,
        )
        for key, each in annotations.claims.items()
        if key not in here
    ]


def _claim(judged: JudgedClaim, review: ClaimReview | None) -> EffectiveClaim:
    text = judged.claim.text
    return EffectiveClaim(
        text,
        (review.text if review else None) or text,
        kept=judged.kept if review is None else review.verdict is not ClaimVerdict.REJECTED,
        in_description=True,
        probability=judged.probability,
        review=review,
    )


def _is_rejected(review: Review | None, machine: MachineAnswer) -> bool:
    return (
        review is not None
        and review.status is ReviewStatus.REJECTED
        and review.analysis_id == machine.id
    )


def _approved(annotations: Annotations) -> Review | None:
    review = annotations.review
    return review if review and review.status is ReviewStatus.APPROVED else None


def _description(
    annotations: Annotations, machine: MachineAnswer | None
) -> tuple[str | None, Source]:
    if annotations.description:
        return annotations.description, Source.PERSON
    approved = _approved(annotations)
    if approved is not None and approved.description:
        later = [c for c in annotations.claims.values() if c.by.revision > approved.by.revision]
        claims = [JudgedClaim(Claim(each.claim), kept=True, probability=1.0) for each in later]
        return _reworded(approved.description, claims, annotations), Source.ACCEPTED
    text = machine.description if machine else None
    if machine is None or not text or not annotations.claims:
        return text, Source.MACHINE
    corrected = _reworded(text, machine.claims, annotations)
    return corrected, Source.MACHINE if corrected == text else Source.CORRECTED


def _tags(
    own: tuple[str, ...], annotations: Annotations, machine: MachineAnswer | None
) -> tuple[tuple[str, ...], Source]:
    if own:
        return own, Source.PERSON
    approved = _approved(annotations)
    if approved is not None and approved.tags:
        return _without(approved.tags, annotations.rejected_tags), Source.ACCEPTED
    tags = machine.tags if machine else ()
    if machine is None or annotations is NONE:
        return tags, Source.MACHINE
    tags_left = _without(tags, annotations.rejected_tags)
    claims = _with_rejections(machine, annotations)
    if machine.tagging is None:
        kept = tags_without_dropped(tags_left, claims)
    else:
        refuted = {claim_key(each.claim.text) for each in claims if not each.kept}
        unfounded = machine.tagging.stated_only_by(lambda claim: claim_key(claim) in refuted)
        kept = tuple(tag for tag in tags_left if tag not in unfounded)
    return kept, Source.MACHINE if kept == tags else Source.CORRECTED


def _visible_text(annotations: Annotations, machine: MachineAnswer | None) -> str | None:
    if machine is None or not annotations.claims:
        return machine.visible_text if machine else None
    return text_without_dropped(machine.visible_text, _with_rejections(machine, annotations))


def _without(tags: Iterable[str], rejected: Iterable[str]) -> tuple[str, ...]:
    names = {tag.casefold() for tag in rejected}
    return tuple(tag for tag in tags if tag.casefold() not in names)


def _with_rejections(machine: MachineAnswer, annotations: Annotations) -> list[JudgedClaim]:
    """Return the claims that stood in the answer; those that a person refutes are not kept."""
    refuting = (ClaimVerdict.REJECTED, ClaimVerdict.CORRECTED)
    return [
        replace(each, kept=review is None or review.verdict not in refuting)
        for each in machine.claims
        if each.kept
        for review in [annotations.claims.get(claim_key(each.claim.text))]
    ]


def _reworded(text: str, claims: Sequence[JudgedClaim], annotations: Annotations) -> str:
    """Return the text with the person's verdicts on its claims carried out.

    Sentences of rejected claims go, those of corrected ones say the correction, and claims that
    verification had dropped come back if a person accepts them. The positions that claims have
    are those in the text before verification: after it has dropped one, words alone find it.
    """
    parts = sentences(text)
    unchanged = all(each.kept for each in claims)
    judged: list[JudgedClaim] = []
    restored: list[str] = []
    for each in claims:
        review = annotations.claims.get(claim_key(each.claim.text))
        verdict = review.verdict if review else None
        if not each.kept:
            if review and verdict in (ClaimVerdict.ACCEPTED, ClaimVerdict.CORRECTED):
                restored.append(review.text or each.claim.text)
            continue
        position = sentence_of(
            each.claim if unchanged else replace(each.claim, sentence=None), parts
        )
        if position is None:
            restored += [review.text] if review and review.text else []
            continue
        claim = replace(each.claim, sentence=position)
        refuted = verdict in (ClaimVerdict.REJECTED, ClaimVerdict.CORRECTED)
        judged.append(replace(each, claim=claim, kept=not refuted))
        if review and verdict is ClaimVerdict.CORRECTED:
            corrected = replace(claim, text=review.text or "")
            judged.append(JudgedClaim(corrected, kept=True, probability=1.0))
    result = without_dropped(text, judged)
    if result == NOTHING_LEFT and restored:
        return " ".join(restored)
    return " ".join([result, *(each for each in restored if each not in result)])
