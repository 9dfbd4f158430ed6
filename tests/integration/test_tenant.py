"""Settings, members and the audit log over HTTP, with the SDK."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import requests
from tests.conftest import Server
from tests.waiting import until

from aion import (
    AionvisionError,
    AionvisionPermissionError,
    AuditEventType,
    AuditResult,
    AuditSeverity,
    AuthenticationError,
    MemberRole,
    ResourceNotFoundError,
    SyncAionVision,
    ValidationError,
)
from ocelli.domain.accounts import ApiKey, KeyDraft, Tenant, Tier
from ocelli.domain.audit import Actor, AuditQuery, AuditType
from ocelli.domain.errors import NotAllowed, ValidationFailed
from ocelli.domain.members import MemberRole as Role
from ocelli.domain.members import email_address
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases.accounts import Accounts
from ocelli.usecases.audit import MINUTE, AuditLog
from ocelli.usecases.console_sessions import ConsoleSessions
from ocelli.usecases.housekeeping import AUDIT_KEPT_FOR
from ocelli.usecases.keys import Keys
from ocelli.usecases.members import Members


def a_client(server: Server, key: str) -> SyncAionVision:
    return SyncAionVision(key, base_url=server.url, max_retries=0)


@pytest.fixture
def ada(server: Server) -> Iterator[SyncAionVision]:
    """The owner of a tenant of her own."""
    with a_client(
        server, server.new_key(f"tenant-{uuid.uuid4()}", "--tier", "enterprise")
    ) as client:
        yield client


def types(client: SyncAionVision) -> list[str]:
    return [each.event_type for each in client.audit.list(limit=100).entries]


def test_settings(ada: SyncAionVision, server: Server) -> None:
    before = ada.tenant.get_settings()
    assert (before.subscription_tier, before.owner_user_id) == ("enterprise", before.id)
    assert (before.max_monthly_credits, before.max_requests_per_minute) == (10_000, 500)
    assert (before.current_month_credits, before.total_credits) == (0, 0)
    after = ada.tenant.update_settings(
        name="Acme Corporation",
        allowed_vlm_providers=["openai", "anthropic"],
        allowed_domains=["https://acme.example"],
        webhook_url="https://acme.example/hook",
        custom_config={"team": "a"},
        max_monthly_credits=9,
    )
    assert after == ada.tenant.get_settings()
    assert (after.name, after.allowed_vlm_providers) == (
        "Acme Corporation",
        ["openai", "anthropic"],
    )
    assert (after.custom_config, after.max_monthly_credits) == ({"team": "a"}, 10_000)
    assert after.updated_at
    assert before.updated_at
    assert after.updated_at > before.updated_at
    assert ada.tenant.update_settings(name="B").custom_config == {"team": "a"}
    entry = ada.audit.list(event_type="tenant.updated").entries[-1]
    assert entry.metadata is not None
    assert "webhook_url" in entry.metadata["changed"]
    for bad in (
        {"name": ""},
        {"name": "a\0"},
        {"webhook_url": "ftp://x"},
        {"allowed_domains": ["x"] * 101},
        {"custom_config": {"a": "x" * 17_000}},
        {"custom_config": [1]},
    ):
        answer = requests.patch(
            f"{server.url}/api/v2/tenant/settings",
            headers={"Authorization": f"Bearer {ada.config.api_key}"},
            json=bad,
            timeout=60,
        )
        assert answer.status_code == 422, bad


def test_two_tenants_of_one_name(ada: SyncAionVision, server: Server) -> None:
    ada.tenant.update_settings(name="default")
    assert ada.tenant.get_settings().name == "default"
    with a_client(server, server.key) as owner:
        assert owner.tenant.get_settings().id != ada.tenant.get_settings().id


def test_a_member_from_invitation_to_end(ada: SyncAionVision, server: Server) -> None:
    owner = ada.tenant.list_members()[0]
    assert (owner.role_enum, len(ada.tenant.list_members())) == (MemberRole.OWNER, 1)
    made = ada.tenant.invite_member("colleague@example.com", role="editor")
    assert made.api_key
    assert (made.email, made.role) == ("colleague@example.com", "editor")
    assert [each.id for each in ada.tenant.list_members()] == [owner.id, made.id]
    assert all(each.api_key is None for each in ada.tenant.list_members())
    with pytest.raises(ValidationError, match="already"):
        ada.tenant.invite_member("Colleague@example.com")
    with a_client(server, made.api_key) as colleague:
        folder = colleague.folders.create("made by a member")
        with pytest.raises(AionvisionPermissionError):
            colleague.tenant.invite_member("other@example.com")
        with pytest.raises(AionvisionPermissionError):
            colleague.audit.list()
        assert ada.tenant.update_member_role(made.id, "viewer").role == "viewer"
        until(lambda: not may_write(colleague))
        assert [each.id for each in colleague.folders.tree().folders] == [folder.id]
        assert ada.tenant.update_member_role(made.id, "admin").role == "admin"
        until(lambda: may_write(colleague))
        own = colleague.api_keys.create("of a member")
        with pytest.raises(AionvisionPermissionError, match="yourself"):
            colleague.tenant.remove_member(made.id)
        for refused in (
            lambda: colleague.tenant.remove_member(owner.id),
            lambda: colleague.tenant.update_member_role(owner.id, "viewer"),
        ):
            with pytest.raises(AionvisionPermissionError, match="owner"):
                refused()
        assert colleague.audit.list(user_id=made.id).total_count >= 1
        assert ada.tenant.remove_member(made.id)["detail"] == "colleague@example.com was removed."
        until(lambda: is_refused(colleague))
    with a_client(server, own.api_key) as left:
        until(lambda: is_refused(left))
    with pytest.raises(ResourceNotFoundError):
        ada.tenant.remove_member(made.id)
    recorded = types(ada)
    for type in ("member_added", "member_role_changed", "member_removed"):
        assert f"tenant.{type}" in recorded
    assert recorded.count("api_key.deleted") == 2
    until(lambda: "permission.denied" in types(ada))
    form = {"key": own.api_key}
    assert requests.post(f"{server.url}/console/sign-in", data=form, timeout=30).status_code == 401
    until(lambda: {"api_key.failed", "auth.login_failed"} <= set(types(ada)))
    (failed,) = ada.audit.list(event_type="api_key.failed").entries[:1]
    assert (failed.resource_id, failed.result, failed.ip_address) == (own.id, "denied", "127.0.0.1")
    denied = ada.audit.list(result="denied", event_type="permission.denied").entries[-1]
    assert (denied.user_id, denied.severity) == (made.id, "warning")
    assert denied.error_message
    assert denied.ip_address == "127.0.0.1"


def may_write(client: SyncAionVision) -> bool:
    try:
        client.folders.delete(str(uuid.uuid4()))
    except AionvisionPermissionError:
        return False
    except ResourceNotFoundError:
        return True
    raise AssertionError("there was none")


def is_refused(client: SyncAionVision) -> bool:
    try:
        client.folders.tree()
    except AuthenticationError:
        return True
    return False


def test_invitations_that_are_none(ada: SyncAionVision, server: Server) -> None:
    for email in ("no", "a@b", "a b@c.de", "@c.de", "a@c.de\n@d.ef", "a" * 65 + "@c.de"):
        with pytest.raises(ValidationFailed):
            email_address(email)
    with pytest.raises(ValidationError):
        ada.tenant.invite_member("a@b")
    for role in ("owner", "god", ""):
        with pytest.raises(ValidationError):
            ada.tenant.invite_member("a@example.com", role=role)
        answer = requests.post(
            f"{server.url}/api/v2/tenant/members/invite",
            headers={"Authorization": f"Bearer {ada.config.api_key}"},
            json={"email": "a@example.com", "role": role},
            timeout=60,
        )
        assert answer.status_code in (422, 429)  # five a minute
    assert len(ada.tenant.list_members()) == 1


def test_one_invitation_of_many_at_once(ada: SyncAionVision) -> None:
    def invite(_: int) -> bool:
        try:
            ada.tenant.invite_member("same@example.com")
        except (ValidationError, AionvisionError):
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(invite, range(4))) == 1
    assert len(ada.tenant.list_members()) == 2


def test_the_log_is_filtered_and_paged(ada: SyncAionVision, server: Server) -> None:
    keys = [ada.api_keys.create(f"k{n}") for n in range(3)]
    ada.api_keys.delete(keys[0].id)
    ada.api_keys.delete(keys[0].id)
    page = ada.audit.list(event_type="api_key.created", limit=2)
    assert (page.total_count, page.has_more, len(page.entries)) == (4, True, 2)  # the CLI's, too
    assert page.entries[0].resource_id == keys[2].id
    assert page.entries[0].event_type_enum is AuditEventType.API_KEY_CREATED
    assert page.entries[0].severity_enum is AuditSeverity.INFO
    assert page.entries[0].result_enum is AuditResult.SUCCESS
    rest = ada.audit.list(event_type="api_key.created", limit=2, offset=2)
    assert (rest.has_more, rest.entries[-1].api_key_id) == (False, None)
    (deleted,) = ada.audit.list(event_type="api_key.deleted").entries
    assert ada.audit.get(deleted.id) == deleted
    assert (deleted.action, deleted.resource_type) == ("delete", "api_key")
    now = datetime.now(UTC)
    assert ada.audit.list(date_from=now + timedelta(days=1)).total_count == 0
    assert ada.audit.list(date_to=now - timedelta(days=1)).total_count == 0
    assert ada.audit.list(date_from=datetime.now() - timedelta(days=7)).total_count == 6
    assert deleted.event_timestamp is not None
    moment = deleted.event_timestamp
    assert ada.audit.list(date_from=moment, date_to=moment).entries == [deleted]
    assert ada.audit.list(event_type="no.such", severity="x", result="y").entries == []
    assert "tenant.created" in types(ada)
    with pytest.raises(ResourceNotFoundError):
        ada.audit.get(str(uuid.uuid4()))
    with pytest.raises(ResourceNotFoundError):
        ada.audit.get("audit_1")
    with pytest.raises(ValidationError):
        ada.audit.list(limit=101)
    with a_client(server, server.new_key(f"other-{uuid.uuid4()}")) as other:
        assert other.audit.list(event_type="api_key.deleted").total_count == 0
        with pytest.raises(ResourceNotFoundError):
            other.audit.get(deleted.id)


async def of(database: PostgresDatabase, *scopes: str, member: uuid.UUID | None = None) -> ApiKey:
    async with database.transaction() as tx:
        tenant = await tx.accounts.add_tenant(f"t-{uuid.uuid4()}", Tier.STARTER)
    return a_key(tenant, *scopes, member=member)


def a_key(tenant: Tenant, *scopes: str, member: uuid.UUID | None = None) -> ApiKey:
    return ApiKey(
        uuid.uuid4(), tenant, "k", "aion_", datetime.now(UTC), scopes=scopes, member_id=member
    )


async def test_no_role_above_one_s_own(database: PostgresDatabase) -> None:
    admin, members = await of(database, "admin"), Members(database)
    boss = (await members.invite(admin, "boss@example.com", Role.ADMIN)).member
    deputy = a_key(admin.tenant, "write", "tenants:write", "tenants:delete")
    assert (await members.invite(deputy, "e@example.com", Role.EDITOR)).member.role is Role.EDITOR
    for tried in (
        members.invite(deputy, "x@example.com", Role.ADMIN),
        members.change_role(deputy, str(boss.id), Role.VIEWER),
        members.remove(deputy, str(boss.id)),
    ):
        with pytest.raises(NotAllowed, match="above"):
            await tried
    assert len(await members.all(admin.tenant.id)) == 3


async def test_a_lower_role_lowers_the_keys_that_were_made(database: PostgresDatabase) -> None:
    admin, members, keys = await of(database, "admin"), Members(database), Keys(database)
    invited = await members.invite(admin, "m@example.com", Role.ADMIN)
    accounts = Accounts(database)
    first = await accounts.authenticate(invited.api_key)
    assert first.member_id == invited.member.id
    reading, _ = await keys.create(first, KeyDraft("r", ("read",)))
    writing, _ = await keys.create(first, KeyDraft("w", ("write", "api_keys:write")))
    await members.change_role(admin, str(invited.member.id), Role.VIEWER)
    scopes = [
        (await keys.get(admin.tenant.id, each.id)).scopes for each in (first, reading, writing)
    ]
    assert scopes == [("read",), ("read",), ("read",)]


async def test_what_fails_is_not_recorded(database: PostgresDatabase) -> None:
    admin, members = await of(database, "admin"), Members(database)
    await members.invite(admin, "m@example.com", Role.VIEWER)
    with pytest.raises(ValidationFailed):
        await members.invite(admin, "m@example.com", Role.VIEWER)
    log = AuditLog(database)
    found, total = await log.page(admin.tenant.id, AuditQuery(), limit=9, offset=0)
    assert (len(found), total) == (2, 2)


async def test_refusals_are_recorded_once_a_minute(database: PostgresDatabase) -> None:
    key, now = await of(database, "read"), 0.0
    log = AuditLog(database, lambda: now)

    async def total() -> int:
        await log.save()
        return (await log.page(key.tenant.id, AuditQuery(), limit=1, offset=0))[1]

    for _ in range(3):
        log.refused(Actor.of(key), AuditType.PERMISSION_DENIED, ("route", "route"), "No.")
    log.refused(Actor.of(key), AuditType.RATE_LIMIT_EXCEEDED, ("route", "route"), "No.")
    assert await total() == 2
    now = MINUTE
    log.refused(Actor.of(key), AuditType.PERMISSION_DENIED, ("route", "route"), "No.")
    assert await total() == 3


async def test_signing_in_and_out_is_recorded(database: PostgresDatabase) -> None:
    admin, accounts = await of(database, "admin"), Accounts(database)
    secret = (await Members(database).invite(admin, "m@example.com", Role.ADMIN)).api_key
    sessions = ConsoleSessions(database, accounts)
    await sessions.close(await sessions.open(secret))
    found, _ = await AuditLog(database).page(admin.tenant.id, AuditQuery(), limit=2, offset=0)
    assert [each.type for each in found] == ["auth.logout", "auth.login"]


async def test_the_log_has_an_end(database: PostgresDatabase) -> None:
    admin = await of(database, "admin")
    await Members(database).invite(admin, "m@example.com", Role.VIEWER)
    log = AuditLog(database)
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE audit_events SET occurred_at = now() - interval '366 days'"
            " WHERE tenant_id = %s AND type = 'api_key.created'",
            (admin.tenant.id,),
        )
    async with database.transaction() as tx:
        await tx.audit.purge(older_than=AUDIT_KEPT_FOR)
    found, _ = await log.page(admin.tenant.id, AuditQuery(), limit=9, offset=0)
    assert [each.type for each in found] == ["tenant.member_added"]


async def test_time_ranges_are_read_from_an_index(database: PostgresDatabase) -> None:
    tenant = (await of(database, "admin")).tenant.id
    async with database.connection() as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        cursor = await connection.execute(
            "EXPLAIN SELECT * FROM audit_events WHERE tenant_id = %s"
            " AND occurred_at >= now() - interval '1 day' ORDER BY occurred_at DESC, id LIMIT 50",
            (tenant,),
        )
        assert "audit_events_by_tenant" in str(await cursor.fetchall())
