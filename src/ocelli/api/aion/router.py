"""All of ``/api/v2``."""

from __future__ import annotations

from fastapi import APIRouter

from ocelli.api.aion.files import routes as files
from ocelli.api.aion.uploads import routes as uploads

router = APIRouter(prefix="/api/v2")
router.include_router(uploads.router)
router.include_router(files.router)
