"""``make demo`` with pictures of one's own."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from ocelli.cli import demo
from ocelli.cli import describe as command
from ocelli.cli.describer import DescribedFile
from ocelli.domain.analysis import AnalysisAnswer, VerificationLevel


def test_the_doctest() -> None:
    assert doctest.testmod(demo).failed == 0


def test_paths_with_spaces_and_several_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my pics"
    folder.mkdir()
    odd = tmp_path / "it's here"
    odd.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert demo.named_photos(str(folder)) == [folder]
    assert demo.named_photos("~/my pics") == [folder]
    assert demo.named_photos(f"'{folder}' {odd.parent}") == [folder, tmp_path]
    assert demo.named_photos(str(odd)) == [odd]
    assert demo.named_photos("it's not") == [Path("it's not")]
    assert demo.named_photos(" ") == []


@pytest.mark.parametrize(
    ("errors", "tolerant", "code"),
    [
        (["bad", None], False, 1),
        (["bad", None], True, 0),
        (["bad", "bad"], True, 1),
        ([None, None], False, 0),
    ],
)
def test_one_bad_picture_does_not_fail_the_demo(
    errors: list[str | None],
    tolerant: bool,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos = [tmp_path / f"{n}.jpg" for n in range(len(errors))]
    for photo in photos:
        photo.touch()
    level = VerificationLevel.QUICK
    answers = [None if error else AnalysisAnswer(()) for error in errors]
    outcomes = [
        DescribedFile(photo, level, answer, error=error)
        for photo, answer, error in zip(photos, answers, errors, strict=True)
    ]
    monkeypatch.setattr(command, "run", lambda *_args, **_more: outcomes)
    assert command.describe(photos, as_json=False, level="quick", tolerant=tolerant) == code
