"""Signing in to the console: sessions of browsers, and links that sign in once."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ocelli.domain.audit import Actor, AuditEvent, AuditType
from ocelli.domain.errors import DeactivatedKey, ExpiredKey, InvalidKey, OcelliError
from ocelli.domain.scopes import KeyRole, allows

if TYPE_CHECKING:
    from datetime import datetime

    from ocelli.domain.accounts import ApiKey
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.usecases.accounts import Accounts

SESSION_LIFETIME = timedelta(hours=12)
LINK_LIFETIME = timedelta(minutes=10)


class SignedOut(OcelliError):
    """The browser has no session, or none that still holds; the message says why and what next."""

    code = "SIGNED_OUT"
    status = 401


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """A browser that is signed in with a key. ``token`` is its secret."""

    token: str
    key: ApiKey
    expires_at: datetime

    @property
    def csrf_token(self) -> str:
        """What a page of this session sends with each change; tells nothing about ``token``."""
        return hmac.new(self.token.encode(), b"csrf", hashlib.sha256).hexdigest()


class ConsoleSessions:
    """Sessions are kept in the database, so that they outlast a restart, and end with their key."""

    def __init__(self, database: PostgresDatabase, accounts: Accounts) -> None:
        self._database = database
        self._accounts = accounts

    async def open(self, api_key: str) -> ConsoleSession:
        """Open a session with an API key. Raises what ``Accounts.authenticate`` raises."""
        return await self._open(await self._accounts.authenticate(api_key))

    async def open_by_link(self, token: str) -> ConsoleSession:
        """Open a session with a link's token, once. Raises SignedOut."""
        async with self._database.transaction() as tx:
            key_hash = await tx.console.take_link(_hash(token))
        if key_hash is None:
            raise SignedOut(
                "This link does not sign in any more: it works once, for ten minutes. "
                "`ocelli console` prints a new one."
            )
        return await self._open(await self._key(key_hash))

    async def find(self, token: str | None) -> ConsoleSession:
        """Return the session of a token. Raises SignedOut, and says why."""
        if not token:
            raise SignedOut("Sign in to see this.")
        async with self._database.autocommit() as tx:
            found = await tx.console.session(_hash(token))
        if found is None:
            raise SignedOut("Your session has ended. Sign in again.")
        key_hash, expires_at = found
        return ConsoleSession(token, await self._key(key_hash), expires_at)

    async def close(self, session: ConsoleSession) -> None:
        """End a session."""
        async with self._database.transaction() as tx:
            await tx.console.remove_session(_hash(session.token))
            await tx.audit.add(AuditEvent(Actor.of(session.key), AuditType.LOGOUT))

    async def _open(self, key: ApiKey) -> ConsoleSession:
        token = secrets.token_urlsafe(32)
        async with self._database.transaction() as tx:
            await tx.console.add_session(_hash(token), key.id, SESSION_LIFETIME)
            await tx.audit.add(AuditEvent(Actor.of(key), AuditType.LOGIN))
        return await self.find(token)

    async def _key(self, key_hash: bytes) -> ApiKey:
        try:
            return await self._accounts.authenticate_hash(key_hash)
        except DeactivatedKey:
            why = "The key that you signed in with was revoked"
        except ExpiredKey:
            why = "The key that you signed in with has expired"
        except InvalidKey:
            why = "The key that you signed in with does not exist any more"
        raise SignedOut(f"{why}, so you were signed out. Sign in with another key.")


async def make_link(database: PostgresDatabase, tenant: str) -> str | None:
    """Return the token of a new link that signs the owner of the tenant in.

    With its oldest key that is active and may do everything; None without one.
    """
    async with database.transaction() as tx:
        key = await tx.accounts.oldest_admin(tenant)
        if key is None:
            return None
        token = secrets.token_urlsafe(32)
        await tx.console.add_link(_hash(token), key.id, LINK_LIFETIME)
    return token


def is_owner(key: ApiKey, tenant: str) -> bool:
    """Return whether a key is that of the installation's owner, whose tenant has this name."""
    return key.tenant.name == tenant and allows(key.scopes, KeyRole.ADMIN)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
