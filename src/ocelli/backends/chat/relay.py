"""Chat completions of other servers, over aiohttp: nothing is decoded, nothing is re-framed."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING
from urllib.request import getproxies

import aiohttp
from yarl import URL

from ocelli.backends.chat.client import USER_AGENT
from ocelli.backends.chat.config import ChatConfig
from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.chat_errors import UpstreamUnavailable
from ocelli.domain.ports_chat import PictureLimits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from ocelli.backends.registry import MissingKey

MAX_ANSWER = 64 * MEGABYTE
CONNECT_TIMEOUT = 5.0
KEEP_ALIVE = 15.0
LARGE_BODY = MEGABYTE  # from here on aiohttp wants a file, which it sends in pieces


class Upstreams:
    """See ports_chat.ChatUpstreams: all that have a key, over one set of connections."""

    def __init__(self, configured: Sequence[ChatConfig | MissingKey]) -> None:
        self._connections = _Connections()
        self._known = {
            each.name: RelayUpstream(each, self._connections)
            for each in configured
            if isinstance(each, ChatConfig)
        }

    @property
    def names(self) -> Sequence[str]:
        """See ports_chat.ChatUpstreams."""
        return tuple(self._known)

    def get(self, name: str) -> RelayUpstream | None:
        """See ports_chat.ChatUpstreams."""
        return self._known.get(name)

    async def close(self) -> None:
        """Hang up everywhere."""
        await self._connections.close()


class _Connections:
    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Opened with the first request, in the running loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept"),
                trust_env=bool(getproxies()),  # asking for each request costs as much as sending it
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


class RelayUpstream:
    """See ports_chat.ChatUpstream. Its silence may last as long as the backend's ``timeout``."""

    def __init__(self, config: ChatConfig, connections: _Connections) -> None:
        self.name = config.name
        self.model = config.model
        self.limits = PictureLimits(max_side=config.full_side, fetches=config.fetches_urls)
        self.token_field = config.token_field
        self._connections = connections
        self._url = URL(config.url)
        self._headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",  # what comes is passed on as it is
            "User-Agent": USER_AGENT,
            **config.headers(),
        }
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT, sock_read=config.timeout
        )

    async def send(self, body: bytes, *, request_id: str) -> RelayReply:
        """See ports_chat.ChatUpstream."""
        try:
            response = await self._connections.session.post(
                self._url,
                data=io.BytesIO(body) if len(body) > LARGE_BODY else body,
                headers={**self._headers, "X-Request-ID": request_id},
                timeout=self._timeout,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unavailable(self.name, error) from error
        return RelayReply(self.name, response)


class RelayReply:
    """See ports_chat.ChatReply."""

    def __init__(self, name: str, response: aiohttp.ClientResponse) -> None:
        self._name = name
        self._response = response
        self.status = response.status
        self.content_type = response.headers.get("Content-Type", "")

    @property
    def retry_after(self) -> int | None:
        """Whole seconds; a date is not understood, as no server sends one."""
        text = self._response.headers.get("Retry-After", "")
        return int(text) if text.isdecimal() and len(text) < 6 else None

    async def read(self) -> bytes:
        """See ports_chat.ChatReply."""
        length = self._response.content_length
        try:
            if length is not None and length <= MAX_ANSWER:
                return await self._response.read()
            parts, size = [], 0
            async for part in self._response.content.iter_any():
                size += len(part)
                if size > MAX_ANSWER:
                    raise UpstreamUnavailable(f"The backend {self._name!r} answers without an end.")
                parts.append(part)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unavailable(self._name, error) from error
        return b"".join(parts)

    async def pieces(self) -> AsyncIterator[bytes]:
        """See ports_chat.ChatReply."""
        try:
            async for piece in self._response.content.iter_any():
                yield piece
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unavailable(self._name, error) from error

    def close(self) -> None:
        """See ports_chat.ChatReply."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def _unavailable(name: str, error: Exception) -> UpstreamUnavailable:
    if isinstance(error, asyncio.TimeoutError):
        return UpstreamUnavailable(f"The backend {name!r} did not answer in time.")
    return UpstreamUnavailable(
        f"The backend {name!r} cannot be reached or hung up ({type(error).__name__})."
    )
