"""HTTP connections of boto3 to public addresses only.

A name is resolved when a connection is made, every address of it is checked, and the connection
goes to one of those: a name that answers differently the next time gains nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSHTTPConnectionPool, AWSHTTPSConnectionPool
from botocore.exceptions import EndpointConnectionError
from botocore.httpsession import URLLib3Session

from ocelli.media.addresses import public_addresses
from ocelli.storage.endable_http import EndableHTTPConnection, EndableHTTPSConnection

if TYPE_CHECKING:
    import socket


class _GuardedConnection:
    _dns_host: str
    port: int

    def _new_conn(self) -> socket.socket:
        """Connect to a checked address; the certificate is still checked against the name."""
        name = self._dns_host
        try:
            addresses = public_addresses(name, self.port)
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=name, error=error) from None
        try:
            self._dns_host = addresses[0]
            connection: socket.socket = super()._new_conn()  # type: ignore[misc]
        finally:
            self._dns_host = name
        return connection


class _HTTPConnection(_GuardedConnection, EndableHTTPConnection):
    pass


class _HTTPSConnection(_GuardedConnection, EndableHTTPSConnection):
    pass


class _HTTPPool(AWSHTTPConnectionPool):  # type: ignore[misc]
    ConnectionCls = _HTTPConnection


class _HTTPSPool(AWSHTTPSConnectionPool):  # type: ignore[misc]
    ConnectionCls = _HTTPSConnection


class _Session(URLLib3Session):  # type: ignore[misc]
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}


def guard(client: Any, *, connect_timeout: float, read_timeout: float) -> None:
    """Make ``client`` use checked connections, never through a proxy. Timeouts in seconds."""
    session = _Session(timeout=(connect_timeout, read_timeout))

    def send(request: Any, **_: object) -> Any:
        return session.send(request)

    client.meta.events.register("before-send.s3", send)
