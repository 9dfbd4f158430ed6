"""The tiers' table, and changing it in settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ocelli.cli.options import load_settings, to_environment
from ocelli.domain.accounts import MEGABYTE, TIER_LIMITS, Tier
from ocelli.settings import Settings


def test_without_a_setting_the_table_is_the_table() -> None:
    assert Settings().tier_limits == TIER_LIMITS


def test_a_file_changes_what_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ocelli.toml").write_text(
        '[tiers.free]\nmax_image_mb = 30\nstorage_gb = "unlimited"\nmonthly_uploads = 5\n'
    )
    limits = Settings().tier_limits
    free, usual = limits[Tier.FREE], TIER_LIMITS[Tier.FREE]
    assert (free.max_image_bytes, free.storage_bytes, free.monthly_uploads) == (
        30 * MEGABYTE,
        None,
        5,
    )
    assert free.requests_per_minute == usual.requests_per_minute
    assert limits[Tier.STARTER] == TIER_LIMITS[Tier.STARTER]


def test_child_processes_see_the_same_tiers(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Settings.model_validate(
        {"tiers": {"free": {"storage_gb": 2}, "starter": {"monthly_uploads": "unlimited"}}}
    )
    for name, value in to_environment(given).items():
        monkeypatch.setenv(name, value)
    assert Settings().tier_limits == given.tier_limits


@pytest.mark.parametrize(
    "tiers",
    [
        {"gold": {}},
        {"free": {"requests_per_minute": 0}},
        {"free": {"requests": 1}},
        {"free": {"requests_per_minute": "unlimited"}},
        {"free": {"files_per_batch": 51}},
    ],
)
def test_wrong_tiers_are_refused(tiers: dict[str, dict[str, object]]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"tiers": tiers})


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "OCELLI_TIERS"), ('{"free": {"storage_gb": 0}}', "tiers.free.storage_gb")],
)
def test_the_command_line_says_what_is_wrong(
    text: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OCELLI_TIERS", text)
    with pytest.raises(SystemExit):
        load_settings()
    assert words in capsys.readouterr().err
