"""The same client without ``await``: a façade over :class:`AionVision` in a private thread.

There is no logic here; every method is the asynchronous one, waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from aion._loop import LoopThread, blocking, iterating
from aion._names import Names
from aion._sync_resources import (
    SyncAgentOperationsResource,
    SyncAgentSearchResource,
    SyncApiKeysResource,
    SyncAuditResource,
    SyncBatchResource,
    SyncChatResource,
    SyncColorsResource,
    SyncErasuresResource,
    SyncEscalationPoliciesResource,
    SyncFilesResource,
    SyncFoldersResource,
    SyncHistoryResource,
    SyncReviewsResource,
    SyncSessionsResource,
    SyncSettingsResource,
    SyncTenantResource,
    SyncUploadResource,
    SyncUsageResource,
    SyncVocabulariesResource,
    SyncWebhooksResource,
)
from aion.client import AionVision
from aion.config import DEFAULT_BASE_URL, ClientConfig

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from types import TracebackType
    from typing import Unpack, overload

    from aion._http import HttpClient
    from aion._sync_chat import SyncChatSession
    from aion.config import Certificates
    from aion.resources._analysis import Image
    from aion.resources.describe import DescribeOptions
    from aion.resources.verify import VerifyOptions
    from aion.types.describe import DescriptionResult
    from aion.types.verify import VerificationResult

    R = TypeVar("R")


class SyncAionVision(Names):
    """The client, for programs without ``async``; also within a running loop, and in threads.

    ::

        with SyncAionVision(api_key="aion_...") as client:
            print(client.upload_one("photo.jpg").description)

    Arguments, methods and errors are those of :class:`AionVision`. Callbacks run in the client's
    own thread and must not call the client. Ctrl-C cancels the call and closes its connections.
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
        self._set_up(
            AionVision(
                api_key,
                base_url=base_url,
                timeout=timeout,
                max_retries=max_retries,
                retry_delay=retry_delay,
                polling_interval=polling_interval,
                polling_timeout=polling_timeout,
                tenant_id=tenant_id,
                proxy_url=proxy_url,
                enable_tracing=enable_tracing,
                verify=verify,
                http_client=http_client,
            )
        )

    def _set_up(self, client: AionVision) -> None:
        self._client = client
        self._loop: LoopThread | None = None
        self.config = client.config
        self.uploads = SyncUploadResource(self, "uploads")
        self.files = SyncFilesResource(self, "files")
        self.batch = SyncBatchResource(self, "batch")
        self.chats = SyncChatResource(self, "chats")
        self.colors = SyncColorsResource(self, "colors")
        self.reviews = SyncReviewsResource(self, "reviews")
        self.vocabularies = SyncVocabulariesResource(self, "vocabularies")
        self.folders = SyncFoldersResource(self, "folders")
        self.agent_operations = SyncAgentOperationsResource(self, "agent_operations")
        self.agent_search = SyncAgentSearchResource(self, "agent_search")
        self.escalation_policies = SyncEscalationPoliciesResource(self, "escalation_policies")
        self.webhooks = SyncWebhooksResource(self, "webhooks")
        self.settings = SyncSettingsResource(self, "settings")
        self.audit = SyncAuditResource(self, "audit")
        self.erasures = SyncErasuresResource(self, "erasures")
        self.tenant = SyncTenantResource(self, "tenant")
        self.sessions = SyncSessionsResource(self, "sessions")
        self.history = SyncHistoryResource(self, "history")
        self.api_keys = SyncApiKeysResource(self, "api_keys")
        self.usage = SyncUsageResource(self, "usage")

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
        client._set_up(AionVision.from_config(config))
        return client

    @property
    def async_client(self) -> AionVision:
        """The client underneath.

        Raises:
            RuntimeError: it is not open yet.
        """
        if self._loop is None:
            raise RuntimeError("Not open yet: use `with SyncAionVision(...) as client:`")
        return self._client

    def _async(self) -> AionVision:
        return self._client

    def _run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        if self._loop is None:
            self._loop = LoopThread()
        return self._loop.run(coroutine)

    def close(self) -> None:
        """Close all connections; the client cannot be used after that."""
        if self._loop is not None and not self._loop.is_closed:
            self._loop.close(self._client.aclose)

    @property
    def is_closed(self) -> bool:
        """Whether this client was closed."""
        return self._loop is not None and self._loop.is_closed

    def chat_session(
        self,
        *,
        title: str | None = None,
        image_ids: Sequence[str] | None = None,
        use_all_images: bool = True,
        auto_close: bool = True,
    ) -> SyncChatSession:
        """A conversation about the library; see :meth:`SyncChatResource.session`."""
        return self.chats.session(
            title=title,
            image_ids=image_ids,
            use_all_images=use_all_images,
            auto_close=auto_close,
        )

    def close_session(self, session_id: str) -> dict[str, Any]:
        """Close a chat session; see :meth:`ChatResource.close_session`."""
        return self.chats.close_session(session_id)

    chat = blocking(AionVision.chat)
    chat_stream = iterating(AionVision.chat_stream)

    def __enter__(self) -> Self:
        self._run(self._client.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.config.base_url!r})"

    upload_one = blocking(AionVision.upload_one)
    upload = blocking(AionVision.upload)

    if TYPE_CHECKING:

        @overload
        def describe(  # type: ignore[overload-overlap]  # a text is a sequence of texts
            self, image: Image, **options: Unpack[DescribeOptions]
        ) -> DescriptionResult: ...

        @overload
        def describe(
            self, image: Sequence[Image], **options: Unpack[DescribeOptions]
        ) -> list[DescriptionResult]: ...

        @overload
        def describe(
            self, *, object_key: str, **options: Unpack[DescribeOptions]
        ) -> DescriptionResult: ...

        @overload
        def describe(
            self, *, object_keys: Sequence[str], **options: Unpack[DescribeOptions]
        ) -> list[DescriptionResult]: ...

        def describe(self, *given: Any, **options: Any) -> Any:
            """See :meth:`AionVision.describe`."""

        @overload
        def verify(
            self, image: Image, content: str, **options: Unpack[VerifyOptions]
        ) -> VerificationResult: ...

        @overload
        def verify(
            self, *, content: str, object_key: str, **options: Unpack[VerifyOptions]
        ) -> VerificationResult: ...

        @overload
        def verify(
            self,
            *,
            images: Sequence[Image],
            contents: Sequence[str],
            **options: Unpack[VerifyOptions],
        ) -> list[VerificationResult]: ...

        @overload
        def verify(
            self,
            *,
            object_keys: Sequence[str],
            contents: Sequence[str],
            **options: Unpack[VerifyOptions],
        ) -> list[VerificationResult]: ...

        def verify(self, *given: Any, **options: Any) -> Any:
            """See :meth:`AionVision.verify`."""
    else:
        describe = blocking(AionVision.describe)
        verify = blocking(AionVision.verify)
