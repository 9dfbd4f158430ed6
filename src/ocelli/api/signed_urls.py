"""Downloads from, and uploads to, signed URLs of the folder store."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from ocelli.api.auth import CurrentServices
from ocelli.api.multipart import FRAMING, FilePart, check_content_length, stream_body_to
from ocelli.api.policy import public
from ocelli.domain.errors import Conflict, MalformedRequest, NotAllowed, NotFound, Unavailable

router = APIRouter(include_in_schema=False)

_TWICE = "A file was sent to this URL already; it can be used once."


@router.api_route("/objects/{key:path}", methods=["GET", "HEAD"])
@public
async def get_object(key: str, request: Request, services: CurrentServices) -> Response:
    """No key needed: the signature is the permission. Wrong or expired ones look like nothing."""
    query = dict(request.query_params)
    folder = services.signed_folder
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


@router.put("/objects/{key:path}")
@public
async def put_object(key: str, request: Request, services: CurrentServices) -> Response:
    """The raw body becomes the object: once, whole or not at all.

    The signature is the permission. It names the type, the largest size and the time; a client
    need not send a type, but must not send another one.
    """
    query = dict(request.query_params)
    folder = services.signed_folder
    if folder is None or not folder.allows("PUT", key, query):
        raise NotAllowed("This URL is not valid, or no longer. Ask for a new one.")
    given = request.headers.get("content-type", query["type"]).partition(";")[0].strip().lower()
    if given != query["type"].lower():
        raise NotAllowed(f"This URL is for {query['type']}, not for {given}.")
    max_bytes = int(query["size"])
    limit = max_bytes + max_bytes // 4 + FRAMING  # beyond, the client would not see the answer
    check_content_length(request, limit)
    if folder.path(key).exists():
        raise Conflict(_TWICE)
    try:
        with services.new_blob(max_bytes=max_bytes) as staged:
            part = FilePart(staged)
            await stream_body_to(request, part.write, limit)
            if part.error is not None:
                raise part.error
            if not staged.size:
                raise MalformedRequest("The body is empty.", field="body")
            await folder.put_once(key, staged)
    except FileExistsError:
        raise Conflict(_TWICE) from None
    except OSError as error:
        raise Unavailable("The file cannot be stored right now. Try again later.") from error
    return Response(headers={"ETag": f'"{staged.sha256}"'})
