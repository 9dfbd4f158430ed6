"""Between the forms of the page, the use cases, and what its script reads."""

from __future__ import annotations

import json
import re
import uuid
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ocelli.console.api_requests import ApiRequest
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.languages import DEFAULT, LANGUAGES
from ocelli.domain.questions import Role
from ocelli.domain.upload_sessions import Item
from ocelli.usecases.upload import DEFAULT_LEVEL, UploadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocelli.domain.errors import OcelliError
    from ocelli.domain.upload_sessions import Session

FIELDS = (
    "drop",
    "keys",
    "level",
    "role",
    "language",
    "backends",
    "vocabulary",
    "skip_duplicates",
)
FAILURES = 100
_NAME = re.compile(r"[0-9A-Za-z-]{1,64}")
STATES = {
    "u": "uploading",
    "q": "queued",
    "c": "completed",
    "f": "failed",
    "s": "skipped",
}


@dataclass(frozen=True, slots=True)
class Choices:
    """What a visitor chose for the pictures; ``level`` None: as the tenant's policy says."""

    level: VerificationLevel | None
    role: Role
    language: str
    backends: tuple[str, ...]
    skip_duplicates: bool

    @property
    def is_free(self) -> bool:
        """Whether neither level nor backends were chosen."""
        return self.level is None and not self.backends


def choices(fields: Mapping[str, str], backends: Sequence[str]) -> Choices:
    """Read the choices of a form. Raises ValidationFailed."""
    try:
        level = VerificationLevel(fields["level"]) if fields.get("level") else None
        role = Role(fields.get("role") or Role.GENERAL)
    except ValueError as error:
        raise ValidationFailed(f"{error}.", field="level") from None
    language = fields.get("language") or DEFAULT
    if language not in LANGUAGES:
        raise ValidationFailed(f"There is no language {language[:64]!r} here.", field="language")
    named = tuple(filter(None, fields.get("backends", "").split(",")))
    unknown = [name for name in named if name not in backends]
    if unknown:
        raise ValidationFailed(
            f"No backend {unknown[0][:64]!r} is configured here; there are {', '.join(backends)}.",
            field="backends",
        )
    return Choices(level, role, language, named, bool(fields.get("skip_duplicates")))


def upload_request(chosen: Choices) -> UploadRequest:
    """Return the request of each file, without its name."""
    return UploadRequest(
        None,
        skip_duplicates=chosen.skip_duplicates,
        level=chosen.level or DEFAULT_LEVEL,
        backends=chosen.backends,
        role=chosen.role,
        language=chosen.language,
        upload_method="CONSOLE",
    )


def session_id(tenant_id: uuid.UUID, drop: str) -> uuid.UUID:
    """Return the id of the session of what was dropped together. Raises ValidationFailed."""
    return uuid.uuid5(tenant_id, f"drop {_name(drop, 'drop')}")


def keys(text: str, count: int) -> list[str]:
    """Return the names of the files of a request. Raises ValidationFailed."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or len(found) != count or len({*map(str, found)}) != count:
        raise ValidationFailed(f"`keys` must name each of the {count} files.", field="keys")
    return [_name(str(each), "keys") for each in found]


def item_key(session: uuid.UUID, key: str) -> str:
    """Return what the database calls a file; nothing else of the tenant is called so."""
    return f"{session} {key}"


def named_by(url: str) -> str:
    """Return the name of a file by its address.

    >>> named_by("https://example.com/a/b%20c.jpg?x=1")
    'b c.jpg'
    """
    parts = urlsplit(url)
    return unquote(parts.path.rstrip("/").rpartition("/")[2]) or parts.hostname or "picture"


def outcomes(
    session: uuid.UUID, names: Sequence[str], found: Sequence[Item | OcelliError]
) -> dict[str, Any]:
    """Return what became of the files of a request."""
    return {
        "session": str(session),
        "files": [_outcome(name, each) for name, each in zip(names, found, strict=True)],
    }


def progress(session: Session, states: str, failures: Sequence[Item]) -> dict[str, Any]:
    """Return how far a session has come; counts and states are of one moment."""
    counts = Counter(states)
    return {
        "is_over": session.status.is_final and not counts["u"] + counts["q"],
        "is_cancelled": session.cancelled_at is not None,
        "total": len(states),
        "counts": {name: counts[letter] for letter, name in STATES.items()},
        "states": states,
        "failures": [
            {
                "position": each.position,
                "reason": each.error or "The picture could not be described.",
                "retryable": bool(each.retryable),
                "image": str(each.image_id or each.id),
            }
            for each in failures
        ],
    }


def api_request() -> ApiRequest:
    """Return the request that uploads pictures."""
    return ApiRequest(
        "Upload pictures",
        "POST",
        "/api/v2/user-files/upload/stream-batch",
        "upload",
        {"files": ["a.jpg", "b.jpg"], "verification_level": "standard"},
        form={"files": "@a.jpg", "verification_level": "standard"},
    )


def with_name(request: UploadRequest, filename: str | None) -> UploadRequest:
    """Return the request of the file of this name."""
    return replace(request, filename=filename)


def _outcome(name: str, found: Item | OcelliError) -> dict[str, Any]:
    if isinstance(found, Item):
        return {"key": name, "position": found.position}
    return {"key": name, "reason": found.message, "retryable": found.retryable}


def _name(text: str, field: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValidationFailed(f"`{field}` has 1 to 64 letters, digits and dashes.", field=field)
    return text
