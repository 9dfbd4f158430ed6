"""What people say of a picture now, as a column of a query: the newest edit of each field."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ocelli.domain.edits import NONE, Annotations, Authorship, EditField, annotated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def edits_of(images: str) -> str:
    """Return the column, for rows of ``images`` under this name; NULL for pictures never edited."""
    return (
        f"CASE WHEN {images}.revision > 0 THEN (SELECT jsonb_agg(to_jsonb(e)) FROM ("
        "SELECT DISTINCT ON (field, claim) field, claim, value, author, created_at, revision"
        f" FROM edits WHERE edits.image_id = {images}.id"
        " ORDER BY field, claim, edits.revision DESC) e) END"
    )


def to_annotations(edits: Sequence[Mapping[str, Any]] | None) -> Annotations:
    """Return the annotations of a value of the column."""
    said = NONE
    for each in sorted(edits or (), key=lambda edit: int(edit["revision"])):
        if each["value"] is not None:
            by = Authorship(
                each["author"], datetime.fromisoformat(each["created_at"]), each["revision"]
            )
            said = annotated(said, EditField(each["field"]), each["claim"], each["value"], by)
    return said
