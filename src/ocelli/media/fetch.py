"""Fetch addresses that users give.

The address is parsed once, by the library that also connects. A name is resolved once per
connection; what is checked is the socket address itself, in the moment before it is connected to,
so neither a spelling, nor a second answer of the name server, nor a redirect leads past the check.

aiohttp is imported with the first fetch: it takes 0.2 s, and most processes fetch nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
import zlib
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from ocelli import __version__
from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.errors import FetchFailed, FetchUnavailable, InvalidUrl
from ocelli.domain.http_status import can_be_retried, retry_after
from ocelli.domain.ports_fetch import Fetched, PostAnswer
from ocelli.media.addresses import ForbiddenAddress, is_public
from ocelli.media.sniff import HEAD_BYTES, is_video, sniff
from ocelli.media.urls import checked_url, redirected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence

    import aiohttp
    from aiohttp.abc import AbstractResolver
    from yarl import URL

MAX_REDIRECTS = 5
MAX_ANSWER = 4 * 1024  # bytes that are read of the answer to a post
BODY_TIMEOUT = 1.0  # seconds for them
UNPACKED_AT_ONCE = 256 * 1024  # bytes: a moment of the event loop
MAX_HEAD = 64 * 1024  # bytes of one line or field of a response's head
_UNPACKED_HERE = frozenset({"gzip", "x-gzip", "deflate"})
# The other packings that are registered. Whatever else servers write is no packing but a character
# set, a kind or an upload's framing; what arrives is looked at anyway.
_UNKNOWN_HERE = frozenset(
    {"aes128gcm", "br", "compress", "dcb", "dcz", "exi", "pack200-gzip", "x-compress", "zstd"}
)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_HEADERS = {
    "User-Agent": f"Ocelli/{__version__} (fetches a picture that a user asked about)",
    "Accept": "image/*, video/*;q=0.9, */*;q=0.1",
    "Accept-Encoding": "identity",
}

_POST_HEADERS = {
    "User-Agent": f"Ocelli/{__version__} (webhooks)",
    "Accept": "*/*",
    "Content-Type": "application/json",
}

# One sentence for all three: which of them it is would tell what there is in our own network.
_UNREACHABLE = (
    "The address cannot be reached: its name is unknown, it is not public, or there is no answer."
)


class SafeFetcher:
    """See ports_fetch.Fetcher.

    ``allow`` are networks that may be gone to although they are not public. ``min_rate`` is the
    rate in bytes a second that a body must keep up on average after ``grace_period`` seconds.
    """

    def __init__(
        self,
        *,
        allow: Iterable[str] = (),
        max_bytes: int = 100 * MEGABYTE,
        timeout: float = 30.0,
        grace_period: float = 5.0,
        min_rate: int = 1024,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._allow = tuple(ip_network(each) for each in allow)
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._grace_period = grace_period
        self._min_rate = min_rate
        self._resolver = resolver

    async def get(self, url: str, *, videos: bool = False, max_bytes: int | None = None) -> Fetched:
        """See ports_fetch.Fetcher."""
        checked = checked_url(url)
        limit = min(self._max_bytes, max_bytes or self._max_bytes)
        async with self._session_with_errors() as session:
            return await self._follow(session, checked, videos, limit)

    async def check(self, url: str) -> None:
        """See ports_fetch.Fetcher."""
        import aiohttp

        checked = checked_url(url)
        resolver = self._resolver or aiohttp.ThreadedResolver()
        try:
            async with asyncio.timeout(self._timeout):
                found = await resolver.resolve(
                    str(checked.host), checked.port or 0, socket.AF_UNSPEC
                )
        except (OSError, UnicodeError) as error:
            raise FetchFailed(_UNREACHABLE) from error
        if not found or not all(self._is_allowed(each["host"]) for each in found):
            raise FetchFailed(_UNREACHABLE)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        """See ports_fetch.Poster.

        Of the answer's body a few kilobytes are read at most, so that most servers see that their
        answer has arrived.
        """
        checked = checked_url(url)
        async with (
            self._session_with_errors() as session,
            session.post(
                checked, data=body, headers={**_POST_HEADERS, **headers}, allow_redirects=False
            ) as response,
        ):
            with contextlib.suppress(Exception):  # the status has come; the rest is courtesy
                async with asyncio.timeout(BODY_TIMEOUT):
                    await response.content.read(MAX_ANSWER)
            return PostAnswer(response.status, retry_after(response.headers, datetime.now(UTC)))

    @asynccontextmanager
    async def _session_with_errors(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Give a session for one fetch, within the timeout; errors are raised as FetchFailed."""
        import aiohttp

        try:
            async with asyncio.timeout(self._timeout), self._session() as session:
                yield session
        except TimeoutError as error:
            raise FetchUnavailable(
                f"The address did not answer completely within {self._timeout:g} seconds."
            ) from error
        except aiohttp.ClientSSLError as error:
            raise FetchFailed("The address has no valid certificate.") from error
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL, UnicodeError) as error:
            raise FetchFailed(_UNREACHABLE) from error
        except (aiohttp.ClientError, OSError) as error:
            raise FetchUnavailable("The address broke off its answer.") from error

    def _session(self) -> aiohttp.ClientSession:
        """Return a session for one fetch: no cookies, no proxies, no reuse of connections."""
        import aiohttp

        connector = aiohttp.TCPConnector(
            resolver=self._resolver,
            use_dns_cache=False,
            force_close=True,
            socket_factory=self._socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            auto_decompress=False,
            trust_env=False,
            max_line_size=MAX_HEAD,
            max_field_size=MAX_HEAD,
            timeout=aiohttp.ClientTimeout(total=None),
        )

    def _socket(self, target: aiohttp.AddrInfoType) -> socket.socket:
        """Create the socket of a connection, after the check of its address."""
        family, type, proto, _, address = target
        if not self._is_allowed(str(address[0])):
            raise ForbiddenAddress("not a public address")
        return socket.socket(family, type, proto)

    def _is_allowed(self, address: str) -> bool:
        ip = ip_address(address.split("%")[0])
        return is_public(address) or any(ip in network for network in self._allow)

    async def _follow(
        self, session: aiohttp.ClientSession, url: URL, videos: bool, limit: int
    ) -> Fetched:
        for _ in range(MAX_REDIRECTS + 1):
            async with session.get(url, allow_redirects=False) as response:
                if response.status not in _REDIRECTS:
                    return Fetched(
                        await self._body(response, videos, limit),
                        response.headers.get("Content-Type"),
                        str(url),
                    )
                url = _redirected(url, response.headers.get("Location", ""))
        raise FetchFailed(f"The address redirects more than {MAX_REDIRECTS} times.")

    async def _body(self, response: aiohttp.ClientResponse, videos: bool, limit: int) -> bytes:
        _check_status(response.status)
        if (response.content_length or 0) > limit:
            raise _too_large(limit)
        unpack = _unpacker(response.headers.getall("Content-Encoding", []))
        body = bytearray()
        checked = False
        started = time.monotonic()
        received = 0
        async for chunk in response.content.iter_any():
            received += len(chunk)
            for part in unpack(chunk):
                body += part
                if len(body) > limit or received > limit:
                    raise _too_large(limit)
                await asyncio.sleep(0)
            if not checked and len(body) >= HEAD_BYTES:
                _check_content(bytes(body[:HEAD_BYTES]), videos)
                checked = True
            elapsed = time.monotonic() - started
            if elapsed > self._grace_period and received < elapsed * self._min_rate:
                raise FetchUnavailable("The address sends too slowly.")
        if not checked:
            _check_content(bytes(body), videos)
        return bytes(body)


def _too_large(limit: int) -> FetchFailed:
    return FetchFailed(f"What the address leads to is larger than {limit // MEGABYTE} MB.")


def _redirected(url: URL, location: str) -> URL:
    try:
        return redirected(url, location)
    except InvalidUrl as error:
        raise FetchFailed("The address redirects to one that is not fetched.") from error


def _check_status(status: int) -> None:
    if can_be_retried(status):
        raise FetchUnavailable(f"The address answers with status {status}.")
    if not 200 <= status < 300:
        raise FetchFailed(f"The address answers with status {status}.")


def _check_content(head: bytes, videos: bool) -> None:
    """Check the format by content, not by name. Raises ValidationFailed."""
    if not (videos and is_video(head)):
        sniff(head)


class _Unpacker:
    """Of a body that comes packed although we asked for it as it is, in parts of bounded size:
    64 KB may unpack to 64 MB.
    """

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, by its head

    def __call__(self, chunk: bytes) -> Iterator[bytes]:
        part = bytes(UNPACKED_AT_ONCE)
        while chunk or len(part) == UNPACKED_AT_ONCE:
            try:
                part = self._inflate.decompress(chunk, UNPACKED_AT_ONCE)
            except zlib.error as error:
                raise FetchFailed("The address sends a damaged body.") from error
            chunk = self._inflate.unconsumed_tail
            yield part


def _as_it_is(chunk: bytes) -> Iterator[bytes]:
    yield chunk


def _unpacker(encodings: Sequence[str]) -> Callable[[bytes], Iterator[bytes]]:
    named = [each.strip().lower() for value in encodings for each in value.split(",")]
    packings = [each for each in named if each in _UNPACKED_HERE | _UNKNOWN_HERE]
    if not packings:
        return _as_it_is
    if len(packings) == 1 and packings[0] in _UNPACKED_HERE:
        return _Unpacker()
    raise FetchFailed("The address packs its answer in a way that was not asked for.")
