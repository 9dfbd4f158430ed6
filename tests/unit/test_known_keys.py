"""Keys that are in use are looked up for all who present them."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from ocelli.domain.errors import DeactivatedKey
from ocelli.usecases import accounts
from ocelli.usecases.accounts import Accounts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = "aion_" + "k" * 43


class Keys:
    """A database with one key, which may be revoked; it takes 5 ms to answer."""

    def __init__(self) -> None:
        self.looked = 0
        self.revoked_at: datetime | None = None

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[SimpleNamespace]:
        yield SimpleNamespace(accounts=self)

    async def key_by_hash(self, _: bytes) -> SimpleNamespace:
        self.looked += 1
        seen = SimpleNamespace(id=uuid.UUID(int=1), revoked_at=self.revoked_at, expires_at=None)
        await asyncio.sleep(0.005)
        return seen


async def test_a_crowd_with_one_key_is_one_question() -> None:
    keys = Keys()
    known = Accounts(keys)  # type: ignore[arg-type]
    await asyncio.gather(*(known.authenticate(KEY) for _ in range(100)))
    assert keys.looked <= 2


async def test_a_revoked_key_dies_while_it_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "REMEMBERED_FOR", 0.2)
    keys = Keys()
    known = Accounts(keys)  # type: ignore[arg-type]
    await known.authenticate(KEY)
    keys.revoked_at = datetime.now(UTC)
    loop = asyncio.get_running_loop()
    revoked = loop.time()
    with pytest.raises(DeactivatedKey):
        while loop.time() < revoked + 5:
            await known.authenticate(KEY)
            await asyncio.sleep(0.001)
    assert loop.time() - revoked < 0.2 + 1  # and a second for a busy machine
