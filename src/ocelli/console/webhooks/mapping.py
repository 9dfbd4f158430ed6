"""Between the forms of the pages and the use cases of webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.console.api_requests import ApiRequest
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.webhooks import EndpointChange, EventType

if TYPE_CHECKING:
    from ocelli.console.visitors import Form
    from ocelli.domain.webhooks import Endpoint

DELIVERIES = 50
MAX_URL = 2083
MAX_DESCRIPTION = 255
EVENTS = tuple(each for each in EventType if each is not EventType.TEST)
DISABLED = {
    "by_request": "paused",
    "gone": "disabled: it answered with 410",
    "failing": "disabled: nothing was accepted for five days",
}


def draft(form: Form) -> EndpointChange:
    """Return the webhook that a form describes. Raises ValidationFailed."""
    url, description = form.get("url"), form.get("description").strip()
    if not url or len(url) > MAX_URL:
        raise ValidationFailed(f"An address has 1 to {MAX_URL} characters.", field="url")
    if len(description) > MAX_DESCRIPTION:
        raise ValidationFailed(
            f"The words have at most {MAX_DESCRIPTION} characters.", field="description"
        )
    try:
        types = tuple(dict.fromkeys(EventType(each) for each in form.all("event_types")))
    except ValueError:
        raise ValidationFailed("Choose events from the list.", field="event_types") from None
    return EndpointChange(url=url, description=description, event_types=types)


def api_requests(endpoint: Endpoint | None = None) -> list[ApiRequest]:
    """Return the requests that do the same."""
    path = "/api/v2/webhooks"
    if endpoint is None:
        body = {"url": "https://example.com/ocelli"}
        return [
            ApiRequest("List webhooks", "GET", path, "webhooks.list"),
            ApiRequest("Register one", "POST", path, "webhooks.create", body, body=body),
        ]
    id = str(endpoint.id)
    return [
        ApiRequest(
            "List its deliveries",
            "GET",
            f"{path}/{id}/deliveries",
            "webhooks.deliveries",
            positional=[id],
        ),
        ApiRequest(
            "Send a test event", "POST", f"{path}/{id}/test", "webhooks.send_test", positional=[id]
        ),
    ]
