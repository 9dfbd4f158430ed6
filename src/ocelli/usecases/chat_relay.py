"""Chat requests to a configured backend, relayed unchanged where possible.

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

from ocelli.domain.chat_errors import UpstreamFailed, UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.chat import PictureRef
    from ocelli.domain.ports_chat import ChatReply, ChatUpstream
    from ocelli.usecases.chat_pictures import PictureLoader
    from ocelli.usecases.metering import Metering

log = logging.getLogger(__name__)

OPERATION = "chat"
TOKEN_FIELDS = ("max_completion_tokens", "max_tokens")
WRITTEN_AT_ONCE = 32 * 1024  # bytes of a request: some milliseconds of the event loop


@dataclass(frozen=True, slots=True)
class Relayed:
    """An answer of an upstream: ``body`` or, of a stream, ``events``. The caller closes it."""

    upstream: str
    body: bytes
    events: AsyncGenerator[bytes] | None
    close: Callable[[], None]


@dataclass(frozen=True, slots=True)
class RelayRequest:
    """A request as received; ``read`` returns a decoded copy of it, to be changed.

    ``limits`` are the TOKEN_FIELDS that it has, the one that takes precedence first.
    """

    body: bytes
    read: Callable[[], dict[str, Any]]
    model: str
    pictures: Sequence[PictureRef]
    stream: bool
    limits: tuple[str, ...]
    request_id: str


class Relay:
    """Sends a request to backends in the given order, until one answers."""

    def __init__(self, pictures: PictureLoader, metering: Metering) -> None:
        self._pictures = pictures
        self._metering = metering

    async def open(
        self,
        tenant: Tenant,
        upstreams: Sequence[ChatUpstream],
        request: RelayRequest,
        *,
        max_bytes: int,
    ) -> Relayed:
        """Return an answer once its first bytes have arrived.

        Raises ChatError, UsageLimitExceeded.
        """
        bodies: dict[str, bytes] = {}
        first = upstreams[0]
        bodies[first.name] = await self._body(tenant, first, request, max_bytes)
        await self._metering.begin(tenant)
        started = time.perf_counter()
        try:
            for upstream in upstreams:
                last = upstream is upstreams[-1]
                if upstream.name not in bodies:
                    bodies[upstream.name] = await self._body(tenant, upstream, request, max_bytes)
                try:
                    reply = await upstream.ask(
                        bodies[upstream.name], stream=request.stream, request_id=request.request_id
                    )
                except (UpstreamUnavailable, UpstreamFailed) as error:
                    log.warning("backend %s: %d %s", upstream.name, error.status, error.code)
                    if last:
                        raise
                else:
                    return self._relayed(tenant, upstream.name, reply, started)
            raise UpstreamUnavailable("No backend is configured.")
        except BaseException:
            self._end(tenant, started, succeeded=False)
            raise

    def _relayed(self, tenant: Tenant, name: str, reply: ChatReply, started: float) -> Relayed:
        """Return the answer; closing it charges the call, however the answer ends."""

        def close() -> None:
            reply.close()
            self._end(tenant, started, succeeded=True)

        return Relayed(name, reply.body, reply.events, close)

    def _end(self, tenant: Tenant, started: float, *, succeeded: bool) -> None:
        milliseconds = (time.perf_counter() - started) * 1000
        self._metering.end(tenant, succeeded=succeeded, milliseconds=milliseconds)

    async def _body(
        self, tenant: Tenant, upstream: ChatUpstream, request: RelayRequest, max_bytes: int
    ) -> bytes:
        changed: dict[str, str] = {}
        if request.pictures:
            changed = await self._pictures.prepare(
                tenant.id, request.pictures, upstream.limits, max_bytes=max_bytes
            )
        if len(request.body) <= WRITTEN_AT_ONCE and not changed:
            return rewritten(upstream, request, changed)
        return await asyncio.to_thread(rewritten, upstream, request, changed)


def rewritten(upstream: ChatUpstream, request: RelayRequest, changed: Mapping[str, str]) -> bytes:
    """Return the request for a backend, with ``changed`` addresses of pictures."""
    limits = [name for name in request.limits if name != upstream.token_field]
    has_bare_urls = any(
        not ref.is_object for ref in request.pictures
    )  # taken by us, refused by many
    if not changed and not limits and not has_bare_urls:
        body = renamed(request.body, request.model, upstream.model)
        if body is not None:
            return body
    fields = request.read()
    fields["model"] = upstream.model
    for name in limits:
        value = fields.pop(name)
        if name == TOKEN_FIELDS[0] or fields.get(upstream.token_field) is None:
            fields[upstream.token_field] = value
    for ref in request.pictures:
        part = fields["messages"][ref.message]["content"][ref.part]
        url = changed.get(ref.url, ref.url)
        if isinstance(part["image_url"], str):
            part["image_url"] = {"url": url}
        else:
            part["image_url"]["url"] = url
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def renamed(body: bytes, model: str, new: str) -> bytes | None:
    """Return the request with another model's name, nothing else changed; None if ambiguous.

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
