"""PhotoPrism's vision service below ``/api/v1/vision``."""

from __future__ import annotations

from ocelli.api.dialects import Dialect
from ocelli.api.photoprism import errors
from ocelli.api.photoprism.routes import PREFIX, document, router

DIALECT = Dialect(prefixes=(PREFIX,), router=router, errors=errors, document=document)
