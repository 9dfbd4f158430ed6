"""``ocelli tenants``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from ocelli.cli.console import console
from ocelli.cli.database import with_database
from ocelli.cli.output import CANNOT_RUN, FAILED, fail, print_json, print_records
from ocelli.domain.errors import OcelliError
from ocelli.usecases.erasures import Erasures
from ocelli.usecases.store_resolver import StoreResolver
from ocelli.usecases.tenant_export import NotAnExport, TenantExport
from ocelli.usecases.tenant_settings import SettingsOfTenants
from ocelli.wiring.adapters import custom_storage, objects

if TYPE_CHECKING:
    from pathlib import Path

    from ocelli.domain.accounts import TenantOverview
    from ocelli.domain.erasures import Erasure, RetentionDays
    from ocelli.settings import Settings
    from ocelli.storage.postgres.database import PostgresDatabase

SEE_TENANTS = "ocelli tenants list"


def show(*, as_json: bool, as_lines: bool, **options: Any) -> int:
    """Print the tenants, as a table or JSON. Returns the exit code."""

    async def run(database: PostgresDatabase, _: Settings) -> int:
        async with database.transaction() as tx:
            found = await tx.accounts.overview()
        if as_json or as_lines:
            print_records((_as_dict(each) for each in found), lines=as_lines)
            return 0
        from rich.table import Table

        table = Table("tenant", "tier", "pictures", "MB", "keys", "kept for", "created")
        for each in found:
            table.add_row(
                each.tenant.name,
                each.tenant.tier,
                f"{each.pictures:,}",
                f"{each.bytes / 1e6:,.1f}",
                f"{each.keys:,}",
                _told(each.retention_days),
                f"{each.tenant.created_at:%Y-%m-%d}",
            )
        console().print(table)
        return 0

    return with_database(run, options)


def retention(
    tenant: str, pictures: int | None, chats: int | None, requests: int | None, **options: Any
) -> int:
    """Set how long things of a tenant are kept, and print it. Returns the exit code."""
    asked = {"pictures": pictures, "chat_sessions": chats, "request_log": requests}
    change = {kind: days for kind, days in asked.items() if days is not None}

    async def run(database: PostgresDatabase, _: Settings) -> int:
        kept = await SettingsOfTenants(database).change_retention(tenant, change)
        if kept is None:
            return _unknown(tenant)
        typer.echo(f"{tenant}: {_told(kept)}")
        return 0

    return with_database(run, options)


def erase(tenant: str, *, yes: bool, as_json: bool, **options: Any) -> int:
    """Erase a tenant, and print the receipt. Returns the exit code."""

    async def run(database: PostgresDatabase, settings: Settings) -> int:
        async with database.transaction() as tx:
            found = {each.tenant.name: each for each in await tx.accounts.overview()}
        if tenant not in found:
            return _unknown(tenant)
        if not yes and not _confirmed(found[tenant]):
            fail("nothing was erased")
            return FAILED
        store = objects(settings)
        stores = StoreResolver(store, custom_storage(settings, database, store.staging))
        try:
            receipt = await Erasures(database, stores).erase_tenant(tenant)
        except (OcelliError, OSError) as error:
            fail(f"not all is erased yet: {error}", "the server goes on with it while it runs")
            return CANNOT_RUN
        if receipt is None:  # another command was first
            return _unknown(tenant)
        _print_receipt(receipt, as_json=as_json)
        return 0

    return with_database(run, options)


def export(tenant: str, target: Path, *, as_json: bool, **options: Any) -> int:
    """Export a tenant into a folder. Returns the exit code: 1 if files are missing."""

    async def run(database: PostgresDatabase, settings: Settings) -> int:
        async with database.transaction() as tx:
            found = await tx.accounts.tenant(tenant)
        if found is None:
            return _unknown(tenant)
        store = objects(settings)
        stores = StoreResolver(store, custom_storage(settings, database, store.staging))
        try:
            manifest = await TenantExport(database, stores).write(found, target)
        except NotAnExport as error:
            fail(str(error), "name a new folder")
            return CANNOT_RUN
        except (OcelliError, OSError) as error:
            fail(f"the export is not complete: {error}", "the same command goes on")
            return CANNOT_RUN
        if as_json:
            print_json(asdict(manifest))
        else:
            typer.echo(
                f"{tenant}: {manifest.lines['pictures.jsonl']:,} pictures, {manifest.files:,} files"
                f" ({manifest.bytes / 1e6:,.1f} MB), {sum(manifest.lines.values()):,} lines"
            )
        for name, reason in manifest.missing.items():
            fail(f"{name}: {reason}")
        return FAILED if manifest.missing else 0

    return with_database(run, options)


def _confirmed(found: TenantOverview) -> bool:
    """Let the tenant's name be typed again."""
    typed = typer.prompt(
        f"{found.tenant.name} has {found.pictures:,} pictures and {found.keys:,} keys. All of "
        "it is erased for good. Type its name",
        default="",
        show_default=False,
        err=True,
    )
    return bool(typed == found.tenant.name)


def _print_receipt(receipt: Erasure, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(receipt))
        return
    numbers = ", ".join(f"{count:,} {kind}" for kind, count in sorted(receipt.counts.items()))
    typer.echo(f"erased: {numbers or 'nothing was there'}")
    typer.echo(f"receipt {receipt.id} of {receipt.completed_at:%Y-%m-%d %H:%M:%S} UTC")
    typer.echo("backups of before still hold it: `ocelli docs privacy`")


def _told(days: RetentionDays) -> str:
    kept = [f"{kind} {count} days" for kind, count in asdict(days).items() if count is not None]
    return ", ".join(kept) or "for ever"


def _as_dict(each: TenantOverview) -> dict[str, Any]:
    return {
        "id": str(each.tenant.id),
        "name": each.tenant.name,
        "tier": each.tenant.tier,
        "pictures": each.pictures,
        "bytes": each.bytes,
        "keys": each.keys,
        "retention_days": asdict(each.retention_days),
        "created_at": each.tenant.created_at.isoformat(),
    }


def _unknown(tenant: str) -> int:
    fail(f"no such tenant: {tenant}", SEE_TENANTS)
    return FAILED
