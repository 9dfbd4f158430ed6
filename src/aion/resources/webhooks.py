"""Events posted to addresses of one's own: ``client.webhooks``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aion._paths import segment
from aion.resources._base import Resource, given, pages, require
from aion.types.webhooks import (
    Webhook,
    WebhookDelivery,
    WebhookDeliveryList,
    WebhookList,
    WebhookSecret,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


class WebhooksResource(Resource):
    """Register webhooks, and see what was delivered; that needs a key with the scope ``admin``."""

    async def create(
        self,
        url: str,
        *,
        event_types: Sequence[str] = (),
        description: str | None = None,
    ) -> WebhookSecret:
        """Register an address. Keep its ``secret``: it cannot be had again.

        Args:
            url: where events are posted to.
            event_types: such as ``image.described``; by default all.
            description: what it is for.

        Raises:
            ValidationError: no address, or an unknown event type.
        """
        body = given(url=url, event_types=[*event_types], description=description)
        answer = await self._http.json("POST", "/webhooks", json=body)
        return WebhookSecret.from_api_response(answer)

    async def list(self) -> list[Webhook]:
        """All of them, oldest first."""
        return WebhookList.from_api_response(await self._http.json("GET", "/webhooks")).webhooks

    async def get(self, webhook_id: str) -> Webhook:
        """One, and whether it fails or is disabled.

        Raises:
            ResourceNotFoundError: no such webhook.
        """
        return Webhook.from_api_response(await self._http.json("GET", _path(webhook_id)))

    async def update(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        event_types: Sequence[str] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Webhook:
        """Change what is given, leave the rest; ``enabled`` also undoes that it was disabled.

        Raises:
            ValidationError: nothing is given, or nothing that can be.
            ResourceNotFoundError: no such webhook.
        """
        types = None if event_types is None else [*event_types]
        change = given(url=url, event_types=types, description=description, enabled=enabled)
        require(bool(change), "give a url, event_types, a description or enabled", "url")
        answer = await self._http.json("PATCH", _path(webhook_id), json=change)
        return Webhook.from_api_response(answer)

    async def delete(self, webhook_id: str) -> None:
        """Delete one, with what is still to be delivered to it.

        Raises:
            ResourceNotFoundError: no such webhook.
        """
        await self._http.json("DELETE", _path(webhook_id))

    async def rotate_secret(
        self, webhook_id: str, *, expire_after_seconds: int = 86_400
    ) -> WebhookSecret:
        """Make a new secret; for so long the earlier ones sign too.

        Raises:
            ResourceNotFoundError: no such webhook.
        """
        body = {"expire_after_seconds": expire_after_seconds}
        answer = await self._http.json("POST", _path(webhook_id, "rotate-secret"), json=body)
        return WebhookSecret.from_api_response(answer)

    async def send_test(self, webhook_id: str) -> WebhookDelivery:
        """Have a ``webhook.test`` posted; ``deliveries`` says what became of it.

        Raises:
            ResourceNotFoundError: no such webhook.
        """
        answer = await self._http.json("POST", _path(webhook_id, "test"))
        return WebhookDelivery.from_api_response(answer)

    async def deliveries(
        self, webhook_id: str, *, status: str | None = None, limit: int = 50
    ) -> WebhookDeliveryList:
        """The newest deliveries of the last seven days, 1 to 100 of them.

        Args:
            webhook_id: whose.
            status: ``pending``, ``delivered`` or ``failed``; by default all.
            limit: how many.

        Raises:
            ResourceNotFoundError: no such webhook.
        """
        return await self._page(webhook_id, status, limit)

    async def _page(
        self, webhook_id: str, status: str | None, limit: int, cursor: str | None = None
    ) -> WebhookDeliveryList:
        require(1 <= limit <= 100, "limit must be from 1 to 100", "limit")
        params = given(status=status, limit=limit, cursor=cursor)
        answer = await self._http.json("GET", _path(webhook_id, "deliveries"), params=params)
        return WebhookDeliveryList.from_api_response(answer)

    async def all_deliveries(
        self, webhook_id: str, *, status: str | None = None, page_size: int = 50
    ) -> AsyncIterator[WebhookDelivery]:
        """All deliveries, newest first: ``async for delivery in …``."""

        async def fetch(
            where: dict[str, Any],
        ) -> tuple[Sequence[WebhookDelivery], bool, str | None]:
            page = await self._page(webhook_id, status, page_size, where.get("cursor"))
            return page.deliveries, False, page.next_cursor

        async for delivery in pages(fetch):
            yield delivery

    async def replay(self, webhook_id: str, delivery_id: str) -> WebhookDelivery:
        """Deliver again, with the same id and body.

        Raises:
            ResourceNotFoundError: no such delivery.
        """
        path = _path(webhook_id, "deliveries", delivery_id, "replay")
        return WebhookDelivery.from_api_response(await self._http.json("POST", path))


def _path(*parts: str) -> str:
    return "/".join(["/webhooks", *map(segment, parts)])
