"""``ocelli keys`` and ``ocelli credits``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from ocelli.cli.console import console
from ocelli.cli.database import with_database
from ocelli.cli.output import FAILED, WRONG_USE, fail, print_records
from ocelli.domain.accounts import KeyDraft, Tier
from ocelli.domain.errors import MalformedRequest, ValidationFailed
from ocelli.domain.scopes import checked
from ocelli.usecases.keys import Keys, expiry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ocelli.domain.accounts import ApiKey


def create(
    tenant: str,
    tier: str,
    expires: str | None,
    name: str,
    scopes: str,
    credits: int = 0,
    **options: Any,
) -> int:
    """Create a key; print nothing but the key. Returns the exit code."""
    if tier not in list(Tier):
        fail(f"no such tier: {tier}", "free, starter, professional or enterprise")
        return WRONG_USE
    try:
        expires_at = expiry(datetime.fromisoformat(expires)) if expires else None
    except ValueError:
        fail(f"not an ISO 8601 time: {expires}", "--expires 2027-01-31T00:00Z")
        return WRONG_USE
    except ValidationFailed as error:
        fail(f"--expires {expires}: {error.message}")
        return WRONG_USE
    try:
        requested = checked(scope.strip() for scope in scopes.split(","))
    except MalformedRequest as error:
        fail(error.message, "--scopes read,write")
        return WRONG_USE

    async def run(keys: Keys) -> int:
        draft = KeyDraft(name, requested, expires_at=expires_at)
        key = await keys.issue(tenant, Tier(tier), draft)
        if credits:
            await keys.add_credits(tenant, credits)
        typer.echo(key)
        return 0

    return _with_keys(run, options)


def show(*, as_json: bool, as_lines: bool = False, **options: Any) -> int:
    """Print the keys, as a table or JSON. Returns the exit code."""

    async def run(keys: Keys) -> int:
        all_keys = await keys.all()
        if as_json or as_lines:
            print_records((_as_dict(key) for key in all_keys), lines=as_lines)
        else:
            _print_table(all_keys)
        return 0

    return _with_keys(run, options)


def revoke(key: str, **options: Any) -> int:
    """Revoke keys by prefix or id. Returns the exit code."""

    async def run(keys: Keys) -> int:
        revoked = await keys.revoke(key)
        if not revoked:
            fail(f"no active key: {key}", "ocelli keys list")
            return FAILED
        typer.echo(f"{revoked} key(s) revoked")
        return 0

    return _with_keys(run, options)


def add_credits(tenant: str, amount: int, **options: Any) -> int:
    """Add credits and print the new balance. Returns the exit code."""

    async def run(keys: Keys) -> int:
        balance = await keys.add_credits(tenant, amount)
        if balance is None:
            fail(f"no such tenant: {tenant}", "ocelli keys list")
            return FAILED
        typer.echo(f"{tenant}: {balance.credits} credits")
        return 0

    return _with_keys(run, options)


def _with_keys(run: Callable[[Keys], Awaitable[int]], options: dict[str, Any]) -> int:
    return with_database(lambda database, _: run(Keys(database)), options)


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at and key.expires_at <= datetime.now(UTC) else "active"


def _as_dict(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "prefix": key.prefix,
        "tenant": key.tenant.name,
        "tier": key.tenant.tier,
        "name": key.name,
        "state": _state(key),
        "scopes": list(key.scopes),
        "created_at": key.created_at.isoformat(),
        "expires_at": key.expires_at and key.expires_at.isoformat(),
        "last_used_at": key.last_used_at and key.last_used_at.isoformat(),
        "usage_count": key.usage_count,
    }


def _print_table(keys: Any) -> None:
    from rich.table import Table

    table = Table("prefix", "tenant", "tier", "name", "scopes", "state", "created", "last used")
    for key in keys:
        used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
        table.add_row(
            key.prefix,
            key.tenant.name,
            key.tenant.tier,
            key.name,
            ", ".join(key.scopes),
            _state(key),
            f"{key.created_at:%Y-%m-%d %H:%M}",
            used,
        )
    console().print(table)
