"""The tables ``console_sessions`` and ``console_links``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from ocelli.storage.postgres.rows import Connection


class PostgresConsole:
    """Sessions of browsers, and links that sign in once; both by the hash of their token."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add_session(self, token_hash: bytes, key_id: UUID, lifetime: timedelta) -> None:
        """Store a session of a key, and remove those that have ended."""
        await self._connection.execute("DELETE FROM console_sessions WHERE expires_at <= now()")
        await self._connection.execute(
            "INSERT INTO console_sessions (token_hash, key_id, expires_at)"
            " VALUES (%s, %s, now() + %s)",
            (token_hash, key_id, lifetime),
        )

    async def session(self, token_hash: bytes) -> tuple[bytes, datetime] | None:
        """Return the hash of the session's key, and when the session ends; None without one."""
        cursor = await self._connection.execute(
            "SELECT k.key_hash, s.expires_at FROM console_sessions s"
            " JOIN api_keys k ON k.id = s.key_id"
            " WHERE s.token_hash = %s AND s.expires_at > now()",
            (token_hash,),
        )
        row = await cursor.fetchone()
        return None if row is None else (row["key_hash"], row["expires_at"])

    async def remove_session(self, token_hash: bytes) -> None:
        """Remove a session; no error if there is none."""
        await self._connection.execute(
            "DELETE FROM console_sessions WHERE token_hash = %s", (token_hash,)
        )

    async def add_link(self, token_hash: bytes, key_id: UUID, lifetime: timedelta) -> None:
        """Store a link of a key, and remove those that have ended."""
        await self._connection.execute("DELETE FROM console_links WHERE expires_at <= now()")
        await self._connection.execute(
            "INSERT INTO console_links (token_hash, key_id, expires_at)"
            " VALUES (%s, %s, now() + %s)",
            (token_hash, key_id, lifetime),
        )

    async def take_link(self, token_hash: bytes) -> bytes | None:
        """Remove a link and return the hash of its key; None if it is unknown or has ended.

        Of concurrent calls one gets the key.
        """
        cursor = await self._connection.execute(
            "DELETE FROM console_links l USING api_keys k"
            " WHERE l.token_hash = %s AND l.expires_at > now() AND k.id = l.key_id"
            " RETURNING k.key_hash",
            (token_hash,),
        )
        row = await cursor.fetchone()
        return None if row is None else bytes(row["key_hash"])
