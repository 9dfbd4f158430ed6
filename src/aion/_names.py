"""Every name of the package as an attribute of the clients: ``AionVision.UploadResult``."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from aion import exceptions
from aion._lazy import TYPES, LazyName

if TYPE_CHECKING:
    from aion import types


class Names:
    """Exceptions, enums and answer types, for annotations and ``except`` without more imports."""

    AionvisionConnectionError: TypeAlias = exceptions.AionvisionConnectionError
    AionvisionError: TypeAlias = exceptions.AionvisionError
    AionvisionPermissionError: TypeAlias = exceptions.AionvisionPermissionError
    AionvisionTimeoutError: TypeAlias = exceptions.AionvisionTimeoutError
    AuthenticationError: TypeAlias = exceptions.AuthenticationError
    BatchError: TypeAlias = exceptions.BatchError
    ChatError: TypeAlias = exceptions.ChatError
    CircuitBreakerError: TypeAlias = exceptions.CircuitBreakerError
    CloudStorageError: TypeAlias = exceptions.CloudStorageError
    DescriptionError: TypeAlias = exceptions.DescriptionError
    DocumentProcessingError: TypeAlias = exceptions.DocumentProcessingError
    QuotaExceededError: TypeAlias = exceptions.QuotaExceededError
    RateLimitError: TypeAlias = exceptions.RateLimitError
    ResourceNotFoundError: TypeAlias = exceptions.ResourceNotFoundError
    SSEStreamError: TypeAlias = exceptions.SSEStreamError
    ServerError: TypeAlias = exceptions.ServerError
    UploadError: TypeAlias = exceptions.UploadError
    ValidationError: TypeAlias = exceptions.ValidationError
    VideoAnalysisError: TypeAlias = exceptions.VideoAnalysisError
    VideoUploadError: TypeAlias = exceptions.VideoUploadError

    if TYPE_CHECKING:
        AgentCapability: TypeAlias = types.AgentCapability
        AgentContract: TypeAlias = types.AgentContract
        AgentResult: TypeAlias = types.AgentResult
        AnalysisResult: TypeAlias = types.AnalysisResult
        CategorizationResult: TypeAlias = types.CategorizationResult
        Category: TypeAlias = types.Category
        CrossRefResult: TypeAlias = types.CrossRefResult
        DataTypeDefinition: TypeAlias = types.DataTypeDefinition
        DataTypeRegistry: TypeAlias = types.DataTypeRegistry
        DocumentRef: TypeAlias = types.DocumentRef
        ExecutionContext: TypeAlias = types.ExecutionContext
        FileCollection: TypeAlias = types.FileCollection
        FileRef: TypeAlias = types.FileRef
        FolderResult: TypeAlias = types.FolderResult
        ImageRef: TypeAlias = types.ImageRef
        LinkRef: TypeAlias = types.LinkRef
        ParsedReferences: TypeAlias = types.ParsedReferences
        TextResult: TypeAlias = types.TextResult
        TypedInput: TypeAlias = types.TypedInput
        TypedOutput: TypeAlias = types.TypedOutput
        TypedSlot: TypeAlias = types.TypedSlot
        ApiKey: TypeAlias = types.ApiKey
        ApiKeyList: TypeAlias = types.ApiKeyList
        BatchColorExtractionResult: TypeAlias = types.BatchColorExtractionResult
        BatchConfirmResult: TypeAlias = types.BatchConfirmResult
        BatchDeleteFileResult: TypeAlias = types.BatchDeleteFileResult
        BatchDeleteFilesResponse: TypeAlias = types.BatchDeleteFilesResponse
        BatchImageInput: TypeAlias = types.BatchImageInput
        BatchItemResult: TypeAlias = types.BatchItemResult
        BatchItemStatus: TypeAlias = types.BatchItemStatus
        BatchPrepareResult: TypeAlias = types.BatchPrepareResult
        BatchPresignedUrl: TypeAlias = types.BatchPresignedUrl
        BatchResults: TypeAlias = types.BatchResults
        BatchResultsPagination: TypeAlias = types.BatchResultsPagination
        BatchResultsSummary: TypeAlias = types.BatchResultsSummary
        BatchStatus: TypeAlias = types.BatchStatus
        BatchStatusResult: TypeAlias = types.BatchStatusResult
        BatchSubmissionResult: TypeAlias = types.BatchSubmissionResult
        BatchUploadResults: TypeAlias = types.BatchUploadResults
        BatchVerifyInput: TypeAlias = types.BatchVerifyInput
        ChatTokenType: TypeAlias = types.ChatTokenType
        ChosenTag: TypeAlias = types.ChosenTag
        ClaimState: TypeAlias = types.ClaimState
        ColorAnalysis: TypeAlias = types.ColorAnalysis
        ColorAnalytics: TypeAlias = types.ColorAnalytics
        ColorExtractionResult: TypeAlias = types.ColorExtractionResult
        ColorExtractionStatus: TypeAlias = types.ColorExtractionStatus
        ColorFamily: TypeAlias = types.ColorFamily
        ColorFamilyInfo: TypeAlias = types.ColorFamilyInfo
        ColorBrightness: TypeAlias = types.ColorBrightness
        ColorSaturation: TypeAlias = types.ColorSaturation
        ColorSearchResponse: TypeAlias = types.ColorSearchResponse
        ColorSearchResult: TypeAlias = types.ColorSearchResult
        ColorTemperature: TypeAlias = types.ColorTemperature
        ConfirmResult: TypeAlias = types.ConfirmResult
        CreatedApiKey: TypeAlias = types.CreatedApiKey
        DefaultVocabulary: TypeAlias = types.DefaultVocabulary
        DeleteFileResult: TypeAlias = types.DeleteFileResult
        DescriptionErrorType: TypeAlias = types.DescriptionErrorType
        DescriptionFailedEvent: TypeAlias = types.DescriptionFailedEvent
        DescriptionFailure: TypeAlias = types.DescriptionFailure
        DescriptionHistory: TypeAlias = types.DescriptionHistory
        DescriptionProgressEvent: TypeAlias = types.DescriptionProgressEvent
        DescriptionRecord: TypeAlias = types.DescriptionRecord
        DescriptionResult: TypeAlias = types.DescriptionResult
        DescriptionStatus: TypeAlias = types.DescriptionStatus
        DominantColor: TypeAlias = types.DominantColor
        Escalation: TypeAlias = types.Escalation
        EscalationPolicy: TypeAlias = types.EscalationPolicy
        EscalationPolicyList: TypeAlias = types.EscalationPolicyList
        EscalationStep: TypeAlias = types.EscalationStep
        ExportStatus: TypeAlias = types.ExportStatus
        FileCompleteEvent: TypeAlias = types.FileCompleteEvent
        FileEdit: TypeAlias = types.FileEdit
        FileEditList: TypeAlias = types.FileEditList
        FileInfo: TypeAlias = types.FileInfo
        FileList: TypeAlias = types.FileList
        FolderActionDetail: TypeAlias = types.FolderActionDetail
        FullDescription: TypeAlias = types.FullDescription
        HSL: TypeAlias = types.HSL
        JudgedTag: TypeAlias = types.JudgedTag
        LAB: TypeAlias = types.LAB
        MessageRole: TypeAlias = types.MessageRole
        NotChosen: TypeAlias = types.NotChosen
        OrganizeResult: TypeAlias = types.OrganizeResult
        PictureLabel: TypeAlias = types.PictureLabel
        PictureLabelList: TypeAlias = types.PictureLabelList
        PolicyBudget: TypeAlias = types.PolicyBudget
        PolicySpending: TypeAlias = types.PolicySpending
        PolicyStep: TypeAlias = types.PolicyStep
        PolicyTriggers: TypeAlias = types.PolicyTriggers
        PresignedUrlInfo: TypeAlias = types.PresignedUrlInfo
        ProcessingHistory: TypeAlias = types.ProcessingHistory
        QuotaInfo: TypeAlias = types.QuotaInfo
        RGB: TypeAlias = types.RGB
        RedescribeResult: TypeAlias = types.RedescribeResult
        ReviewDone: TypeAlias = types.ReviewDone
        ReviewFailure: TypeAlias = types.ReviewFailure
        ReviewItem: TypeAlias = types.ReviewItem
        ReviewList: TypeAlias = types.ReviewList
        ReviewOutcome: TypeAlias = types.ReviewOutcome
        S3ConfigStatus: TypeAlias = types.S3ConfigStatus
        S3ValidationResult: TypeAlias = types.S3ValidationResult
        StorageTarget: TypeAlias = types.StorageTarget
        StoredImage: TypeAlias = types.StoredImage
        TagChoice: TypeAlias = types.TagChoice
        Tagging: TypeAlias = types.Tagging
        TenantLimits: TypeAlias = types.TenantLimits
        TenantSettings: TypeAlias = types.TenantSettings
        TermSynonym: TypeAlias = types.TermSynonym
        UndoOrganizeResult: TypeAlias = types.UndoOrganizeResult
        UpdateFileResult: TypeAlias = types.UpdateFileResult
        UploadBatchStatusResult: TypeAlias = types.UploadBatchStatusResult
        UploadConfirmation: TypeAlias = types.UploadConfirmation
        UploadPlan: TypeAlias = types.UploadPlan
        UploadProgressEvent: TypeAlias = types.UploadProgressEvent
        UploadResult: TypeAlias = types.UploadResult
        UploadSession: TypeAlias = types.UploadSession
        UploadSessionList: TypeAlias = types.UploadSessionList
        UploadSessionResult: TypeAlias = types.UploadSessionResult
        UploadSessionResults: TypeAlias = types.UploadSessionResults
        UsageBreakdown: TypeAlias = types.UsageBreakdown
        UsageCheck: TypeAlias = types.UsageCheck
        UsageSummary: TypeAlias = types.UsageSummary
        UserFile: TypeAlias = types.UserFile
        UserFileDetails: TypeAlias = types.UserFileDetails
        VerificationIssue: TypeAlias = types.VerificationIssue
        VerificationLevel: TypeAlias = types.VerificationLevel
        VerificationResult: TypeAlias = types.VerificationResult
        Vocabulary: TypeAlias = types.Vocabulary
        VocabularyList: TypeAlias = types.VocabularyList
        VocabularyTerm: TypeAlias = types.VocabularyTerm
        VocabularyTermList: TypeAlias = types.VocabularyTermList
    else:
        vars().update({name: LazyName(home) for name, home in TYPES.items() if name[0].isupper()})
