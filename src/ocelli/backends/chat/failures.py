"""What went wrong at a chat server, as AnalysisFailed. By status and codes, never by text.

Two different questions: ``AnalysisFailed.retryable`` says whether asking again some time can help,
``Refused.again`` whether to ask again right now.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from ocelli.domain.errors import AnalysisFailed, FailureType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

LONGEST_MESSAGE = 300
NO_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached", "insufficient_credits"})


class Refused(AnalysisFailed):
    """A chat server did not give an answer that can be used.

    ``again``: another attempt now may succeed; ``after`` seconds, if the server said so.
    ``status`` is that of HTTP, 0 if there was none. ``is_ill``: the server itself is in trouble,
    which the circuit breaker counts.
    """

    def __init__(
        self,
        type: FailureType,
        message: str,
        *,
        retryable: bool,
        again: bool = False,
        after: float | None = None,
        status: int = 0,
        is_ill: bool = False,
    ) -> None:
        super().__init__(type, message, retryable=retryable)
        self.again = again
        self.after = after
        self.status = status
        self.is_ill = is_ill


def by_status(
    who: str, status: int, error: Mapping[str, Any], *, after: float | None = None, key: str | None
) -> Refused:
    """From an HTTP status (or the code in an error body) and the ``error`` object, if any."""
    said = _said(error, key)
    code = str(error.get("code") or error.get("type") or "")
    if status == 429 and code in NO_MONEY:
        message = f"{who}: the account has no credit left{said}"
        return Refused(FailureType.RESOURCE_LIMIT, message, retryable=False, status=status)
    match status:
        case 401 | 403:
            message = f"{who} does not accept our key ({status}){said}"
            return Refused(FailureType.VLM_ERROR, message, retryable=False, status=status)
        case 402:
            message = f"{who}: the account has no credit left{said}"
            return Refused(FailureType.RESOURCE_LIMIT, message, retryable=False, status=status)
        case 408 | 425:
            message = f"{who} did not answer in time ({status}){said}"
            return Refused(
                FailureType.TIMEOUT, message, retryable=True, again=True, after=after, status=status
            )
        case 413:
            message = f"{who} takes no request of this size{said}"
            return Refused(FailureType.RESOURCE_LIMIT, message, retryable=False, status=status)
        case 429:
            message = f"{who} is asked too often{said}"
            return Refused(
                FailureType.RATE_LIMIT,
                message,
                retryable=True,
                again=True,
                after=after,
                status=status,
            )
        case _ if status >= 500:
            message = f"{who} answered {status}{said}"
            return Refused(
                FailureType.VLM_ERROR,
                message,
                retryable=True,
                again=True,
                after=after,
                status=status,
                is_ill=True,
            )
        case _:
            message = f"{who} refused the request ({status}){said}"
            return Refused(FailureType.VLM_ERROR, message, retryable=False, status=status)


def timed_out(who: str, seconds: float) -> Refused:
    """No answer within one attempt's time."""
    message = f"{who} did not answer within {seconds:g} s."
    return Refused(FailureType.TIMEOUT, message, retryable=True, again=True, is_ill=True)


def not_reached(who: str, error: Exception) -> Refused:
    """No connection, or one that broke. The cause's own words may name addresses: its type does."""
    message = f"{who} cannot be reached ({type(error).__name__})."
    return Refused(FailureType.VLM_ERROR, message, retryable=True, again=True, is_ill=True)


def left_alone(who: str, wait: float) -> Refused:
    """The circuit breaker is open."""
    message = f"{who} has failed several times in a row; it is asked again in {wait:.0f} s."
    return Refused(FailureType.VLM_ERROR, message, retryable=True)


def unusable(who: str, why: str, *, retryable: bool) -> Refused:
    """It answered, and there is nothing in it for us."""
    return Refused(FailureType.VLM_ERROR, f"{who} {why}", retryable=retryable)


def in_body(answer: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]] | None:
    """The error in an answer that says 200, as some gateways give it: status, error object."""
    error = answer.get("error")
    if not error:
        return None
    detail: Mapping[str, Any] = error if isinstance(error, dict) else {"message": error}
    code = str(detail.get("code") or detail.get("status") or "")
    status = int(code) if code.isdecimal() and 400 <= int(code) < 600 else 400
    return status, detail


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from a Retry-After header, which is a number or a date."""
    if not value:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value.strip()):
        return float(value)
    try:
        then = parsedate_to_datetime(value)
        return max(0.0, (then - now).total_seconds())
    except (ValueError, TypeError):
        return None


def next_pause(nth: int, after: float | None, jitter: float) -> float:
    """Seconds to wait after the ``nth`` failed attempt (1 is the first); ``jitter`` is 0 to 1.

    What the server asks for, or half a second that doubles; a little more, so that not all clients
    come back at once.
    """
    if after is not None:
        return after + jitter * 0.25
    return float(min(0.5 * 2 ** (nth - 1), 8.0) * (0.75 + jitter / 2))


def _said(error: Mapping[str, Any], key: str | None) -> str:
    """Its own words, without our key and without the picture, both of which servers echo."""
    text = " ".join(str(error.get("message") or "").split())
    if key:
        text = text.replace(key, "…")
    text = re.sub(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=]*", "…", text)
    text = re.sub(r"[A-Za-z0-9+/=_*-]{40,}", "…", text)
    if not text:
        return "."
    return f": {text[:LONGEST_MESSAGE]}"
