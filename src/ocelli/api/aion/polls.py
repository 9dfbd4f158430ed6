"""What clients of ``/api/v2`` poll; see ``ocelli.api.polls``."""

from __future__ import annotations

import re

from ocelli.api.aion import errors
from ocelli.api.aion.sessions.routes import session_status
from ocelli.api.aion.uploads.routes import upload_status
from ocelli.api.polls import Poll

_ID = "([0-9a-f]{8}(?:(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})?)"

POLLS = (
    Poll(
        re.compile(f"/api/v2/uploads/sessions/{_ID}/status"),
        session_status,
        errors.render,
    ),
    Poll(re.compile(f"/api/v2/uploads/status/{_ID}"), upload_status, errors.render),
)
