"""Chat completions of other servers, over aiohttp: nothing is changed that clients can read.

aiohttp is imported with the first backend: it takes 0.2 s, and a server may have none.
"""

from __future__ import annotations

import asyncio
import io
import math
from contextlib import ExitStack, aclosing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from yarl import URL

from ocelli.backends.chat import failures
from ocelli.backends.chat.attempts import Attempts
from ocelli.backends.chat.client import USER_AGENT, tokens_of
from ocelli.backends.chat.failures import OURS, UpstreamRejection, is_request_error
from ocelli.backends.chat.stream import StreamTranslator, parsed
from ocelli.backends.config import BackendConfig
from ocelli.backends.model_spans import model_span, note_answer
from ocelli.domain.accounts import MEGABYTE
from ocelli.domain.chat_errors import (
    UpstreamError,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnavailable,
)
from ocelli.domain.claims import Tokens
from ocelli.domain.errors import error_type
from ocelli.domain.http_status import retry_after
from ocelli.domain.ports_chat import PictureLimits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    import aiohttp

    from ocelli.backends.registry import MissingKey
    from ocelli.domain.tracing import Span

MAX_ANSWER = 64 * MEGABYTE
MAX_ERROR = MEGABYTE
CONNECT_TIMEOUT = 5.0
KEEP_ALIVE = 15.0
LARGE_BODY = MEGABYTE  # from here on aiohttp wants a file, which it sends in pieces
# A client waits, which asks again itself: another attempt is made once, and soon.
RETRIES = 1
LONGEST_PAUSE = 2.0
# So long the end of a stream is waited for behind its [DONE], to use the connection again.
LAST_WORD = 0.1


class Upstreams:
    """See ports_chat.ChatUpstreams: all that have a key, over one set of connections."""

    def __init__(self, configured: Sequence[BackendConfig | MissingKey]) -> None:
        self._connections = _Connections()
        self._known = {
            each.name: RelayUpstream(each, self._connections)
            for each in configured
            if isinstance(each, BackendConfig) and each.provider.is_server
        }

    @property
    def names(self) -> Sequence[str]:
        """See ports_chat.ChatUpstreams."""
        return tuple(self._known)

    def get(self, name: str) -> RelayUpstream | None:
        """See ports_chat.ChatUpstreams."""
        return self._known.get(name)

    async def close(self) -> None:
        """Close all connections."""
        await self._connections.close()


class _Connections:
    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Opened with the first request, in the running loop."""
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept"),
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


class RelayUpstream:
    """See ports_chat.ChatUpstream.

    An answer begins within the backend's ``timeout``, and is never silent for longer after that.
    """

    def __init__(self, config: BackendConfig, connections: _Connections) -> None:
        import aiohttp

        self.name = config.name
        self.model = config.model
        self.limits = PictureLimits(max_side=config.full_side, fetches=config.fetches_urls)
        self.token_field = config.token_field
        self._config = config
        self._connections = connections
        self._attempts = Attempts(
            config, retries=min(config.retries, RETRIES), longest_pause=LONGEST_PAUSE
        )
        self._url = URL(config.url)
        self._headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",  # a stream is to arrive as it is written
            "User-Agent": USER_AGENT,
            **config.headers(),
        }
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT, sock_read=config.timeout
        )

    async def ask(self, body: bytes, *, stream: bool, request_id: str) -> RelayReply:
        """See ports_chat.ChatUpstream."""
        with ExitStack() as stack:
            # Of a stream it ends with the last event, which may be in another task.
            call = stack.enter_context(self._span(stream=stream))
            headers = {**call.context(), "X-Request-ID": request_id}
            begin = partial(self._begin, body, headers, call, _stream if stream else _whole)
            try:
                reply = await self._attempts.with_retries(partial(self._attempts.once, begin))
            except UpstreamRejection as refused:
                raise to_client(refused) from refused
            return replace(reply, ends=stack.pop_all()) if stream else reply

    def _span(self, *, stream: bool) -> AbstractContextManager[Span]:
        config = self._config
        attributes = {"gen_ai.request.stream": stream or None, "ocelli.backend": config.name}
        provider = config.provider.span_name
        return model_span(
            "chat", config.model, provider, config.base_url, attributes, is_current=False
        )

    async def _begin(
        self,
        body: bytes,
        headers: dict[str, str],
        call: Span,
        read: Callable[[_Answer], Awaitable[RelayReply]],
    ) -> RelayReply:
        with _as_refused(failures.not_reached, self._config):
            response = await self._connections.session.post(
                self._url,
                data=io.BytesIO(body) if len(body) > LARGE_BODY else body,
                headers={**headers, **self._headers},
                timeout=self._timeout,
                proxy=self._config.proxy,
                allow_redirects=False,
            )
        answer = _Answer(self._config, response, call)
        try:
            if response.status not in (200, 201):
                raise await answer.refusal()
            return await read(answer)
        except BaseException:
            answer.close()
            raise


@dataclass(frozen=True, slots=True)
class RelayReply:
    """See ports_chat.ChatReply."""

    answer: _Answer
    body: bytes = b""
    events: AsyncGenerator[bytes] | None = None
    ends: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """See ports_chat.ChatReply."""
        self.answer.close()
        self.ends.close()


@dataclass(frozen=True, slots=True)
class _Answer:
    """A response of which nothing but the head was read."""

    config: BackendConfig
    response: aiohttp.ClientResponse
    call: Span

    async def read(self, most: int) -> bytes:
        """Return the decompressed body. Raises UpstreamRejection."""
        data = bytearray()
        async for piece in self.pieces():
            data += piece
            if len(data) > most:
                raise self.unusable(f"answers more than {most // MEGABYTE} MB.")
        return bytes(data)

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Yield the decompressed body as it is received. Raises UpstreamRejection."""
        with _as_refused(failures.connection_lost, self.config):
            async for piece in self.response.content.iter_any():
                yield piece

    async def refusal(self) -> UpstreamRejection:
        """What its status and its words come to."""
        body = b""
        with suppress(UpstreamRejection):
            body = await self.read(MAX_ERROR)
        after = retry_after(self.response.headers, datetime.now(UTC))
        said = failures.reported_error(body, self.config.secrets)
        return failures.by_status(self.config.name, self.response.status, said, after=after)

    async def json(self) -> tuple[dict[str, Any], bytes]:
        """Return the JSON object. Raises UpstreamRejection, also for an error with status 200."""
        value, data = parsed(await self.read(MAX_ANSWER)) or (None, b"")
        if not isinstance(value, dict):
            raise self.unusable(f"answered {self.response.content_type}, not a JSON object.")
        if wrong := failures.in_answer(self.config.name, value, self.config.secrets):
            raise wrong
        return value, data

    def unusable(self, why: str) -> UpstreamRejection:
        """There is nothing in it for clients."""
        return failures.unusable(self.config.name, why, retryable=False)

    @property
    def has_end(self) -> bool:
        """Whether its end is told from that of the connection."""
        headers = self.response.headers
        return "Content-Length" in headers or "Transfer-Encoding" in headers

    async def finish(self) -> None:
        """All was read that matters; a moment for the rest, so that the connection is kept."""
        import aiohttp

        with suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(LAST_WORD):
                await self.response.content.readany()

    def close(self) -> None:
        """Close the connection, or keep it if all was read."""
        if self.response.content.at_eof():
            self.response.release()
        else:
            self.response.close()


async def _whole(answer: _Answer) -> RelayReply:
    value, data = await answer.json()
    if not value.get("choices"):
        raise answer.unusable("answered without a choice.")
    _note(answer.call, value)
    return RelayReply(answer, data)


async def _stream(answer: _Answer) -> RelayReply:
    """Once its first event is there: until then another backend can be asked."""
    if answer.response.content_type == "application/json":
        await answer.json()  # perhaps it says why
        raise answer.unusable("did not answer with a stream.")
    events = _events(answer)
    first = await anext(events)
    return RelayReply(answer, events=_from(first, events))


async def _events(answer: _Answer) -> AsyncGenerator[bytes]:
    """Yield the events. Raises UpstreamRejection if the stream ends before [DONE]."""
    stream = StreamTranslator(answer.config.name, answer.config.secrets, has_end=answer.has_end)
    try:
        async with aclosing(answer.pieces()) as pieces:
            async for piece in pieces:
                if out := stream.feed(piece):
                    yield out
                if stream.is_done or stream.failed:
                    break
            else:
                if out := stream.end():
                    yield out
        if stream.failed:
            raise stream.failed
    except UpstreamRejection as refused:
        answer.call.fail(error_type(refused))
        raise
    finally:
        _note(answer.call, stream.told)
    await answer.finish()


async def _from(first: bytes, events: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(events):
        yield first
        try:
            async for piece in events:
                yield piece
        except UpstreamRejection as refused:
            raise to_client(refused) from refused


def _note(call: Span, value: Mapping[str, Any]) -> None:
    """Note the model and the usage that an answer tells."""
    model, usage = value.get("model"), value.get("usage")
    tokens = tokens_of(value, Tokens()) if isinstance(usage, dict) else None
    note_answer(call, model=model if isinstance(model, str) else None, tokens=tokens)


def to_client(refused: UpstreamRejection) -> UpstreamError:
    """Return the client's error for a backend's failure; never one about the client's own key."""
    said, status = refused.said, refused.status
    code = None if (said.code or "").isdecimal() else said.code
    after = None if refused.after is None else math.ceil(refused.after)
    message = f"The backend {refused.message}"
    if is_request_error(status):
        refusal = UpstreamFailed if refused.in_answer else UpstreamRefused
        return refusal(
            said.message or message,
            status=status,
            code=code or UpstreamRefused.code,
            type=said.type or UpstreamRefused.type,
            param=said.param,
        )
    if status in OURS:
        return UpstreamFailed(f"{message} See the setting `backends`.")
    kind = UpstreamUnavailable if refused.retryable else UpstreamFailed
    if status == 429:
        return kind(
            message,
            status=429,
            code=code or "rate_limit_exceeded",
            type=said.type or "rate_limit_error",
            param=said.param,
            retry_after=after,
        )
    return kind(message, code=code, type=said.type, param=said.param, retry_after=after)


@contextmanager
def _as_refused(
    kind: Callable[[str, Exception], UpstreamRejection], config: BackendConfig
) -> Iterator[None]:
    import aiohttp

    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise failures.not_reached(config.name, error) from error
    except aiohttp.SocketTimeoutError as error:
        raise failures.timed_out(config.name, config.timeout) from error
    except aiohttp.ClientResponseError as error:  # an encoding or a head that no client reads
        why = "answers in a way that cannot be read."
        raise failures.unusable(config.name, why, retryable=False) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise kind(config.name, error) from error
