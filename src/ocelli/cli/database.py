"""Commands that work on the database of an installation, whether its server runs or not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ocelli.cli.options import load_settings
from ocelli.cli.output import CANNOT_RUN, fail
from ocelli.domain.errors import Unavailable
from ocelli.storage.embedded import EmbeddedPostgresError
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.storage.postgres.preflight import DatabaseRefuses
from ocelli.wiring.data_folder import NoInstallation
from ocelli.wiring.installation import check_schema, database_for_command

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ocelli.settings import Settings

NONE_HERE = "`ocelli serve` makes one; --data names its folder"


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
        fail(str(error), NONE_HERE)
        return CANNOT_RUN
    except (EmbeddedPostgresError, DatabaseRefuses, Unavailable) as error:
        fail(str(error))
        return CANNOT_RUN
