"""Conversations with a configured backend: passed on as they are, wherever that is possible.

A request is sent as the client wrote it, byte for byte, unless something in it has to change: the
model's name, pictures that the backend cannot reach or that are too large for it, fields that it
spells otherwise. Answers are passed on as they come. Until the first byte of an answer, a backend
that fails is asked again, and then the next one; after it, nothing can be taken back.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocelli.domain.chat_errors import (
    ChatError,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.chat import PictureRef
    from ocelli.domain.ports_chat import ChatReply, ChatUpstream
    from ocelli.usecases.chat_pictures import Pictures
    from ocelli.usecases.metering import Metering

log = logging.getLogger(__name__)

OPERATION = "chat"
TOKEN_FIELDS = ("max_completion_tokens", "max_tokens")
TRIES = 2
PAUSE = 0.25

# Worth another try, at this backend or the next one.
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
# The request is at fault, and the backend says how.
_REFUSED = frozenset({400, 413, 415, 422})


@dataclass(frozen=True, slots=True)
class Relayed:
    """An answer that has begun. ``whole`` or, of a stream, ``pieces``; the caller closes it."""

    upstream: str
    content_type: str
    whole: bytes
    pieces: AsyncGenerator[bytes] | None
    close: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Passed:
    """A request as it came: ``read`` gives it decoded, a fresh copy, if it has to be changed.

    ``limits`` are those of TOKEN_FIELDS that it has, the one that wins first.
    """

    body: bytes
    read: Callable[[], dict[str, Any]]
    model: str
    pictures: Sequence[PictureRef]
    stream: bool
    limits: tuple[str, ...]
    request_id: str


class Relay:
    """Chooses nothing: the backends come in the order in which they are to be tried."""

    def __init__(self, pictures: Pictures, metering: Metering) -> None:
        self._pictures = pictures
        self._metering = metering

    async def open(
        self, tenant: Tenant, upstreams: Sequence[ChatUpstream], asked: Passed, *, max_bytes: int
    ) -> Relayed:
        """An answer whose first bytes are here. Raises ChatError, UsageLimitExceeded."""
        bodies: dict[str, bytes] = {}
        first = upstreams[0]
        bodies[first.name] = await self._body(tenant, first, asked, max_bytes)
        await self._metering.begin(tenant)
        started = time.perf_counter()
        try:
            for upstream in upstreams:
                last = upstream is upstreams[-1]
                if upstream.name not in bodies:
                    bodies[upstream.name] = await self._body(tenant, upstream, asked, max_bytes)
                try:
                    return await self._ask(tenant, upstream, bodies[upstream.name], asked, started)
                except (UpstreamUnavailable, UpstreamFailed) as error:
                    log.warning("backend %s: %s", upstream.name, error.message)
                    if last:
                        raise
            raise UpstreamUnavailable("No backend is configured.")
        except BaseException:
            self._end(tenant, started, succeeded=False)
            raise

    async def _ask(
        self, tenant: Tenant, upstream: ChatUpstream, body: bytes, asked: Passed, started: float
    ) -> Relayed:
        for left in range(TRIES - 1, -1, -1):
            try:
                reply = await upstream.send(body, request_id=asked.request_id)
                try:
                    return await self._begun(tenant, upstream, reply, asked, started)
                except BaseException:
                    reply.close()
                    raise
            except UpstreamUnavailable as error:
                wait = error.retry_after or 0
                if not left or wait > 2:
                    raise
                await asyncio.sleep(max(PAUSE, wait))
        raise AssertionError  # the last round returns or raises

    async def _begun(
        self,
        tenant: Tenant,
        upstream: ChatUpstream,
        reply: ChatReply,
        asked: Passed,
        started: float,
    ) -> Relayed:
        if reply.status not in (200, 201):
            raise refusal(upstream.name, reply.status, await reply.read(), reply.retry_after)
        wanted = "text/event-stream" if asked.stream else "application/json"
        if not reply.content_type.lower().startswith(wanted):
            raise UpstreamFailed(f"The backend {upstream.name!r} did not answer with {wanted}.")
        if not asked.stream:
            whole = await reply.read()
            self._end(tenant, started, succeeded=True)
            return Relayed(upstream.name, reply.content_type, whole, None, reply.close)
        pieces = reply.pieces()
        first = await anext(pieces, b"")
        if not first:
            raise UpstreamUnavailable(f"The backend {upstream.name!r} ended before it began.")
        return Relayed(
            upstream.name,
            reply.content_type,
            b"",
            self._counted(tenant, first, pieces, started),
            reply.close,
        )

    async def _counted(
        self, tenant: Tenant, first: bytes, pieces: AsyncIterator[bytes], started: float
    ) -> AsyncGenerator[bytes]:
        """What was begun is charged, however it ends."""
        try:
            yield first
            async for piece in pieces:
                yield piece
        finally:
            self._end(tenant, started, succeeded=True)

    def _end(self, tenant: Tenant, started: float, *, succeeded: bool) -> None:
        milliseconds = (time.perf_counter() - started) * 1000
        self._metering.end(tenant, succeeded=succeeded, milliseconds=milliseconds)

    async def _body(
        self, tenant: Tenant, upstream: ChatUpstream, asked: Passed, max_bytes: int
    ) -> bytes:
        changed: dict[str, str] = {}
        if asked.pictures:
            changed = await self._pictures.prepare(
                tenant.id, asked.pictures, upstream.limits, max_bytes=max_bytes
            )
        limits = [name for name in asked.limits if name != upstream.token_field]
        if not changed and not limits:
            body = renamed(asked.body, asked.model, upstream.model)
            if body is not None:
                return body
        fields = asked.read()
        fields["model"] = upstream.model
        for name in limits:
            value = fields.pop(name)
            if name == TOKEN_FIELDS[0] or fields.get(upstream.token_field) is None:
                fields[upstream.token_field] = value
        for ref in asked.pictures:
            part = fields["messages"][ref.message]["content"][ref.part]
            url = changed.get(ref.url, ref.url)
            if isinstance(part["image_url"], str):
                part["image_url"] = {"url": url}  # tolerated by us, refused by many
            else:
                part["image_url"]["url"] = url
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def renamed(body: bytes, model: str, new: str) -> bytes | None:
    """The request with another model's name and nothing else touched; None if that is not sure.

    >>> renamed(b'{"model": "gpt-4o", "n": 1}', "gpt-4o", "llava")
    b'{"model": "llava", "n": 1}'
    """
    if model == new:
        return body
    if body.count(b'"model"') != 1:  # within a string the quotes would have backslashes
        return None
    old = json.dumps(model).encode()
    found = re.search(rb'"model"\s*:\s*' + re.escape(old), body)
    if found is None:
        return None
    name = json.dumps(new).encode()
    return b"".join((body[: found.end() - len(old)], name, body[found.end() :]))


def refusal(name: str, status: int, body: bytes, retry_after: int | None) -> ChatError:
    """What a backend's error means to the client: never a 401, as it is not its key that failed."""
    said, param = _said(body)
    if status in _REFUSED:
        return UpstreamRefused(said or f"The backend {name!r} refused this request.", param=param)
    if status in _PASSING:
        error = UpstreamUnavailable(
            f"The backend {name!r} cannot answer now (status {status}). {said}".rstrip()
        )
        error.retry_after = retry_after or error.retry_after
        return error
    hint = {
        401: " It does not accept our key: see the setting `backends`.",
        402: " Its account has no credit left.",
        403: " It does not accept our key: see the setting `backends`.",
        404: " It does not know the model or the address: see the setting `backends`.",
    }.get(status, "")
    return UpstreamFailed(f"The backend {name!r} failed (status {status}).{hint}")


def _said(body: bytes) -> tuple[str, str | None]:
    """Its message, in any of the shapes that servers have."""
    try:
        answer = json.loads(body)
    except ValueError:
        return "", None
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    if isinstance(error, str):
        return error[:1000], None
    if not isinstance(error, dict):
        return "", None
    message, param = error.get("message") or error.get("detail"), error.get("param")
    return (
        str(message)[:1000] if message else "",
        str(param) if isinstance(param, str) else None,
    )
