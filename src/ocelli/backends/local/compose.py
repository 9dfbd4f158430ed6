"""A description, tags and a confidence from findings. Pure: the same findings give the same words.

The description is a list of claims put into English (see ``phrases``). Confidence is the expected
share of the description that is right:

    confidence = Σ weight · belief / Σ weight        over what is said, at least ``EMPTY``

The ``belief`` of what is said is its model's score, raised by a second model that agrees (noisy-or,
see ``evidence.believe``) and lowered for the classifier alone. Things, the scene and a page of text
weigh 1; faces and other text weigh ``SIDE_CLAIM``. Colours are measured and "probably a tabby" only
narrows a thing that counts already, so both weigh 0. For the same claims, more support never lowers
the result; one more claim that is less sure than the others does, because there is more to be wrong
about. A picture in which nothing was recognised has ``EMPTY``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocelli.backends.local.content import color_shares, content_of
from ocelli.backends.local.lexicon import lexicon
from ocelli.backends.local.phrases import Phrase, mean
from ocelli.backends.local.roles import written
from ocelli.backends.local.statements import statements
from ocelli.domain.findings import Tag
from ocelli.domain.questions import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocelli.backends.local.content import Content
    from ocelli.domain.claims import Claim
    from ocelli.domain.findings import Color, Findings

# Part of the model version, together with weights and word lists: raise it when a threshold or a
# wording of this backend changes, so that remembered answers are not given again.
VERSION = 3
EMPTY = 0.1

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
        confidence=confidence(usual.said),
        said=tuple(prose.said),
    )


def recompose(findings: Findings, dropped: Iterable[Claim], role: Role = Role.GENERAL) -> str:
    """The description of these findings without what ``dropped`` claims; it says nothing new."""
    return " ".join(written(content_of(findings).without(dropped), role).sentences)


def confidence(said: Iterable[Phrase]) -> float:
    """The expected share of the description that is right; see the module's formula."""
    weighed = [(one.weight, one.belief) for one in said if one.weight > 0]
    total = sum(weight for weight, _ in weighed)
    if not total:
        return EMPTY
    return max(EMPTY, sum(weight * belief for weight, belief in weighed) / total)


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
