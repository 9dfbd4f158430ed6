"""Measuring answers against labels, and calibration."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.domain.claims import Claim, ClaimType, JudgedClaim
from ocelli.domain.evaluation import (
    ReferenceLabel,
    Sample,
    Score,
    calibration_error,
    fit,
    reliability,
    text_errors,
    truth,
)
from ocelli.domain.verification import Calibration
from ocelli.settings import Settings
from ocelli.wiring.backends import read_calibration, write_calibration

LABEL = ReferenceLabel.from_json(
    {
        "file": "a.png",
        "objects": {"red circle": 3, "blue star": 1},
        "text": ["OPEN", "No. 5"],
        "tags": ["circle", "star"],
        "claims": {"The circles are left of the star.": True},
    }
)
samples = st.lists(
    st.builds(Sample, st.floats(0, 1), st.booleans(), st.booleans()), min_size=1, max_size=200
)


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (Claim("", ClaimType.OBJECT, "circle"), True),
        (Claim("", ClaimType.OBJECT, "red circle"), True),
        (Claim("", ClaimType.OBJECT, "green circle"), False),
        (Claim("", ClaimType.COUNT, "circle", 3), True),
        (Claim("", ClaimType.COUNT, "circle", 2), False),
        (Claim("", ClaimType.ATTRIBUTE, "star", value="Blue"), True),
        (Claim("", ClaimType.ATTRIBUTE, "star", value="red"), False),
        (Claim("", ClaimType.TEXT, value="open"), True),
        (Claim("", ClaimType.TEXT, value="SHUT"), False),
        (Claim("the circles are left of the star"), True),
        (Claim("It is raining.", ClaimType.SCENE), None),
        (Claim("", ClaimType.ATTRIBUTE, "picture", value="red", measured=True), None),
    ],
)
def test_truth(claim: Claim, expected: bool | None) -> None:
    assert truth(claim, LABEL) is expected


@pytest.mark.parametrize("entry", [{}, {"file": 1}, {"file": "a", "colour": 1}])
def test_bad_labels_say_what_is_wrong(entry: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"`file`|colour"):
        ReferenceLabel.from_json(entry)


@given(samples)
def test_a_fit_is_monotone_and_never_certain(those: list[Sample]) -> None:
    map_ = fit(those)
    ys = [map_(x / 20) for x in range(21)]
    assert ys == sorted(ys)
    assert ys[0] > 0 and ys[-1] < 1


@given(samples)
def test_errors_and_bins_stay_in_bounds(those: list[Sample]) -> None:
    assert sum(b.count for b in reliability(those)) == len(those)
    assert 0 <= (calibration_error(those) or 0) <= 1


def test_a_fit_brings_computed_and_observed_together() -> None:
    rng = random.Random(7)
    drawn = [rng.random() for _ in range(4000)]
    those = [Sample(p, rng.random() < p**2, kept=True) for p in drawn]
    map_ = fit(those[:2000])
    fitted = [Sample(map_(s.probability), s.true, s.kept) for s in those[2000:]]
    assert (calibration_error(those) or 0) > 0.1
    assert (calibration_error(fitted) or 1) < 0.05


def test_a_score_counts_what_labels_can_decide() -> None:
    score = Score()
    claims = [
        JudgedClaim(Claim("", ClaimType.COUNT, "circle", 3), kept=True, probability=0.9),
        JudgedClaim(Claim("", ClaimType.OBJECT, "dog"), kept=False, probability=0.2),
        JudgedClaim(Claim("", ClaimType.OBJECT, "star"), kept=False, probability=0.4),
    ]
    score.add(claims, ["circle", "dog"], "OPEN\nNo. 6", LABEL)
    figures = score.figures()
    assert (figures["tag_precision"], figures["tag_recall"]) == (0.5, 0.5)
    assert (figures["claim_accuracy"], figures["true_claims_lost"]) == (1.0, 0.5)
    assert figures["false_claims_removed"] == 1.0
    assert figures["text_error_rate"] == pytest.approx(1 / len("open no 5"))


@given(st.text("ab ", max_size=12), st.text("ab ", max_size=12))
def test_text_errors_are_a_distance(one: str, other: str) -> None:
    there, _ = text_errors(one, [" ".join(other.split())])
    back, _ = text_errors(other, [" ".join(one.split())])
    assert there == back >= 0
    assert (there == 0) == (one.split() == other.split())


def test_a_calibration_of_levels_comes_back(tmp_path: Path) -> None:
    by_level = Calibration(((0.5, 0.6),), {"critical": Calibration(((0.5, 0.9),))})
    file = tmp_path / "calibration.json"
    write_calibration(file, by_level)
    read = read_calibration(Settings(calibration=file))
    assert read == by_level
    assert read.at("critical")(0.5) == 0.9
    assert read.at("quick")(0.5) == 0.6
    file.write_text('{"knots": [[0.5, 0.7]]}')  # as earlier versions wrote it
    assert read_calibration(Settings(calibration=file)).at("critical")(0.5) == 0.7
