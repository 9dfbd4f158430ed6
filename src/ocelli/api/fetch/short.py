"""What clients of ``/api/fetch`` poll; see ``ocelli.api.short``."""

from __future__ import annotations

import re

from ocelli.api.fetch.routes import fetch_response
from ocelli.api.short import Short

_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

WAYS = (Short.poll(re.compile(f"/api/response/({_ID})"), fetch_response),)
