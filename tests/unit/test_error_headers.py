"""Every surface says in the same headers how to authenticate, and when to come again."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from ocelli.api.dialects import dialects
from ocelli.domain.errors import InvalidKey, NotInTime, OcelliError, RateLimited


@pytest.mark.parametrize(
    "error", [RateLimited("slower", retry_after=7), NotInTime("later"), InvalidKey("who?")]
)
def test_headers_of_errors(error: OcelliError) -> None:
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    request = Request({**scope, "server": ("test", 80), "scheme": "http"})
    request.state.request_id = "id"
    for dialect in dialects():
        headers = dialect.errors.render(request, error).headers
        again = None if error.retry_after is None else str(error.retry_after)
        assert headers.get("Retry-After") == again
        assert ("WWW-Authenticate" in headers) is (error.status == 401)
