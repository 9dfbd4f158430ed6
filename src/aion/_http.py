"""The one door to HTTP: sends requests, retries them, and turns what goes wrong into our errors.

Nothing else in this package imports httpx2.
"""

from __future__ import annotations

import asyncio
import copy
import json as jsonlib
import logging
import random
import socket
import ssl
import time
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

from aion._errors import error_from_answer
from aion._retry import Breakers, RetryPolicy, endpoint_of, is_outage
from aion._tracing import Tracing, current_correlation_id
from aion._version import __version__
from aion.exceptions import (
    AionvisionConnectionError,
    AionvisionError,
    AionvisionTimeoutError,
    CircuitBreakerError,
    RateLimitError,
    ServerError,
)

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Mapping

    from aion._bodies import Body
    from aion.config import ClientConfig

log = logging.getLogger("aion")

HttpClient = httpx2.AsyncClient
CONNECT_TIMEOUT = 10.0  # seconds
LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, read to its end."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(slots=True)
class _Request:
    """What every try of one request has in common."""

    method: str
    url: str
    path: str
    headers: dict[str, str]
    params: Mapping[str, Any] | None = None
    content: bytes | None = None
    body: Body | None = None
    ours: bool = True  # to the server itself, rather than to a signed address


@dataclass(slots=True)
class _Gate:
    """What 429s told all users of a connection."""

    not_before: float = 0.0  # no request is sent before this moment (``time.monotonic``)
    complaints: int = 0


class Http:
    """A connection pool with manners."""

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._retry = RetryPolicy(
            config.max_retries, config.retry_delay, max_retry_after=config.timeout
        )
        self._breakers = Breakers(
            config.circuit_breaker_failure_threshold,
            config.circuit_breaker_success_threshold,
            config.circuit_breaker_timeout,
        )
        self._tracing = Tracing(config)
        self._log = log.debug if config.enable_logging else _silent
        self._gate = _Gate()
        self._worked = False
        self._client = _client(config)

    def patient(self) -> Http:
        """The same connections for one long call.

        Once something has worked there, an outage (a restart, say) is waited out for longer than
        ``max_retries`` alone would: 30 times ``retry_delay``.
        """
        view = copy.copy(self)
        view._retry = replace(self._retry, outage_timeout=30 * self._config.retry_delay)
        view._worked = False
        return view

    @property
    def complaints(self) -> int:
        """How often the server has asked for fewer requests."""
        return self._gate.complaints

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        body: Body | None = None,
    ) -> Any:
        """Send a request and decode the JSON that comes back (None if nothing does).

        Raises:
            AionvisionError: whatever went wrong, after the retries that make sense.
        """
        answer = await self._api(method, path, params=params, json=json, body=body)
        if not answer.content:
            return None
        try:
            return jsonlib.loads(answer.content)
        except (ValueError, RecursionError):
            raise _not_json(answer, self._config.base_url + path) from None

    async def location(self, path: str) -> str:
        """The address that the server redirects to."""
        answer = await self._api("GET", path)
        if target := answer.headers.get("location"):
            return str(_joined(self._config.base_url + path, target))
        raise ServerError(
            f"A redirect was expected, not status {answer.status}", code="INVALID_RESPONSE"
        )

    async def download(self, path: str) -> bytes:
        """The bytes behind a redirect; the key stays with the server it belongs to."""
        return await self.get_bytes(await self.location(path))

    async def get_bytes(self, url: str) -> bytes:
        """What is at a signed address, asked for without the key."""
        return (await self._send(self._foreign("GET", url))).content

    async def put(self, url: str, body: Body, *, method: str, headers: Mapping[str, str]) -> None:
        """Send a file to a signed address, without the key."""
        given = {k: v for k, v in headers.items() if k.lower() != "content-length"}
        await self._send(self._foreign(method, url, headers=given, body=body))

    async def content(self, path: str, *, params: Mapping[str, Any] | None = None) -> bytes:
        """The bytes of a file that the server itself sends."""
        return (await self._api("GET", path, params=params)).content

    @asynccontextmanager
    async def events(
        self, path: str, *, method: str = "GET", json: Any = None
    ) -> AsyncIterator[AsyncIterator[object]]:
        """Server-sent events; use it like ``async with http.events(path) as events``.

        Raises:
            AionvisionError: the server offers none, or hung up. Never retried: events are a
                convenience, polling is the fallback.
        """
        url = self._config.base_url + path
        headers = {**self._config.default_headers, "Accept": "text/event-stream"}
        content = None
        if json is not None:
            content = jsonlib.dumps(json).encode()
            headers["Content-Type"] = "application/json"
        timeout = httpx2.Timeout(self._config.timeout, connect=CONNECT_TIMEOUT, pool=1.0)
        try:
            async with self._client.stream(
                method,
                url,
                headers=headers,
                content=content,
                timeout=timeout,
                follow_redirects=False,
            ) as answer:
                if answer.status_code != 200:
                    body = await answer.aread()
                    raise error_from_answer(answer.status_code, answer.headers, body, path)
                yield httpx2.EventSource(answer).__aiter__()
        except httpx2.TransportError as error:
            raise _connection_error(error, method, url) from error

    # -----------------------------------------------------------------------------------------

    async def _api(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        body: Body | None = None,
    ) -> Answer:
        headers = {**self._config.default_headers, "Accept": "application/json"}
        content = None
        if json is not None:
            content = jsonlib.dumps(json).encode()
            headers["Content-Type"] = "application/json"
        if method == "POST":
            # Made before the first try: the server knows all tries for one request.
            headers["Idempotency-Key"] = str(uuid.uuid4())
        if self._config.send_correlation_id:
            headers["X-Correlation-ID"] = current_correlation_id.get() or str(uuid.uuid4())
        given = {k: v for k, v in (params or {}).items() if v is not None}
        url = self._config.base_url + path
        return await self._send(_Request(method, url, path, headers, given, content, body))

    def _foreign(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> _Request:
        """A request to a signed address; one without a host belongs to the server."""
        target = _joined(self._config.base_url, url)
        return _Request(
            method, str(target), target.host, dict(headers or {}), body=body, ours=False
        )

    async def _send(self, request: _Request) -> Answer:
        endpoint = endpoint_of(request.method, request.path)
        breaker = self._breakers[endpoint] if self._config.circuit_breaker_enabled else None
        if breaker and (wait := breaker.blocked_for(time.monotonic())):
            raise CircuitBreakerError(endpoint, wait)
        try:
            with self._tracing.span(endpoint, request.url, request.headers) as note:
                answer = await self._try_until_it_works(request, note)
        except AionvisionError as error:
            if breaker and is_outage(error):
                breaker.failed(time.monotonic())
            raise
        if breaker:
            breaker.succeeded()
        return answer

    async def _try_until_it_works(self, request: _Request, note: Any) -> Answer:
        attempt, began = 0, 0.0
        while True:
            try:
                answer = await self._try(request, note)
            except AionvisionError as error:
                began = began or time.monotonic()
                wait = self._wait_after(error, attempt, time.monotonic() - began)
                if wait is None:
                    raise
                attempt += 1
                note("http.request.resend_count", attempt)
                self._log("%s %s: %s; again in %.2f s", request.method, request.path, error, wait)
                await asyncio.sleep(wait)
            else:
                self._worked = True
                return answer

    def _wait_after(self, error: AionvisionError, attempt: int, elapsed: float) -> float | None:
        policy = self._retry if self._worked else replace(self._retry, outage_timeout=0.0)
        wait = policy.delay(attempt, error, random.random(), elapsed)  # noqa: S311 - jitter
        if isinstance(error, RateLimitError):
            self._gate.complaints += 1
            self._gate.not_before = max(self._gate.not_before, time.monotonic() + (wait or 0.0))
        return wait

    async def _try(self, request: _Request, note: Any) -> Answer:
        if request.ours:
            await self._wait_out_rate_limit()
        headers = dict(request.headers)
        if request.ours and self._config.send_request_id:
            headers["X-Request-ID"] = str(uuid.uuid4())
        if request.body is not None:
            headers["Content-Length"] = str(request.body.length)
            if request.ours:
                headers["Content-Type"] = request.body.content_type
        began = time.monotonic()
        try:
            response = await self._client.request(
                request.method,
                request.url,
                params=request.params or None,
                headers=headers,
                content=request.content if request.body is None else request.body,
                follow_redirects=False,
            )
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            failed = _connection_error(error, request.method, request.url)
            if request_id := headers.get("X-Request-ID"):
                failed.details["request_id"] = request_id
            raise failed from error
        answer = Answer(response.status_code, response.headers, response.content)
        note("http.response.status_code", answer.status)
        elapsed = (time.monotonic() - began) * 1000
        self._log("%s %s: %d in %.0f ms", request.method, request.path, answer.status, elapsed)
        if answer.status >= 400:
            raise error_from_answer(answer.status, answer.headers, answer.content, request.path)
        return answer

    async def _wait_out_rate_limit(self) -> None:
        while (wait := self._gate.not_before - time.monotonic()) > 0:  # noqa: ASYNC110 - a time, not an event
            await asyncio.sleep(wait)


def _client(config: ClientConfig) -> httpx2.AsyncClient:
    if config.http_client is not None:
        return _checked(config.http_client)
    try:
        return httpx2.AsyncClient(
            headers={"User-Agent": f"aion-python/{__version__}"},
            timeout=httpx2.Timeout(
                config.timeout, connect=min(CONNECT_TIMEOUT, config.timeout), pool=None
            ),
            limits=httpx2.Limits(
                max_connections=100, max_keepalive_connections=32, keepalive_expiry=15.0
            ),
            proxy=config.proxy_url,
            verify=_trusted(config.verify),
            # A proxy of the environment is for the world, not for this machine.
            trust_env=not config.is_loopback,
        )
    except ImportError as error:
        raise ValueError(
            "A socks5 proxy needs the package socksio: pip install 'httpx2[socks]'"
        ) from error


def _checked(given: Any) -> httpx2.AsyncClient:
    if not isinstance(given, httpx2.AsyncClient):
        kind = f"{type(given).__module__}.{type(given).__name__}"
        raise TypeError(f"http_client must be an httpx2.AsyncClient, not {kind}")
    return given


def _trusted(verify: ssl.SSLContext | str | os.PathLike[str] | bool) -> ssl.SSLContext | bool:
    if isinstance(verify, bool | ssl.SSLContext):
        return verify
    path = Path(verify)
    try:
        if path.is_dir():
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except OSError as error:  # which an SSLError is
        raise ValueError(f"verify: no certificates can be read from {path}: {error}") from error


def _silent(*_: object) -> None:
    """Logging is off."""


def _joined(base: str, url: str) -> httpx2.URL:
    """An address that a server named. Raises ServerError if it is none."""
    try:
        target = httpx2.URL(base).join(url)
    except httpx2.InvalidURL:
        target = None
    if target is None or (target.port or 0) > LAST_PORT:
        raise ServerError("The server named an address that is none", code="INVALID_RESPONSE")
    return target


def _not_json(answer: Answer, url: str) -> ServerError:
    kind = answer.headers.get("content-type", "something unnamed").partition(";")[0]
    return ServerError(
        f"The answer is not JSON but {kind}: is {url} the address of the API?",
        code="INVALID_RESPONSE",
    )


def _connection_error(error: httpx2.HTTPError, method: str, url: str) -> AionvisionError:
    host = httpx2.URL(url).netloc.decode()
    if isinstance(error, httpx2.TimeoutException):
        phase = type(error).__name__.removesuffix("Timeout").lower()
        return AionvisionTimeoutError(
            f"{method} {httpx2.URL(url).path}: {host} did not answer in time ({phase})"
        )
    message, permanent = _why(error, host)
    details = {"permanent": True} if permanent else None
    return AionvisionConnectionError(message, details=details)


def _why(error: httpx2.HTTPError, host: str) -> tuple[str, bool]:
    """What to tell the person, and whether trying again is useless."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"The certificate of {host} is not trusted: {cause.verify_message}", True
        if isinstance(cause, ssl.SSLError):
            return f"No TLS connection to {host}: {cause.reason or cause}", True
        if isinstance(cause, socket.gaierror):
            return f"No such host: {host} ({cause.strerror})", cause.errno != socket.EAI_AGAIN
        if isinstance(cause, ConnectionRefusedError):
            return f"No server listens at {host}: is the server running? (`ocelli serve`)", False
    if isinstance(error, httpx2.ProxyError):
        return f"The proxy does not let us through to {host}: {error}", True
    if isinstance(error, httpx2.UnsupportedProtocol):
        return str(error), True
    if isinstance(error, httpx2.ConnectError):
        return f"No connection to {host}: {error}", False
    return f"The connection to {host} broke off: {error or type(error).__name__}", False


def _causes(error: BaseException) -> list[BaseException]:
    """The error and everything that led to it, groups included."""
    found: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo:
        current = todo.pop()
        if current is None or current in found:
            continue
        found.append(current)
        todo += [current.__cause__, current.__context__]
        if isinstance(current, BaseExceptionGroup):
            todo += current.exceptions
    return found
