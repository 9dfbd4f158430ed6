"""What clients of ``/api/fetch`` poll; see ``ocelli.api.polls``."""

from __future__ import annotations

import re

from ocelli.api.fetch import errors
from ocelli.api.fetch.routes import fetch_response
from ocelli.api.polls import Poll

POLLS = (
    Poll(
        re.compile("/api/response/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"),
        fetch_response,
        errors.render,
    ),
)
