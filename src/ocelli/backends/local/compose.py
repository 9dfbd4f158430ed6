"""A description, tags and a confidence from findings. Pure: the same findings give the same words.

The description is a list of claims put into English (see ``phrases``). Confidence is the
probability that everything that is said is true, calibrated on photos (``data/calibration.toml``)
for the number of looks: see ``confidence``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from statistics import fmean
from typing import TYPE_CHECKING

from ocelli.backends.local.content import color_shares, content_of
from ocelli.backends.local.evidence import CEILING
from ocelli.backends.local.fusion import calibration, log_odds, probability
from ocelli.backends.local.lexicon import lexicon
from ocelli.backends.local.phrases import Phrase, mean
from ocelli.backends.local.role_styles import written
from ocelli.backends.local.statements import statements
from ocelli.domain.claims import ClaimType
from ocelli.domain.findings import Tag
from ocelli.domain.questions import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocelli.backends.local.content import Content
    from ocelli.domain.claims import Claim
    from ocelli.domain.findings import Color, Findings

# Part of the model version, together with weights and word lists: raise it when a threshold or a
# wording of this backend changes, so that remembered answers are not given again.
VERSION = 4
EMPTY = 0.1

TEXT_SHARE, TWICE = 0.25, 2
MOST_TAGS, LONGEST_TAG = 40, 50
COLOR_TAG = 0.3


@dataclass(frozen=True, slots=True)
class Composition:
    """What we say about a picture. ``tags`` and ``confidence`` are the same for every role."""

    description: str
    tags: tuple[Tag, ...]
    confidence: float
    said: tuple[Phrase, ...]

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What the description states, one claim each."""
        return statements(self.said)


def describe(findings: Findings, role: Role = Role.GENERAL) -> Composition:
    """Put findings into words for a role; nothing is said that they do not hold."""
    content = content_of(findings)
    usual = written(content, Role.GENERAL)
    prose = usual if role is Role.GENERAL else written(content, role)
    return Composition(
        description=" ".join(prose.sentences),
        tags=_tags(content, findings.colors),
        confidence=confidence([(claim, claim.belief or 0.0) for claim in statements(usual.said)]),
        said=tuple(prose.said),
    )


def recompose(findings: Findings, dropped: Iterable[Claim], role: Role = Role.GENERAL) -> str:
    """The description of these findings without what ``dropped`` claims; it says nothing new."""
    return " ".join(written(content_of(findings).without(dropped), role).sentences)


def confidence(claims: Sequence[tuple[Claim, float]], *, looks: int = 1) -> float:
    """The probability that all these claims are true, each given with its own.

    What is measured counts for nothing, and misread text for little beside something else.
    ``looks`` is how often the picture was looked at. Of no claims it is ``EMPTY``.
    """
    said = [p for claim, p in claims if not claim.measured and claim.type is not ClaimType.TEXT]
    read = [p for claim, p in claims if claim.type is ClaimType.TEXT]
    if not said:
        return max(EMPTY, min(fmean(read), CEILING)) if read else EMPTY
    odds = log_odds(prod(said) * (fmean(read) ** TEXT_SHARE if read else 1.0))
    weights = calibration("descriptions")["one_look" if looks < TWICE else "more_looks"]
    return max(EMPTY, probability(weights["bias"] + weights["slope"] * odds))


def _tags(content: Content, colors: Sequence[Color]) -> tuple[Tag, ...]:
    """Keywords by belief; colours come last, however much of the picture they cover."""
    scores: dict[str, float] = {}

    def add(name: str, score: float) -> None:
        name = name.lower().strip()
        if 0 < len(name) <= LONGEST_TAG:
            scores[name] = max(score, scores.get(name, 0.0))

    for thing in content.things:
        add(thing.noun, thing.belief)
        if thing.detail:
            add(thing.detail.name, thing.detail.score)
    scene = content.scene
    for label in (scene.head, scene.detail) if scene else ():
        if label:
            add(label.name, label.score)
            add(lexicon().parent(label.name) or "", label.score)
    if content.faces:
        add("face", mean(content.faces))
    if content.texts:
        add("text", mean(content.texts))
    ranked = sorted(scores.items(), key=lambda entry: (-entry[1], entry[0]))
    named = set(scores)
    for name, share in color_shares(colors).items():
        if name not in named:
            ranked.append((name, COLOR_TAG * min(share, 1.0)))
    return tuple(Tag(name, score) for name, score in ranked[:MOST_TAGS])
