"""Usage figures are the sums of what was counted."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import requests
from tests.conftest import Server
from tests.integration.test_library import store
from tests.integration.test_storage import an_image
from tests.waiting import until

from ocelli.domain.accounts import Tenant, Tier
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.claims import Tokens
from ocelli.domain.request_log import LoggedRequest, RequestQuery, operation_of
from ocelli.domain.usage import Spend
from ocelli.domain.usage_reports import Period, period_of
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.request_log import RequestLog
from ocelli.usecases.usage_reports import UsageReports


@pytest.fixture
async def tenant(database: PostgresDatabase) -> Tenant:
    async with database.transaction() as tx:
        return await tx.accounts.add_tenant(f"t-{uuid.uuid4()}", Tier.STARTER)


async def deliver(database: PostgresDatabase, tenant: Tenant, key: uuid.UUID | None) -> None:
    async with database.transaction() as tx:
        await tx.usage.delivered(
            tenant.id,
            key,
            operation="describe",
            level=VerificationLevel.QUICK,
            succeeded=3,
            failed=1,
            credits=3,
            milliseconds=300.0,
        )
        await tx.usage.spent(tenant.id, key, {"b": Spend(3, Tokens(100, 20), 300.0)})


@pytest.mark.parametrize(
    ("period", "day", "span"),
    [
        (Period.MONTH, date(2026, 12, 31), (date(2026, 12, 1), date(2027, 1, 1))),
        (Period.QUARTER, date(2026, 1, 1), (date(2026, 1, 1), date(2026, 4, 1))),
        (Period.YEAR, date(2024, 2, 29), (date(2024, 1, 1), date(2025, 1, 1))),
        (Period.WEEK, date(2026, 11, 29), (date(2026, 11, 23), date(2026, 11, 30))),
    ],
)
def test_calendar_periods(period: Period, day: date, span: tuple[date, date]) -> None:
    assert period_of(period, day) == span


async def test_results_by_day_and_month(database: PostgresDatabase, tenant: Tenant) -> None:
    reports, key, today = UsageReports(database), uuid.uuid4(), datetime.now(UTC).date()
    await deliver(database, tenant, key)
    await deliver(database, tenant, None)
    days = await reports.delivered(tenant, today - timedelta(days=2), today, None, by_month=False)
    assert list(days.values()) == [0, 0, 8]
    months = await reports.delivered(tenant, today - timedelta(days=40), today, None, by_month=True)
    assert sum(months.values()) == 8
    assert list(months)[-1] == today.replace(day=1)
    ours = await reports.delivered(tenant, today, today, key, by_month=False)
    assert ours == {today: 4}
    assert await reports.tokens(tenant, today) == Tokens(200, 40)
    assert await reports.tokens(tenant, date(2020, 1, 1)) == Tokens()


async def test_tokens_of_pictures(database: PostgresDatabase, tenant: Tenant) -> None:
    now = datetime.now(UTC)
    older, newer, bare, gone = (
        replace(an_image(tenant.id), created_at=now - timedelta(days=days)) for days in (3, 2, 1, 4)
    )
    for image in (older, newer, gone):
        await store(database, image, description="A dog.")
    await store(database, bare)
    async with database.connection() as connection:
        await connection.execute(
            'UPDATE analyses SET calls = \'[{"source": "b", "milliseconds": 1,'
            ' "tokens": {"prompt": 7, "completion": 2}}]\' WHERE image_id = ANY(%s)',
            ([older.id, newer.id, gone.id],),
        )
    async with database.transaction() as tx:
        await tx.images.delete(tenant.id, gone.id)
    reports = UsageReports(database)
    page = await reports.files(tenant, 1, 0)
    assert [each.id for each in page.rows] == [newer.id]
    assert (page.rows[0].tokens, page.count, page.total) == (Tokens(7, 2), 2, Tokens(14, 4))
    rest = await reports.files(tenant, 9, 1)
    assert [each.id for each in rest.rows] == [older.id]


async def test_what_happened(database: PostgresDatabase, tenant: Tenant) -> None:
    await deliver(database, tenant, None)
    await store(database, an_image(tenant.id))
    long_ago = datetime.now(UTC) - timedelta(days=60)
    await store(database, replace(an_image(tenant.id), created_at=long_ago))
    async with database.connection() as connection:
        cursor = await connection.execute(
            "INSERT INTO chat_sessions (tenant_id, title, is_named, use_all_images, input_tokens,"
            " output_tokens, last_message_at) VALUES (%s, 'T', true, true, 5, 6, now())"
            " RETURNING id",
            (tenant.id,),
        )
        row = await cursor.fetchone()
        assert row is not None
        for place, role in enumerate(("user", "assistant")):
            await connection.execute(
                "INSERT INTO chat_messages (id, session_id, place, role, content, token_count)"
                " VALUES (%s, %s, %s, %s, 'x', %s)",
                (uuid.uuid4(), row["id"], place, role, 5 + place),
            )
    reports = UsageReports(database)
    month = await reports.activity(tenant, Period.MONTH)
    assert (len(month.days), sum(month.uploads.values())) == (30, 1)
    assert (month.sessions, sum(month.messages.values()), month.chat_tokens) == (1, 1, 11)
    assert (month.succeeded, month.failed, month.tokens) == (3, 1, Tokens(100, 20))
    assert sum((await reports.activity(tenant, Period.YEAR)).uploads.values()) == 2
    page = await reports.conversations(tenant, 5, 0)
    assert (page.count, page.total, page.rows[0].messages) == (1, Tokens(5, 6), 2)


async def test_uploads_of_a_range_are_read_from_an_index(
    database: PostgresDatabase, tenant: Tenant
) -> None:
    async with database.connection() as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        await connection.execute("SET LOCAL enable_bitmapscan = off")
        cursor = await connection.execute(
            "EXPLAIN SELECT count(*) FROM images WHERE tenant_id = %s"
            " AND created_at >= now() - interval '7 days'",
            (tenant.id,),
        )
        assert "images_by_arrival" in str(await cursor.fetchall())


def test_over_http(server: Server) -> None:
    headers = {"Authorization": f"Bearer {server.new_key(f'usage-{uuid.uuid4()}')}"}

    def get(path: str, **params: Any) -> requests.Response:
        return requests.get(
            f"{server.url}/api/v2/usage/{path}", headers=headers, params=params, timeout=60
        )

    day = get("by-period").json()
    assert (day["period_type"], len(day["data"]), day["data"][0]["value"]) == ("day", 30, 0)
    month = get("by-period", period_type="month").json()
    assert len(month["data"]) in (12, 13)
    for bad in (
        {"period_type": "hour"},
        {"start_date": "2026-02-01", "end_date": "2026-01-01"},
        {"start_date": "1990-01-01"},
        {"api_key_id": "x"},
    ):
        assert get("by-period", **bad).status_code == 422, bad
    assert get("by-period", end_date="0001-01-05", start_date="0001-01-01").status_code == 200
    plan = get("plan", period="quarter").json()
    assert plan["plan_details"]["plan_name"]
    assert plan["projections"]["trending"] == "stable"
    assert get("plan", include_projections="false").json()["projections"] is None
    tokens = get("tokens/monthly", year=2026, month=2).json()
    assert tokens == {
        "year": 2026,
        "month": 2,
        "total_input_tokens": 0,
        "total_output_tokens": 0,
        "total_tokens": 0,
    }
    assert get("tokens/monthly", month=13).status_code == 422
    assert get("tokens/files").json()["files"] == []
    assert get("tokens/files", limit=101).status_code == 422
    assert get("tokens/conversations").json()["total_count"] == 0
    board = get("dashboard-analytics", period="week").json()
    assert (len(board["daily_activity"]), board["success_rate"]) == (7, None)
    assert get("dashboard-analytics", period="day").status_code == 422
    check = requests.post(
        f"{server.url}/api/v2/usage/check", headers=headers, json={"item_count": 1}, timeout=60
    ).json()
    assert (check["supports_overage"], check["max_overage_credits"]) == (False, 0)
    assert datetime.fromisoformat(get("breakdown").json()["reset_date"]).tzinfo is not None
    renewal = get("summary").json()["plan"]["renewal_date"]
    assert datetime.fromisoformat(renewal).tzinfo is not None


@pytest.mark.parametrize(
    ("route", "operation"),
    [
        ("/api/v2/user-files/{file_id}/describe", "describe"),
        ("/api/v2/user-files/upload/stream", "upload"),
        ("/api/v2/uploads/status/{image_id}", "upload"),
        ("/api/v2/batch/verify", "verify"),
        ("/v1/chat/completions", "chat"),
        ("/v1/responses", "chat"),
        ("/api/ollama/api/chat", "chat"),
        ("/api/v1/vision/caption", "describe"),
        ("/api/fetch", "fetch"),
        ("/api/v2/folders/{folder_id}", "folders"),
        ("none", "none"),
    ],
)
def test_what_a_route_does(route: str, operation: str) -> None:
    assert operation_of(route) == operation


async def test_the_request_log_keeps_the_newest_of_each_tenant(
    database: PostgresDatabase, tenant: Tenant
) -> None:
    log, key, now = RequestLog(database), uuid.uuid4(), datetime.now(UTC)
    async with database.transaction() as tx:
        other = await tx.accounts.add_tenant(f"t-{uuid.uuid4()}", Tier.STARTER)
    for number in range(6):
        for owner in (tenant, other):
            log.note(
                LoggedRequest(
                    owner.id,
                    key,
                    now - timedelta(days=number * 8),
                    "GET",
                    "/api/v2/folders",
                    200,
                    number,
                )
            )
    log.note(LoggedRequest(uuid.uuid4(), key, now, "GET", "/api/v2/usage/plan", 200, 1))
    await log.save()
    async with database.transaction() as tx:
        await tx.request_log.purge(older_than=30 * 86400, most=3)
    for owner in (tenant, other):
        found, total = await log.page(owner.id, RequestQuery(), limit=2, offset=1)
        assert ([each.request.milliseconds for each in found], total) == ([1, 2], 3)
    late = RequestQuery(since=now - timedelta(days=9), before=now)
    assert (await log.page(tenant.id, late, limit=9, offset=0))[1] == 1
    (use,) = await log.routes(tenant.id, RequestQuery(), limit=9)
    assert (use.route, use.requests, use.errors, use.milliseconds) == ("/api/v2/folders", 3, 0, 1.0)


def test_requests_are_listed_one_by_one(server: Server) -> None:
    key, other = (server.new_key(f"log-{uuid.uuid4()}") for _ in range(2))

    def ask(path: str, key: str = key) -> Any:
        return requests.get(
            f"{server.url}/api/v2{path}", headers={"Authorization": f"Bearer {key}"}, timeout=30
        )

    missing = uuid.uuid4()
    assert ask(f"/user-files/{missing}").status_code == 404
    assert ask("/user-files?limit=0").status_code == 422
    assert ask("/user-files").status_code == 200
    assert ask("/user-files", other).status_code == 200
    until(lambda: len(ask("/usage/details?operation_type=user-files").json()["events"]) == 3)
    body = ask("/usage/details?operation_type=user-files&page_size=2").json()
    assert body["pagination"] == {"page": 1, "page_size": 2, "total_count": 3, "total_pages": 2}
    assert [each["status_code"] for each in body["events"]] == [200, 422]
    assert body["events"][1]["error_code"] == "VALIDATION_ERROR"
    (first,) = ask("/usage/details?operation_type=user-files&page_size=2&page=2").json()["events"]
    assert first["endpoint"] == "/api/v2/user-files/{file_id}"
    assert (first["method"], first["error_code"]) == ("GET", "NOT_FOUND")
    assert str(missing) not in str(body) + str(first)
    top = ask("/usage/top-endpoints?limit=50").json()["endpoints"]
    use = next(each for each in top if each["endpoint"] == "/api/v2/user-files")
    assert (use["request_count"], use["error_count"]) == (2, 1)
    assert ask(f"/usage/details?api_key_id={missing}").json()["events"] == []
    assert ask("/usage/details?end_date=2020-01-01").json()["events"] == []
