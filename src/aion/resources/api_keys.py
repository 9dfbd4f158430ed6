"""Keys of the account: ``client.api_keys``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aion._paths import segment
from aion.resources._base import Resource, flag, given, moment, pages, require
from aion.types.api_keys import ApiKey, ApiKeyList, CreatedApiKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import date


class ApiKeysResource(Resource):
    """Make, list, change and end keys; that needs a key with the scope ``admin``."""

    async def create(
        self,
        name: str,
        *,
        description: str | None = None,
        scopes: Sequence[str] | None = None,
        expires_at: date | str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> CreatedApiKey:
        """Make a key. Keep its ``api_key``: it cannot be had again.

        Args:
            name: what it is for.
            description: more about it.
            scopes: ``read``, ``write``, ``admin`` or ``resource:permission``; by default those of
                the key that asks, and never more.
            expires_at: when it ends; by default never.
            metadata: anything of your own.

        Raises:
            AionvisionPermissionError: the key that asks may not, or may less.
            ValidationError: an unknown scope, or a time that is past.
        """
        body = given(
            name=name,
            description=description,
            scopes=None if scopes is None else [*scopes],
            expires_at=moment(expires_at),
            metadata=metadata,
        )
        return CreatedApiKey.from_api_response(
            await self._http.json("POST", "/api-keys", json=body)
        )

    async def list(
        self, *, include_inactive: bool = False, limit: int = 50, offset: int = 0
    ) -> ApiKeyList:
        """One page of keys, newest first.

        Args:
            include_inactive: whether ended and expired ones count.
            limit: 1 to 100.
            offset: how many to pass over.
        """
        return await self._page(include_inactive, limit, offset=offset)

    async def _page(self, include_inactive: bool, limit: int, **where: Any) -> ApiKeyList:
        require(1 <= limit <= 100, "limit must be from 1 to 100", "limit")
        params = {"include_inactive": flag(include_inactive), "limit": limit, **where}
        return ApiKeyList.from_api_response(
            await self._http.json("GET", "/api-keys", params=params)
        )

    async def list_all(
        self, *, include_inactive: bool = False, page_size: int = 50
    ) -> AsyncIterator[ApiKey]:
        """All keys, newest first: ``async for key in …``."""

        async def fetch(where: dict[str, Any]) -> tuple[Sequence[ApiKey], bool, str | None]:
            page = await self._page(include_inactive, page_size, **where)
            return page.api_keys, False, page.next_cursor

        async for key in pages(fetch):
            yield key

    async def get(self, key_id: str) -> ApiKey:
        """One key, active or not.

        Raises:
            ResourceNotFoundError: no such key.
        """
        return ApiKey.from_api_response(
            await self._http.json("GET", f"/api-keys/{segment(key_id)}")
        )

    async def update(
        self,
        key_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> ApiKey:
        """Change what is given, leave the rest. ``metadata`` is merged into what is there.

        Raises:
            ValidationError: nothing is given.
            ResourceNotFoundError: no such key.
        """
        change = given(name=name, description=description, metadata=metadata)
        require(bool(change), "give a name, a description or metadata", "name")
        answer = await self._http.json("PUT", f"/api-keys/{segment(key_id)}", json=change)
        return ApiKey.from_api_response(answer)

    async def delete(self, key_id: str, *, reason: str | None = None) -> None:
        """End a key, within two seconds; it stays in lists of inactive ones.

        Raises:
            ResourceNotFoundError: no such key.
        """
        params = given(reason=reason)
        await self._http.json("DELETE", f"/api-keys/{segment(key_id)}", params=params)
