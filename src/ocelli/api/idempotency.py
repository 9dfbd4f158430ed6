"""The header ``Idempotency-Key``: a repeated POST gets the stored answer and is not run again.

Two halves. ``begin`` runs with authentication, before the route: it finds the earlier answer or
takes a ticket. ``StoreAnswers`` is around the application: it sees what is answered to a request
that holds a ticket, and keeps that before the client has it all.

What counts as the same request: method, address, content type and body. The body of a form, or
one of unknown or great length, is not read for this: there its announced length has to do.
"""

from __future__ import annotations

import hashlib
import logging
import re
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.responses import Response

from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.errors import MalformedRequest
from ocelli.domain.idempotency import StoredAnswer

if TYPE_CHECKING:
    from uuid import UUID

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ocelli.usecases.idempotency import Idempotency, Ticket

log = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
PATTERN = r"^[\x21-\x7e]{1,255}$"
MAX_ANSWER_BYTES = 256 * 1024
MAX_BODY_BYTES = MEGABYTE

_KEY = re.compile(PATTERN)
_PARAMETER = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Any text of your choice, new for each new request, such as a UUID. The same "
    "request with the same key within an hour is answered as before (with the header "
    "`Idempotent-Replayed: true`) and not carried out again; another request with it is refused "
    "with 422, and 409 says that the first one is still running.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": PATTERN},
}
_STATUSES = {
    "400": "The request cannot be read.",
    "409": "The same request is being carried out, or its answer is not kept.",
}
# Routes read forms while they stream in: only their length is in the fingerprint.
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


class Replay(Exception):
    """Raised to send the stored answer; not an error."""

    def __init__(self, answer: StoredAnswer) -> None:
        super().__init__("answered before")
        self.answer = answer


async def begin(request: Request, keys: Idempotency, tenant_id: UUID) -> None:
    """Claim the request's key, if it has one. Raises Replay, and see Idempotency.begin."""
    key = request.headers.get(HEADER)
    if key is None or request.method != "POST":
        return
    if not _KEY.fullmatch(key):
        raise MalformedRequest(f"{HEADER} must be 1 to 255 visible ASCII characters.", field=HEADER)
    outcome = await keys.begin(tenant_id, key, await _fingerprint(request))
    if isinstance(outcome, StoredAnswer):
        raise Replay(outcome)
    request.state.ticket = outcome


async def replay(request: Request, error: Exception) -> Response:
    """Return the stored answer, as the exception handler of Replay."""
    del request
    assert isinstance(error, Replay)
    answer = error.answer
    headers = {"Idempotent-Replayed": "true"}
    if answer.content_type:
        headers["Content-Type"] = answer.content_type
    return Response(answer.body, answer.status, headers)


def document(schema: dict[str, Any]) -> None:
    """Add the header to the OpenAPI document, at each POST that needs an API key."""
    for item in schema["paths"].values():
        post = item.get("post", {})
        if "security" in post:
            post.setdefault("parameters", []).append(_PARAMETER)
            content = post["responses"]["401"]["content"]  # errors of this surface look like that
            for status, description in _STATUSES.items():
                post["responses"].setdefault(
                    status, {"description": description, "content": content}
                )


class StoreAnswers:
    """Middleware that stores answers of bounded size, and passes them on unchanged. Pure ASGI."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        recorder = _AnswerRecorder(scope, send)
        try:
            await self._app(scope, receive, recorder.send)
        finally:
            await recorder.close()


class _AnswerRecorder:
    """Records one answer."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._state = scope.setdefault("state", {})
        self._send = send
        self._status = 500
        self._headers = Headers()
        self._body: list[bytes] = []
        self._size = 0

    async def send(self, message: Message) -> None:
        """Pass ``message`` on; the last one only after the answer is stored."""
        if "ticket" in self._state:
            if message["type"] == "http.response.start":
                self._status = message["status"]
                self._headers = Headers(raw=message.get("headers", []))
            elif message["type"] == "http.response.body":
                self._add(message.get("body", b""))
                if not message.get("more_body", False):
                    await self._end(answered=True)
        await self._send(message)

    async def close(self) -> None:
        """Release the key if the answer was not complete."""
        await self._end(answered=False)

    def _add(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size <= MAX_ANSWER_BYTES:
            self._body.append(chunk)

    async def _end(self, *, answered: bool) -> None:
        ticket: Ticket | None = self._state.pop("ticket", None)
        if ticket is None:
            return
        try:
            if answered and self._status < 400:  # a refusal did nothing: the same key may try again
                await ticket.finish(self._answer())
            else:
                await ticket.release()
        except Exception as error:  # the answer goes out; the key is free again in a minute
            log.warning("an answer could not be kept for its %s: %s", HEADER, error)

    def _answer(self) -> StoredAnswer | None:
        """Return the answer to store; None if it is too large, or secret (``no-store``)."""
        secret = "no-store" in self._headers.get("cache-control", "")
        if secret or self._size > MAX_ANSWER_BYTES:
            return None
        return StoredAnswer(self._status, self._headers.get("content-type"), b"".join(self._body))


async def _fingerprint(request: Request) -> bytes:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    length = request.headers.get("content-length", "")
    readable = length.isdecimal() and int(length) <= MAX_BODY_BYTES
    if readable and content_type not in _FORMS:
        body = hashlib.sha256(await request.body()).hexdigest()
    else:
        body = length
    parts = (request.method, request.url.path, request.url.query, content_type, body)
    return hashlib.sha256("\n".join(parts).encode()).digest()
