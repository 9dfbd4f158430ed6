"""Routes of ``/escalation-policies``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from ocelli.api.aion.common import errors, resource_router
from ocelli.api.aion.policies import mapping, schemas
from ocelli.api.auth import CurrentKey, CurrentServices
from ocelli.api.policy import requires
from ocelli.domain.escalation import MAX_NAME
from ocelli.domain.scopes import KeyRole

router = resource_router("/escalation-policies", tag="escalation policies")

PolicyId = Annotated[
    str, Path(max_length=MAX_NAME, description="The id, or the name.", examples=["careful"])
]


@router.post("", summary="Store an escalation policy", responses=errors(409))
@requires(KeyRole.WRITE, stores=True)
async def store_policy(
    body: schemas.StorePolicy, key: CurrentKey, services: CurrentServices
) -> schemas.PolicyOut:
    """It takes the place of the policy of this name, whose spending stays.

    A default policy takes the place of the earlier default.
    """
    stored = await services.policies.store(
        key.tenant.id, body.name, mapping.to_policy(body), is_default=body.is_default
    )
    return mapping.policy(stored)


@router.get("", summary="List escalation policies", responses=errors())
@requires(KeyRole.READ)
async def list_policies(key: CurrentKey, services: CurrentServices) -> schemas.PolicyList:
    """All of them, by name, with what they spent this month."""
    found = await services.policies.all(key.tenant.id)
    return schemas.PolicyList(policies=[mapping.policy(each) for each in found])


@router.get("/{policy_id}", summary="Get an escalation policy", responses=errors(404))
@requires(KeyRole.READ)
async def get_policy(
    policy_id: PolicyId, key: CurrentKey, services: CurrentServices
) -> schemas.PolicyOut:
    """With what it spent this month."""
    return mapping.policy(await services.policies.get(key.tenant.id, policy_id))


@router.delete(
    "/{policy_id}",
    summary="Delete an escalation policy",
    status_code=204,
    responses=errors(404),
)
@requires(KeyRole.WRITE)
async def delete_policy(policy_id: PolicyId, key: CurrentKey, services: CurrentServices) -> None:
    """Pictures that wait for it keep the first step's answer, and say so."""
    await services.policies.delete(key.tenant.id, policy_id)
