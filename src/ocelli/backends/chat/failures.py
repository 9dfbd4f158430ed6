"""What went wrong at a chat server, as AnalysisFailed. By status and codes, never by text.

Two different questions: ``AnalysisFailed.retryable`` says whether asking again some time can help,
``UpstreamRejection.again`` whether to ask again right now.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.domain.http_status import can_be_retried

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST_MESSAGE = 300
LONGEST_WORDS = 1000
LONGEST_CODE = 100

NO_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached", "insufficient_credits"})
# Our key, our account, our settings are at fault.
OURS = frozenset({401, 402, 403, 404, 405, 407, 410})
# The request is at fault, whatever the status that these come with.
OF_THE_REQUEST = frozenset(
    {"context_length_exceeded", "content_policy_violation", "content_filter"}
)
# Statuses that an error means which comes with 200, where it is no number itself.
_MEANT = {
    **dict.fromkeys((*OF_THE_REQUEST, "invalid_request_error"), 400),
    **dict.fromkeys(("invalid_api_key", "authentication_error"), 401),
    **dict.fromkeys(("permission_error", "permission_denied"), 403),
    **dict.fromkeys(("model_not_found", "not_found_error"), 404),
    **dict.fromkeys((*NO_MONEY, "rate_limit_exceeded", "rate_limit_error"), 429),
    **dict.fromkeys(("server_error", "internal_server_error", "api_error"), 500),
    **dict.fromkeys(("overloaded", "overloaded_error", "server_overloaded"), 503),
}


def is_request_error(status: int) -> bool:
    """Return whether a status blames the request, which would fail at any other server, too."""
    return 400 <= status < 500 and status not in OURS and not can_be_retried(status)


@dataclass(frozen=True, slots=True)
class ReportedError:
    """A server's report of an error, shortened, without our secrets and pictures."""

    message: str = ""
    code: str | None = None
    type: str | None = None
    param: str | None = None

    @property
    def names(self) -> frozenset[str]:
        """What programs read."""
        return frozenset(name for name in (self.code, self.type) if name)


class UpstreamRejection(AnalysisFailed):
    """A chat server did not give an answer that can be used.

    ``again``: another attempt now may succeed; ``after`` seconds, if the server said so.
    ``status`` is that of HTTP, 0 if there was none, or the one that an error in a 200 means;
    ``in_answer``: that was so. ``is_ill``: the server itself is in trouble, which the circuit
    breaker counts.
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
        reported_error: ReportedError = ReportedError(),
        in_answer: bool = False,
        is_ill: bool = False,
    ) -> None:
        super().__init__(type, message, retryable=retryable)
        self.again = again
        self.after = after
        self.status = status
        self.said = reported_error
        self.in_answer = in_answer
        self.is_ill = is_ill


def by_status(
    who: str,
    status: int,
    reported_error: ReportedError,
    *,
    after: float | None = None,
    in_answer: bool = False,
) -> UpstreamRejection:
    """Return the rejection for an HTTP status (or one in an answer of 200) and its report."""
    if reported_error.names & OF_THE_REQUEST and not is_request_error(status):
        status = 400
    again = can_be_retried(status)
    no_money = status == 402 or (status == 429 and bool(reported_error.names & NO_MONEY))
    type, words = FailureType.VLM_ERROR, f"refused the request ({status})"
    if no_money:
        type, words, again = FailureType.RESOURCE_LIMIT, "has no credit left on our account", False
    elif status in (401, 403):
        words = f"does not accept our key ({status})"
    elif status in (408, 425):
        type, words = FailureType.TIMEOUT, f"did not answer in time ({status})"
    elif status == 413:
        type, words = FailureType.RESOURCE_LIMIT, "takes no request of this size"
    elif status == 429:
        type, words = FailureType.RATE_LIMIT, "is asked too often"
    elif status >= 500:
        words = f"answered {status}"
    its = f": {reported_error.message[:LONGEST_MESSAGE]}"
    if not reported_error.message or status in (401, 403, 407):  # these quote half of the key
        its = "."
    return UpstreamRejection(
        type,
        f"{who} {words}{its}",
        retryable=again,
        again=again,
        after=after,
        status=status,
        reported_error=reported_error,
        in_answer=in_answer,
        is_ill=status >= 500,
    )


def timed_out(who: str, seconds: float) -> UpstreamRejection:
    """Return the rejection for a timeout; not retried, as that would double a slow server's
    work.
    """
    message = f"{who} did not answer within {seconds:g} s."
    return UpstreamRejection(FailureType.TIMEOUT, message, retryable=True, is_ill=True)


def not_reached(who: str, error: Exception) -> UpstreamRejection:
    """Return the rejection for a failed connection, without the cause's text, which may name
    addresses.
    """
    message = f"{who} cannot be reached ({type(error).__name__})."
    return UpstreamRejection(
        FailureType.VLM_ERROR, message, retryable=True, again=True, is_ill=True
    )


def connection_lost(who: str, error: Exception | None = None) -> UpstreamRejection:
    """Return the rejection for a connection that ended before the answer was complete."""
    cause = f" ({type(error).__name__})" if error else ""
    message = f"{who} hung up in the middle of its answer{cause}."
    return UpstreamRejection(
        FailureType.VLM_ERROR, message, retryable=True, again=True, is_ill=True
    )


def circuit_open(who: str, wait: float) -> UpstreamRejection:
    """Return the rejection for an open circuit breaker."""
    message = f"{who} has failed several times in a row; it is asked again in {wait:.0f} s."
    return UpstreamRejection(FailureType.VLM_ERROR, message, retryable=True, after=wait)


def unusable(who: str, why: str, *, retryable: bool) -> UpstreamRejection:
    """Return the rejection for an answer without usable content."""
    return UpstreamRejection(FailureType.VLM_ERROR, f"{who} {why}", retryable=retryable)


def in_answer(
    who: str, answer: Mapping[str, Any], secrets: Sequence[str]
) -> UpstreamRejection | None:
    """Return the error in an answer with status 200, as some gateways send it."""
    if not answer.get("error") and "error" not in (answer.get("object"), answer.get("type")):
        return None
    words = reported_error(answer, secrets)
    code = words.code or ""
    if code.isdecimal() and 400 <= int(code) < 600:
        status = int(code)
    else:
        status = next((_MEANT[name] for name in (code, words.type) if name in _MEANT), 200)
    return by_status(who, status, words, in_answer=True)


def reported_error(answer: Any, secrets: Sequence[str]) -> ReportedError:
    """Return the report in an error answer, in any of the shapes of servers; it may be bytes.

    Our ``secrets`` and the picture, both of which servers echo, are left out.
    """
    if isinstance(answer, bytes):
        try:
            answer = json.loads(answer)
        except (ValueError, RecursionError):
            return ReportedError()
    if isinstance(answer, list):
        answer = next((each for each in answer if isinstance(each, dict)), None)
    error = (answer.get("error") or answer) if isinstance(answer, dict) else answer
    if not isinstance(error, dict):
        error = {"message": error}
    message = next(
        (text for name in ("message", "detail", "error") if (text := error.get(name))), ""
    )
    if isinstance(message, list):
        message = next((each.get("msg") for each in message if isinstance(each, dict)), "")
    code, type, param = (_name(error.get(name), secrets) for name in ("code", "type", "param"))
    return ReportedError(
        _clean(message, secrets)[:LONGEST_WORDS] if isinstance(message, str) else "",
        code or _name(error.get("status"), secrets),
        type,
        param,
    )


def next_pause(nth: int, after: float | None, jitter: float) -> float:
    """Return the seconds to wait after the ``nth`` failed attempt (from 1); ``jitter`` is 0 to 1.

    What the server asks for, or half a second that doubles; a little more, so that not all clients
    come back at once.
    """
    if after is not None:
        return after + jitter * 0.25
    return float(min(0.5 * 2 ** (nth - 1), 8.0) * (0.75 + jitter / 2))


def _name(value: Any, secrets: Sequence[str]) -> str | None:
    """Return a code, type or path as text: clients compare strings, some servers send numbers."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return _without(str(value), secrets)[:LONGEST_CODE] or None


def _clean(text: str, secrets: Sequence[str]) -> str:
    text = _without(text, secrets)
    text = re.sub(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=]*", "…", text)
    return re.sub(r"[A-Za-z0-9+/=_*-]{40,}", "…", text)


def _without(text: str, secrets: Sequence[str]) -> str:
    """Return the text on one line."""
    text = " ".join(text.split())
    for secret in secrets:
        text = text.replace(secret, "…")
    return text
