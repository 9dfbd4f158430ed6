"""The asynchronous client."""

from __future__ import annotations

from contextlib import aclosing
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from aion._delegate import delegated, overloads_delegated
from aion._names import Names
from aion.config import DEFAULT_BASE_URL, ClientConfig
from aion.resources.describe import DescribeResource
from aion.resources.upload import UploadResource
from aion.resources.verify import VerifyResource

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from types import TracebackType

    from aion._http import Http, HttpClient
    from aion.config import Certificates
    from aion.pipeline import Pipeline
    from aion.resources.agent_operations import AgentOperationsResource
    from aion.resources.agent_search import AgentSearchResource
    from aion.resources.api_keys import ApiKeysResource
    from aion.resources.audit import AuditResource
    from aion.resources.batch import BatchResource
    from aion.resources.chat import ChatResource, ChatSessionContext
    from aion.resources.colors import ColorsResource
    from aion.resources.erasures import ErasuresResource
    from aion.resources.escalation_policies import EscalationPoliciesResource
    from aion.resources.files import FilesResource
    from aion.resources.folders import FoldersResource
    from aion.resources.history import HistoryResource
    from aion.resources.reviews import ReviewsResource
    from aion.resources.sessions import SessionsResource
    from aion.resources.settings import SettingsResource
    from aion.resources.tenant import TenantResource
    from aion.resources.usage import UsageResource
    from aion.resources.vocabularies import VocabulariesResource
    from aion.resources.webhooks import WebhooksResource
    from aion.types.chat import ChatResponse, ChatToken


class AionVision(Names):
    """The client, for ``async`` programs.

    ::

        async with AionVision(api_key="aion_...") as client:
            result = await client.upload_one("photo.jpg")
            results = await client.upload("photos/")
            print(results.summary())

    Connections are opened when they are first needed and closed by ``async with`` or
    :meth:`aclose`. A client belongs to one event loop; its methods may run side by side there.

    Args:
        api_key: ``aion_…``; made by ``ocelli keys create``.
        base_url: where the server's ``/api/v2`` is.
        timeout: seconds to wait for an answer.
        max_retries: how often a request that failed transiently is tried again.
        retry_delay: seconds; the base of the exponential backoff.
        polling_interval: seconds between two questions about a description, at most.
        polling_timeout: seconds to wait for a description.
        tenant_id: sent as ``X-Tenant-ID``; by default ``AIONVISION_TENANT_ID``.
        proxy_url: an ``http``, ``https`` or ``socks5`` proxy; by default
            ``AIONVISION_PROXY_URL``.
        enable_tracing: make OpenTelemetry spans, if ``opentelemetry`` is installed.
        verify: certificates that are trusted instead of the system's: a file or folder with
            them, or an ``ssl.SSLContext``; False trusts everything.
        http_client: an ``httpx2.AsyncClient`` of your own, for what is not offered here; closed
            with this one. Its timeouts, proxies and certificates count.

    Attributes:
        uploads: uploads, high-level and step by step.
        files: the library of pictures.
        batch: batch jobs.
        chats: conversations about the library.
        colors: colours of pictures.
        reviews: descriptions that wait for a person.
        vocabularies: the terms that tags are chosen from.
        folders: the tree that pictures are sorted into.
        agent_operations: sorts pictures into folders and writes reports, as told in words.
        agent_search: searches in words, by what they mean.
        escalation_policies: second looks where they are needed.
        webhooks: events posted to addresses of one's own.
        settings: a bucket of one's own.
        tenant: settings, members and limits of the account.
        audit: what was done in the account.
        erasures: pictures erased for good, and the receipts.
        sessions: upload sessions.
        history: every description so far.
        api_keys: keys of the account.
        usage: what was used of the account.

    Raises:
        ValueError: the key is missing or malformed, or another argument makes no sense.

    >>> AionVision(api_key="aion_...")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: 'aion_...' is the placeholder of the documentation, not a key. Create one with ...
    """

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str = DEFAULT_BASE_URL,
        timeout: float = 300.0,
        max_retries: int = 3,
        retry_delay: float = 1.0,
        polling_interval: float = 2.0,
        polling_timeout: float = 360.0,
        tenant_id: str | None = None,
        proxy_url: str | None = None,
        enable_tracing: bool = False,
        verify: Certificates = True,
        http_client: HttpClient | None = None,
    ) -> None:
        optional: dict[str, Any] = {"tenant_id": tenant_id, "proxy_url": proxy_url}
        self._set_up(
            ClientConfig(
                api_key=api_key,
                base_url=base_url,
                timeout=timeout,
                max_retries=max_retries,
                retry_delay=retry_delay,
                polling_interval=polling_interval,
                polling_timeout=polling_timeout,
                enable_tracing=enable_tracing,
                verify=verify,
                http_client=http_client,
                **{name: value for name, value in optional.items() if value is not None},
            )
        )

    def _set_up(self, config: ClientConfig) -> None:
        self.config = config
        self._http: Http | None = None
        self._closed = False
        self.uploads = UploadResource(config, self._connect)

    @cached_property
    def files(self) -> FilesResource:
        """The library of pictures."""
        from aion.resources.files import FilesResource

        return FilesResource(self.config, self._connect)

    @cached_property
    def batch(self) -> BatchResource:
        """Batch jobs."""
        from aion.resources.batch import BatchResource

        return BatchResource(self.config, self._connect)

    @cached_property
    def chats(self) -> ChatResource:
        """Conversations about the library."""
        from aion.resources.chat import ChatResource

        return ChatResource(self.config, self._connect)

    @cached_property
    def colors(self) -> ColorsResource:
        """Colours of pictures."""
        from aion.resources.colors import ColorsResource

        return ColorsResource(self.config, self._connect)

    @cached_property
    def reviews(self) -> ReviewsResource:
        """Descriptions that wait for a person."""
        from aion.resources.reviews import ReviewsResource

        return ReviewsResource(self.config, self._connect)

    @cached_property
    def vocabularies(self) -> VocabulariesResource:
        """The terms that tags are chosen from."""
        from aion.resources.vocabularies import VocabulariesResource

        return VocabulariesResource(self.config, self._connect)

    @cached_property
    def folders(self) -> FoldersResource:
        """The tree that pictures are sorted into."""
        from aion.resources.folders import FoldersResource

        return FoldersResource(self.config, self._connect)

    def pipeline(self) -> Pipeline:
        """Several steps in one request; see :class:`aion.Pipeline`."""
        from aion.pipeline import Pipeline

        return Pipeline(self._connect)

    @cached_property
    def agent_operations(self) -> AgentOperationsResource:
        """Sorts pictures into folders and writes reports, as told in words."""
        from aion.resources.agent_operations import AgentOperationsResource

        return AgentOperationsResource(self.config, self._connect)

    @cached_property
    def agent_search(self) -> AgentSearchResource:
        """Searches in words, by what they mean."""
        from aion.resources.agent_search import AgentSearchResource

        return AgentSearchResource(self.config, self._connect)

    @cached_property
    def escalation_policies(self) -> EscalationPoliciesResource:
        """Second looks where they are needed."""
        from aion.resources.escalation_policies import EscalationPoliciesResource

        return EscalationPoliciesResource(self.config, self._connect)

    @cached_property
    def settings(self) -> SettingsResource:
        """A bucket of one's own."""
        from aion.resources.settings import SettingsResource

        return SettingsResource(self.config, self._connect)

    @cached_property
    def audit(self) -> AuditResource:
        """What was done in the account."""
        from aion.resources.audit import AuditResource

        return AuditResource(self.config, self._connect)

    @cached_property
    def erasures(self) -> ErasuresResource:
        """Pictures erased for good, and the receipts."""
        from aion.resources.erasures import ErasuresResource

        return ErasuresResource(self.config, self._connect)

    @cached_property
    def tenant(self) -> TenantResource:
        """Settings, members and limits of the account."""
        from aion.resources.tenant import TenantResource

        return TenantResource(self.config, self._connect)

    @cached_property
    def sessions(self) -> SessionsResource:
        """Upload sessions."""
        from aion.resources.sessions import SessionsResource

        return SessionsResource(self.config, self._connect)

    @cached_property
    def history(self) -> HistoryResource:
        """Every description so far."""
        from aion.resources.history import HistoryResource

        return HistoryResource(self.config, self._connect)

    @cached_property
    def api_keys(self) -> ApiKeysResource:
        """Keys of the account."""
        from aion.resources.api_keys import ApiKeysResource

        return ApiKeysResource(self.config, self._connect)

    @cached_property
    def webhooks(self) -> WebhooksResource:
        """Events posted to addresses of one's own."""
        from aion.resources.webhooks import WebhooksResource

        return WebhooksResource(self.config, self._connect)

    @cached_property
    def usage(self) -> UsageResource:
        """What was used of the account."""
        from aion.resources.usage import UsageResource

        return UsageResource(self.config, self._connect)

    @cached_property
    def descriptions(self) -> DescribeResource:
        """Deprecated: :meth:`describe` is the same."""
        return DescribeResource(self.config, self._connect)

    @cached_property
    def verifications(self) -> VerifyResource:
        """Deprecated: :meth:`verify` is the same."""
        return VerifyResource(self.config, self._connect)

    @classmethod
    def from_env(cls, **overrides: Any) -> Self:
        """A client set up by ``AIONVISION_*`` variables; ``overrides`` win over them.

        Raises:
            ValueError: no key, or a variable that cannot be read.
        """
        return cls.from_config(ClientConfig.from_env(**overrides))

    @classmethod
    def from_config(cls, config: ClientConfig) -> Self:
        """A client with settings that the constructor does not offer, e.g. the breaker's."""
        client = cls.__new__(cls)
        client._set_up(config)
        return client

    def _connect(self) -> Http:
        if self._closed:
            raise RuntimeError("This client is closed: make a new one")
        if self._http is None:
            from aion._http import Http  # here, because it is half of the import time

            self._http = Http(self.config)
        return self._http

    async def aclose(self) -> None:
        """Close all connections; the client cannot be used after that."""
        self._closed = True
        if self._http is not None:
            http, self._http = self._http, None
            await http.aclose()

    async def __aenter__(self) -> Self:
        self._connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.config.base_url!r})"

    def chat_session(
        self,
        *,
        title: str | None = None,
        image_ids: Sequence[str] | None = None,
        use_all_images: bool = True,
        auto_close: bool = True,
    ) -> ChatSessionContext:
        """A conversation about the library; see :meth:`ChatResource.session`."""
        return self.chats.session(
            title=title,
            image_ids=image_ids,
            use_all_images=use_all_images,
            auto_close=auto_close,
        )

    async def chat(
        self, message: str, *, session_id: str, force_detailed_analysis: bool = False
    ) -> ChatResponse:
        """Send a message to a session; see :meth:`ChatResource.send`."""
        return await self.chats.send(
            message, session_id=session_id, force_detailed_analysis=force_detailed_analysis
        )

    async def chat_stream(
        self, message: str, *, session_id: str, force_detailed_analysis: bool = False
    ) -> AsyncGenerator[ChatToken]:
        """Send a message, and watch its answer; see :meth:`ChatResource.send_stream`."""
        tokens = self.chats.send_stream(
            message, session_id=session_id, force_detailed_analysis=force_detailed_analysis
        )
        async with aclosing(tokens):
            async for token in tokens:
                yield token

    upload_one = delegated("uploads", UploadResource.upload_one)
    upload = delegated("uploads", UploadResource.upload)
    describe = overloads_delegated("descriptions", DescribeResource.describe)
    verify = overloads_delegated("verifications", VerifyResource.verify)
