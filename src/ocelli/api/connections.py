"""HTTP connections within bounds: the size of a head, the number of connections, and silence.

uvicorn bounds little of this by configuration, so its protocol is extended. A request that breaks a
bound is answered in the shape of its surface, and its connection is closed.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from functools import lru_cache
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ocelli.api.access_log import NO_ROUTE, Answered
from ocelli.api.dialects import errors_of
from ocelli.api.proxies import parse_address

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_HEAD = 64 * 1024  # bytes of all header fields together, trailers included
LONGEST_URL = 32 * 1024  # 500 ids in a query are 20 KB
MOST_FIELDS = 100
MOST_PIPELINED = 16
PIECE = 64 * 1024  # bytes that are parsed at a time

# Seconds.
FIRST_BYTE = 10.0  # of a connection
WHOLE_HEAD = 20.0
BODY_SILENCE = 75.0  # longer than routes wait, which answer in their own words
UNREAD_ANSWER = 60.0
LINGER = 2.0  # for which a refused client may go on sending: cut off, it would not see the answer
SWEEP_EVERY = 1.0
SWEPT_AT_ONCE = 50

SLOWEST_BODY = 500  # bytes per second, once it has taken longer than BODY_SILENCE
EVICTED = 20  # one in so many is closed at a time, where there is no room for a new one

_TOO_LARGE = f"The head of the request is larger than {LONGEST_HEAD // 1024} KB."
_TOO_MANY = f"The request has more than {MOST_FIELDS} header fields."
_TOO_LONG = f"The address of the request is longer than {LONGEST_URL // 1024} KB."
_TOO_SLOW = "The request did not come in time."
_CROWDED = "Too many connections from your address. Close some, and try again."
_FULL = "Too many connections right now. Try again later."


class _Refused(Exception):
    """Ends the parsing of a request; how it is answered is known already."""


class Connections:
    """All connections of a process: how many there may be, and how long they may be silent.

    ``most`` is for all together. Where they are used up, those are closed that have waited longest
    for their client; one whose request is being answered never is. ``per_address`` is for each
    client: the peer or, behind one of the networks ``proxies``, whom ``X-Forwarded-For`` names.
    """

    def __init__(self, *, most: int, per_address: int, proxies: Sequence[str]) -> None:
        self._most = most
        self._per_address = per_address
        self._proxies = [ip_network(each) for each in proxies]
        self._open: set[BoundedProtocol] = set()
        self._of_address: Counter[str] = Counter()
        self.is_proxy = lru_cache(maxsize=4096)(self._is_proxy)

    def protocol(self, *arguments: Any, **options: Any) -> BoundedProtocol:
        """For ``uvicorn.Config(http=...)``."""
        return BoundedProtocol(self, *arguments, **options)

    def add(self, connection: BoundedProtocol) -> bool:
        """Whether there is room for it, by closing others if need be."""
        if not self._open:
            connection.loop.call_later(SWEEP_EVERY, self._sweep)
        if len(self._open) >= self._most:
            self._evict()
        self._open.add(connection)
        return len(self._open) <= self._most

    def remove(self, connection: BoundedProtocol) -> None:
        """It is closed."""
        self._open.discard(connection)

    def enter(self, address: str) -> bool:
        """Count one more of this address; whether it may have it. ``leave`` takes it back."""
        self._of_address[address] += 1
        return self._of_address[address] <= self._per_address

    def leave(self, address: str) -> None:
        """One less of this address."""
        self._of_address[address] -= 1
        if not self._of_address[address]:
            del self._of_address[address]

    def client_of(self, forwarded: str) -> str | None:
        """Who is behind our proxies, by ``X-Forwarded-For``: the last one that is none of them."""
        for each in reversed(forwarded.split(",")):
            address = network_of(each.strip())
            if address is None:
                return None
            if not self.is_proxy(each.strip()):
                return address
        return None

    def _is_proxy(self, address: str) -> bool:
        parsed = parse_address(address)
        return parsed is not None and any(parsed in network for network in self._proxies)

    def _evict(self) -> None:
        waiting = sorted(
            (each for each in self._open if each.is_waiting), key=lambda each: each.heard_at
        )
        for connection in waiting[: max(1, self._most // EVICTED)]:
            self._open.discard(connection)
            connection.transport.abort()

    def _sweep(self, rest: Sequence[BoundedProtocol] | None = None) -> None:
        """A few at a time: to answer a thousand takes half a second."""
        rest = list(self._open) if rest is None else rest
        for connection in rest[:SWEPT_AT_ONCE]:
            connection.check_time()
        loop = asyncio.get_running_loop()
        if len(rest) > SWEPT_AT_ONCE:
            loop.call_soon(self._sweep, rest[SWEPT_AT_ONCE:])
        elif self._open:
            loop.call_later(SWEEP_EVERY, self._sweep)


class BoundedProtocol(HttpToolsProtocol):
    """One connection. ``is_waiting`` says that the next step is the client's."""

    def __init__(self, limits: Connections, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._limits = limits
        self.url = b""
        self._refusal: tuple[int, str] | None = None
        self._refused_at: float | None = None
        self._address: str | None = None  # counted for the whole connection
        self._forwarded: str | None = None  # counted for the request
        self._unused = 0  # bytes since the last head or piece of a body was complete
        self._head = self._fields = 0
        self._begun_at: float | None = None  # the head, and then the body, of the request
        self._is_in_body = False
        self._is_new = True  # no request has come yet
        self._body: list[bytes] = []
        self._received = 0
        self._blocked_at: float | None = None
        self.heard_at = self.loop.time()

    @property
    def is_waiting(self) -> bool:
        """For a request, or for the rest of one."""
        if self._refused_at is not None or self._is_answered:
            return True
        return self._is_in_body and not self.flow.read_paused

    @property
    def _is_answered(self) -> bool:
        return self._is_new or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self.heard_at = self.loop.time()
        peer = self.client[0] if self.client else ""
        if not self._limits.is_proxy(peer) and (address := network_of(peer)) is not None:
            self._address = address
            if not self._limits.enter(address):
                self._refuse(429, _CROWDED)
        if not self._limits.add(self):
            self._refuse(503, _FULL)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._limits.remove(self)
        if self._address is not None:
            self._limits.leave(self._address)
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self.heard_at = self.loop.time()
        for at in range(0, len(data), PIECE):
            if self._refused_at is not None or self.parser is None:
                return
            piece = data[at : at + PIECE]
            self._unused += len(piece)
            super().data_received(piece)
            self._pass_body_on()
            if self._unused > LONGEST_HEAD + PIECE:
                self._refuse(*(self._refusal or (431, _TOO_LARGE)))

    def on_message_begin(self) -> None:
        """See httptools."""
        self._head = self._fields = self._received = 0
        self._begun_at = self.heard_at
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """See httptools."""
        self._grow(len(url))
        super().on_url(url)
        if len(self.url) > LONGEST_URL:
            self._stop(414, _TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools. Also of a trailer."""
        self._fields += 1
        self._grow(len(name) + len(value))
        if self._fields > MOST_FIELDS:
            self._stop(431, _TOO_MANY)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._unused = 0
        if len(self.pipeline) >= MOST_PIPELINED:
            self.transport.abort()
            self._stop(429, _CROWDED)
        if self._address is None and self._forwarded is None:
            self._enter()
        super().on_headers_complete()
        self._begun_at, self._is_in_body, self._is_new = self.heard_at, True, False

    def on_body(self, body: bytes) -> None:
        """See httptools. Chunks may be of one byte, and tens of thousands come at once."""
        self._body.append(body)

    def _pass_body_on(self) -> None:
        if self._body:
            self._unused = 0
            body = b"".join(self._body)
            self._body.clear()
            self._received += len(body)
            super().on_body(body)

    def on_message_complete(self) -> None:
        """See httptools."""
        self._pass_body_on()
        self._unused = 0
        self._begun_at, self._is_in_body = None, False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """See uvicorn."""
        self._leave()
        self.heard_at = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._blocked_at = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._blocked_at = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """See uvicorn: whatever the parser did not take."""
        self._refuse(*(self._refusal or (400, msg)))

    def check_time(self) -> None:
        """Close the connection, with an answer where one can be given, if time is up."""
        now = self.loop.time()
        if self._refused_at is not None:
            is_over = now - self._refused_at > LINGER
        elif self._blocked_at is not None:
            is_over = now - self._blocked_at > UNREAD_ANSWER
        else:
            is_silent = self._is_new and self._begun_at is None
            is_over = is_silent and now - self.heard_at > FIRST_BYTE
        if is_over:  # the silence after an answer is uvicorn's: timeout_keep_alive
            self.transport.abort()
        elif self._begun_at is not None and self._is_too_slow(now - self._begun_at, now):
            self._refuse(408, _TOO_SLOW)

    def _is_too_slow(self, taken: float, now: float) -> bool:
        if not self._is_in_body:
            return self._is_answered and taken > WHOLE_HEAD
        if self.flow.read_paused:
            return False
        if now - self.heard_at > BODY_SILENCE:
            return True
        return taken > BODY_SILENCE and self._received < SLOWEST_BODY * taken

    def _grow(self, size: int) -> None:
        self._head += size
        if self._head > LONGEST_HEAD:
            self._stop(431, _TOO_LARGE)

    def _enter(self) -> None:
        """Count the request for the client that a proxy of ours names."""
        forwarded = b",".join(value for name, value in self.headers if name == b"x-forwarded-for")
        client = self._limits.client_of(forwarded.decode("latin-1")) if forwarded else None
        if client is not None:
            self._forwarded = client
            if not self._limits.enter(client):
                self._stop(429, _CROWDED)

    def _leave(self) -> None:
        if self._forwarded is not None:
            self._limits.leave(self._forwarded)
            self._forwarded = None

    def _stop(self, status: int, message: str) -> None:
        self._refusal = (status, message)
        raise _Refused(message)

    def _refuse(self, status: int, message: str) -> None:
        """Answer and hang up; only hang up in the middle of another answer."""
        if self._refused_at is not None or self.transport.is_closing():
            return
        self._refused_at = self.loop.time()
        self._unset_keepalive_if_required()
        if self._is_in_body or not self._is_answered:
            if not self._is_in_body or self.pipeline or self.cycle.response_started:
                self.transport.abort()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(self._answer(status, message))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()

    def _answer(self, status: int, message: str) -> bytes:
        state = {"request_id": str(uuid.uuid4())}
        request = Request(
            {
                "type": "http",
                "server": self.server,
                "path": _path(self.url),
                "query_string": b"",
                "headers": [],
                "state": state,
            }
        )
        headers = {"X-Request-ID": state["request_id"]}
        if status in (429, 503):
            headers["Retry-After"] = "2"
        answer = errors_of(request).render_status(request, status, message, headers)
        if not self._is_in_body:  # else the application says it
            Answered("", NO_ROUTE, status, 0.0, state["request_id"]).note()
        head = [STATUS_LINE[status], b"connection: close\r\n"]
        head += [b"%s: %s\r\n" % field for field in answer.headers.raw]
        return b"".join([*head, b"\r\n", bytes(answer.body)])


def network_of(address: str) -> str | None:
    """What is one client's: an IPv4 address, or the network of 64 bits of an IPv6 address.

    >>> network_of("2001:db8::1:2:3"), network_of("::ffff:192.0.2.1"), network_of("unix:")
    ('2001:db8::/64', '192.0.2.1', None)
    """
    parsed = parse_address(address)
    if parsed is None or parsed.version == 4:
        return None if parsed is None else str(parsed)
    return str(ip_network((int(parsed), 64), strict=False))


def _path(url: bytes) -> str:
    path = url[:200].decode("latin-1").partition("?")[0]
    return path if path.startswith("/") else "/"
