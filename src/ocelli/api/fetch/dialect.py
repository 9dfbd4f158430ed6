"""``/api/fetch``, ``/api/response`` and ``/api/credits``.

What is unknown below ``/api/`` is answered in their shape too: their clients mistype.
"""

from __future__ import annotations

from functools import partial

from ocelli.api.dialects import Dialect
from ocelli.api.documented import add_components
from ocelli.api.fetch import cors, errors
from ocelli.api.fetch.routes import router

DIALECT = Dialect(
    prefixes=("/api/",),
    router=router,
    errors=errors,
    add_headers=cors.add_headers,
    preflight=cors.preflight,
    document=partial(add_components, [errors.ErrorAnswer]),
)
