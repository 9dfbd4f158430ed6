"""A streamed answer: from what a server sends to what every client can read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from ocelli.backends.chat import failures
from ocelli.backends.chat.events import EventParser, ServerSentEvent
from ocelli.domain.accounts import MEGABYTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocelli.backends.chat.failures import UpstreamRejection

DONE = b"[DONE]"
TOLD = ("model", "usage")  # of an answer, beside what it says
MAX_EVENT = 16 * MEGABYTE
COMMENT = b":\n\n"  # keeps a connection open


class StreamTranslator:
    """Whole events out of pieces that end anywhere, each ``data: {...}`` on a line of its own.

    Comments, names and numbers of events are for the way alone. ``has_end``: the end of the
    response can be told from that of the connection, so what ends is complete. Once ``failed`` is
    set, or ``is_done``, nothing more comes. ``told`` is what the events said of TOLD.
    """

    def __init__(self, who: str, secrets: Sequence[str], *, has_end: bool) -> None:
        self.failed: UpstreamRejection | None = None
        self.is_done = False
        self.has_begun = False
        self.told: dict[str, Any] = {}
        self._who = who
        self._secrets = secrets
        self._events = EventParser()
        self._is_complete = has_end

    def feed(self, piece: bytes) -> bytes:
        """Return the events that can be sent now."""
        out = self._sent(self._events.feed(piece))
        if self._events.waiting > MAX_EVENT:
            self._fail(f"sent an event of more than {MAX_EVENT // MEGABYTE} MB.")
        return out

    def end(self) -> bytes:
        """Nothing more comes: what is left, and the [DONE] that some servers forget."""
        out = self._sent(self._events.end(), is_end=True)
        if self.is_done or self.failed:
            return out
        if not self._is_complete:
            self.failed = failures.connection_lost(self._who)
        elif not self.has_begun:
            self._fail("ended before it began.")
        else:
            out += _written(DONE)
        self.is_done = True
        return out

    def _sent(self, events: Iterable[ServerSentEvent], *, is_end: bool = False) -> bytes:
        out = []
        for event in events:
            if self.is_done or self.failed:
                break
            out.append(self._one(event, is_end=is_end))
        return b"".join(out)

    def _one(self, event: ServerSentEvent, *, is_end: bool) -> bytes:
        data = event.data
        if data is None:
            return COMMENT if self.has_begun else b""
        if data == DONE:
            self.is_done = True
            if self.has_begun:
                return _written(DONE)
            self._fail("ended before it began.")
            return b""
        read = parsed(data)
        value, clean = read if read is not None else (None, data)
        if event.name == "error" and not (isinstance(value, dict) and value.get("error")):
            value = {"error": value or data.decode(errors="replace")}
        if isinstance(value, dict):
            self.failed = failures.in_answer(self._who, value, self._secrets)
            return b"" if self.failed else self._chunk(value, clean)
        if data.startswith(b"{"):  # else it only keeps the connection open
            if is_end:
                self.failed = failures.connection_lost(self._who)
            else:
                self._fail("sent an event that is not JSON.")
        return b""

    def _chunk(self, value: dict[str, Any], data: bytes) -> bytes:
        self.has_begun = True
        self.told |= {name: value[name] for name in TOLD if value.get(name)}
        if not self._is_complete:
            choices = value.get("choices") or ()
            self._is_complete = any(
                isinstance(each, dict) and each.get("finish_reason") for each in choices
            )
        return _written(data)

    def _fail(self, why: str) -> None:
        self.failed = failures.unusable(self._who, why, retryable=False)


def parsed(data: bytes) -> tuple[Any, bytes] | None:
    """What JSON says, and the same as every client can read it; None if it is none.

    Broken UTF-8 costs the broken letters and NaN its value, not the answer.
    """
    try:
        return from_json(data, allow_inf_nan=False), data
    except ValueError:
        pass
    text = data.decode("utf-8-sig", errors="replace")
    unheard_of: list[str] = []
    try:
        value = json.loads(text, parse_constant=unheard_of.append)  # which gives None
    except (ValueError, RecursionError):
        return None
    return value, json.dumps(value).encode() if unheard_of else text.encode()


def _written(data: bytes) -> bytes:
    """One event. JSON has line ends only between its values."""
    return b"data: " + data.replace(b"\n", b" ") + b"\n\n"
