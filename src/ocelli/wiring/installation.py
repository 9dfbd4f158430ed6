"""One installation: its database, its first key, and the marker in its store."""

from __future__ import annotations

import asyncio
import hmac
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ocelli.domain.accounts import DEFAULT_TENANT, KeyDraft, Tier, new_key
from ocelli.domain.errors import OcelliError, Unavailable
from ocelli.domain.scopes import EVERYTHING
from ocelli.media.blob_writer import BlobWriter
from ocelli.storage.embedded import EmbeddedPostgres, exclusive, is_held
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.storage.postgres.preflight import check_connection
from ocelli.storage.postgres.schema import (
    NewerSchema,
    applied,
    migrate,
    missing,
    newer_than_known,
)
from ocelli.usecases.console_sessions import make_link
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
# The first key is that of the machine's owner: the limit stops runaway clients only.
OWNER_REQUESTS_PER_MINUTE = 60_000
MARKER_TIMEOUT = 10.0


@contextmanager
def database_for_command(settings: Settings) -> Iterator[str]:
    """Give a DSN for a short command: the configured one, the running server's, or that of the
    embedded Postgres, started for the block.

    Creates nothing. Raises NoInstallation if ``ocelli serve`` never ran; Unavailable,
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
    # That of a process that was killed is about to end, and would do so in the middle.
    if postgres.runs_elsewhere and is_held(settings.data):
        yield postgres.dsn
        return
    with exclusive(settings.data):
        postgres.start()
        try:
            yield postgres.dsn
        finally:
            postgres.stop()


def check_schema(dsn: str) -> None:
    """Raise NoInstallation if ``ocelli serve`` of this version never ran on the database, and
    NewerSchema if one of a newer version did.
    """
    done = applied(dsn)
    if done is None:
        raise NoInstallation("There is no installation in the database.")
    if newer := newer_than_known(done):
        raise NewerSchema(newer)
    if missing(dsn):
        raise NoInstallation(
            "The database is of an older version.",
            "`ocelli serve`, started again, or `ocelli migrate` brings it up to date",
        )


def prepare(settings: Settings, dsn: str) -> str | None:
    """Migrate the schema, and create the first key if there is none; return it if it is new.

    A new key is also written to ``data/api_key``, readable by its owner only.
    """
    migrate(dsn)
    return asyncio.run(_first_key(settings, dsn))


async def _first_key(settings: Settings, dsn: str) -> str | None:
    async with PostgresDatabase(dsn, max_connections=2) as database:
        keys = Keys(database)
        await default_tenant(database)
        configured = settings.bootstrap_key
        if configured is None and await keys.all():
            return None
        key = configured.get_secret_value() if configured else new_key()
        if configured is None:  # before it counts: a crash in between must not lose it
            write_private(settings.data / KEY, key + "\n")
        await keys.issue(DEFAULT_TENANT, Tier.ENTERPRISE, KeyDraft("first key", EVERYTHING), key)
    return None if configured else key


def console_link(settings: Settings, dsn: str, address: str) -> str | None:
    """Return an address that signs the owner in to the console once; None without a key of theirs.

    ``address`` is that of the server, unless it has a public one.
    """

    async def make() -> str | None:
        async with PostgresDatabase(dsn, max_connections=1) as database:
            return await make_link(database, DEFAULT_TENANT)

    token = asyncio.run(make())
    base = (settings.public_url or address).rstrip("/")
    return None if token is None else f"{base}/console/sign-in?link={token}"


async def default_tenant(database: PostgresDatabase) -> Tenant:
    """Return the tenant of the machine's owner; create it if there is none."""
    async with database.transaction() as tx:
        return await tx.accounts.add_tenant(
            DEFAULT_TENANT,
            Tier.ENTERPRISE,
            requests_per_minute=OWNER_REQUESTS_PER_MINUTE,
            unmetered=True,
        )


def write_store_marker(settings: Settings, dsn: str) -> None:
    """Write a marker of the database into the store, for the workers of other machines.

    A bucket that does not answer is only logged: an older marker is as good.
    """

    async def write() -> None:
        store, key, marker = await _marker(settings, dsn)
        try:
            async with asyncio.timeout(MARKER_TIMEOUT):
                with BlobWriter(store.staging) as blob:
                    await asyncio.to_thread(blob.write, marker)
                    await store.put(key, blob, "application/octet-stream")
        except (OcelliError, TimeoutError) as error:
            log.warning(
                "no mark in the store, workers of other machines may not start: %s",
                str(error) or "it is too slow",
            )

    asyncio.run(write())


def check_installation(settings: Settings, dsn: str) -> None:
    """Check the store of a worker without a server. Raises Unavailable without the marker.

    In another store than the server's the worker would find no picture, and fail them all.
    """
    if missing(dsn) is None:
        raise Unavailable("There is no installation in the database yet; `ocelli serve` makes it.")
    migrate(dsn)

    async def find() -> None:
        store, key, marker = await _marker(settings, dsn)
        try:
            found = await store.read(key)
        except FileNotFoundError:
            raise Unavailable(
                f"The store {store} is not that of this database's `ocelli serve`; "
                "OCELLI_STORAGE_URL has to be the same."
            ) from None
        if found != marker:
            log.warning(
                "the secret or the custom_s3 settings are not the server's: pictures in tenants' "
                "own buckets will fail here"
            )

    asyncio.run(find())


async def _marker(settings: Settings, dsn: str) -> tuple[LocalObjects | S3Objects, str, bytes]:
    """Return the store, the key of its marker, and the marker: a digest of the settings with which
    tenants' own buckets are opened.
    """
    async with PostgresDatabase(dsn, max_connections=2) as database:
        tenant = await default_tenant(database)
    key = f"installation/{tenant.id}"
    fields = f"{key} {settings.custom_s3_endpoint} {settings.custom_s3_allow_private}"
    return objects(settings), key, hmac.digest(secret(settings), fields.encode(), "sha256")
