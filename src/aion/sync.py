"""The same client without ``await``: a façade over :class:`AionVision` in a private thread.

There is no logic here; every method is the asynchronous one, waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from aion._loop import LoopThread, blocking, iterating
from aion._names import Names
from aion.client import AionVision
from aion.config import DEFAULT_BASE_URL, ClientConfig
from aion.resources.agent_search import AgentSearchResource
from aion.resources.api_keys import ApiKeys
from aion.resources.batch import Batch
from aion.resources.colors import Colors
from aion.resources.escalation_policies import EscalationPolicies
from aion.resources.files import Files
from aion.resources.folders import FoldersResource
from aion.resources.history import History
from aion.resources.reviews import Reviews
from aion.resources.sessions import Sessions
from aion.resources.settings import Settings
from aion.resources.tenant import Tenant
from aion.resources.uploads import Uploads
from aion.resources.usage import Usage
from aion.resources.vocabularies import Vocabularies

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from types import TracebackType
    from typing import Unpack, overload

    from aion._http import HttpClient
    from aion.config import Certificates
    from aion.resources.analysis import DescribeOptions, Image, VerifyOptions
    from aion.types.describe import DescriptionResult, VerificationResult

    R = TypeVar("R")


class _Part:
    """A resource of the sync client."""

    def __init__(self, client: SyncAionVision, name: str) -> None:
        self._client = client
        self._name = name

    def _async(self) -> Any:
        return getattr(self._client._async(), self._name)

    def _run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        return self._client._run(coroutine)


class SyncUploads(_Part):
    """Uploads, high-level and step by step."""

    upload_one = blocking(Uploads.upload_one)
    upload = blocking(Uploads.upload)
    upload_batch = blocking(Uploads.upload_batch)
    check_quota = blocking(Uploads.check_quota)
    request_presigned_url = blocking(Uploads.request_presigned_url)
    confirm_upload = blocking(Uploads.confirm_upload)
    wait_for_description = blocking(Uploads.wait_for_description)
    batch_prepare = blocking(Uploads.batch_prepare)
    batch_confirm = blocking(Uploads.batch_confirm)
    get_batch_status = blocking(Uploads.get_batch_status)


class SyncFiles(_Part):
    """Find, read, change and delete pictures."""

    list = blocking(Files.list)
    list_all = iterating(Files.list_all)
    get = blocking(Files.get)
    update = blocking(Files.update)
    edits = blocking(Files.edits)
    undo = blocking(Files.undo)
    delete = blocking(Files.delete)
    batch_delete = blocking(Files.batch_delete)
    get_variant = blocking(Files.get_variant)
    download = blocking(Files.download)
    trigger_variant_generation = blocking(Files.trigger_variant_generation)
    redescribe = blocking(Files.redescribe)
    redescribe_matching = blocking(Files.redescribe_matching)


class SyncBatch(_Part):
    """Jobs over many pictures."""

    get_status = blocking(Batch.get_status)
    get_results = blocking(Batch.get_results)
    get_all_results = iterating(Batch.get_all_results)
    cancel = blocking(Batch.cancel)
    wait_for_completion = blocking(Batch.wait_for_completion)
    submit_describe = blocking(Batch.submit_describe)
    submit_verify = blocking(Batch.submit_verify)


class SyncColors(_Part):
    """Extract colours, and find pictures by them."""

    extract = blocking(Colors.extract)
    get = blocking(Colors.get)
    search = blocking(Colors.search)
    search_all = iterating(Colors.search_all)
    list_families = blocking(Colors.list_families)
    batch_extract = blocking(Colors.batch_extract)


class SyncReviews(_Part):
    """Look at the most doubtful descriptions, and decide about them."""

    list = blocking(Reviews.list)
    list_all = iterating(Reviews.list_all)
    next = blocking(Reviews.next)
    accept = blocking(Reviews.accept)
    reject = blocking(Reviews.reject)
    correct = blocking(Reviews.correct)
    labels = iterating(Reviews.labels)
    export_labels = blocking(Reviews.export_labels)


class SyncAgentSearchResource(_Part):
    """Search the library in words, by what they mean."""

    images = blocking(AgentSearchResource.images)


class SyncFoldersResource(_Part):
    """Make folders, look at them, move and delete them, and put pictures into them."""

    tree = blocking(FoldersResource.tree)
    get = blocking(FoldersResource.get)
    get_breadcrumbs = blocking(FoldersResource.get_breadcrumbs)
    create = blocking(FoldersResource.create)
    rename = blocking(FoldersResource.rename)
    move = blocking(FoldersResource.move)
    delete = blocking(FoldersResource.delete)
    move_files = blocking(FoldersResource.move_files)


class SyncVocabularies(_Part):
    """Import vocabularies, look at them, and choose tags from them."""

    list = blocking(Vocabularies.list)
    get = blocking(Vocabularies.get)
    import_text = blocking(Vocabularies.import_text)
    import_file = blocking(Vocabularies.import_file)
    terms = iterating(Vocabularies.terms)
    choose = blocking(Vocabularies.choose)
    delete = blocking(Vocabularies.delete)


class SyncEscalationPolicies(_Part):
    """Store policies, look at them and at what they spent, and delete them."""

    list = blocking(EscalationPolicies.list)
    get = blocking(EscalationPolicies.get)
    store = blocking(EscalationPolicies.store)
    delete = blocking(EscalationPolicies.delete)


class SyncSettings(_Part):
    """Where pictures with ``storage_target="custom"`` are stored."""

    configure_custom_s3 = blocking(Settings.configure_custom_s3)
    get_custom_s3_status = blocking(Settings.get_custom_s3_status)
    validate_custom_s3 = blocking(Settings.validate_custom_s3)
    remove_custom_s3 = blocking(Settings.remove_custom_s3)


class SyncTenant(_Part):
    """Settings and limits of the account."""

    get_settings = blocking(Tenant.get_settings)
    update_settings = blocking(Tenant.update_settings)
    get_vocabulary = blocking(Tenant.get_vocabulary)
    set_vocabulary = blocking(Tenant.set_vocabulary)
    remove_vocabulary = blocking(Tenant.remove_vocabulary)
    get_limits = blocking(Tenant.get_limits)


class SyncSessions(_Part):
    """Files that were uploaded together: how far they are, and what came of them."""

    list = blocking(Sessions.list)
    list_all = iterating(Sessions.list_all)
    get = blocking(Sessions.get)
    get_results = blocking(Sessions.get_results)
    get_all_results = iterating(Sessions.get_all_results)
    cancel = blocking(Sessions.cancel)
    wait_for_completion = blocking(Sessions.wait_for_completion)


class SyncHistory(_Part):
    """Read every description that was made, and export them as a file."""

    list = blocking(History.list)
    list_all = iterating(History.list_all)
    export = blocking(History.export)
    get_export = blocking(History.get_export)


class SyncApiKeys(_Part):
    """Make, list, change and end keys."""

    create = blocking(ApiKeys.create)
    list = blocking(ApiKeys.list)
    list_all = iterating(ApiKeys.list_all)
    get = blocking(ApiKeys.get)
    update = blocking(ApiKeys.update)
    delete = blocking(ApiKeys.delete)


class SyncUsage(_Part):
    """Credits and requests: what may be used, what was."""

    check = blocking(Usage.check)
    get_summary = blocking(Usage.get_summary)
    get_breakdown = blocking(Usage.get_breakdown)


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
        self.uploads = SyncUploads(self, "uploads")
        self.files = SyncFiles(self, "files")
        self.batch = SyncBatch(self, "batch")
        self.colors = SyncColors(self, "colors")
        self.reviews = SyncReviews(self, "reviews")
        self.vocabularies = SyncVocabularies(self, "vocabularies")
        self.folders = SyncFoldersResource(self, "folders")
        self.agent_search = SyncAgentSearchResource(self, "agent_search")
        self.escalation_policies = SyncEscalationPolicies(self, "escalation_policies")
        self.settings = SyncSettings(self, "settings")
        self.tenant = SyncTenant(self, "tenant")
        self.sessions = SyncSessions(self, "sessions")
        self.history = SyncHistory(self, "history")
        self.api_keys = SyncApiKeys(self, "api_keys")
        self.usage = SyncUsage(self, "usage")

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
