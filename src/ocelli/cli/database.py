"""Commands that work on the database of an installation, whether its server runs or not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import typer

from ocelli.cli.options import load_settings
from ocelli.cli.output import CANNOT_RUN, fail
from ocelli.domain.errors import OcelliError, Unavailable
from ocelli.storage.embedded import EmbeddedPostgresError
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.storage.postgres.preflight import DatabaseRefuses, check_connection
from ocelli.storage.postgres.schema import NewerSchema
from ocelli.wiring.data_folder import NoInstallation, make_private
from ocelli.wiring.installation import (
    check_schema,
    database_for_command,
    prepare,
    write_store_marker,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ocelli.settings import Settings


def migrate(**options: Any) -> int:
    """Do for a database of one's own what ``ocelli serve`` does at its start.

    Several may run at once, and beside servers and workers of the version before. Returns the exit
    code.
    """
    settings = load_settings(**options)
    if settings.database_url is None:
        fail(
            "`ocelli migrate` is for a database of your own.",
            "OCELLI_DATABASE_URL=postgresql://...",
        )
        return CANNOT_RUN
    dsn = settings.database_url.get_secret_value()
    try:
        make_private(settings)
        check_connection(dsn)
        key = prepare(settings, dsn)
        write_store_marker(settings, dsn)
    except (DatabaseRefuses, NewerSchema, OcelliError, OSError, psycopg.Error) as error:
        fail(str(error))
        return CANNOT_RUN
    if key is not None:
        typer.echo(f"first key {key} (kept in {settings.data / 'api_key'})")
    return 0


def with_database(
    run: Callable[[PostgresDatabase, Settings], Awaitable[int]], options: dict[str, Any]
) -> int:
    """Run ``run`` with the database that the options name. Returns the exit code."""
    settings = load_settings(**options)

    async def main(dsn: str) -> int:
        async with PostgresDatabase(dsn, max_connections=2) as database:
            return await run(database, settings)

    try:
        with database_for_command(settings) as dsn:
            check_schema(dsn)
            return asyncio.run(main(dsn))
    except NoInstallation as error:
        fail(str(error), error.hint)
        return CANNOT_RUN
    except (EmbeddedPostgresError, DatabaseRefuses, NewerSchema, Unavailable) as error:
        fail(str(error))
        return CANNOT_RUN
