"""One installation: its database, its first key, and the mark in its store."""

from __future__ import annotations

import asyncio
import hmac
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ocelli.domain.accounts import KeyDraft, Tier, new_key
from ocelli.domain.errors import OcelliError, Unavailable
from ocelli.domain.scopes import EVERYTHING
from ocelli.media.blobs import BlobWriter
from ocelli.storage.embedded import EmbeddedPostgres, exclusive
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.storage.postgres.preflight import check_connection
from ocelli.storage.postgres.schema import migrate, missing
from ocelli.usecases.keys import Keys
from ocelli.wiring.adapters import objects, secret, write_private
from ocelli.wiring.data_folder import KEY, NoInstallation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocelli.domain.accounts import Tenant
    from ocelli.settings import Settings
    from ocelli.storage.objects_local import LocalObjects
    from ocelli.storage.objects_s3 import S3Objects

log = logging.getLogger(__name__)
DEFAULT_TENANT = "default"
# The first key belongs to whoever owns the machine: a bound on runaway clients, not a throttle.
OWNERS_REQUESTS_PER_MINUTE = 60_000
MARKED_WITHIN = 10.0


@contextmanager
def database_for_command(settings: Settings) -> Iterator[str]:
    """A DSN for a short command: the configured one, the running server's, or our own for now.

    It makes nothing: raises NoInstallation where ``ocelli serve`` has not been; Unavailable,
    DatabaseRefuses or EmbeddedPostgresError.
    """
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()
        check_connection(dsn)
        yield dsn
        return
    postgres = EmbeddedPostgres(settings.data / "postgres")
    if not postgres.exists:
        raise NoInstallation(f"There is no installation in {settings.data}.")
    if postgres.runs_elsewhere:
        yield postgres.dsn
        return
    with exclusive(settings.data):
        postgres.start()
        try:
            yield postgres.dsn
        finally:
            postgres.stop()


def check_schema(dsn: str) -> None:
    """Raises NoInstallation where ``ocelli serve`` of this version has not been."""
    steps = missing(dsn)
    if steps is None:
        raise NoInstallation("There is no installation in the database.")
    if steps:
        raise NoInstallation("The database is of an older version.")


def prepare(settings: Settings, dsn: str) -> str | None:
    """Bring the schema up to date and see to it that there is a key; the new key, if one was made.

    A key that was made is also kept in ``data/api_key``, readable by its owner only.
    """
    migrate(dsn)
    return asyncio.run(_first_key(settings, dsn))


async def _first_key(settings: Settings, dsn: str) -> str | None:
    async with PostgresDatabase(dsn, max_connections=2) as database:
        keys = Keys(database)
        await default_tenant(database)
        fixed = settings.bootstrap_key
        if fixed is None and await keys.all():
            return None
        key = fixed.get_secret_value() if fixed else new_key()
        if fixed is None:  # before it counts: a crash in between must not lose it
            write_private(settings.data / KEY, key + "\n")
        await keys.issue(DEFAULT_TENANT, Tier.ENTERPRISE, KeyDraft("first key", EVERYTHING), key)
    return None if fixed else key


async def default_tenant(database: PostgresDatabase) -> Tenant:
    """The tenant of the machine's owner, made if there is none."""
    async with database.transaction() as tx:
        return await tx.accounts.add_tenant(
            DEFAULT_TENANT,
            Tier.ENTERPRISE,
            requests_per_minute=OWNERS_REQUESTS_PER_MINUTE,
            unmetered=True,
        )


def leave_mark(settings: Settings, dsn: str) -> None:
    """Say in the store which database it belongs to, for the workers of other machines.

    A bucket that does not answer now is no reason not to start; an older mark is as good.
    """

    async def leave() -> None:
        store, key, mark = await _mark(settings, dsn)
        try:
            async with asyncio.timeout(MARKED_WITHIN):
                with BlobWriter(store.staging) as blob:
                    await asyncio.to_thread(blob.write, mark)
                    await store.put(key, blob, "application/octet-stream")
        except (OcelliError, TimeoutError) as error:
            log.warning(
                "no mark in the store, workers of other machines may not start: %s",
                str(error) or "it is too slow",
            )

    asyncio.run(leave())


def join(settings: Settings, dsn: str) -> None:
    """Before a worker starts by itself. Raises Unavailable where it finds no mark in its store.

    In another store than the server's it would find none of the pictures, and fail them all.
    """
    if missing(dsn) is None:
        raise Unavailable("There is no installation in the database yet; `ocelli serve` makes it.")
    migrate(dsn)

    async def find() -> None:
        store, key, mark = await _mark(settings, dsn)
        try:
            found = await store.read(key)
        except FileNotFoundError:
            raise Unavailable(
                f"The store {store} is not that of this database's `ocelli serve`; "
                "OCELLI_STORAGE_URL has to be the same."
            ) from None
        if found != mark:
            log.warning(
                "the secret or the custom_s3 settings are not the server's: pictures in tenants' "
                "own buckets will fail here"
            )

    asyncio.run(find())


async def _mark(settings: Settings, dsn: str) -> tuple[LocalObjects | S3Objects, str, bytes]:
    """The store, the key of its mark, and the mark: what tenants' own buckets are opened with."""
    async with PostgresDatabase(dsn, max_connections=2) as database:
        tenant = await default_tenant(database)
    key = f"installation/{tenant.id}"
    opened_with = f"{key} {settings.custom_s3_endpoint} {settings.custom_s3_allow_private}"
    return objects(settings), key, hmac.digest(secret(settings), opened_with.encode(), "sha256")
