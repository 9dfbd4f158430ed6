"""Second looks where they are needed: ``client.escalation_policies``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aion._paths import segment
from aion.resources._base import Resource, given, require
from aion.types.escalation import EscalationPolicy, EscalationPolicyList

if TYPE_CHECKING:
    from collections.abc import Mapping


class EscalationPoliciesResource(Resource):
    """Store policies, look at them and at what they spent, and delete them.

    A policy is named by its id or its name.
    """

    async def list(self) -> list[EscalationPolicy]:
        """All policies, by name, with what they spent this month."""
        answer = await self._http.json("GET", "/escalation-policies")
        return EscalationPolicyList.from_api_response(answer).policies

    async def get(self, policy: str) -> EscalationPolicy:
        """One policy, with what it spent this month.

        Raises:
            ResourceNotFoundError: there is none.
        """
        path = f"/escalation-policies/{segment(policy)}"
        return EscalationPolicy.from_api_response(await self._http.json("GET", path))

    async def store(
        self,
        name: str,
        *,
        second: Mapping[str, Any],
        when: Mapping[str, Any],
        budget: Mapping[str, Any],
        first: Mapping[str, Any] | None = None,
        calibration: Mapping[str, Any] | None = None,
        is_default: bool = False,
    ) -> EscalationPolicy:
        """Store a policy in the place of the one with this name, whose spending stays.

        Args:
            name: letters, digits, dots, dashes and underlines.
            second: who looks again: ``{"backend": "openai", "level": "critical"}``.
            when: what is doubtful, at least one of ``confidence_below`` (0 to 1),
                ``disputed_claims``, ``kinds`` (``text``, ``people``, ``products``).
            budget: for a month, at least one of ``calls``, ``credits``, ``share``.
            first: who describes first; by default the server's own backend, quick.
            calibration: what ``ocelli eval --policy`` found.
            is_default: whether it counts where no level, backend or policy is given.

        Raises:
            ValidationError: a value outside these, an unknown backend, or equal steps.
        """
        require(bool(budget), "give a budget: calls, credits or share", "budget")
        body = given(
            name=name,
            first=first and dict(first),
            second=dict(second),
            when=dict(when),
            budget=dict(budget),
            calibration=calibration and dict(calibration),
            is_default=is_default,
        )
        return EscalationPolicy.from_api_response(
            await self._http.json("POST", "/escalation-policies", json=body)
        )

    async def delete(self, policy: str) -> None:
        """Delete a policy; pictures that wait for it keep the first step's answer.

        Raises:
            ResourceNotFoundError: there is none.
        """
        await self._http.json("DELETE", f"/escalation-policies/{segment(policy)}")
