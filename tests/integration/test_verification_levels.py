"""What each level removes and loses, on scenes of which all is known.

The figures for 300 scenes are in docs/decisions/0011; these are few, so the bounds leave room for
chance.
"""

from __future__ import annotations

from benchmarks.verification import measure

from ocelli.domain.analysis import VerificationLevel

SCENES = 16


async def test_levels_remove_what_is_wrong_and_keep_what_is_true() -> None:
    outcomes = await measure(SCENES)
    for level in VerificationLevel:
        assert outcomes[level, True].looks == [level.looks] * SCENES
    quick, standard, critical = (
        outcomes[level, True]
        for level in (
            VerificationLevel.QUICK,
            VerificationLevel.STANDARD,
            VerificationLevel.CRITICAL,
        )
    )
    assert standard.removed >= 0.85
    assert standard.lost <= 0.04 and critical.lost <= 0.02
    assert critical.removed >= 0.90
    assert critical.false_sentences < quick.false_sentences
    # Evidence is worth something at every level, and nothing is dropped without a reason.
    for level in (VerificationLevel.QUICK, VerificationLevel.STANDARD, VerificationLevel.CRITICAL):
        with_, without = outcomes[level, True], outcomes[level, False]
        assert with_.removed >= without.removed
        assert with_.lost <= without.lost
