"""What people say about pictures, and pictures that wait for it."""

from dataclasses import field
from datetime import datetime
from typing import Any

from aion.types._model import Model, record
from aion.types.files import ClaimState, UserFile


@record
class FileEdit(Model):
    """One change of one field by a person; ``undoes`` is the change that it undid."""

    id: str
    revision: int
    field: str
    claim: str | None = None
    value: Any = None
    previous: Any = None
    author: str = ""
    created_at: datetime | None = None
    undoes: str | None = None


@record
class FileEditList(Model):
    """One page of the changes of a picture, newest first."""

    edits: list[FileEdit] = field(default_factory=list)
    has_more: bool = False
    next_cursor: str | None = None


@record
class ReviewItem(Model):
    """A picture that waits for a person; ``doubt`` is from 0 to 1."""

    file: UserFile
    analysis_id: str
    doubt: float = 0.0
    reasons: list[str] = field(default_factory=list)
    claims: list[ClaimState] = field(default_factory=list)
    queued_at: datetime | None = None


@record
class ReviewList(Model):
    """One page of the pictures that wait, the most doubtful first."""

    items: list[ReviewItem] = field(default_factory=list)
    total_count: int = 0
    has_more: bool = False
    next_cursor: str | None = None


@record
class ReviewDone(Model):
    """A picture that was decided about."""

    id: str
    revision: int = 0
    reviewed_by: str | None = None
    reviewed_at: datetime | None = None


@record
class ReviewFailure(Model):
    """A picture that was not decided about, and why."""

    id: str
    code: str = ""
    message: str = ""


@record
class ReviewOutcome(Model):
    """The result for each picture."""

    done: list[ReviewDone] = field(default_factory=list)
    failed: list[ReviewFailure] = field(default_factory=list)


@record
class PictureLabel(Model):
    """What people said of a picture; ``label`` is a line for ``ocelli eval``."""

    image_id: str
    filename: str = ""
    label: dict[str, Any] = field(default_factory=dict)


@record
class PictureLabelList(Model):
    """One page; it may be shorter than asked for while others follow."""

    labels: list[PictureLabel] = field(default_factory=list)
    has_more: bool = False
    next_cursor: str | None = None
