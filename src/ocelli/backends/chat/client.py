"""One look of a chat backend, carried through: asked for in a form, and read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from ocelli.backends.bodies import read_bounded
from ocelli.backends.chat import failures
from ocelli.backends.chat.attempts import Attempts
from ocelli.backends.chat.failures import UpstreamRejection
from ocelli.backends.chat.replies import offers_terms
from ocelli.backends.chat.telemetry import CallOutcome, breaker_changed
from ocelli.backends.providers import Structured
from ocelli.domain.chat import told_tokens
from ocelli.domain.claims import Tokens
from ocelli.domain.http_status import retry_after
from ocelli.domain.tracing import current_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp

    from ocelli.backends.config import BackendConfig

MAX_ANSWER = 4 * 1024**2
USER_AGENT = "ocelli"


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What the model said. ``is_cut``: it ran into its limit before it was done."""

    text: str
    is_cut: bool
    tokens: Tokens


class ChatClient:
    """One backend's requests. ``session`` is the process's and is not closed here."""

    def __init__(self, config: BackendConfig, session: aiohttp.ClientSession) -> None:
        self.config = config
        self.session = session
        self.attempts = Attempts(config, retries=config.retries, at_once=config.concurrency)
        self._structured = config.structured
        self._takes_terms = True

    async def complete(
        self, messages: list[dict[str, Any]], schema: Mapping[str, Any], outcome: CallOutcome
    ) -> ModelReply:
        """Return the model's answer. Raises UpstreamRejection, also at the deadline."""
        return await self.attempts.with_retries(
            partial(self._structurally, messages, schema, outcome)
        )

    async def _structurally(
        self,
        messages: list[dict[str, Any]],
        schema: Mapping[str, Any],
        outcome: CallOutcome,
        ends: float,
    ) -> ModelReply:
        """Held to the schema if the server can do that; one that cannot is not asked for it again.

        A refusal (400, 422) does not tell its reason in a way that programs can read, so the same
        request goes out once more without ``response_format``: if that works, that was it.
        """
        terms = offers_terms(schema)  # what is refused may be the length of the list
        structured = self._structured if self._takes_terms or not terms else Structured.NONE
        try:
            return await self._attempt(self._body(messages, schema, structured), outcome, ends)
        except UpstreamRejection as refused:
            if structured is Structured.NONE or refused.status not in (200, 400, 422):
                raise
            body = self._body(messages, schema, Structured.NONE)
            answer = await self._attempt(body, outcome, ends)
            if terms:
                self._takes_terms = False
            else:
                self._structured = Structured.NONE
            return answer

    async def _attempt(self, body: dict[str, Any], outcome: CallOutcome, ends: float) -> ModelReply:
        async def post() -> dict[str, Any]:
            outcome.attempts += 1
            return await self._post(body)

        try:
            answer = await self.attempts.once(post, ends)
        finally:
            breaker_changed(self.config, self.attempts.breaker.state)
        outcome.model = str(answer.get("model") or self.config.model)
        outcome.tokens = tokens_of(answer, outcome.tokens)
        return self._completion(answer, outcome)

    def _body(
        self, messages: list[dict[str, Any]], schema: Mapping[str, Any], structured: Structured
    ) -> dict[str, Any]:
        config = self.config
        body: dict[str, Any] = {
            "model": config.model,
            "messages": messages,
            config.token_field: config.max_tokens,
        }
        if config.temperature is not None:
            body["temperature"] = config.temperature
        if structured is Structured.SCHEMA:
            named = {"name": "answer", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        elif structured is Structured.OBJECT:
            body["response_format"] = {"type": "json_object"}
        return body

    async def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON of the answer. Raises UpstreamRejection."""
        import aiohttp

        config = self.config
        try:
            async with self.session.post(
                config.url,
                json=body,
                headers={"User-Agent": USER_AGENT, **current_context(), **config.headers()},
                proxy=config.proxy,
                allow_redirects=False,  # the key is for this address alone
            ) as response:
                data = await self._read(response)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise failures.not_reached(config.name, error) from error
        if response.status >= 300:
            after = retry_after(response.headers, datetime.now(UTC))
            said = failures.reported_error(data, config.secrets)
            raise failures.by_status(config.name, response.status, said, after=after)
        answer = _json_object(data)
        if answer is None:
            kind = response.content_type
            raise failures.unusable(config.name, f"answered {kind}, not JSON.", retryable=False)
        if wrong := failures.in_answer(config.name, answer, config.secrets):
            raise wrong
        return answer

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        data = await read_bounded(response, MAX_ANSWER)
        if len(data) > MAX_ANSWER:
            limit = MAX_ANSWER // 1024**2
            raise failures.unusable(
                self.config.name, f"answered more than {limit} MB.", retryable=True
            )
        return data

    def _completion(self, answer: Mapping[str, Any], outcome: CallOutcome) -> ModelReply:
        name = self.config.name
        choices = answer.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        message = first.get("message") if isinstance(first, dict) else None
        if not isinstance(first, dict) or not isinstance(message, dict):
            raise failures.unusable(name, "answered without a choice.", retryable=True)
        outcome.finish = str(first.get("finish_reason") or "") or None
        text = _text(message.get("content"))
        if message.get("refusal") or (outcome.finish == "content_filter" and not text):
            raise failures.unusable(name, "refuses to speak about this picture.", retryable=False)
        if not text.strip():
            raise failures.unusable(name, "answered nothing.", retryable=True)
        return ModelReply(text, outcome.finish == "length", outcome.tokens)


def _json_object(data: bytes) -> dict[str, Any] | None:
    """None if it is none. Broken UTF-8 costs the broken letters, not the answer."""
    try:
        answer = json.loads(data.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _text(content: Any) -> str:
    """Text, or a list of parts of which some are text."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def tokens_of(answer: Mapping[str, Any], before: Tokens) -> Tokens:
    """Return the tokens that an answer tells, and those of the attempts before: all may count."""
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return before

    def count(name: str) -> int:
        return told_tokens(usage.get(name)) or 0

    return Tokens(
        before.prompt + count("prompt_tokens"), before.completion + count("completion_tokens")
    )
