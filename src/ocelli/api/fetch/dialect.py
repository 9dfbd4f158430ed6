"""``/api/fetch``, ``/api/response`` and ``/api/credits``.

What is unknown below ``/api/`` is answered in their shape too: their clients mistype.
"""

from __future__ import annotations

from functools import partial

from ocelli.api.cors import CrossOrigin
from ocelli.api.dialects import Dialect
from ocelli.api.documented import add_components
from ocelli.api.fetch import errors
from ocelli.api.fetch.routes import router

_CORS = CrossOrigin(
    allowed="X-API-Key, Authorization, Content-Type", methods="GET, POST, OPTIONS", always=True
)

DIALECT = Dialect(
    prefixes=("/api/",),
    router=router,
    errors=errors,
    add_headers=_CORS.add_headers,
    preflight=_CORS.preflight,
    document=partial(add_components, [errors.ErrorAnswer]),
)
