"""Keys and rates."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.domain.accounts import (
    KEY_PATTERN,
    TIER_LIMITS,
    ApiKey,
    Tenant,
    Tier,
    hash_key,
    key_prefix,
    new_key,
)
from ocelli.domain.errors import RateLimited
from ocelli.usecases.accounts import RateLimiter


def a_key(tier: Tier = Tier.FREE, override: int | None = None) -> ApiKey:
    now = datetime.now(UTC)
    return ApiKey(uuid.uuid4(), Tenant(uuid.uuid4(), "t", tier, now, override), "", "aion_", now)


def test_keys_have_the_shape_that_clients_check() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(KEY_PATTERN.fullmatch(key) for key in keys)


def test_what_is_shown_of_a_key_is_not_the_key() -> None:
    key = new_key()
    assert key.startswith(key_prefix(key))
    assert len(key) - len(key_prefix(key)) > 30
    assert key.encode() not in hash_key(key)


@given(
    tier=st.sampled_from(Tier),
    override=st.none() | st.integers(1, 50),
    times=st.lists(st.floats(0, 600, allow_nan=False), max_size=200).map(sorted),
)
def test_exactly_the_limit_passes_in_each_minute(
    tier: Tier, override: int | None, times: list[float]
) -> None:
    limiter, key = RateLimiter(), a_key(tier, override)
    limit = override or TIER_LIMITS[tier].requests_per_minute
    passed: dict[int, int] = {}
    for at in times:
        state = limiter.count(key, at)
        minute = int(at // 60)
        assert state.limit == limit
        assert state.reset == (minute + 1) * 60
        assert 0 <= state.remaining <= limit
        if not state.exceeded:
            passed[minute] = passed.get(minute, 0) + 1
            assert state.remaining == limit - passed[minute]
    seen = {int(at // 60): sum(int(t // 60) == int(at // 60) for t in times) for at in times}
    assert passed == {minute: min(limit, count) for minute, count in seen.items()}


@given(st.floats(0, 1e9, allow_nan=False))
def test_the_wait_is_a_whole_second_within_the_minute(at: float) -> None:
    limiter, key = RateLimiter(), a_key(override=1)
    limiter.count(key, at)
    with pytest.raises(RateLimited) as raised:
        limiter.count(key, at).enforce(at)
    assert isinstance(raised.value.retry_after, int)
    assert 1 <= raised.value.retry_after <= 60


def test_keys_do_not_share_their_minute() -> None:
    limiter = RateLimiter()
    for _ in range(2):
        assert not limiter.count(a_key(override=1), 0.0).exceeded
