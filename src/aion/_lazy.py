"""Names that are imported when they are asked for: importing ``aion`` stays quick."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HOMES = {
    "aion.types.agent_search": """
        ImageSearchAgentResult ImageSearchResultItem
    """,
    "aion.types.agent_operations": """
        SynthesizeResult
        FolderActionDetail OrganizeResult UndoOrganizeResult
    """,
    "aion.types.audit": """
        AuditEventType AuditLogEntry AuditLogList AuditResult AuditSeverity
    """,
    "aion.types.pipeline": """
        PipelineResult PipelineStep StepResult
    """,
    "aion.types.batch": """
        BatchImageInput BatchItemResult BatchItemStatus BatchResults BatchResultsPagination
        BatchResultsSummary BatchStatus BatchStatusResult BatchSubmissionResult
        BatchVerifyInput
    """,
    "aion.types.callbacks": """
        DescriptionFailedEvent DescriptionProgressEvent FileCompleteEvent
        UploadProgressEvent
    """,
    "aion.types.chat": """
        ChatImageList ChatMessage ChatResponse ChatSession ChatSessionDetail ChatToken
        ImageReference PlanActionResponse SessionList
    """,
    "aion.types.colors": """
        HSL LAB RGB BatchColorExtractionResult ColorAnalysis ColorAnalytics
        ColorBrightness ColorExtractionResult ColorExtractionStatus ColorFamily
        ColorFamilyInfo ColorSaturation
        ColorSearchResponse ColorSearchResult ColorTemperature DominantColor
    """,
    "aion.types.common": """
        ChatTokenType DescriptionStatus MessageRole StorageTarget VerificationLevel
    """,
    "aion.types.describe": """
        Claim DescriptionErrorType DescriptionFailure DescriptionResult JudgedTag Place Tagging
    """,
    "aion.types.verify": """
        VerificationIssue VerificationResult
    """,
    "aion.types.files": """
        BatchDeleteFileResult BatchDeleteFilesResponse ClaimState DeleteFileResult FileList
        FileLocation FullDescription ProcessingHistory RedescribeResult SimilarFile SimilarFiles
        UpdateFileResult UserFile
        UserFileDetails
    """,
    "aion.types.agent": """
        Agent AgentResult
    """,
    "aion.types.context": """
        ExecutionContext TypedSlot
    """,
    "aion.types.contracts": """
        AgentCapability AgentContract TypedInput TypedOutput
    """,
    "aion.types.data_types": """
        AnalysisResult CategorizationResult Category CrossRefResult DataTypeDefinition
        DataTypeRegistry FolderResult TextResult get_default_registry
    """,
    "aion.types.file_collection": """
        FileCollection FileRef
    """,
    "aion.types.file_resolver": """
        FileResolutionError FileResolver
    """,
    "aion.types.references": """
        DocumentRef ImageRef LinkRef ParsedReferences ResultRefData parse_references
        resolve_content
    """,
    "aion.types.folders": """
        DeleteFolderResult Folder FolderBreadcrumb FolderBreadcrumbs FolderContents FolderTree
        MoveFilesResult
    """,
    "aion.types.reviews": """
        FileEdit FileEditList PictureLabel PictureLabelList ReviewDone ReviewFailure
        ReviewItem ReviewList ReviewOutcome
    """,
    "aion.types.tenant": """
        MemberRole TenantMember
        TenantLimits TenantSettings
    """,
    "aion.types.settings": """
        S3ConfigStatus S3ValidationResult
    """,
    "aion.types.upload": """
        BatchConfirmResult BatchPrepareResult BatchPresignedUrl BatchUploadResults
        ConfirmResult FileInfo PresignedUrlInfo QuotaInfo StoredImage
        UploadBatchStatusResult UploadConfirmation UploadPlan UploadResult
    """,
    "aion.types.sessions": """
        UploadSession UploadSessionList UploadSessionResult UploadSessionResults
    """,
    "aion.types.api_keys": """
        ApiKey ApiKeyList CreatedApiKey
    """,
    "aion.types.usage": """
        EndpointUse UsageBreakdown UsageCheck UsageDetails UsageEvent UsageSummary
    """,
    "aion.types.history": """
        DescriptionHistory DescriptionRecord ExportStatus
    """,
    "aion.types.escalation": """
        Escalation EscalationPolicy EscalationPolicyList EscalationStep PolicyBudget PolicySpending
        PolicyStep PolicyTriggers
    """,
    "aion.types.webhooks": """
        Webhook WebhookDelivery WebhookDeliveryList WebhookSecret
    """,
    "aion.types.vocabularies": """
        ChosenTag DefaultVocabulary NotChosen TagChoice TermSynonym Vocabulary VocabularyList
        VocabularyTerm VocabularyTermList
    """,
}


def homes_by_name(homes: Mapping[str, str]) -> dict[str, str]:
    """Return the module of each name; ``homes`` has the names of each module, with spaces."""
    return {name: home for home, names in homes.items() for name in names.split()}


TYPES = homes_by_name(_HOMES)


def lazy(module: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's ``__getattr__`` for names that live elsewhere."""

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return get


class LazyName:
    """A class attribute that lives elsewhere."""

    def __init__(self, home: str) -> None:
        self._home = home

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> Any:
        return getattr(import_module(self._home), self._name)
