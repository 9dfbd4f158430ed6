"""The services of the routes; composed in ``ocelli.wiring``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from ocelli.media.blob_writer import BlobFactory, DiskWatch

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from uuid import UUID

    from starlette.requests import Request

    from ocelli.domain.claims import Tokens
    from ocelli.domain.jobs import QueueState
    from ocelli.domain.ports_fetch import Fetcher
    from ocelli.domain.pricing import Roster
    from ocelli.domain.sight import SightState
    from ocelli.media.blob_writer import BlobWriter
    from ocelli.usecases.accounts import Accounts
    from ocelli.usecases.activities import Activities
    from ocelli.usecases.adhoc import AdHocAnalyses
    from ocelli.usecases.audit import AuditLog
    from ocelli.usecases.batches import Batches
    from ocelli.usecases.capacity import Capacity
    from ocelli.usecases.chat import LocalChat
    from ocelli.usecases.chat_levels import VerifiedChat
    from ocelli.usecases.chat_models import ChatModels
    from ocelli.usecases.chat_plans import ChatPlans
    from ocelli.usecases.chat_relay import Relay
    from ocelli.usecases.chat_sessions import ChatSessions
    from ocelli.usecases.colors import Colors
    from ocelli.usecases.conversations import Conversations
    from ocelli.usecases.custom_storage import CustomStorage
    from ocelli.usecases.edits import Edits
    from ocelli.usecases.embeddings import Embeddings
    from ocelli.usecases.erasures import Erasures
    from ocelli.usecases.fetch_jobs import FetchJobs
    from ocelli.usecases.files import Files
    from ocelli.usecases.folders import Folders
    from ocelli.usecases.history import History
    from ocelli.usecases.idempotency import Idempotency
    from ocelli.usecases.installation import InstallationView
    from ocelli.usecases.keys import Keys
    from ocelli.usecases.library_chat import LibraryChat
    from ocelli.usecases.library_search import LibrarySearch
    from ocelli.usecases.members import Members
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
    from ocelli.usecases.similar_pictures import SimilarPictures
    from ocelli.usecases.synthesize import Synthesize
    from ocelli.usecases.tenant_settings import SettingsOfTenants
    from ocelli.usecases.upload import Upload
    from ocelli.usecases.upload_sessions import Sessions
    from ocelli.usecases.usage_reports import UsageReports
    from ocelli.usecases.vocabularies import Vocabularies
    from ocelli.usecases.webhooks import Webhooks


class SignedFolder(Protocol):
    """A store whose signed URLs this server serves."""

    def allows(self, method: str, key: str, query: dict[str, str]) -> bool:
        """Return whether the query has a valid signature for this request that is not expired."""
        ...

    def path(self, key: str) -> Path:
        """Return the path of ``key``."""
        ...

    async def put_once(self, key: str, blob: BlobWriter) -> None:
        """Store ``blob`` as ``key``. Raises FileExistsError if there is such an object."""
        ...


@dataclass(frozen=True)
class Chat:
    """The use cases of chat."""

    models: ChatModels
    local: LocalChat
    verified: VerifiedChat
    relay: Relay
    moderation: Moderator
    conversations: Conversations
    responses: Responses
    max_body_bytes: int


@dataclass(frozen=True, slots=True)
class OllamaSettings:
    """``at_root``: its paths are also those of Ollama itself.

    Who sends no key from one of ``networks`` counts as ``tenant``; None: is refused.
    """

    at_root: bool = False
    tenant: str | None = None
    networks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Services:
    """All services of an API process."""

    accounts: Accounts
    keys: Keys
    members: Members
    tenant_settings: SettingsOfTenants
    audit: AuditLog
    erasures: Erasures
    request_log: RequestLog
    rates: RateLimiter
    slots: UploadSlots
    memory: Capacity
    idempotency: Idempotency
    quota: Quota
    usage_reports: UsageReports
    upload: Upload
    presigned: Presigned
    sessions: Sessions
    files: Files
    folders: Folders
    edits: Edits
    reviews: Reviews
    vocabularies: Vocabularies
    policies: Policies
    library_search: LibrarySearch
    similar: SimilarPictures
    organize: Organize
    synthesize: Synthesize
    pipelines: Pipelines
    chat_sessions: ChatSessions
    chat_plans: ChatPlans
    library_chat: LibraryChat
    colors: Colors
    adhoc: AdHocAnalyses
    previews: Previews
    batches: Batches
    redescribe: Redescribe
    activities: Activities
    webhooks: Webhooks
    backend_names: Sequence[str]
    default_backend: str
    answer_timeout: float
    chat: Chat
    ollama: OllamaSettings
    embeddings: Embeddings
    fetch_jobs: FetchJobs
    roster: Roster
    fetcher: Fetcher
    token_cost: Callable[[str, Tokens], float | None]
    fetch_wait: float
    new_blob: BlobFactory
    disk: DiskWatch
    history: History
    custom_storage: CustomStorage
    listen: Callable[[UUID], AbstractAsyncContextManager[asyncio.Event]]
    checks: dict[str, Callable[[], Awaitable[None]]]
    checked_elsewhere: frozenset[str]
    queue_state: Callable[[], Awaitable[QueueState]]
    installation: InstallationView
    sight_states: Callable[[], Awaitable[Mapping[str, SightState]]]
    lifespan: Callable[[], AbstractAsyncContextManager[Any]]
    max_upload_bytes: int
    signed_folder: SignedFolder | None = None
    public_url: str | None = None

    @property
    def prefix(self) -> str:
        """The path under which a proxy shows the server; empty without one."""
        return urlsplit(self.public_url or "").path.rstrip("/")

    def base_url(self, request: Request) -> str:
        """Return the server's address as the client knows it, for URLs in answers."""
        return self.public_url or str(request.base_url).rstrip("/")
