"""Serve what a signed URL of the folder store names."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from ocelli.api.auth import CurrentServices
from ocelli.domain.errors import NotFound

router = APIRouter(include_in_schema=False)


@router.api_route("/objects/{key:path}", methods=["GET", "HEAD"])
async def get_object(key: str, request: Request, mine: CurrentServices) -> Response:
    """No key needed: the signature is the permission. Wrong or expired ones look like nothing."""
    query = dict(request.query_params)
    folder = mine.signed_folder
    if folder is None or not folder.allows("GET", key, query):
        raise NotFound("Object", "this URL is not valid, or no longer")
    path = folder.path(key)
    if not path.is_file():
        raise NotFound("Object", "its file is gone")
    headers = {
        "Cache-Control": "private, max-age=3600",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if "name" in query:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(query['name'])}"
    return FileResponse(path, media_type=query["type"], headers=headers)
