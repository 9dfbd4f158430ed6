"""What operators see of chat backends: metrics, spans, log lines. Never a picture, text or key."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from ocelli.backends.chat.breaker import State
from ocelli.backends.model_spans import model_span, note_answer
from ocelli.domain.claims import Tokens
from ocelli.domain.errors import error_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocelli.backends.config import BackendConfig
    from ocelli.domain.tracing import Attribute

log = logging.getLogger(__name__)

BUCKETS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)
SECONDS = Histogram(
    "ocelli_backend_seconds",
    "How long a look of a chat backend took, with its retries",
    ["backend", "look", "outcome"],
    buckets=BUCKETS,
)
ERRORS = Counter("ocelli_backend_errors", "Looks that failed", ["backend", "type"])
RETRIES = Counter("ocelli_backend_retries", "Attempts after the first", ["backend"])
TOKENS = Counter("ocelli_backend_tokens", "Tokens as the server counts them", ["backend", "kind"])
COST = Counter("ocelli_backend_cost_usd", "By the prices in the settings", ["backend"])
BREAKER = Gauge(
    "ocelli_backend_breaker",
    "Circuit breaker: 0 closed, 1 half open, 2 open",
    ["backend"],
    multiprocess_mode="livemostrecent",
)
LEVELS = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}


@dataclass(slots=True)
class CallOutcome:
    """What became of one look; filled in while it happens."""

    model: str | None = None
    finish: str | None = None
    tokens: Tokens = Tokens()
    attempts: int = 0
    milliseconds: float = 0.0


@contextmanager
def observed(config: BackendConfig, look: str) -> Iterator[CallOutcome]:
    """One look (describe, tag, check or judge) in all its traces; what it raises goes on."""
    outcome = CallOutcome()
    started = time.perf_counter()
    failed: str | None = None
    attributes: dict[str, Attribute | None] = {
        "gen_ai.request.max_tokens": config.max_tokens,
        "gen_ai.output.type": "json",
        "ocelli.backend": config.name,
        "ocelli.look": look,
    }
    provider = config.provider.span_name
    with model_span("chat", config.model, provider, config.base_url, attributes) as call:
        try:
            yield outcome
        except BaseException as error:
            failed = error_type(error)
            raise
        finally:
            outcome.milliseconds = (time.perf_counter() - started) * 1000
            note_answer(call, model=outcome.model, tokens=outcome.tokens, finish=outcome.finish)
            call.note({"ocelli.attempts": outcome.attempts})
            _count(config, look, outcome, failed)


def breaker_changed(config: BackendConfig, state: State) -> None:
    """Show it, and say it where it is worth knowing."""
    BREAKER.labels(config.name).set(LEVELS[state])


def _count(config: BackendConfig, look: str, outcome: CallOutcome, failed: str | None) -> None:
    name, tokens = config.name, outcome.tokens
    SECONDS.labels(name, look, "failed" if failed else "answered").observe(
        outcome.milliseconds / 1000
    )
    if failed:
        ERRORS.labels(name, failed).inc()
    if outcome.attempts > 1:
        RETRIES.labels(name).inc(outcome.attempts - 1)
    TOKENS.labels(name, "prompt").inc(tokens.prompt)
    TOKENS.labels(name, "completion").inc(tokens.completion)
    if cost := config.prices.cost(tokens):
        COST.labels(name).inc(cost)
    log.log(
        logging.WARNING if failed else logging.INFO,
        "look backend=%s model=%s look=%s outcome=%s attempts=%d ms=%.0f tokens=%d+%d",
        name,
        config.model,
        look,
        failed or "answered",
        outcome.attempts,
        outcome.milliseconds,
        tokens.prompt,
        tokens.completion,
    )
