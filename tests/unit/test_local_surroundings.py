"""Where a picture was taken."""

import numpy as np
import pytest

from ocelli.backends.local.lexicon import lexicon
from ocelli.backends.local.surroundings import SIDE, surroundings
from ocelli.domain.findings import Box, DetectedObject

BOX = Box(0.1, 0.1, 0.5, 0.5)
GREY, WHITE, GREEN = (110, 110, 110), (240, 240, 245), (60, 140, 50)


def places(*things: str, color: tuple[int, int, int] = GREY, **classes: float) -> list[str]:
    """Names for a picture of one colour with these things; ``classes`` are ImageNet's scores."""
    scores = [0.0] * 1000
    for name, score in classes.items():
        scores[lexicon().scenes.index(name.replace("_", " "))] = score
    found = [DetectedObject(name, 0.9, BOX) for name in things]
    pixels = np.full((SIDE, SIDE, 3), color, np.uint8)
    return [label.name for label in surroundings(scores, found, pixels)]


@pytest.mark.parametrize(
    ("things", "classes", "color", "expected"),
    [
        ([], {}, GREY, []),
        (["couch", "television"], {"wardrobe": 0.4}, GREY, ["indoors"]),
        ([], {"wardrobe": 0.9}, GREY, []),  # only things tell a room
        (["horse"], {"picket_fence": 0.5}, GREY, ["outdoors"]),
        (["person", "skis"], {}, WHITE, ["snow", "outdoors"]),
        (["person"], {"snowmobile": 0.4}, WHITE, ["snow", "outdoors"]),
        (["person", "skis"], {}, GREY, []),
        (["car", "bus"], {"trolleybus": 0.4}, GREY, ["street", "outdoors"]),
        (["surfboard"], {}, GREY, ["water", "outdoors"]),
        (["dog"], {"picket_fence": 0.1}, GREEN, ["grass", "outdoors"]),
        ([], {"cliff": 0.3}, GREY, ["rocks", "outdoors"]),
    ],
)
def test_places(
    things: list[str], classes: dict[str, float], color: tuple[int, int, int], expected: list[str]
) -> None:
    assert places(*things, color=color, **classes) == expected
