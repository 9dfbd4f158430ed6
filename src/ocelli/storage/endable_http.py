"""HTTP connections of boto3 that another thread can end.

boto3 bounds each wait for a byte and no whole exchange: a server that sends one every half minute
would keep a thread for as long as it likes, and so would one that receives as slowly.
"""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class Exchange:
    """What one thread says with a server, over one connection after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._has_ended = False

    @contextmanager
    def of_this_thread(self) -> Iterator[None]:
        """Let the connections that this thread uses in the block be those of the exchange."""
        _current.exchange = self
        try:
            yield
        finally:
            _current.exchange = None
            with self._lock:  # its last connection may serve another one now
                self._socket = None

    def uses(self, connected: Any) -> None:
        """Note a socket. Raises ConnectionAbortedError if the exchange has been ended."""
        with self._lock:
            if self._has_ended:
                raise ConnectionAbortedError
            self._socket = connected

    def end(self) -> None:
        """End it: what its thread waits for, and what it begins, fails at once."""
        with self._lock:
            self._has_ended = True
            if isinstance(self._socket, socket.socket):
                with suppress(OSError):  # it is closed
                    # Not that of an SSLSocket, which takes itself apart under its reader.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


_current = threading.local()


class _Endable:
    sock: socket.socket | None

    def _new_conn(self) -> socket.socket:
        connected: socket.socket = super()._new_conn()  # type: ignore[misc]
        _note(connected)  # for the handshake; what is encrypted is another object
        return connected

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        _note(self.sock)

    def request(self, *args: Any, **options: Any) -> Any:
        _note(self.sock)
        return super().request(*args, **options)  # type: ignore[misc]


def _note(connected: socket.socket | None) -> None:
    exchange: Exchange | None = getattr(_current, "exchange", None)
    if exchange is not None:
        exchange.uses(connected)


class EndableHTTPConnection(_Endable, AWSHTTPConnection):  # type: ignore[misc]
    """A connection without encryption."""


class EndableHTTPSConnection(_Endable, AWSHTTPSConnection):  # type: ignore[misc]
    """A connection with encryption."""


class _HTTPPool(AWSHTTPConnectionPool):  # type: ignore[misc]
    ConnectionCls = EndableHTTPConnection


class _HTTPSPool(AWSHTTPSConnectionPool):  # type: ignore[misc]
    ConnectionCls = EndableHTTPSConnection


def make_endable(client: Any) -> None:
    """Make ``client`` use such connections, before its first request."""
    session = client._endpoint.http_session  # botocore gives no other way to it
    pools = {"http": _HTTPPool, "https": _HTTPSPool}
    session._pool_classes_by_scheme = pools  # of proxies
    session._manager.pool_classes_by_scheme = pools
