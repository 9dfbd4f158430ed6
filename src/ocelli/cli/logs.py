"""Logs of all processes: text lines, or one JSON object each.

Modules log with the standard library and give fields as ``extra``. What a line may never hold (a
key, the query of an address, the message of an unexpected error, which can quote a picture's words
or a row) is taken out here, from every module.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any

import structlog
from pydantic_core import to_json

from ocelli.domain.correlation import REQUEST_ID
from ocelli.domain.tracing import current_ids

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict

    from ocelli.settings import Settings

QUIET = ("procrastinate", "psycopg.pool", "psycopg", "uvicorn", "aiohttp", "botocore", "urllib3")
_COLORS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_RESET = "\x1b[0m"
MAX_FRAMES = 8  # of a traceback, the innermost
_PLAIN = re.compile(r"[^\s=]+")
_KEY = re.compile(r"aion_[A-Za-z0-9_-]{8,}")
_ADDRESS = re.compile(
    r"(\b[a-z][a-z0-9+.-]*://)(?:[^\s/@?#'\"]*@)?([^\s?#'\"]*)(?:[?#][^\s'\"]*)?", re.IGNORECASE
)


def configure_logs(settings: Settings, process: str) -> None:
    """Log to standard error; each line names ``process``."""
    is_json = settings.log_format == "json"
    shared: list[Callable[..., Any]] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso" if is_json else "%H:%M:%S.%f", utc=is_json),
        _identified(process),
        *([_traced] if is_json else []),
        _error_fields,
        _scrubbed,
    ]
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(_json) if is_json else _text(sys.stderr.isatty()),
            ],
        )
    )
    # What no line shows need not be found out for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for noisy in QUIET:
        logging.getLogger(noisy).setLevel(logging.ERROR)
    os.environ.setdefault("PYTHONUNBUFFERED", "1")


def _identified(process: str) -> Callable[..., EventDict]:
    pid = os.getpid()

    def identify(_: Any, __: str, event: EventDict) -> EventDict:
        if (request_id := REQUEST_ID.get()) is not None:
            event.setdefault("request_id", request_id)
        first = {name: event.pop(name) for name in ("timestamp", "level")}
        return {**first, "process": process, "pid": pid, "event": event.pop("event"), **event}

    return identify


def _traced(_: Any, __: str, event: EventDict) -> EventDict:
    """Add the ids by which tools join logs and traces; too long for a line that a person reads."""
    if (ids := current_ids()) is not None:
        event["trace_id"], event["span_id"] = ids
    return event


def _error_fields(_: Any, __: str, event: EventDict) -> EventDict:
    """Replace an exception by its type and places in the code, without its message."""
    event.pop("stack_info", None)
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["error_type"] = type(error).__name__
        event["places"] = [
            f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
        ]
    return event


def _scrubbed(_: Any, __: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = scrub(value)
    return event


def scrub(text: str) -> str:
    """Remove API keys, and the passwords and queries of addresses.

    >>> scrub("GET https://u:p@example.com/a.png?token=1 with aion_0123456789abcdef")
    'GET https://example.com/a.png with aion_...'
    """
    if "aion_" in text:
        text = _KEY.sub("aion_...", text)
    return _ADDRESS.sub(r"\1\2", text) if "://" in text else text


def _text(colors: bool) -> Callable[..., str]:
    """``08:15:02.123 info    api[17] request method=GET route=/user-files status=200 ...``."""

    def line(_: Any, __: str, event: EventDict) -> str:
        moment, level = event.pop("timestamp")[:12], event.pop("level")
        process, pid, name = event.pop("process"), event.pop("pid"), event.pop("event")
        level_text = f"{_COLORS.get(level, '')}{level:<7}{_RESET}" if colors else f"{level:<7}"
        fields = (f"{key}={_value(value)}" for key, value in event.items() if value is not None)
        return " ".join([moment, level_text, f"{process}[{pid}]", name, *fields])

    return line


def _json(event: EventDict, **_: Any) -> str:
    return to_json(event, fallback=str).decode()


def _value(value: object) -> str:
    text = " | ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if _PLAIN.fullmatch(text) else repr(text)
