"""The account: ``client.tenant``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from aion.resources._base import Resource, given, require
from aion.types.tenant import TenantLimits, TenantSettings
from aion.types.vocabularies import DefaultVocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence


class TenantResource(Resource):
    """Settings and limits of the account."""

    async def get_settings(self) -> TenantSettings:
        """All settings."""
        return TenantSettings.from_api_response(await self._http.json("GET", "/tenant/settings"))

    async def update_settings(
        self,
        *,
        name: str | None = None,
        webhook_url: str | None = None,
        allowed_vlm_providers: Sequence[str] | None = None,
        allowed_domains: Sequence[str] | None = None,
        max_monthly_credits: int | None = None,
        max_requests_per_minute: int | None = None,
        custom_config: dict[str, Any] | None = None,
    ) -> TenantSettings:
        """Change what is given, leave the rest.

        Raises:
            ValidationError: nothing is given, or the server refuses a value.
            AionvisionPermissionError: the key is not an administrator's.
        """
        change = given(
            name=name,
            webhook_url=webhook_url,
            allowed_vlm_providers=allowed_vlm_providers and list(allowed_vlm_providers),
            allowed_domains=allowed_domains and list(allowed_domains),
            max_monthly_credits=max_monthly_credits,
            max_requests_per_minute=max_requests_per_minute,
            custom_config=custom_config,
        )
        require(bool(change), "give at least one setting", "name")
        answer = await self._http.json("PATCH", "/tenant/settings", json=change)
        return TenantSettings.from_api_response(answer)

    async def get_vocabulary(self) -> DefaultVocabulary:
        """The vocabulary that tags are chosen from where a request names none."""
        answer = await self._http.json("GET", "/tenant/vocabulary")
        return DefaultVocabulary.from_api_response(answer)

    async def set_vocabulary(
        self, vocabulary: str, *, mode: Literal["strict", "prefer"] = "strict"
    ) -> DefaultVocabulary:
        """Choose tags from it wherever a request names no other; requests follow within seconds.

        Args:
            vocabulary: its id or name.
            mode: ``strict``: only its terms; ``prefer``: others too, as new.

        Raises:
            ResourceNotFoundError: there is no such vocabulary.
            AionvisionPermissionError: the key is not an administrator's.
        """
        body = {"vocabulary": vocabulary, "mode": mode}
        answer = await self._http.json("PUT", "/tenant/vocabulary", json=body)
        return DefaultVocabulary.from_api_response(answer)

    async def remove_vocabulary(self) -> None:
        """Choose no tags where a request names no vocabulary. The vocabulary itself stays.

        Raises:
            AionvisionPermissionError: the key is not an administrator's.
        """
        await self._http.json("DELETE", "/tenant/vocabulary")

    async def get_limits(self) -> TenantLimits:
        """What may be used, what is used, what is left."""
        return TenantLimits.from_api_response(await self._http.json("GET", "/tenant/limits"))
