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
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from ocelli.domain.correlation import REQUEST_ID
from ocelli.domain.tracing import current_ids

if TYPE_CHECKING:
    from ocelli.settings import Settings

QUIET = ("procrastinate", "psycopg.pool", "psycopg", "uvicorn", "aiohttp", "botocore", "urllib3")
_COLORS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_USUAL = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}  # no `extra`
_RESET = "\x1b[0m"
MAX_FRAMES = 8  # of a traceback, the innermost
_PLAIN = re.compile(r"[^\s=]+")
_KEY = re.compile(r"aion_[A-Za-z0-9_-]{8,}")
_ADDRESS = re.compile(
    r"(\b[a-z][a-z0-9+.-]*://)(?:[^\s/@?#'\"]*@)?([^\s?#'\"]*)(?:[?#][^\s'\"]*)?", re.IGNORECASE
)


def configure_logs(settings: Settings, process: str) -> None:
    """Log to standard error; each line names ``process``."""
    handler = logging.StreamHandler()
    handler.setFormatter(Json(process) if settings.log_format == "json" else Text(process))
    # What no line shows need not be found out for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for noisy in QUIET:
        logging.getLogger(noisy).setLevel(logging.ERROR)
    os.environ.setdefault("PYTHONUNBUFFERED", "1")


class Lines(logging.Formatter):
    """What the lines of a process say, in their order; how they are written is each format's."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process, self._pid = process, os.getpid()

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the fields of a line, scrubbed."""
        fields = {
            "level": record.levelname.lower(),
            "process": self._process,
            "pid": self._pid,
            "event": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _USUAL},
        }
        if (request_id := REQUEST_ID.get()) is not None:
            fields.setdefault("request_id", request_id)
        fields.update(_error_fields(record))
        return {
            name: scrub(value) if isinstance(value, str) else value
            for name, value in fields.items()
        }


class Json(Lines):
    """One JSON object a line, with the ids by which tools join logs and traces."""

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        moment = datetime.fromtimestamp(record.created, UTC)
        timestamp = f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
        event = {"timestamp": timestamp, **self.fields(record)}
        if (ids := current_ids()) is not None:
            event["trace_id"], event["span_id"] = ids
        return to_json(event, fallback=str).decode()


class Text(Lines):
    """``08:15:02.123 info    api[17] request method=GET route=/user-files status=200 ...``."""

    def __init__(self, process: str) -> None:
        super().__init__(process)
        self._colors = _COLORS if sys.stderr.isatty() else {}

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        moment = f"{datetime.fromtimestamp(record.created):%H:%M:%S.%f}"[:12]
        fields = self.fields(record)
        level, process, pid, event = (
            fields.pop(name) for name in ("level", "process", "pid", "event")
        )
        level_text = f"{level:<7}"
        if self._colors:
            level_text = f"{self._colors.get(level, '')}{level_text}{_RESET}"
        rest = (f"{name}={_value(value)}" for name, value in fields.items() if value is not None)
        return " ".join([moment, level_text, f"{process}[{pid}]", event, *rest])


def _error_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the type of an exception and its places in the code, without its message."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return {}
    return {
        "error_type": type(error).__name__,
        "places": [
            f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
        ],
    }


def scrub(text: str) -> str:
    """Remove API keys, and the passwords and queries of addresses.

    >>> scrub("GET https://u:p@example.com/a.png?token=1 with aion_0123456789abcdef")
    'GET https://example.com/a.png with aion_...'
    """
    if "aion_" in text:
        text = _KEY.sub("aion_...", text)
    return _ADDRESS.sub(r"\1\2", text) if "://" in text else text


def _value(value: object) -> str:
    text = " | ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if _PLAIN.fullmatch(text) else repr(text)
