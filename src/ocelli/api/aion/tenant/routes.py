"""Routes of ``/tenant``: settings, storage of one's own, the vocabulary of requests without one."""

from __future__ import annotations

from fastapi import Request

from ocelli.api.aion.common import errors, resource_router
from ocelli.api.aion.tenant import mapping, schemas
from ocelli.api.auth import CurrentKey, CurrentServices, client_address
from ocelli.api.policy import requires
from ocelli.domain.audit import Actor
from ocelli.domain.choosing import Mode
from ocelli.domain.scopes import KeyRole

router = resource_router("/tenant", tag="tenant")


@router.get("/settings", summary="Get the settings", responses=errors())
@requires(KeyRole.READ, "tenants:read")
async def get_settings(key: CurrentKey, services: CurrentServices) -> schemas.TenantSettings:
    """What the tenant says of itself, and what its plan says of it."""
    found = await services.tenant_settings.get(key.tenant.id)
    return mapping.settings(found, key.tenant, services.quota.limits(key.tenant))


@router.patch("/settings", summary="Change the settings", responses=errors())
@requires(KeyRole.ADMIN, "tenants:write", per_minute=10)
async def update_settings(
    request: Request,
    body: schemas.TenantSettingsChange,
    key: CurrentKey,
    services: CurrentServices,
) -> schemas.TenantSettings:
    """What is absent or null stays. Limits are the operator's to set, and passed over here.

    `webhook_url` is called for batches that name none, within seconds. Providers and domains are
    kept for clients: which backends answer, and which origins may call, the operator decides.
    """
    change = mapping.settings_change(body)
    found = await services.tenant_settings.change(key, change, client_address(request))
    return mapping.settings(found, key.tenant, services.quota.limits(key.tenant))


@router.post("/s3-config", summary="Use a bucket of your own", responses=errors(400))
@requires(KeyRole.ADMIN, "cloud_storage:write", per_minute=5)
async def configure_s3(
    request: Request, body: schemas.S3Config, key: CurrentKey, services: CurrentServices
) -> schemas.S3ConfigStatus:
    """For uploads with `storage_target=custom`. A small object is written, read and removed first:
    a bucket that does not allow this is refused, and what was configured before stays.

    The credentials are kept encrypted and never given back. To rotate them, send the same bucket
    again. Pictures stay in the bucket that they were stored in: while another one is configured,
    those of the first cannot be reached.
    """
    config = await services.custom_storage.configure(
        Actor.of(key, client_address(request)), mapping.bucket(body), mapping.credentials(body)
    )
    return mapping.s3_config(config, tried=True)


@router.get("/s3-config", summary="Which bucket is configured", responses=errors())
@requires(KeyRole.READ, "cloud_storage:read")
async def get_s3_config(key: CurrentKey, services: CurrentServices) -> schemas.S3ConfigStatus:
    """Without its credentials."""
    return mapping.s3_config(await services.custom_storage.get(key.tenant.id))


@router.post("/s3-config/validate", summary="Try the bucket", responses=errors())
@requires(KeyRole.ADMIN, "cloud_storage:write", per_minute=10)
async def validate_s3(key: CurrentKey, services: CurrentServices) -> schemas.S3Validation:
    """A small object is written, read and removed. Changes nothing that is configured."""
    return mapping.s3_validation(*await services.custom_storage.validate(key.tenant.id))


@router.delete("/s3-config", summary="Forget the bucket", responses=errors())
@requires(KeyRole.ADMIN, "cloud_storage:delete", per_minute=5)
async def remove_s3(
    request: Request, key: CurrentKey, services: CurrentServices
) -> schemas.S3Removed:
    """What is in it stays there, and cannot be reached from here until it is configured again."""
    removed = await services.custom_storage.remove(Actor.of(key, client_address(request)))
    return schemas.S3Removed(
        removed=removed,
        message="The bucket was forgotten; its content is untouched."
        if removed
        else "No bucket was configured.",
    )


@router.put("/vocabulary", summary="Set the default vocabulary", responses=errors(400, 404))
@requires(KeyRole.ADMIN)
async def set_default_vocabulary(
    body: schemas.DefaultVocabularyChange, key: CurrentKey, services: CurrentServices
) -> schemas.DefaultVocabulary:
    """Uploads, `/describe`, its batches, and descriptions made again choose tags from it, within
    seconds. A request can name another one, or say `vocabulary_mode=off`.

    Tags of `/api/fetch` and of conversations are not chosen. If the vocabulary is deleted there is
    no default any more.
    """
    return mapping.default_vocabulary(
        await services.vocabularies.set_default(key.tenant, body.vocabulary, Mode(body.mode))
    )


@router.get("/vocabulary", summary="Get the default vocabulary", responses=errors())
@requires(KeyRole.READ)
async def get_default_vocabulary(
    key: CurrentKey, services: CurrentServices
) -> schemas.DefaultVocabulary:
    """With nulls if there is none."""
    return mapping.default_vocabulary(await services.vocabularies.default(key.tenant.id))


@router.delete(
    "/vocabulary", summary="Choose no tags by default", status_code=204, responses=errors()
)
@requires(KeyRole.ADMIN)
async def remove_default_vocabulary(key: CurrentKey, services: CurrentServices) -> None:
    """The vocabulary itself stays."""
    await services.vocabularies.set_default(key.tenant, None, Mode.OFF)
