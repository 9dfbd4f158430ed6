"""All of ``/api/v2``."""

from __future__ import annotations

from fastapi import APIRouter

from ocelli.api.aion.colors import routes as colors
from ocelli.api.aion.data import routes as data
from ocelli.api.aion.describe import routes as describe
from ocelli.api.aion.files import routes as files
from ocelli.api.aion.keys import routes as keys
from ocelli.api.aion.presigned import routes as presigned
from ocelli.api.aion.sessions import routes as sessions
from ocelli.api.aion.tenant import routes as tenant
from ocelli.api.aion.uploads import routes as uploads
from ocelli.api.aion.usage import routes as usage

router = APIRouter(prefix="/api/v2")
router.include_router(uploads.router)
router.include_router(presigned.router)
router.include_router(sessions.router)
router.include_router(usage.router)
router.include_router(files.router)
router.include_router(colors.router)
router.include_router(data.router)
router.include_router(describe.router)
router.include_router(tenant.router)
router.include_router(keys.router)
