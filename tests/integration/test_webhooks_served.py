"""Webhooks of a running server: what is told of each way in, and the routes."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import requests
from tests.conftest import Server
from tests.sdk.test_sdk_real_server import photo
from tests.waiting import until

from aion import AionvisionPermissionError, ResourceNotFoundError, SyncAionVision, ValidationError
from aion.types.webhooks import WebhookDelivery

NOT_OURS = "http://127.0.0.1:9/hook"  # which the server does not go to


class Account:
    """A client of a tenant of its own, and plain requests with its key."""

    def __init__(self, server: Server, tenant: str, *options: str) -> None:
        key = server.new_key(tenant, *options)
        self.server = server
        self.headers = {"Authorization": f"Bearer {key}"}
        self.client = SyncAionVision(key, base_url=f"{server.url}/api/v2")

    def get(self, path: str, **parameters: str) -> Any:
        return requests.get(
            self.server.url + path, params=parameters, headers=self.headers, timeout=60
        ).json()


def test_every_way_in_is_told(server: Server) -> None:
    account = Account(server, "told-of-everything", "--credits", "10")
    with account.client as client:
        webhook = client.webhooks.create(NOT_OURS)
        sent = client.upload_one(photo(), filename="a.jpg")
        broken = base64.b64encode(b"no picture").decode()
        requests.post(
            f"{server.url}/api/v2/batch/describe",
            json={"images": [{"image_base64": broken}]},
            headers=account.headers,
            timeout=60,
        )
        account.get("/api/fetch", url="http://127.0.0.1/a.jpg")
        client.history.export("jsonl")

        def told() -> dict[str, WebhookDelivery] | None:
            found = {each.event_type: each for each in client.webhooks.all_deliveries(webhook.id)}
            wanted = {"image.described", "batch.failed", "fetch.completed", "export.completed"}
            return found if wanted <= found.keys() else None

        found = until(told)
        described = found["image.described"].payload["data"]
        assert described["image_id"] == sent.image_id
        assert described["description"] == sent.description
        assert account.get(described["url"])["id"] == sent.image_id
        assert found["fetch.completed"].payload["data"]["errors"] == 1
        for each in found.values():
            there = server.url + each.payload["data"]["url"]
            answer = requests.get(there, headers=account.headers, timeout=60)
            assert answer.status_code == 200, (there, answer.text)


def test_a_session_is_told_once_with_its_last_file(server: Server) -> None:
    account = Account(server, "told-of-sessions")
    with account.client as client:
        webhook = client.webhooks.create(NOT_OURS, event_types=["session.completed"])
        client.upload([photo() for _ in range(3)], filenames=["a.jpg", "b.jpg", "c.jpg"])
        (delivery,) = until(lambda: client.webhooks.deliveries(webhook.id).deliveries)
        data = delivery.payload["data"]
        assert (data["total"], data["completed"], data["failed"]) == (3, 3, 0)
        assert not data["cancelled"]
        assert account.get(data["url"])["session_id"] == data["session_id"]


def test_webhooks_are_registered_changed_tried_and_removed(server: Server) -> None:
    with Account(server, "registers-webhooks").client as client:
        made = client.webhooks.create(NOT_OURS, event_types=["image.failed"], description="shop")
        assert made.secret.startswith("whsec_")
        assert made.secret not in repr(made)
        assert client.webhooks.rotate_secret(made.id).secret != made.secret
        (listed,) = client.webhooks.list()
        assert (listed.id, listed.url, listed.enabled) == (made.id, NOT_OURS, True)

        test = client.webhooks.send_test(made.id)
        tried = until(
            lambda: [each for each in client.webhooks.all_deliveries(made.id) if each.error]
        )
        assert [each.id for each in tried] == [test.id]
        assert "cannot be reached" in str(tried[0].error)
        until(lambda: client.webhooks.get(made.id).failing_since)
        assert client.webhooks.replay(made.id, test.id).id == test.id

        changed = client.webhooks.update(made.id, event_types=[], enabled=False)
        assert (changed.event_types, changed.disabled_reason) == ([], "by_request")
        assert changed.description == "shop"
        with pytest.raises(Exception, match="disabled"):
            client.webhooks.send_test(made.id)
        client.webhooks.delete(made.id)
        with pytest.raises(ResourceNotFoundError):
            client.webhooks.get(made.id)
        types = [each.event_type for each in client.audit.list(limit=20).entries]
        assert types.count("webhook.created") == types.count("webhook.deleted") == 1


def test_what_is_no_webhook_is_refused(server: Server) -> None:
    with Account(server, "refused-webhooks").client as client:
        for url in ("ftp://example.com", "http://", "http://user:pw@example.com/", "http://a\\b"):
            with pytest.raises(ValidationError):
                client.webhooks.create(url)
        with pytest.raises(ValidationError):
            client.webhooks.create("https://example.com", event_types=["image.eaten"])
        with pytest.raises(ValidationError):
            client.webhooks.update("x")
    with (
        Account(server, "refused-webhooks", "--scopes", "write").client as writer,
        pytest.raises(AionvisionPermissionError),
    ):
        writer.webhooks.list()
