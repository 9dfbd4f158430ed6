"""Folders of a library: a tree of at most ``MAX_LEVELS``, with names that differ on each level."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ocelli.domain.errors import MalformedRequest

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

MAX_NAME = 255
MAX_LEVELS = 10
MAX_FOLDERS = 5_000  # of a tenant: they are listed in one answer
MAX_MOVED = 100
FORBIDDEN = ("/", "\\")


class DeleteMode(StrEnum):
    """What becomes of the content of a folder that is deleted."""

    MOVE_TO_PARENT = "move_to_parent"
    DELETE_ALL = "delete_all"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder; ``depth`` is 0 at the root. The counts are of what is directly in it."""

    id: UUID
    name: str
    parent_id: UUID | None
    depth: int
    file_count: int
    subfolder_count: int
    created_at: datetime
    updated_at: datetime


def folder_name(text: str) -> str:
    """Return a name as it is stored. Raises MalformedRequest for one that cannot be one.

    >>> folder_name("  Summer 2025 ")
    'Summer 2025'
    """
    name = unicodedata.normalize("NFC", text).strip()
    wrong = any(each in FORBIDDEN or not each.isprintable() for each in name)
    if wrong or not 1 <= len(name) <= MAX_NAME or name in (".", ".."):
        raise MalformedRequest(
            f"The name of a folder has 1 to {MAX_NAME} characters, and no slash, backslash or"
            " control character.",
            field="name",
        )
    return name
