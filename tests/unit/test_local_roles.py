"""Every role says the same facts in its own words, within its limits."""

import re
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import examples
from tests.unit.local_findings import findings

from ocelli.backends.local.compose import describe, recompose
from ocelli.backends.local.content import content_of
from ocelli.backends.local.evidence import Band
from ocelli.backends.local.fusion import COUNTED
from ocelli.backends.local.phrases import Topic
from ocelli.backends.local.role_styles import ALT_TEXT, CAPTION, NO_HASHTAG, STYLES, TWEET, written
from ocelli.domain.claims import ClaimType
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

LIMITS = {Role.ALTTEXT: ALT_TEXT, Role.TWEET: TWEET, Role.CAPTION: CAPTION}
LIKENESS = (
    "and with on what looks like perhaps probably possibly of a page of text that reads may read"
)
STYLE_WORDS = {
    Role.GENERAL: "is are the setting picture there something local models cannot name "
    "unrecognised mostly",
    Role.ALTTEXT: "with unrecognised mostly",
    Role.CAPTION: "seen here setting untitled in",
    Role.TWEET: "spotted all about comes with something that the local models cannot name",
    Role.PROMPT: "color palette of lettering that visible unspecified subject",
    Role.INSPECTOR: "label of the whole score probability at the top bottom left right center "
    "picture line text colours something that local models cannot name",
} | {
    role: " ".join(vars_of)
    for role, style in STYLES.items()
    for vars_of in [
        [style.subject, style.nothing, style.colors, style.place, style.faces, style.text, "is are"]
    ]
}
roles = st.sampled_from(Role)
few = examples(60)


def words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", text.casefold()))


@few
@given(findings, roles)
def test_nothing_but_claims_and_the_words_of_the_style(seen: Findings, role: Role) -> None:
    said = describe(seen, role)
    rest = said.description.casefold()
    if role is Role.TWEET:
        rest, tags, _ = re.split(r"((?: #\w+)+)$", rest)
        allowed = {re.sub(r"\W|_", "", one.subject.casefold()) for one in said.said}
        allowed |= {re.sub(r"\W|_", "", one.of.casefold()) for one in said.said}
        allowed |= {part.replace(" ", "") for one in said.said for part in one.parts}
        assert set(re.findall(r"\w+", tags)) <= allowed | {NO_HASHTAG}
    for one in sorted(said.said, key=lambda one: (one.topic is not Topic.TEXT, -len(one.words))):
        assert one.words.casefold() in rest
        rest = rest.replace(one.words.casefold(), " ", 1)
    if role is not Role.INSPECTOR or not seen.texts:
        known = words(LIKENESS) | words(STYLE_WORDS[role]) | words("the picture may not be safe")
        assert words(rest) <= known, rest


@few
@given(findings, roles)
def test_what_is_claimed_was_found(seen: Findings, role: Role) -> None:
    counts: dict[str, int] = {}
    for one in seen.objects:
        if one.score >= COUNTED:
            counts[one.name] = counts.get(one.name, 0) + 1
    labels = {label.name for label in seen.scenes}
    colors = {color.name for color in seen.colors} | {"grey"}
    bases = {color.name.split()[-1] for color in seen.colors}
    for claim in describe(seen, role).claims:
        match claim.type:
            case ClaimType.COUNT if claim.subject == "face":
                assert claim.count == len(seen.faces)
            case ClaimType.COUNT if claim.subject == "person" and "person" not in counts:
                assert claim.count == len(seen.faces)
            case ClaimType.COUNT:
                assert claim.count == counts[claim.subject or ""]
            case ClaimType.OBJECT if claim.subject == "person":
                assert "person" in counts or seen.faces
            case ClaimType.OBJECT | ClaimType.SCENE:
                assert claim.subject in counts or claim.subject in labels
            case ClaimType.ATTRIBUTE:
                assert claim.value in colors | bases
            case ClaimType.TEXT:
                start = (claim.value or "").removesuffix("…")
                assert any(" ".join(x.text.split()).startswith(start) for x in seen.texts)
            case ClaimType.RELATION if claim.value == "riding":
                assert claim.subject == "person"
            case ClaimType.RELATION:
                held = [one for one in seen.objects if one.score >= COUNTED]
                boxes = [one.box for one in held if one.name == claim.subject]
                (box,) = boxes or [face.box for face in seen.faces]
                assert (box.center[0] < 0.5) == (claim.value == "left")
            case ClaimType.OTHER:
                assert seen.safety is not None
                assert seen.safety.nsfw >= 0.5


@few
@given(findings, roles)
def test_limits(seen: Findings, role: Role) -> None:
    text = describe(seen, role).description
    assert text == text.strip() != ""
    assert len(text) <= LIMITS.get(role, 100_000)
    if role is Role.TWEET:
        assert re.search(r" #\w", text)
    if role is Role.ALTTEXT:
        assert not text.endswith(".") or seen.texts


@few
@given(findings, roles)
def test_roles_change_words_only(seen: Findings, role: Role) -> None:
    one, other = describe(seen), describe(seen, role)
    assert (one.tags, one.confidence) == (other.tags, other.confidence)
    assert recompose(seen, (), role) == other.description


@few
@given(findings, roles)
def test_what_is_unsure_stays_unsure(seen: Findings, role: Role) -> None:
    content = content_of(replace(seen, texts=(), safety=None))
    doubtful = [thing for thing in content.things if thing.band is Band.PROBABLE]
    text = " ".join(written(content, role).sentences)
    if doubtful and any(one.topic is Topic.THING for one in written(content, role).said):
        shown = {one.subject for one in written(content, role).said}
        if shown & {thing.noun for thing in doubtful}:
            assert re.search("what looks like|perhaps", text.casefold())


KITCHEN = Findings(
    "ocelli-local",
    "1",
    objects=(
        DetectedObject("cup", 0.9, Box(0.1, 0.1, 0.2, 0.2)),
        DetectedObject("cup", 0.8, Box(0.7, 0.7, 0.8, 0.8)),
        DetectedObject("bowl", 0.6, Box(0.4, 0.4, 0.5, 0.5)),
        DetectedObject("dining table", 0.8, Box(0.0, 0.0, 1.0, 1.0)),
    ),
    scenes=(SceneLabel("restaurant", 0.92),),
    faces=(Face(0.9, Box(0.4, 0.0, 0.5, 0.1)),),
    texts=(TextLine("MENU", 0.95, Box(0.4, 0.8, 0.6, 0.9)),),
    colors=(Color("#be0032", "red", 0.5), Color("#f2f3f4", "white", 0.4)),
    safety=Safety(0.01),
)


TABLE = "a person, with two cups and perhaps a bowl on a dining table"


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (Role.ALTTEXT, f"A{TABLE[1:]}, with text that reads “MENU”"),
        (Role.CAPTION,
         "Seen here: a person, with two cups on a dining table; setting: a restaurant."),
        (Role.TWEET, f"📷 Spotted: {TABLE}. All about red and white. "
         "Comes with text that reads “MENU”. #Person #Cup #DiningTable #Red #White"),
        (Role.PROMPT, f"{TABLE}, one face visible, "
         "a restaurant, lettering that reads “MENU”, color palette of red and white"),
        (Role.ECOMMERCE, f"Product shown: {TABLE}. "
         "Main colours: red and white. Presented in this setting: a restaurant. "
         "One face is in view. Printed or visible: text that reads “MENU”."),
        (Role.INSPECTOR, "A person: at the top, 1% of the picture (probability 0.90). "
         "Two cups: at the top left, 1% of the picture; at the bottom right, 1% of the picture "
         "(probability 0.90). A dining table: at the center, 100% of the picture "
         "(probability 0.80). What looks like a bowl: at the center, 1% of the picture "
         "(probability 0.60). Label of the whole: a restaurant (score 0.92). "
         "One face: at the top, 1% of the picture. Text line 1, at the bottom, reads “MENU”. "
         "Colours: red #be0032 (50%), white #f2f3f4 (40%)."),
    ],
)  # fmt: skip
def test_wording(role: Role, expected: str) -> None:
    assert describe(KITCHEN, role).description == expected


def test_every_role_has_words_of_its_own() -> None:
    texts = {role: describe(KITCHEN, role).description for role in Role}
    for one, other in combinations(Role, 2):
        assert not texts[one].startswith(texts[other][:-1])
    empty = Findings("ocelli-local", "1")
    assert all(describe(empty, role).description for role in Role)
