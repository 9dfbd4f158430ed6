"""What the page says about activities, and the requests that do the same."""

from __future__ import annotations

from ocelli.console.api_requests import ApiRequest
from ocelli.domain.activities import Activity, ActivityKind

PER_PAGE = 25

TITLES = {
    ActivityKind.SESSION: "Upload",
    ActivityKind.BATCH: "Batch",
    ActivityKind.REQUEST: "Request to /api/fetch",
}


def state(activity: Activity) -> str:
    """Return the state as the name of a badge."""
    if activity.is_cancelled:
        return "cancelled"
    if not activity.is_over:
        return "processing" if activity.done or activity.processing else "queued"
    if activity.failed and activity.failed == activity.total:
        return "failed"
    return "completed"


def described_again(count: int) -> str:
    """Say how many pictures are asked about again."""
    if not count:
        return "There is no picture here that failed and can be described again."
    return f"{count:,} picture{' is' if count == 1 else 's are'} described again, as a new job."


def list_request() -> ApiRequest:
    """Return the request that lists uploads."""
    page = {"limit": PER_PAGE}
    return ApiRequest(
        "List uploads", "GET", "/api/v2/uploads/sessions", "sessions.list", page, query=page
    )


def requests_of(activity: Activity) -> list[ApiRequest]:
    """Return the requests that show and cancel one; of /api/fetch the SDK has none."""
    id = str(activity.id)
    if activity.kind is ActivityKind.SESSION:
        path, argument = f"/api/v2/uploads/sessions/{id}", {"session_id": id}
        return [
            ApiRequest("How far it is", "GET", f"{path}/status", "sessions.get", argument),
            ApiRequest("Cancel it", "POST", f"{path}/cancel", "sessions.cancel", argument),
        ]
    if activity.kind is ActivityKind.BATCH:
        path, argument = f"/api/v2/batch/{id}", {"batch_id": id}
        return [
            ApiRequest("How far it is", "GET", path, "batch.get_status", argument),
            ApiRequest("Cancel it", "DELETE", path, "batch.cancel", argument),
        ]
    return []
