"""The composition root: settings become adapters, adapters become use cases."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import os
import secrets
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ocelli.api.fetch.mapping import JsonWriter
from ocelli.domain.accounts import MEGABYTE, KeyDraft, Tier, new_key
from ocelli.domain.answering import answer
from ocelli.domain.errors import OcelliError, Unavailable
from ocelli.domain.findings import LOCAL
from ocelli.domain.pricing import Roster
from ocelli.domain.scopes import EVERYTHING
from ocelli.domain.storage import parse_bucket_url
from ocelli.domain.verification import Calibration
from ocelli.media.fetch import SafeFetcher
from ocelli.media.frames import VideoFrames
from ocelli.media.pages import YtDlp
from ocelli.storage.embedded import EmbeddedPostgres, exclusive
from ocelli.storage.objects_local import LocalObjects
from ocelli.storage.objects_s3 import S3Objects
from ocelli.storage.postgres.database import PostgresDatabase, queue_pool
from ocelli.storage.postgres.health import queue_gauges, worker_alive
from ocelli.storage.postgres.jobs import (
    ANALYSE,
    CALL_WEBHOOK,
    EXPORT,
    EXTRACT_COLORS,
    MAKE_VARIANTS,
)
from ocelli.storage.postgres.notifications import Changes
from ocelli.storage.postgres.reach import reach
from ocelli.storage.postgres.schema import migrate
from ocelli.storage.sealing import Sealing
from ocelli.usecases.accounts import Accounts
from ocelli.usecases.analyse import Analyse
from ocelli.usecases.asking import Asking
from ocelli.usecases.batches import Batches, CallWebhook
from ocelli.usecases.chat import LocalChat
from ocelli.usecases.chat_models import Models
from ocelli.usecases.chat_pictures import Pictures
from ocelli.usecases.chat_relay import OPERATION, Relay
from ocelli.usecases.colors import Colors, ExtractColors
from ocelli.usecases.custom_storage import CustomStorage
from ocelli.usecases.engine import Engine
from ocelli.usecases.files import Files, MakeVariants
from ocelli.usecases.history import History, WriteExport
from ocelli.usecases.housekeeping import Housekeeping
from ocelli.usecases.idempotency import RENEW_EVERY, Idempotency
from ocelli.usecases.keys import Keys
from ocelli.usecases.metering import Metering
from ocelli.usecases.moderation import Moderation
from ocelli.usecases.presigned import Presigned
from ocelli.usecases.quota import Quota
from ocelli.usecases.rates import RateLimiter, UploadSlots
from ocelli.usecases.requests import Requests, Settlement
from ocelli.usecases.sessions import Sessions
from ocelli.usecases.sources import Sources
from ocelli.usecases.stores import Stores
from ocelli.usecases.together import Shared
from ocelli.usecases.upload import Upload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from concurrent.futures import Executor

    from fastapi import FastAPI

    from ocelli.api.services import Chat
    from ocelli.backends.chat.config import ChatConfig
    from ocelli.backends.chat.relay import Upstreams
    from ocelli.backends.registry import MissingKey, Registry
    from ocelli.domain.accounts import Tenant
    from ocelli.domain.storage import Bucket, Credentials
    from ocelli.settings import BackendSetting, Settings
    from ocelli.worker.loop import Worker

log = logging.getLogger(__name__)

DEFAULT_TENANT = "default"
# The first key belongs to whoever owns the machine: a bound on runaway clients, not a throttle.
OWNERS_REQUESTS_PER_MINUTE = 60_000
KEY_USE_EVERY = 10.0
RESCUE_OLDER_THAN = 60.0
GIVE_BACK_EVERY = 1.0
# Beyond the time that an analysis may take: then it is not waiting, it is native code that hangs.
STUCK_AFTER = 15.0
METER_EVERY = 1.0
MARKED_WITHIN = 10.0
# What another process changes and nobody announces is seen so much later by those who poll.
POLLED_FOR = 0.1


@contextmanager
def database_for_command(settings: Settings) -> Iterator[str]:
    """A DSN for a short command: the configured one, the running server's, or our own for now.

    Raises Unavailable, DatabaseRefuses or EmbeddedPostgresError.
    """
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()
        reach(dsn)
        yield dsn
        return
    postgres = EmbeddedPostgres(settings.data / "postgres")
    if postgres.runs_elsewhere:
        yield postgres.dsn
        return
    with exclusive(settings.data):
        postgres.start()
        try:
            yield postgres.dsn
        finally:
            postgres.stop()


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
        if fixed is None and await keys.everyones():
            return None
        key = fixed.get_secret_value() if fixed else new_key()
        if fixed is None:  # before it counts: a crash in between must not lose it
            _write_private(settings.data / "api_key", key + "\n")
        await keys.issue(DEFAULT_TENANT, Tier.ENTERPRISE, KeyDraft("first key", EVERYTHING), key)
    return None if fixed else key


async def default_tenant(database: PostgresDatabase) -> Tenant:
    """The tenant of whoever owns the machine, made if there is none."""
    async with database.transaction() as tx:
        return await tx.accounts.add_tenant(
            DEFAULT_TENANT,
            Tier.ENTERPRISE,
            requests_per_minute=OWNERS_REQUESTS_PER_MINUTE,
            unmetered=True,
        )


def objects(settings: Settings) -> LocalObjects | S3Objects:
    """Where pictures are kept."""
    url = settings.storage_url
    if url is None:
        return LocalObjects(settings.data / "objects", _secret(settings))
    if url.startswith("s3:"):
        return S3Objects(parse_bucket_url(url), settings.data / "staging")
    return LocalObjects(Path(unquote(urlsplit(url).path)), _secret(settings))


def leave_mark(settings: Settings, dsn: str) -> None:
    """Say in the store which database it belongs to, for the workers of other machines.

    A bucket that does not answer now is no reason not to start; an older mark is as good.
    """

    async def leave() -> None:
        store, key, mark = await _mark(settings, dsn)
        file = store.staging / f"mark-{uuid.uuid4().hex}"  # pids repeat on other machines
        file.write_bytes(mark)
        try:
            async with asyncio.timeout(MARKED_WITHIN):
                await store.put(key, file, "application/octet-stream")
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
    return objects(settings), key, hmac.digest(_secret(settings), opened_with.encode(), "sha256")


def fetcher(settings: Settings) -> SafeFetcher:
    """Who fetches what users name."""
    return SafeFetcher(
        allow=settings.fetch_networks,
        max_bytes=settings.fetch_max_bytes,
        timeout=settings.fetch_timeout,
    )


def roster(settings: Settings) -> Roster:
    """Which backends there are, without loading any."""
    from ocelli.backends.registry import MissingKey

    there = [each.name for each in chat_configs(settings) if not isinstance(each, MissingKey)]
    names = (*there, LOCAL)
    chosen = settings.default_backend
    return Roster(names, chosen if chosen in names and chosen else names[0])


def custom_storage(settings: Settings, database: PostgresDatabase, staging: Path) -> CustomStorage:
    """The tenants' own buckets. Few threads each: a slow one holds up its own tenant only."""

    def open_bucket(bucket: Bucket, credentials: Credentials, *, guarded: bool) -> S3Objects:
        return S3Objects(bucket, staging, credentials=credentials, guarded=guarded, threads=4)

    return CustomStorage(
        database,
        Sealing(_secret(settings)),
        partial(open_bucket, guarded=False),
        partial(open_bucket, guarded=True),
        staging,
        endpoint=settings.custom_s3_endpoint,
        allow_private=settings.custom_s3_allow_private,
    )


def build_api(settings: Settings, dsn: str) -> FastAPI:
    """The ASGI application of one API process."""
    from ocelli.api.app import create_app
    from ocelli.api.services import Services
    from ocelli.backends.chat.relay import Upstreams

    database = PostgresDatabase(dsn, max_connections=settings.database_connections)
    tiers = settings.tier_limits
    store = objects(settings)
    buckets = custom_storage(settings, database, store.staging)
    stores = Stores(store, buckets)
    quota = Quota(database, tiers)
    upload = Upload(database, stores, quota, max_pixels=settings.max_pixels)
    accounts = Accounts(database)
    rates = RateLimiter(database, tiers)
    idempotency = Idempotency(database)
    changes = Changes(dsn)
    names = backend_names(settings)
    asking = Asking(
        database,
        stores,
        quota,
        changes.listen,
        max_bytes=settings.max_upload_bytes,
        max_pixels=settings.max_pixels,
    )
    metering = Metering(database, quota, OPERATION)
    upstreams = Upstreams(chat_configs(settings))

    async def worker_check() -> None:
        async with database.connection() as connection:
            await worker_alive(connection)

    async def gauges() -> dict[str, dict[str, float]]:
        async with database.connection() as connection:
            return await queue_gauges(connection)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with database:
            tasks = [
                asyncio.create_task(_every(KEY_USE_EVERY, accounts.write_down_use)),
                asyncio.create_task(_every(GIVE_BACK_EVERY, rates.give_back)),
                asyncio.create_task(_every(METER_EVERY, metering.write_down)),
                asyncio.create_task(_every(RENEW_EVERY, idempotency.renew)),
                asyncio.create_task(changes.run()),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                with contextlib.suppress(Exception):
                    await accounts.write_down_use()
                    await rates.give_back(idle=0.0)
                    await metering.write_down()
                await upstreams.close()

    return create_app(
        Services(
            accounts=accounts,
            keys=Keys(database),
            rates=rates,
            slots=UploadSlots(tiers),
            idempotency=idempotency,
            quota=quota,
            upload=upload,
            presigned=Presigned(database, stores, upload, quota),
            sessions=Sessions(database),
            polls=Shared(lambda: (database.ended, changes.heard), seconds=POLLED_FOR),
            listen=changes.listen,
            files=Files(database, stores),
            colors=Colors(database),
            asking=asking,
            batches=Batches(database, asking, quota),
            backend_names=names,
            default_backend=settings.default_backend or names[0],
            answer_timeout=settings.analysis_timeout,
            chat=_chat(settings, asking, metering, upstreams),
            requests=Requests(
                database, stores, changes.listen, JsonWriter(), max_pixels=settings.max_pixels
            ),
            roster=roster(settings),
            fetch_wait=settings.fetch_wait,
            staging=store.staging,
            history=History(database, store),
            custom_storage=buckets,
            checks={"database": database.check, "store": store.check, "workers": worker_check},
            checked_elsewhere=frozenset() if settings.workers else frozenset({"workers"}),
            gauges=gauges,
            lifespan=lifespan,
            max_upload_bytes=settings.max_upload_bytes,
            signed_folder=store if isinstance(store, LocalObjects) else None,
            public_url=settings.public_url and settings.public_url.rstrip("/"),
        )
    )


def chat_configs(settings: Settings) -> list[ChatConfig | MissingKey]:
    """The chat backends that the settings name, in their order."""
    from ocelli.backends.registry import configure

    def given(setting: BackendSetting) -> dict[str, Any]:
        values = setting.model_dump(exclude_none=True)
        if setting.key is not None:
            values["key"] = setting.key.get_secret_value()
        return values

    return [
        configure(name, given(setting), os.environ) for name, setting in settings.backends.items()
    ]


def backend_names(settings: Settings) -> tuple[str, ...]:
    """Who can be asked, in the order of the settings; the local models last."""
    from ocelli.backends.registry import MissingKey

    configured = chat_configs(settings)
    return (*(each.name for each in configured if not isinstance(each, MissingKey)), LOCAL)


@asynccontextmanager
async def build_backends(settings: Settings, compute: Executor) -> AsyncIterator[Registry]:
    """Everybody who can look at a picture: the local models, loaded, and the chat backends."""
    import aiohttp

    from ocelli.backends.local.backend import LocalBackend
    from ocelli.backends.registry import Parts, registry

    local = LocalBackend(compute)
    await asyncio.get_running_loop().run_in_executor(compute, local.load)
    parts = Parts(settings.default_backend, settings.checker, settings.judge)
    connector = aiohttp.TCPConnector(limit=0)  # each backend has a limit of its own
    async with aiohttp.ClientSession(connector=connector) as session:
        yield registry(local, chat_configs(settings), session, parts)


def _chat(settings: Settings, asking: Asking, metering: Metering, upstreams: Upstreams) -> Chat:
    """Who answers conversations: configured backends, and the local model."""
    from ocelli.api.services import Chat

    pictures = Pictures(
        fetcher(settings),
        max_bytes=settings.max_upload_bytes,
        max_pixels=settings.max_pixels,
    )
    local = LocalChat(asking, pictures, answer, timeout=settings.analysis_timeout)
    models = Models(
        upstreams,
        default=settings.chat_model or settings.default_backend,
        aliases=settings.chat_aliases,
        fallback=settings.chat_fallback,
    )
    return Chat(
        models=models,
        local=local,
        relay=Relay(pictures, metering),
        moderation=Moderation(local, pictures),
        max_body_bytes=settings.chat_max_mb * MEGABYTE,
    )


@asynccontextmanager
async def build_engine(
    settings: Settings, compute: Executor, *, calibration: Calibration | None = None
) -> AsyncIterator[Engine]:
    """Everybody who can look, the local models as evidence, and what levels make of it."""
    if calibration is None:
        calibration = read_calibration(settings)
    async with build_backends(settings, compute) as backends:
        yield Engine(backends, backends.local, calibration)


def read_calibration(settings: Settings) -> Calibration:
    """What ``ocelli eval --fit`` wrote; none maps every probability to itself."""
    if settings.calibration is None:
        return Calibration()
    entry = json.loads(settings.calibration.read_text(encoding="utf-8"))
    return Calibration(tuple((float(x), float(y)) for x, y in entry["knots"]))


def write_calibration(path: Path, calibration: Calibration) -> None:
    """For ``read_calibration``."""
    path.write_text(json.dumps({"knots": calibration.knots}) + "\n", encoding="utf-8")


@asynccontextmanager
async def build_worker(settings: Settings, ready: Awaitable[str]) -> AsyncIterator[Worker]:
    """One worker with its models loaded, on the database that is ``ready``; not before."""
    from ocelli.worker.loop import Worker

    with ThreadPoolExecutor(1, thread_name_prefix="compute") as compute:
        async with (
            build_engine(settings, compute) as engine,
            PostgresDatabase(dsn := await ready, max_connections=4) as database,
        ):
            store = objects(settings)
            stores = Stores(store, custom_storage(settings, database, store.staging))
            limits = {"max_pixels": settings.max_pixels}
            writer = JsonWriter()
            sources = Sources(
                database,
                stores,
                fetcher(settings),
                VideoFrames(
                    most=settings.fetch_max_frames,
                    max_pixels=settings.max_pixels,
                    seconds=settings.analysis_timeout / 2,
                ),
                YtDlp(max_bytes=settings.fetch_max_bytes, timeout=settings.fetch_timeout * 2),
                compute,
                max_bytes=max(settings.fetch_max_bytes, settings.max_upload_bytes),
            )
            analyse = Analyse(
                database,
                engine,
                compute,
                sources,
                Settlement(writer),
                timeout=settings.analysis_timeout,
                **limits,
            )
            call_webhook = CallWebhook(database, fetcher(settings))
            yield Worker(
                dsn,
                {
                    ANALYSE: analyse,
                    MAKE_VARIANTS: MakeVariants(database, stores, compute, **limits),
                    EXTRACT_COLORS: ExtractColors(database, stores, compute, **limits),
                    EXPORT: WriteExport(database, store),
                    CALL_WEBHOOK: call_webhook,
                },
                Housekeeping(database, stores),
                database.try_lock,
                queue_pool,
                partial(asyncio.to_thread, reach, dsn),
                chores=(
                    partial(analyse.rescue, older_than=RESCUE_OLDER_THAN),
                    Sessions(database).expire,
                    call_webhook.enqueue,
                ),
                max_attempts=settings.max_attempts,
                job_timeout=settings.analysis_timeout + STUCK_AFTER,
                unhurried={EXPORT},
                concurrency=settings.analyses_at_once or (32 if settings.backends else 2),
            )


async def _every(seconds: float, chore: Callable[[], Awaitable[None]]) -> None:
    """For chores that lose nothing by waiting for the next round."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await chore()
        except Exception as error:
            log.warning("%s: %s", chore.__qualname__, error)


def _secret(settings: Settings) -> bytes:
    """What URLs are signed with; made once per installation."""
    if settings.secret is not None:
        return settings.secret.get_secret_value().encode()
    path = settings.data / "secret"
    settings.data.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        mine = path.with_name(f"secret.{os.getpid()}")
        _write_private(mine, secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(mine)  # whoever comes first wins, and nobody reads half of it
        mine.unlink()
    return path.read_bytes()


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with os.fdopen(os.open(path, flags, 0o600), "w") as file:
        file.write(text)
