"""The account: ``client.tenant``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from aion._paths import segment
from aion._shape import list_of
from aion.resources._base import Resource, given, require
from aion.types.tenant import MemberRole, TenantLimits, TenantMember, TenantSettings
from aion.types.vocabularies import DefaultVocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence


class TenantResource(Resource):
    """Settings, members and limits of the account."""

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
        retention_days: dict[str, int | None] | None = None,
    ) -> TenantSettings:
        """Change what is given, leave the rest.

        ``retention_days`` is replaced as a whole: ``pictures``, ``chat_sessions`` and
        ``request_log``, in days after which they are erased for good; what is not named is kept.

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
            retention_days=retention_days,
        )
        require(bool(change), "give at least one setting", "name")
        answer = await self._http.json("PATCH", "/tenant/settings", json=change)
        return TenantSettings.from_api_response(answer)

    async def list_members(self) -> list[TenantMember]:
        """The owner, then all members in the order in which they joined."""
        answer = await self._http.json("GET", "/tenant/members")
        return [TenantMember.from_api_response(each) for each in list_of(answer)]

    async def invite_member(self, email: str, *, role: str = "viewer") -> TenantMember:
        """Make a member, and a key for them: ``api_key`` of the result, shown this once.

        Args:
            email: their address; nothing is sent to it.
            role: ``viewer``, ``editor`` or ``admin``.

        Raises:
            ValidationError: no address, a member's already, or no such role.
            AionvisionPermissionError: the key may not do that.
        """
        body = {"email": email, "role": _assignable(role)}
        answer = await self._http.json("POST", "/tenant/members/invite", json=body)
        return TenantMember.from_api_response(answer)

    async def update_member_role(self, user_id: str, role: str) -> TenantMember:
        """Change what a member, and their keys, may do.

        Raises:
            ValidationError: no such role.
            ResourceNotFoundError: there is no such member.
            AionvisionPermissionError: it is the owner, or the key may not do that.
        """
        path, body = f"{_member(user_id)}/role", {"role": _assignable(role)}
        return TenantMember.from_api_response(await self._http.json("PATCH", path, json=body))

    async def remove_member(self, user_id: str) -> dict[str, Any]:
        """Remove a member, and end their keys; ``["detail"]`` says so.

        Raises:
            ResourceNotFoundError: there is no such member.
            AionvisionPermissionError: it is the owner or oneself, or the key may not do that.
        """
        answer: dict[str, Any] = await self._http.json("DELETE", _member(user_id))
        return answer

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


def _member(user_id: str) -> str:
    require(bool(user_id), "give an id", "user_id")
    return f"/tenant/members/{segment(user_id)}"


def _assignable(role: str) -> str:
    roles = [each.value for each in MemberRole if each is not MemberRole.OWNER]
    require(role in roles, f"one of {', '.join(roles)}", "role")
    return MemberRole(role).value
