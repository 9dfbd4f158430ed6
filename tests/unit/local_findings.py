"""Generated findings of the local backend."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from ocelli.backends.local.compose import Composition, describe
from ocelli.backends.local.lexicon import lexicon
from ocelli.backends.local.media import MEDIA
from ocelli.backends.local.surroundings import PLACES
from ocelli.domain.findings import (
    Box,
    Color,
    DetectedObject,
    Face,
    Findings,
    Safety,
    SceneLabel,
    TextLine,
)
from ocelli.domain.questions import Role

scores = st.floats(0.0, 1.0, width=32)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    left, right = sorted((draw(scores), draw(scores)))
    top, bottom = sorted((draw(scores), draw(scores)))
    return Box(left, top, right, bottom)


NOUNS = sorted({*lexicon().scenes, *lexicon().parents.values(), *PLACES, *MEDIA})
THINGS = sorted(lexicon().objects.values())
objects = st.builds(DetectedObject, st.sampled_from(THINGS), scores, boxes())
scenes = st.lists(
    st.builds(SceneLabel, st.sampled_from(NOUNS) | st.sampled_from([*PLACES, *MEDIA]), scores),
    max_size=5,
    unique_by=lambda s: s.name,
)
texts = st.builds(TextLine, st.text(min_size=1, max_size=60).filter(str.strip), scores, boxes())
faces = st.builds(Face, scores, boxes())
colors = st.builds(
    Color,
    st.from_regex(r"#[0-9a-f]{6}", fullmatch=True),
    st.sampled_from(["brown", "light brown", "grey", "dark green", "black"]),
    st.floats(0.0, 0.5),
)
parts = st.fixed_dictionaries(
    {
        "objects": st.lists(objects, max_size=10),
        "scenes": scenes,
        "texts": st.lists(texts, max_size=5),
        "faces": st.lists(faces, max_size=3),
        "colors": st.lists(colors, max_size=6),
        "safety": st.none() | st.builds(Safety, scores),
    }
)


def held(parts: dict[str, Any]) -> Findings:
    """Findings of these parts."""
    kept: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in parts.items()}
    return Findings("ocelli-local", "1", **kept)


def compose(**parts: Any) -> Composition:
    """What would be said about them."""
    return describe(held(parts))


findings = parts.map(held)


def found(seen: Findings, role: Role = Role.GENERAL) -> Findings:
    """``seen`` with what the local backend would say about it."""
    said = describe(seen, role)
    return replace(
        seen,
        description=said.description,
        confidence=said.confidence,
        tags=said.tags,
        claims=said.claims,
    )
