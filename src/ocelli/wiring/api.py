"""The composition of an API process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from ocelli.backends.local.conversation.answerer import LocalAnswerer
from ocelli.backends.local.embedder import MiniLmEmbedder
from ocelli.backends.local.evidence_verdicts import judge
from ocelli.domain.accounts import DEFAULT_TENANT, MEGABYTE
from ocelli.media.blob_writer import DiskWatch
from ocelli.storage.objects_local import LocalObjects
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.storage.postgres.health import queue_state, worker_alive
from ocelli.storage.postgres.notifications import ChangeListener
from ocelli.storage.postgres.sight import PostgresSight
from ocelli.usecases.accounts import Accounts
from ocelli.usecases.activities import Activities
from ocelli.usecases.adhoc import AdHocAnalyses
from ocelli.usecases.audit import AuditLog
from ocelli.usecases.batches import Batches
from ocelli.usecases.capacity import Capacity
from ocelli.usecases.chat import LocalChat
from ocelli.usecases.chat_levels import VerifiedChat
from ocelli.usecases.chat_models import ChatModels
from ocelli.usecases.chat_pictures import PictureLoader
from ocelli.usecases.chat_plans import ChatPlans
from ocelli.usecases.chat_relay import OPERATION, Relay
from ocelli.usecases.chat_sessions import ChatSessions
from ocelli.usecases.colors import Colors
from ocelli.usecases.console_sessions import ConsoleSessions
from ocelli.usecases.conversations import Conversations
from ocelli.usecases.edits import Edits
from ocelli.usecases.embeddings import Embeddings
from ocelli.usecases.erasures import Erasures
from ocelli.usecases.fetch_jobs import FetchJobs
from ocelli.usecases.files import Files
from ocelli.usecases.folders import Folders
from ocelli.usecases.history import History
from ocelli.usecases.idempotency import RENEW_INTERVAL, Idempotency
from ocelli.usecases.installation import InstallationView
from ocelli.usecases.keys import Keys
from ocelli.usecases.library_answers import LibraryAnswers
from ocelli.usecases.library_chat import LibraryChat
from ocelli.usecases.library_model import LibraryModel
from ocelli.usecases.library_model_answers import ModelAnswers
from ocelli.usecases.library_retrieval import Retrieval
from ocelli.usecases.library_search import LibrarySearch
from ocelli.usecases.look_again import LookAgain
from ocelli.usecases.members import Members
from ocelli.usecases.metering import Metering
from ocelli.usecases.moderation import Moderator
from ocelli.usecases.organize import Organize
from ocelli.usecases.pipelines import Pipelines
from ocelli.usecases.policies import Policies
from ocelli.usecases.presigned import Presigned
from ocelli.usecases.previews import Previews
from ocelli.usecases.quota import Quota
from ocelli.usecases.rates import RateLimiter, UploadSlots
from ocelli.usecases.redescribe import Redescribe
from ocelli.usecases.request_log import RequestLog
from ocelli.usecases.responses import Responses
from ocelli.usecases.reviews import Reviews
from ocelli.usecases.sight import known_states
from ocelli.usecases.similar_pictures import SimilarPictures
from ocelli.usecases.store_resolver import StoreResolver
from ocelli.usecases.synthesize import Synthesize
from ocelli.usecases.tenant_settings import SettingsOfTenants
from ocelli.usecases.upload import Upload
from ocelli.usecases.upload_sessions import Sessions
from ocelli.usecases.usage_reports import UsageReports
from ocelli.usecases.vocabularies import Vocabularies
from ocelli.usecases.webhooks import Webhooks
from ocelli.wiring.adapters import (
    count_erased,
    custom_storage,
    disk_reserve,
    fetcher,
    objects,
    sealing,
)
from ocelli.wiring.backends import (
    backend_names,
    chat_configs,
    local_runtime,
    picture_embedder,
    roster,
    token_cost,
)
from ocelli.wiring.checks import quick_checks
from ocelli.wiring.decoders import decoder_pool
from ocelli.wiring.inventory import inventory
from ocelli.wiring.sight import sight_subjects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from fastapi import FastAPI

    from ocelli.api.services import Chat
    from ocelli.backends.chat.relay import Upstreams
    from ocelli.domain.jobs import QueueState
    from ocelli.domain.sight import SightState
    from ocelli.settings import Settings
    from ocelli.usecases.decoders import DecoderPool

log = logging.getLogger(__name__)
KEY_USE_INTERVAL = 10.0
GIVE_BACK_INTERVAL = 1.0
METER_INTERVAL = 1.0
AUDIT_INTERVAL = 1.0
REQUEST_LOG_INTERVAL = 1.0
DISK_CHECK_INTERVAL = 0.5


def build_api(settings: Settings, dsn: str) -> FastAPI:
    """Return the ASGI application of an API process."""
    from ocelli.api.app import create_app
    from ocelli.api.services import OllamaSettings, Services
    from ocelli.backends.chat.relay import Upstreams
    from ocelli.console.app import install as install_console
    from ocelli.mcp.http import install as install_mcp

    database = PostgresDatabase(
        dsn, max_connections=settings.database_connections, short_timeouts=True
    )
    tiers = settings.tier_limits
    store = objects(settings)
    buckets = custom_storage(settings, database, store.staging)
    reserve = disk_reserve(settings, store)
    disk = DiskWatch(reserve)
    stores = StoreResolver(store, buckets, reserve)
    quota = Quota(database, tiers)
    upload = Upload(database, stores, quota, max_pixels=settings.max_pixels)
    files = Files(database, stores)
    edits = Edits(database)
    embeddings = Embeddings(MiniLmEmbedder(local_runtime(settings)))
    library_search = LibrarySearch(database, embeddings)
    colors = Colors(database)
    accounts = Accounts(database)
    audit = AuditLog(database)
    request_log = RequestLog(database)
    rates = RateLimiter(database, tiers)
    idempotency = Idempotency(database)
    changes = ChangeListener(dsn)
    names = backend_names(settings)
    default_backend = settings.default_backend or names[0]
    policies = Policies(database, names, default_backend)
    subjects = sight_subjects(settings)
    adhoc = AdHocAnalyses(
        database,
        stores,
        quota,
        changes.listen,
        max_bytes=settings.max_upload_bytes,
        max_pixels=settings.max_pixels,
    )
    sessions = Sessions(database)
    batches = Batches(database, adhoc, quota)
    redescribe = Redescribe(database, quota)
    fetch_jobs = FetchJobs(database, stores, changes.listen, max_pixels=settings.max_pixels)
    metering = Metering(database, quota, OPERATION)
    upstreams = Upstreams(chat_configs(settings))
    decoders = decoder_pool(settings, part=2)
    chat = _chat(settings, database, adhoc, metering, upstreams, decoders)
    sees = picture_embedder(settings)
    library_search = LibrarySearch(database, embeddings, sees)
    library_model = LibraryModel(chat.models, chat.conversations)
    organize = Organize(database, library_search, library_model)
    synthesize = Synthesize(database, library_search, library_model)
    chat_plans = ChatPlans(database, organize)

    async def store_check() -> None:
        await store.check()
        await asyncio.to_thread(reserve.check)

    async def worker_check() -> None:
        async with database.connection() as connection:
            await worker_alive(connection)

    async def queue() -> QueueState:
        async with database.connection() as connection:
            return await queue_state(connection)

    async def sight_states() -> Mapping[str, SightState]:
        return await known_states(PostgresSight(database), subjects) if subjects else {}

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with database:
            tasks = [
                asyncio.create_task(_repeat(KEY_USE_INTERVAL, accounts.save_use)),
                asyncio.create_task(_repeat(GIVE_BACK_INTERVAL, rates.give_back)),
                asyncio.create_task(_repeat(METER_INTERVAL, metering.save)),
                asyncio.create_task(_repeat(AUDIT_INTERVAL, audit.save)),
                asyncio.create_task(_repeat(REQUEST_LOG_INTERVAL, request_log.save)),
                asyncio.create_task(_repeat(DISK_CHECK_INTERVAL, disk.check_now)),
                asyncio.create_task(_repeat(RENEW_INTERVAL, idempotency.renew)),
                asyncio.create_task(changes.run()),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                with contextlib.suppress(Exception):
                    await accounts.save_use()
                    await rates.give_back(idle=0.0)
                    await metering.save()
                    await audit.save()
                    await request_log.save()
                await upstreams.close()
                if sees is not None:
                    await sees.close()
                decoders.close()

    app = create_app(
        services := Services(
            accounts=accounts,
            keys=Keys(database),
            members=Members(database),
            tenant_settings=SettingsOfTenants(database),
            audit=audit,
            erasures=Erasures(database, stores, count_erased),
            request_log=request_log,
            rates=rates,
            slots=UploadSlots(tiers),
            memory=Capacity(memory := settings.body_memory_mb * MEGABYTE, share=memory * 3 // 4),
            idempotency=idempotency,
            quota=quota,
            usage_reports=UsageReports(database),
            upload=upload,
            presigned=Presigned(database, stores, upload, quota, policies),
            sessions=sessions,
            listen=changes.listen,
            files=files,
            folders=Folders(database, files),
            edits=edits,
            reviews=Reviews(database, edits),
            colors=colors,
            adhoc=adhoc,
            previews=Previews(files, adhoc, stores, decoders),
            batches=batches,
            redescribe=redescribe,
            activities=Activities(database, sessions, batches, fetch_jobs, redescribe),
            webhooks=Webhooks(database, sealing(settings)),
            backend_names=names,
            default_backend=default_backend,
            policies=policies,
            answer_timeout=settings.analysis_timeout,
            chat=chat,
            ollama=OllamaSettings(
                settings.ollama_root, settings.ollama_tenant, settings.ollama_callers
            ),
            embeddings=embeddings,
            vocabularies=Vocabularies(database, embeddings),
            library_search=library_search,
            organize=organize,
            synthesize=synthesize,
            pipelines=Pipelines(library_search, organize, synthesize),
            chat_plans=chat_plans,
            similar=SimilarPictures(database, embeddings, decoders, sees),
            chat_sessions=ChatSessions(database),
            library_chat=LibraryChat(
                database,
                Retrieval(database, library_search, colors),
                LibraryAnswers(LocalAnswerer()),
                ModelAnswers(library_model, judge),
                chat_plans,
                LookAgain(
                    database,
                    redescribe,
                    batches,
                    changes.listen,
                    timeout=settings.analysis_timeout,
                ),
            ),
            fetch_jobs=fetch_jobs,
            roster=roster(settings),
            fetcher=fetcher(settings),
            token_cost=token_cost(settings),
            fetch_wait=settings.fetch_wait,
            new_blob=stores.new_blob,
            disk=disk,
            history=History(database, store),
            custom_storage=buckets,
            checks={"database": database.check, "store": store_check, "workers": worker_check},
            checked_elsewhere=frozenset() if settings.workers else frozenset({"workers"}),
            queue_state=queue,
            installation=InstallationView(
                database, partial(inventory, settings), partial(quick_checks, settings)
            ),
            sight_states=sight_states,
            lifespan=lifespan,
            max_upload_bytes=settings.max_upload_bytes,
            signed_folder=store if isinstance(store, LocalObjects) else None,
            public_url=settings.public_url and settings.public_url.rstrip("/"),
        )
    )
    install_console(app, services, ConsoleSessions(database, accounts), DEFAULT_TENANT)
    install_mcp(app, services)
    return app


def _chat(
    settings: Settings,
    database: PostgresDatabase,
    adhoc: AdHocAnalyses,
    metering: Metering,
    upstreams: Upstreams,
    decoders: DecoderPool,
) -> Chat:
    """Return the use cases of chat: the configured backends, and the local model."""
    from ocelli.api.services import Chat

    pictures = PictureLoader(fetcher(settings), decoders, max_bytes=settings.max_upload_bytes)
    timeout = settings.analysis_timeout
    local = LocalChat(adhoc, pictures, LocalAnswerer(), timeout=timeout)
    verified = VerifiedChat(adhoc, pictures, LocalAnswerer(), timeout=timeout)
    models = ChatModels(
        upstreams,
        default=settings.chat_model or settings.default_backend,
        aliases=settings.chat_aliases,
        fallback=settings.chat_fallback,
    )
    relay = Relay(pictures, metering)
    return Chat(
        models=models,
        local=local,
        verified=verified,
        relay=relay,
        conversations=Conversations(models, local, verified, relay),
        responses=Responses(database),
        moderation=Moderator(local, pictures),
        max_body_bytes=settings.chat_max_mb * MEGABYTE,
    )


async def _repeat(interval: float, task: Callable[[], Awaitable[None]]) -> None:
    """Run ``task`` every ``interval`` seconds; errors are logged, and the next round retries."""
    while True:
        await asyncio.sleep(interval)
        try:
            await task()
        except Exception as error:
            log.warning("%s: %s", task.__qualname__, error)
