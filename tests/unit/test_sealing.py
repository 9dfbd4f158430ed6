"""Sealed secrets open with the same secret, for the same purpose, unchanged, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.storage.sealing import AesGcmSealing

SEALING = AesGcmSealing(b"the secret of this installation")


@given(plain=st.binary(max_size=300), context=st.text(max_size=30), other=st.text(max_size=30))
def test_what_is_sealed_opens_for_its_purpose(plain: bytes, context: str, other: str) -> None:
    sealed = SEALING.seal(plain, context=context)
    assert SEALING.open(sealed, context=context) == plain
    assert SEALING.seal(plain, context=context) != sealed
    assert len(plain) < 8 or plain not in sealed
    with pytest.raises(ValueError, match="another secret"):
        AesGcmSealing(b"another secret").open(sealed, context=context)
    if other != context:
        with pytest.raises(ValueError, match="another purpose"):
            SEALING.open(sealed, context=other)


@given(data=st.data(), plain=st.binary(min_size=1, max_size=50))
def test_a_changed_bit_is_noticed(data: st.DataObject, plain: bytes) -> None:
    sealed = bytearray(SEALING.seal(plain, context="x"))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ValueError, match="sealed"):
        SEALING.open(bytes(sealed), context="x")


@given(st.binary(max_size=60))
def test_anything_else_does_not_open(sealed: bytes) -> None:
    with pytest.raises(ValueError, match="sealed"):
        SEALING.open(sealed, context="x")
