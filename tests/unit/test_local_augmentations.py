import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.local_findings import findings, found

from ocelli.backends.local.augmentations import Augmentation, shown, shown_to_read, tiles
from ocelli.backends.local.recheck import ABSENT, can_change, recheck
from ocelli.domain.claims import Claim, ClaimType, Ruling, Stand
from ocelli.domain.findings import Box, DetectedObject, Face, Findings, SceneLabel, TextLine

BOX = Box(0.2, 0.3, 0.6, 0.7)


def marked(height: int, width: int) -> np.ndarray:
    """A black picture with a white ``BOX``."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[int(0.3 * height) : int(0.7 * height), int(0.2 * width) : int(0.6 * width)] = 255
    return pixels


def bounds(pixels: np.ndarray) -> Box:
    """Where the white part is."""
    height, width = pixels.shape[:2]
    rows, columns = np.nonzero(pixels[..., 0] > 127)
    return Box(
        columns.min() / width,
        rows.min() / height,
        (columns.max() + 1) / width,
        (rows.max() + 1) / height,
    )


@pytest.mark.parametrize("view", Augmentation)
@pytest.mark.parametrize("show", [shown, shown_to_read])
def test_boxes_come_back(view: Augmentation, show: object) -> None:
    assert callable(show)
    showing = show(marked(400, 600), view)
    assert showing.restore(bounds(showing.pixels)).overlap(BOX) > 0.97


@pytest.mark.parametrize("view", Augmentation)
def test_tiles_cover_and_come_back(view: Augmentation) -> None:
    for show in (shown, shown_to_read):
        parts = list(tiles(show(marked(1000, 700), view), 500))
        assert len(parts) > 3
        assert max(max(tile.pixels.shape) for tile in parts) <= 500
        seen = [tile.restore(bounds(tile.pixels)) for tile in parts if tile.pixels.max()]
        union = Box(
            min(b.left for b in seen),
            min(b.top for b in seen),
            max(b.right for b in seen),
            max(b.bottom for b in seen),
        )
        assert union.overlap(BOX) > 0.97


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3)])
def test_any_size(size: tuple[int, int]) -> None:
    for view in Augmentation:
        for show in (shown, shown_to_read):
            assert 0 not in show(np.zeros((*size, 3), np.uint8), view).pixels.shape


def test_text_is_never_mirrored() -> None:
    assert not any(shown_to_read(marked(40, 60), view).mirrored for view in Augmentation)


@given(findings)
def test_what_looks_the_same_again_is_not_contradicted(seen: Findings) -> None:
    made = found(seen)
    for claim in made.claims:
        verdict = recheck(claim, seen)
        if claim.belief is not None and claim.belief >= 0.65:
            assert verdict.ruling is not Ruling.CONTRADICTED, (claim, verdict)
        assert verdict.stand is Stand.LOOK
        assert 0 < verdict.strength < 1


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_second_score_is_never_worse(belief: float, one: float, other: float) -> None:
    order = [Ruling.CONTRADICTED, Ruling.UNSEEN, Ruling.SUPPORTED]
    claim = Claim("There is a cup.", ClaimType.OBJECT, "cup", belief=belief)
    rulings = [
        recheck(claim, Findings("", "", objects=(DetectedObject("cup", score, BOX),))).ruling
        for score in sorted((one, other))
    ]
    assert order.index(rulings[0]) <= order.index(rulings[1])


NOW = Findings(
    "ocelli-local",
    "1",
    objects=(DetectedObject("cup", 0.9, BOX), DetectedObject("cup", 0.8, BOX)),
    scenes=(SceneLabel("rocket", 0.5),),
    faces=(Face(0.9, BOX),),
    texts=(TextLine("YAWAMA", 0.8, BOX),),
)
OBJECT, COUNT, TEXT = ClaimType.OBJECT, ClaimType.COUNT, ClaimType.TEXT


@pytest.mark.parametrize(
    ("claim", "ruling"),
    [
        (Claim("", OBJECT, "cup", belief=0.9), Ruling.SUPPORTED),
        (Claim("", COUNT, "cup", 2, belief=0.9), Ruling.SUPPORTED),
        (Claim("", OBJECT, "bowl", belief=0.9), Ruling.UNSEEN),  # a sure thing may be weak once
        (Claim("", OBJECT, "bowl", belief=0.6), Ruling.CONTRADICTED),
        (Claim("", OBJECT, "rocket", belief=0.4), Ruling.SUPPORTED),  # as doubtful as before
        (Claim("", OBJECT, "palace", belief=0.5), Ruling.CONTRADICTED),
        (Claim("", COUNT, "face", 1, belief=0.9), Ruling.SUPPORTED),
        (Claim("", OBJECT, "person", belief=0.9), Ruling.SUPPORTED),  # by the face
        (Claim("", TEXT, value="YAMAHA", belief=0.8), Ruling.UNKNOWN),  # read once
        (Claim("", ClaimType.SCENE, "outdoors", belief=0.8), Ruling.UNKNOWN),
        (Claim("", OBJECT, "red circle", belief=0.95), Ruling.UNKNOWN),
        (Claim("", OBJECT, "bowl"), Ruling.UNSEEN),  # another's claim: we may have missed it
        (Claim("They are friends."), Ruling.UNKNOWN),
    ],
)
def test_what_another_view_says(claim: Claim, ruling: Ruling) -> None:
    assert recheck(claim, NOW).ruling is ruling


def test_the_other_view_gives_a_probability_of_its_own() -> None:
    assert recheck(Claim("", OBJECT, "cup", belief=0.6), NOW).belief == 0.9
    assert recheck(Claim("", OBJECT, "bowl", belief=0.6), NOW).belief == ABSENT


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ([Claim("", OBJECT, "cup", belief=0.9), Claim("", TEXT, value="A", belief=0.9)], True),
        ([Claim("", TEXT, value="A", belief=0.9)], False),
        ([Claim("", ClaimType.SCENE, "receipt", belief=0.9)], False),
    ],
)
def test_what_another_view_can_change(claims: list[Claim], expected: bool) -> None:
    assert can_change(claims) is expected
