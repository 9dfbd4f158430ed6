"""Between the forms of the page and the use cases of settings and erasures."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING
from uuid import UUID

from ocelli.console.api_requests import ApiRequest
from ocelli.domain.erasures import RetentionDays
from ocelli.domain.errors import ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.console.visitors import Form
    from ocelli.domain.erasures import Erasure

MOST_ERASED = 100  # pictures at once, as over the API
MOST_DAYS = 36_500
RECEIPTS = 50
KINDS = {
    "pictures": "Pictures, with all that was made from them, after their upload",
    "chat_sessions": "Conversations about the library, after their last message",
    "request_log": "The log of requests (30 days at most)",
}


def retention(form: Form) -> RetentionDays:
    """Return the days of a form; an empty field keeps its kind. Raises ValidationFailed."""
    days: dict[str, int | None] = {}
    for kind, words in KINDS.items():
        text = form.get(kind).strip()
        if text and not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= MOST_DAYS):
            raise ValidationFailed(
                f"{words}: a number of days from 1 to {MOST_DAYS:,}.", field=kind
            )
        days[kind] = int(text) if text else None
    return RetentionDays(**days)


def shortened(before: RetentionDays, after: RetentionDays) -> list[tuple[str, int]]:
    """Return what is erased sooner than before, and after how many days."""
    old, new = asdict(before), asdict(after)
    return [
        (words, new[kind])
        for kind, words in KINDS.items()
        if new[kind] is not None and (old[kind] is None or new[kind] < old[kind])
    ]


def ids(form: Form) -> list[str]:
    """Return the ids of selected pictures, and those that were typed. Raises ValidationFailed."""
    given = [*form.all("ids"), *form.get("typed").replace(",", " ").split()]
    found = list(dict.fromkeys(given))
    if not found:
        raise ValidationFailed("Select some pictures first, or give their ids.", field="ids")
    if len(found) > MOST_ERASED:
        raise ValidationFailed(f"At most {MOST_ERASED} pictures at once.", field="ids")
    try:
        return [str(UUID(each)) for each in found]
    except ValueError:
        raise ValidationFailed("This is no id of a picture.", field="ids") from None


def told(receipt: Erasure) -> str:
    """Return what an erasure did, as a sentence."""
    count = len(receipt.image_ids)
    ended = "" if receipt.completed_at else " A store does not answer: it is gone on with."
    return f"Erased: {count} picture{'s' * (count != 1)}. The receipt is {receipt.id}.{ended}"


def api_requests(days: RetentionDays, erased: Sequence[str] = ()) -> list[ApiRequest]:
    """Return the requests that do the same."""
    kept = {kind: value for kind, value in asdict(days).items() if value is not None}
    pictures = list(erased) or ["00000000-0000-0000-0000-000000000000"]
    return [
        ApiRequest(
            "Set how long things are kept",
            "PATCH",
            "/api/v2/tenant/settings",
            "tenant.update_settings",
            {"retention_days": kept},
            body={"retention_days": kept},
        ),
        ApiRequest(
            "Erase pictures for good",
            "POST",
            "/api/v2/erasures",
            "erasures.create",
            body={"image_ids": pictures},
            positional=[pictures],
        ),
        ApiRequest("List the receipts", "GET", "/api/v2/erasures", "erasures.list"),
    ]
