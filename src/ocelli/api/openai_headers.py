"""Headers of the answers: limits as OpenAI calls them, and leave for browsers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ocelli.api.cors import CrossOrigin

if TYPE_CHECKING:
    from starlette.types import Scope

CORS = CrossOrigin(
    exposed=b"x-request-id, openai-processing-ms, retry-after, x-ratelimit-limit-requests, "
    b"x-ratelimit-remaining-requests, x-ratelimit-reset-requests"
)


def add_headers(scope: Scope, headers: list[tuple[bytes, bytes]]) -> None:
    """Complete the ``headers`` of an answer to this request."""
    rate = scope["state"].get("rate")
    if rate is not None:
        left = max(0, round(rate.reset - time.time()))
        headers += [
            (b"x-ratelimit-limit-requests", b"%d" % rate.limit),
            (b"x-ratelimit-remaining-requests", b"%d" % rate.remaining),
            (b"x-ratelimit-reset-requests", duration(left)),
        ]
    CORS.add_headers(scope, headers)


def duration(seconds: int) -> bytes:
    """Return a duration as OpenAI writes it.

    >>> duration(7), duration(360)
    (b'7s', b'6m0s')
    """
    minutes, seconds = divmod(seconds, 60)
    return b"%dm%ds" % (minutes, seconds) if minutes else b"%ds" % seconds
