"""``ocelli console``."""

from __future__ import annotations

from typing import Any

import typer

from ocelli.cli.options import load_settings
from ocelli.cli.output import CANNOT_RUN, FAILED, fail
from ocelli.domain.errors import Unavailable
from ocelli.storage.embedded import EmbeddedPostgresError
from ocelli.storage.postgres.preflight import DatabaseRefuses
from ocelli.storage.postgres.schema import NewerSchema
from ocelli.wiring.data_folder import NoInstallation, running_server
from ocelli.wiring.installation import check_schema, console_link, database_for_command


def print_link(**options: Any) -> int:
    """Print an address that signs in once, and nothing else. Returns the exit code."""
    settings = load_settings(**options)
    address = settings.public_url or running_server(settings.data)
    if address is None:
        fail(f"No server runs on {settings.data}.", "ocelli serve")
        return CANNOT_RUN
    try:
        with database_for_command(settings) as dsn:
            check_schema(dsn)
            link = console_link(settings, dsn, address)
    except NoInstallation as error:
        fail(str(error), error.hint)
        return CANNOT_RUN
    except (EmbeddedPostgresError, Unavailable, DatabaseRefuses, NewerSchema, OSError) as error:
        fail(str(error))
        return CANNOT_RUN
    if link is None:
        fail("The owner has no active key with the scope `admin`.", "ocelli keys create")
        return FAILED
    typer.echo(link)
    return 0
