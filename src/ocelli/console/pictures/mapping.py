"""From a picture and its history to what the page shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ocelli.domain.claims import Ruling
from ocelli.domain.edits import Changes, ClaimVerdict, EditField, claim_key
from ocelli.domain.effective import Source, effective, effective_claims
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.places import places, places_of
from ocelli.domain.sentences import sentences
from ocelli.domain.verification import sentence_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocelli.console.visitors import Form
    from ocelli.domain.analysis import Analysis
    from ocelli.domain.claims import JudgedClaim, Verdict
    from ocelli.domain.edits import ClaimReview, Edit
    from ocelli.domain.effective import EffectiveClaim
    from ocelli.domain.findings import Box, Color
    from ocelli.domain.images import Image
    from ocelli.domain.places import Place

NAMELESS = "A key without a name"
RULINGS = {
    Ruling.SUPPORTED: "supports it",
    Ruling.CONTRADICTED: "contradicts it",
    Ruling.UNSEEN: "did not find it",
    Ruling.UNKNOWN: "cannot tell",
}
SOURCES = {
    Source.PERSON: "A person's words.",
    Source.ACCEPTED: "A machine's words, approved by a person.",
    Source.CORRECTED: "A machine's words, with a person's verdicts carried out.",
    Source.MACHINE: "A machine's words.",
}


@dataclass(frozen=True, slots=True)
class ShownBox:
    """A place in the picture. ``place`` are its left, top, width and height, in per cent."""

    id: str
    kind: str
    name: str
    score: float
    place: str


@dataclass(frozen=True, slots=True)
class ShownClaim:
    """A claim with who says what about it. ``boxes`` are ids of places that it is about."""

    id: str
    text: str
    original: str
    kept: bool
    probability: float | None
    type: str
    verdicts: Sequence[tuple[Verdict, str]]
    review: ClaimReview | None
    reason: str | None
    boxes: str
    counts: float | None

    @property
    def is_added(self) -> bool:
        """Whether a person made it."""
        return self.review is not None and self.review.verdict is ClaimVerdict.ADDED


@dataclass(frozen=True, slots=True)
class ShownSentence:
    """A sentence of the description, with the ids of its claims and of their places."""

    text: str
    claims: str
    boxes: str
    doubtful: bool


@dataclass(frozen=True, slots=True)
class Details:
    """Everything that the page shows of a picture."""

    image: Image
    shown: Any
    said_by: str | None
    sentences: Sequence[ShownSentence]
    claims: Sequence[ShownClaim]
    boxes: Sequence[ShownBox]
    texts: Sequence[ShownBox]
    colors: Sequence[Color]
    nsfw: float | None
    history: Sequence[Analysis]

    @property
    def kept(self) -> int:
        """How many claims hold."""
        return sum(each.kept for each in self.claims)

    @property
    def counted(self) -> Sequence[ShownClaim]:
        """The claims that the confidence is the mean of."""
        return [each for each in self.claims if each.counts is not None]


def details(image: Image, history: Sequence[Analysis]) -> Details:
    """Return what the page shows."""
    shown = effective(image)
    described = image.described
    seen = _seen(described, history)
    found = places(seen.findings if seen else ())
    boxes = _boxes(found)
    claims = [
        _claim(number, each, described, found)
        for number, each in enumerate(effective_claims(image.annotations, described))
    ]
    findings = described.findings if described else ()
    return Details(
        image=image,
        shown=shown,
        said_by=SOURCES[shown.description_source] if shown.description_source else None,
        sentences=_sentences(shown.description or "", claims, described),
        claims=claims,
        boxes=boxes,
        texts=[each for each in boxes if each.kind == "text"],
        colors=next((each.colors for each in findings if each.colors), ()),
        nsfw=next((each.safety.nsfw for each in findings if each.safety is not None), None),
        history=list(reversed(history)),
    )


def _seen(described: Analysis | None, history: Sequence[Analysis]) -> Analysis | None:
    """Return the newest analysis that has places: models that write often name none."""
    newest_first = [*([described] if described else []), *reversed(history)]
    return next(
        (
            analysis
            for analysis in newest_first
            if any(each.objects or each.texts or each.faces for each in analysis.findings)
        ),
        None,
    )


def _boxes(found: Sequence[Place]) -> list[ShownBox]:
    return [
        ShownBox(f"box-{number}", each.kind, each.name, each.score, _place(each.box))
        for number, each in enumerate(found)
    ]


def _place(box: Box) -> str:
    parts = (box.left, box.top, box.right - box.left, box.bottom - box.top)
    return " ".join(f"{100 * min(max(part, 0.0), 1.0):.2f}" for part in parts)


def _claim(
    number: int, each: EffectiveClaim, described: Analysis | None, found: Sequence[Place]
) -> ShownClaim:
    key = claim_key(each.claim)
    judged = next(
        (
            one
            for one in (described.claims if described else ())
            if claim_key(one.claim.text) == key
        ),
        None,
    )
    verdicts = judged.verdicts if judged else ()
    return ShownClaim(
        id=f"claim-{number}",
        text=each.text,
        original=each.claim,
        kept=each.kept,
        probability=each.probability,
        type=judged.claim.type if judged else "other",
        verdicts=[(verdict, RULINGS[verdict.ruling]) for verdict in verdicts],
        review=each.review,
        reason=_reason(each, verdicts),
        boxes=_boxes_of(judged, found),
        counts=None if judged is None or judged.claim.measured else max(judged.probability, 0.5),
    )


def _reason(each: EffectiveClaim, verdicts: Iterable[Verdict]) -> str | None:
    """Return why a claim does not hold; None for one that does."""
    if each.kept:
        return None
    if each.review is not None:
        return f"{each.review.by.author or NAMELESS} rejected it"
    against = [v for v in verdicts if v.ruling in (Ruling.CONTRADICTED, Ruling.UNSEEN)]
    said = [f"{v.source} {RULINGS[v.ruling]}{': ' + v.reason if v.reason else ''}" for v in against]
    return "; ".join(said) or "nothing that looked supports it"


def _boxes_of(judged: JudgedClaim | None, found: Sequence[Place]) -> str:
    """Return the ids of the places that a claim is about."""
    about = [] if judged is None else places_of(judged.claim, found)
    return " ".join(f"box-{number}" for number, each in enumerate(found) if each in about)


def _sentences(
    text: str, claims: Sequence[ShownClaim], described: Analysis | None
) -> list[ShownSentence]:
    parts = sentences(text)
    judged = {claim_key(each.claim.text): each for each in (described.claims if described else ())}
    unchanged = described is not None and text == described.description
    unchanged = unchanged and all(each.kept for each in judged.values())
    of_sentence: dict[int, list[ShownClaim]] = {}
    for each in claims:
        known = judged.get(claim_key(each.original))
        if known is None or not each.kept:
            continue
        claim = known.claim if unchanged else replace(known.claim, text=each.text, sentence=None)
        position = sentence_of(claim, parts)
        if position is not None:
            of_sentence.setdefault(position, []).append(each)
    return [
        ShownSentence(
            part,
            " ".join(each.id for each in of_sentence.get(number, ())),
            " ".join(dict.fromkeys(" ".join(e.boxes for e in of_sentence.get(number, ())).split())),
            any((each.probability or 1) < 0.7 for each in of_sentence.get(number, ())),
        )
        for number, part in enumerate(parts)
    ]


def changes(form: Form, image: Image) -> Changes:
    """Return what the form says otherwise than the page showed; lines end as browsers send them."""
    title = _changed(form.get("title"), image.title)
    alt_text = _changed(form.get("alt_text"), effective(image).alt_text)
    return Changes(title=title, alt_text=alt_text, **changed_words(form, image))


def changed_words(form: Form, image: Image) -> dict[str, Any]:
    """Return the description and the tags of a form, as ``Changes`` takes them."""
    shown = effective(image)
    tags = [line.strip() for line in form.get("tags").splitlines() if line.strip()]
    return {
        "description": _changed(form.get("description"), shown.description),
        "tags": None if tags == list(shown.tags) else tags,
    }


def version(form: Form) -> dict[str, Any]:
    """Return the revision and the description that a page showed, as ``Edits.update`` takes them.

    Raises ValidationFailed.
    """
    revision, analysis_id = form.get("revision"), form.get("analysis_id")
    try:
        id = UUID(analysis_id) if analysis_id else None
    except ValueError:
        raise ValidationFailed("This is no id.", field="analysis_id") from None
    return {"revision": int(revision[:9]) if revision.isdecimal() else None, "analysis_id": id}


def _changed(given: str, before: str | None) -> str | None:
    text = given.replace("\r\n", "\n").strip()
    return None if text == (before or "").strip() else text


def told(change: dict[str, Any]) -> str:
    """Return a change, as errors tell it, as a sentence."""
    names = {EditField.ALT_TEXT: "the alternative text", EditField.REJECTED_TAGS: "rejected tags"}
    field, author = change["field"], change["author"] or NAMELESS
    if field == EditField.CLAIM:
        verdict = (change["value"] or {}).get("verdict", "took back a verdict on")
        return f"{author} {verdict} “{change['claim']}”"
    if field == EditField.REVIEW:
        status = (change["value"] or {}).get("status", "reopened")
        return f"{author} {status} the description"
    name = names.get(field, f"the {field}")
    value = change["value"]
    if value is None:
        return f"{author} removed {name}"
    text = ", ".join(value) if isinstance(value, list) else str(value)
    return f"{author} set {name} to “{text}”"


def edit_told(edit: Edit) -> str:
    """Return an edit as a sentence."""
    return told(
        {"field": edit.field, "claim": edit.claim, "value": edit.value, "author": edit.author}
    )
