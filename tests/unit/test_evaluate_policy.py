"""What ``ocelli eval --policy`` says of what it found."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.test_tradeoff import POLICY, a_set, described

from ocelli.cli.evaluate_policy import PolicyOptions, read_policy, report
from ocelli.domain.escalation import policy_from_json, policy_to_json
from ocelli.domain.tradeoff import DescribedPicture


def said(pictures: list[DescribedPicture], error: float, capsys: pytest.CaptureFixture[str]) -> str:
    report(PolicyOptions(POLICY, error, None, None, as_json=False), pictures)
    return " ".join(capsys.readouterr().out.split())


def test_a_threshold_is_said_with_what_came_out(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(a_set(1_000), 0.1, capsys)
    assert "at most 10.0% false claims (the interval's upper end): confidence_below 0." in text
    assert "came out on 500 pictures" in text
    assert "coverage" in text


def test_what_no_threshold_reaches_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(a_set(200), 0.0, capsys)
    assert "No threshold reaches at most 0.0% false claims" in text
    assert "No final confidence marks descriptions" in text


def test_a_policy_that_costs_more_than_its_second_step_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    doubtful = [described(str(n), 0.3, [False, True], [True, True]) for n in range(100)]
    assert "The second step alone costs 2.00 credits" in said(doubtful, 0.05, capsys)


def test_labels_that_decide_nothing_make_no_finding(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = [described(str(n), 0.3, [], []) for n in range(4)]
    assert "No threshold reaches" in said(nothing, 0.05, capsys)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_plot_and_policy_are_written(suffix: str, tmp_path: Path) -> None:
    plot, fitted = tmp_path / f"plot.{suffix}", tmp_path / "fitted.json"
    report(PolicyOptions(POLICY, 0.1, fitted, plot, as_json=True), a_set(200))
    assert plot.stat().st_size > 1_000
    policy = read_policy(fitted)
    assert policy.calibration is not None
    assert policy_from_json(policy_to_json(policy)) == policy
