"""Keys."""

from __future__ import annotations

from ocelli.domain.accounts import (
    KEY_PATTERN,
    hash_key,
    key_prefix,
    new_key,
)


def test_keys_have_the_shape_that_clients_check() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(KEY_PATTERN.fullmatch(key) for key in keys)


def test_what_is_shown_of_a_key_is_not_the_key() -> None:
    key = new_key()
    assert key.startswith(key_prefix(key))
    assert len(key) - len(key_prefix(key)) > 30
    assert key.encode() not in hash_key(key)
