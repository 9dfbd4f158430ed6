"""Sessions, history, keys and usage, and what describing takes, against a real server."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Server
from tests.sdk.test_sdk_real_server import photo, settings
from tests.waiting import until

from aion import (
    AionVision,
    AionvisionConnectionError,
    AionvisionPermissionError,
    ResourceNotFoundError,
    SyncAionVision,
    UploadError,
    ValidationError,
)
from aion.types import ApiKey, DescriptionResult, UploadSession, VerificationResult


@pytest.fixture
def client(real_server: Server) -> SyncAionVision:
    return SyncAionVision(**settings(real_server))


def test_sessions(client: SyncAionVision) -> None:
    with client:
        sent = client.upload(
            [photo() for _ in range(3)],
            filenames=["a.jpg", "b.jpg", "c.jpg"],
            wait_for_descriptions=False,
        )
        newest = client.sessions.list(limit=1)
        assert newest.has_more == (newest.total_count > 1)
        (session,) = newest.sessions
        done = client.sessions.wait_for_completion(session.session_id)
        assert (done.status, done.is_terminal, done.completed_files) == ("completed", True, 3)
        assert done.pending_files == 0
        page = client.sessions.get_results(session.session_id, limit=2)
        assert (page.total_count, page.has_more, page.completed) == (3, True, 3)
        every = list(client.sessions.get_all_results(session.session_id, page_size=2))
        assert {row.image_id for row in every} == {each.image_id for each in sent}
        assert all(row.description for row in every)
        assert session.session_id in {
            each.session_id for each in client.sessions.list_all(status="completed", page_size=1)
        }
        with pytest.raises(ValidationError):
            client.sessions.cancel(session.session_id)
        with pytest.raises(ResourceNotFoundError) as missing:
            client.sessions.get("no-such-session")
        assert missing.value.status_code == 404
        assert isinstance(UploadSession.from_api_response(done.to_dict()), UploadSession)


def test_history_and_export(client: SyncAionVision) -> None:
    with client:
        sent = client.upload_one(photo(), filename="history.jpg")
        page = client.history.list(limit=1, start_date=date.today() - timedelta(days=1))
        assert page.results[0].image_id == sent.image_id
        assert page.total_count >= 1
        assert page.statistics["total_count"] == page.total_count
        found = [row.image_id for row in client.history.list_all(page_size=2)]
        assert sent.image_id in found
        assert len(found) == len(set(found))
        lines = client.history.export("jsonl", limit=2).decode().splitlines()
        assert json.loads(lines[0])["image_id"] == sent.image_id
        table = client.history.export("csv", fields=["image_id"], limit=1).decode("utf-8-sig")
        assert table.split() == ["image_id", sent.image_id]
        assert client.history.list(search=["no", "such words"]).results == []
        with pytest.raises(ValidationError):
            client.history.export("xml")


def test_keys(client: SyncAionVision, real_server: Server) -> None:
    with client:
        made = client.api_keys.create(
            "scanner", scopes=["read"], expires_at=datetime.now(UTC) + timedelta(days=1)
        )
        assert made.api_key.startswith(made.key_prefix)
        assert made.api_key not in repr(made)
        assert made.expires_at is not None
        with SyncAionVision(made.api_key, base_url=f"{real_server.url}/api/v2") as reader:
            assert reader.files.list(limit=1).files is not None
            with pytest.raises(AionvisionPermissionError) as refused:
                reader.api_keys.create("more")
            assert refused.value.status_code == 403
        changed = client.api_keys.update(made.id, description="on the second floor")
        assert (changed.name, changed.description) == ("scanner", "on the second floor")
        assert client.api_keys.get(made.id) == changed
        assert made.id in {key.id for key in client.api_keys.list_all(page_size=1)}
        client.api_keys.delete(made.id, reason="lost")
        assert made.id not in {key.id for key in client.api_keys.list(limit=100).api_keys}
        gone = [k for k in client.api_keys.list_all(include_inactive=True) if k.id == made.id]
        assert [key.is_active for key in gone] == [False]
        assert isinstance(gone[0], ApiKey)


def described(client: SyncAionVision) -> Any:
    """The newest request that described something; other tests leave some that were refused."""
    events = client.usage.get_details(operation_type="describe").events
    return next((each for each in events if each.status_code == 200), None)


def test_usage(client: SyncAionVision) -> None:
    with client:
        check = client.usage.check(3, verification_level="critical")
        assert (check.can_proceed, check.required_credits) == (True, 9)
        assert isinstance(check.reset_date, date)
        before = client.usage.get_summary(period="day")
        client.describe(photo(), verification_level="quick")
        after = client.usage.get_summary(start_date=date.today() - timedelta(days=1))
        assert after.total_credits > before.total_credits
        assert after.describe_count > before.describe_count
        breakdown = client.usage.get_breakdown()
        assert breakdown.by_verification_level["quick"] >= 1
        assert breakdown.reset_date is not None
        assert check.reset_date == breakdown.reset_date.date()
        event = until(lambda: described(client))  # the log is written a little later
        assert event.method == "POST"
        page = client.usage.get_details(start_date=date.today() - timedelta(days=1), page_size=1)
        assert (len(page.events), page.page, page.has_more) == (1, 1, page.total_count > 1)
        top = client.usage.get_top_endpoints(limit=5)
        all_asked = {each.endpoint for each in client.usage.get_top_endpoints(limit=50)}
        assert event.endpoint in all_asked
        assert [each.request_count for each in top] == sorted(
            (each.request_count for each in top), reverse=True
        )
        with pytest.raises(ValidationError):
            client.usage.get_details(page=0)
        with pytest.raises(ValidationError):
            client.usage.get_summary(start_date="2026-02-01", end_date="2026-01-01")


def test_describe_takes_role_language_and_level(client: SyncAionVision) -> None:
    with client:
        quick = client.describe(photo(), role="alttext", verification_level="quick")
        assert isinstance(quick, DescriptionResult)
        several = client.describe([photo(), photo()], role="caption", verification_level="quick")
        assert [type(each) for each in several] == [DescriptionResult] * 2
        for wrong in ({"role": "poet"}, {"verification_level": "extreme"}):
            with pytest.raises(ValidationError):
                client.describe(photo(), **wrong)  # type: ignore[call-overload]


def test_open_files(client: SyncAionVision, tmp_path: Path) -> None:
    first, second = tmp_path / "first.jpg", tmp_path / "second.jpg"
    first.write_bytes(photo())
    second.write_bytes(photo())
    memory = io.BytesIO(b"ahead" + photo())
    memory.seek(5)
    with client, first.open("rb") as one, second.open("rb") as two:
        assert client.upload_one(one, wait_for_descriptions=False).filename == "first.jpg"
        assert not one.closed
        one.seek(0)
        results = client.upload(
            [one, two, memory, first],
            filenames=["1.jpg", "2.jpg", "3.jpg", "4.jpg"],
            wait_for_descriptions=False,
        )
        assert [each.filename for each in results] == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]
        one.seek(0)
        assert isinstance(client.describe(one, verification_level="quick"), DescriptionResult)
        one.seek(0)
        checked = client.verify(one, "There is a cat.", verification_level="quick")
        assert isinstance(checked, VerificationResult)
        for wrong, why in (
            (io.BytesIO(photo()), "filename is needed"),
            (io.StringIO("text"), "mode 'rb'"),
            (one, "is empty"),
        ):
            with pytest.raises(ValidationError, match=why):
                client.upload_one(wrong)  # type: ignore[arg-type]
        two.close()
        with pytest.raises(ValidationError, match="cannot be read"):
            client.upload_one(two)


async def test_errors_say_which_answer(real_server: Server) -> None:
    async with AionVision(**settings(real_server)) as client:
        with pytest.raises(ResourceNotFoundError) as missing:
            await client.files.get("00000000-0000-0000-0000-000000000000")
        assert missing.value.status_code == 404
        assert missing.value.request_id
        with pytest.raises(ValidationError) as refused:
            await client.upload_one(b"plain text", filename="a.jpg")
        assert refused.value.status_code in (400, 415, 422)
        with pytest.raises(UploadError) as failed:
            await client.upload([b"plain text"], filenames=["a.jpg"])
        assert failed.value.partial_results is not None
        with pytest.raises(ValidationError) as ours:
            await client.files.list(limit=0)
        assert (ours.value.status_code, ours.value.request_id) == (None, None)
    async with AionVision("aion_" + "k" * 24, base_url="http://127.0.0.1:9", max_retries=0) as away:
        with pytest.raises(AionvisionConnectionError) as lost:
            await away.files.list()
        assert lost.value.status_code is None
        assert lost.value.request_id, "that it was sent with"
