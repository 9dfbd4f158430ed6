"""What a backup of an installation holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

UNKNOWN_TYPE = "application/octet-stream"


class BackupFailed(Exception):
    """A backup or a restore cannot be made, or goes no further; the message says why."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedObject:
    """An object that a row names. Of one that is ``optional`` it is not known whether it is there.

    Size in bytes and SHA-256 are those of the row, where it has them.
    """

    key: str
    content_type: str = UNKNOWN_TYPE
    size: int | None = None
    sha256: str | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class KeptObject:
    """An object in a backup."""

    key: str
    content_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Problem:
    """An object that could not be backed up, or is damaged in the backup."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What one backup is of. ``secret`` is a fingerprint; ``rows`` are numbers of rows by table."""

    made_at: str
    ocelli: str
    postgres: int
    schema: str
    extension_schema: str | None
    migrations: Sequence[str]
    secret: str
    rows: Mapping[str, int]
    objects: int = 0
    bytes: int = 0
    missing: Sequence[Problem] = ()


@dataclass(slots=True)
class ObjectsReport:
    """How far the copying of objects is, and what became of it.

    ``copied`` of ``done`` objects were not there before. ``gone`` were removed by the server with
    their rows in the meantime. ``erased`` are receipts by which a restore has erased again.
    """

    total: int = 0
    done: int = 0
    copied: int = 0
    copied_bytes: int = 0
    gone: int = 0
    erased: int = 0
    problems: list[Problem] = field(default_factory=list)
