"""What clients of ``/api/v2`` ask most often; see ``ocelli.api.short``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastapi.responses import Response

from ocelli.api.aion.sessions.routes import session_status
from ocelli.api.aion.uploads.routes import upload_status, upload_stream
from ocelli.api.short import Short

if TYPE_CHECKING:
    from fastapi import Request

    from ocelli.api.services import Services
    from ocelli.domain.accounts import ApiKey

_ID = "([0-9a-f]{8}(?:(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})?)"


async def _upload(request: Request, _: re.Match[str], key: ApiKey, mine: Services) -> Response:
    answer = await upload_stream(request, key, mine)
    return Response(answer.model_dump_json(), media_type="application/json")


WAYS = (
    Short.poll(re.compile(f"/api/v2/uploads/sessions/{_ID}/status"), session_status),
    Short.poll(re.compile(f"/api/v2/uploads/status/{_ID}"), upload_status),
    Short("POST", re.compile("/api/v2/user-files/upload/stream"), upload_stream, _upload),
)
