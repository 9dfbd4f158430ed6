"""Which dialect a path speaks: it decides the shape of errors, the framework's included."""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING, Protocol

from ocelli.api.aion import errors as aion_errors
from ocelli.api.chat import errors as chat_errors
from ocelli.api.chat.headers import PREFIXES as CHAT
from ocelli.api.fetch import errors as fetch_errors
from ocelli.domain.errors import Unavailable

if TYPE_CHECKING:
    from fastapi import Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse

    from ocelli.domain.errors import OcelliError


class Dialect(Protocol):
    """The module ``errors`` of a dialect."""

    def render(self, request: Request, error: OcelliError) -> JSONResponse:
        """An error of ours."""
        ...

    def render_validation(self, request: Request, error: RequestValidationError) -> JSONResponse:
        """A parameter or body that FastAPI refused."""
        ...

    def render_status(
        self,
        request: Request,
        status: int,
        message: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> JSONResponse:
        """An error that only has a status, such as the framework's 404 and 405."""
        ...


log = logging.getLogger(__name__)

# By the beginning of the path; the first that fits.
_SURFACES: tuple[tuple[str, Dialect], ...] = (
    ("/api/v2", aion_errors),
    ("/api/", fetch_errors),
    *((prefix, chat_errors) for prefix in CHAT),
)


def dialect_of(request: Request) -> Dialect:
    """The dialect of this request; what belongs to none speaks that of ``/api/v2``."""
    path = request.url.path
    return next((each for prefix, each in _SURFACES if path.startswith(prefix)), aion_errors)


def no_room(request: Request, error: OSError) -> Unavailable:
    """A full disk is the server's fault, not the client's, and may pass. Others are raised."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    log.error("the disk is full, request %s", request.state.request_id)
    return Unavailable("There is no room to store this now. Try again later.")
