"""The scenes that verification is measured on are what they say, and survive what we do to them."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image
from tests.upstream import scenes


@pytest.mark.parametrize("side", [640, 512, 256])
def test_a_scene_is_recognised_after_scaling_and_jpeg(side: int) -> None:
    for number in (0, 1, 77, 65_535):
        out = io.BytesIO()
        scaled = scenes.draw(scenes.scene(number)).resize((side, side * 3 // 4))
        scaled.save(out, "JPEG", quality=80)
        assert scenes.recognise(out.getvalue()) == number


def test_another_picture_is_no_scene() -> None:
    out = io.BytesIO()
    Image.effect_noise((640, 480), 80).convert("RGB").save(out, "PNG")
    assert scenes.recognise(out.getvalue()) is None


def test_what_is_called_true_is_true_and_what_is_planted_is_false() -> None:
    for number in range(100):
        it = scenes.scene(number)
        for said in scenes.true_claims(it):
            assert scenes.holds(it, scenes.sentence(said)) is True
            for claim in said:
                assert scenes.holds(it, claim.text) is True
                wrong = scenes.wrong_claim(it, claim, random.Random(number))
                assert scenes.holds(it, wrong.text) is False
