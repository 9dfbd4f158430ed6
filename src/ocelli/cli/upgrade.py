"""``ocelli upgrade --check``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import psycopg

from ocelli.cli.doctor import print_checks
from ocelli.cli.options import load_settings
from ocelli.cli.output import CANNOT_RUN, FAILED, fail, print_json
from ocelli.domain.errors import Unavailable
from ocelli.storage.embedded import EmbeddedPostgresError
from ocelli.storage.postgres.preflight import DatabaseRefuses
from ocelli.wiring.data_folder import NoInstallation
from ocelli.wiring.installation import database_for_command
from ocelli.wiring.upgrade import upgrade_checks


def check(*, as_json: bool, **options: Any) -> int:
    """Print what an upgrade to this version would change. Returns the exit code."""
    settings = load_settings(**options)
    try:
        with database_for_command(settings) as dsn:
            found = list(upgrade_checks(settings, dsn))
    except NoInstallation as error:
        fail(str(error), error.hint)
        return CANNOT_RUN
    except (EmbeddedPostgresError, DatabaseRefuses, Unavailable, psycopg.Error) as error:
        fail(str(error))
        return CANNOT_RUN
    if as_json:
        print_json([asdict(each) for each in found])
    else:
        print_checks(found)
    return FAILED if any(each.advice for each in found) else 0
