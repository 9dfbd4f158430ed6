"""The resources of the client without ``await``. No logic is here; see :mod:`aion.sync`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from aion._loop import blocking, iterating
from aion._sync_chat import SyncChatSession
from aion.resources.agent_operations import AgentOperationsResource
from aion.resources.agent_search import AgentSearchResource
from aion.resources.api_keys import ApiKeysResource
from aion.resources.audit import AuditResource
from aion.resources.batch import BatchResource
from aion.resources.chat import ChatResource
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
from aion.resources.upload import UploadResource
from aion.resources.usage import UsageResource
from aion.resources.vocabularies import VocabulariesResource
from aion.resources.webhooks import WebhooksResource

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from aion.sync import SyncAionVision

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


class SyncUploadResource(_Part):
    """Uploads, high-level and step by step."""

    upload_one = blocking(UploadResource.upload_one)
    upload = blocking(UploadResource.upload)
    upload_batch = blocking(UploadResource.upload_batch)
    check_quota = blocking(UploadResource.check_quota)
    request_presigned_url = blocking(UploadResource.request_presigned_url)
    confirm_upload = blocking(UploadResource.confirm_upload)
    wait_for_description = blocking(UploadResource.wait_for_description)
    batch_prepare = blocking(UploadResource.batch_prepare)
    batch_confirm = blocking(UploadResource.batch_confirm)
    get_batch_status = blocking(UploadResource.get_batch_status)


class SyncFilesResource(_Part):
    """Find, read, change and delete pictures."""

    list = blocking(FilesResource.list)
    list_all = iterating(FilesResource.list_all)
    get = blocking(FilesResource.get)
    update = blocking(FilesResource.update)
    edits = blocking(FilesResource.edits)
    undo = blocking(FilesResource.undo)
    delete = blocking(FilesResource.delete)
    batch_delete = blocking(FilesResource.batch_delete)
    similar = blocking(FilesResource.similar)
    similar_to = blocking(FilesResource.similar_to)
    get_variant = blocking(FilesResource.get_variant)
    download = blocking(FilesResource.download)
    trigger_variant_generation = blocking(FilesResource.trigger_variant_generation)
    redescribe = blocking(FilesResource.redescribe)
    redescribe_matching = blocking(FilesResource.redescribe_matching)


class SyncBatchResource(_Part):
    """Jobs over many pictures."""

    get_status = blocking(BatchResource.get_status)
    get_results = blocking(BatchResource.get_results)
    get_all_results = iterating(BatchResource.get_all_results)
    cancel = blocking(BatchResource.cancel)
    wait_for_completion = blocking(BatchResource.wait_for_completion)
    submit_describe = blocking(BatchResource.submit_describe)
    submit_verify = blocking(BatchResource.submit_verify)


class SyncChatResource(_Part):
    """Talk about the pictures of the library."""

    def session(
        self,
        *,
        title: str | None = None,
        image_ids: Sequence[str] | None = None,
        use_all_images: bool = True,
        auto_close: bool = True,
    ) -> SyncChatSession:
        """A session, opened by this call; ``with`` closes it at the end.

        Args:
            title: what it is called; by default the beginning of the first message.
            image_ids: the pictures that it is about, at most 1,000, with
                ``use_all_images=False``.
            use_all_images: it is about all pictures.
            auto_close: close it at the end of the block; it can still be read then.
        """
        made = self.create_session(title=title, image_ids=image_ids, use_all_images=use_all_images)
        return SyncChatSession(self._client, made, auto_close=auto_close)

    send = blocking(ChatResource.send)
    send_stream = iterating(ChatResource.send_stream)
    create_session = blocking(ChatResource.create_session)
    get_session = blocking(ChatResource.get_session)
    list_sessions = blocking(ChatResource.list_sessions)
    iter_sessions = iterating(ChatResource.iter_sessions)
    get_messages = blocking(ChatResource.get_messages)
    update_images = blocking(ChatResource.update_images)
    update_documents = blocking(ChatResource.update_documents)
    update_videos = blocking(ChatResource.update_videos)
    update_mode = blocking(ChatResource.update_mode)
    approve_plan = blocking(ChatResource.approve_plan)
    cancel_plan = blocking(ChatResource.cancel_plan)
    close_session = blocking(ChatResource.close_session)
    rename_session = blocking(ChatResource.rename_session)
    export_session = blocking(ChatResource.export_session)
    get_all_images = blocking(ChatResource.get_all_images)
    search_images = blocking(ChatResource.search_images)


class SyncColorsResource(_Part):
    """Extract colours, and find pictures by them."""

    extract = blocking(ColorsResource.extract)
    get = blocking(ColorsResource.get)
    search = blocking(ColorsResource.search)
    search_all = iterating(ColorsResource.search_all)
    list_families = blocking(ColorsResource.list_families)
    batch_extract = blocking(ColorsResource.batch_extract)


class SyncReviewsResource(_Part):
    """Look at the most doubtful descriptions, and decide about them."""

    list = blocking(ReviewsResource.list)
    list_all = iterating(ReviewsResource.list_all)
    next = blocking(ReviewsResource.next)
    accept = blocking(ReviewsResource.accept)
    reject = blocking(ReviewsResource.reject)
    correct = blocking(ReviewsResource.correct)
    labels = iterating(ReviewsResource.labels)
    export_labels = blocking(ReviewsResource.export_labels)


class SyncAgentOperationsResource(_Part):
    """Sort pictures into folders and write reports, as told in words."""

    organize = blocking(AgentOperationsResource.organize)
    synthesize = blocking(AgentOperationsResource.synthesize)
    undo_organize = blocking(AgentOperationsResource.undo_organize)


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


class SyncVocabulariesResource(_Part):
    """Import vocabularies, look at them, and choose tags from them."""

    list = blocking(VocabulariesResource.list)
    get = blocking(VocabulariesResource.get)
    import_text = blocking(VocabulariesResource.import_text)
    import_file = blocking(VocabulariesResource.import_file)
    terms = iterating(VocabulariesResource.terms)
    choose = blocking(VocabulariesResource.choose)
    delete = blocking(VocabulariesResource.delete)


class SyncEscalationPoliciesResource(_Part):
    """Store policies, look at them and at what they spent, and delete them."""

    list = blocking(EscalationPoliciesResource.list)
    get = blocking(EscalationPoliciesResource.get)
    store = blocking(EscalationPoliciesResource.store)
    delete = blocking(EscalationPoliciesResource.delete)


class SyncWebhooksResource(_Part):
    """Register webhooks, and see what was delivered."""

    create = blocking(WebhooksResource.create)
    list = blocking(WebhooksResource.list)
    get = blocking(WebhooksResource.get)
    update = blocking(WebhooksResource.update)
    delete = blocking(WebhooksResource.delete)
    rotate_secret = blocking(WebhooksResource.rotate_secret)
    send_test = blocking(WebhooksResource.send_test)
    deliveries = blocking(WebhooksResource.deliveries)
    all_deliveries = iterating(WebhooksResource.all_deliveries)
    replay = blocking(WebhooksResource.replay)


class SyncSettingsResource(_Part):
    """Where pictures with ``storage_target="custom"`` are stored."""

    configure_custom_s3 = blocking(SettingsResource.configure_custom_s3)
    get_custom_s3_status = blocking(SettingsResource.get_custom_s3_status)
    validate_custom_s3 = blocking(SettingsResource.validate_custom_s3)
    remove_custom_s3 = blocking(SettingsResource.remove_custom_s3)


class SyncAuditResource(_Part):
    """Read the audit log; the key must be an administrator's."""

    list = blocking(AuditResource.list)
    get = blocking(AuditResource.get)


class SyncErasuresResource(_Part):
    """Erase pictures for good, and read the receipts; the key must be an administrator's."""

    create = blocking(ErasuresResource.create)
    list = blocking(ErasuresResource.list)
    get = blocking(ErasuresResource.get)


class SyncTenantResource(_Part):
    """Settings, members and limits of the account."""

    list_members = blocking(TenantResource.list_members)
    invite_member = blocking(TenantResource.invite_member)
    update_member_role = blocking(TenantResource.update_member_role)
    remove_member = blocking(TenantResource.remove_member)

    get_settings = blocking(TenantResource.get_settings)
    update_settings = blocking(TenantResource.update_settings)
    get_vocabulary = blocking(TenantResource.get_vocabulary)
    set_vocabulary = blocking(TenantResource.set_vocabulary)
    remove_vocabulary = blocking(TenantResource.remove_vocabulary)
    get_limits = blocking(TenantResource.get_limits)


class SyncSessionsResource(_Part):
    """Files that were uploaded together: how far they are, and what came of them."""

    list = blocking(SessionsResource.list)
    list_all = iterating(SessionsResource.list_all)
    get = blocking(SessionsResource.get)
    get_results = blocking(SessionsResource.get_results)
    get_all_results = iterating(SessionsResource.get_all_results)
    cancel = blocking(SessionsResource.cancel)
    wait_for_completion = blocking(SessionsResource.wait_for_completion)


class SyncHistoryResource(_Part):
    """Read every description that was made, and export them as a file."""

    list = blocking(HistoryResource.list)
    list_all = iterating(HistoryResource.list_all)
    export = blocking(HistoryResource.export)
    get_export = blocking(HistoryResource.get_export)


class SyncApiKeysResource(_Part):
    """Make, list, change and end keys."""

    create = blocking(ApiKeysResource.create)
    list = blocking(ApiKeysResource.list)
    list_all = iterating(ApiKeysResource.list_all)
    get = blocking(ApiKeysResource.get)
    update = blocking(ApiKeysResource.update)
    delete = blocking(ApiKeysResource.delete)


class SyncUsageResource(_Part):
    """Credits and requests: what may be used, what was."""

    check = blocking(UsageResource.check)
    get_summary = blocking(UsageResource.get_summary)
    get_details = blocking(UsageResource.get_details)
    get_top_endpoints = blocking(UsageResource.get_top_endpoints)
    get_breakdown = blocking(UsageResource.get_breakdown)
