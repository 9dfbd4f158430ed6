"""Every name of the package as an attribute of the clients: ``AionVision.UploadResult``."""

from aion import exceptions, types


class Names:
    """Exceptions, enums and answer types, for annotations and ``except`` without more imports."""

    AionvisionConnectionError = exceptions.AionvisionConnectionError
    AionvisionError = exceptions.AionvisionError
    AionvisionPermissionError = exceptions.AionvisionPermissionError
    AionvisionTimeoutError = exceptions.AionvisionTimeoutError
    AuthenticationError = exceptions.AuthenticationError
    BatchError = exceptions.BatchError
    ChatError = exceptions.ChatError
    CircuitBreakerError = exceptions.CircuitBreakerError
    CloudStorageError = exceptions.CloudStorageError
    DescriptionError = exceptions.DescriptionError
    DocumentProcessingError = exceptions.DocumentProcessingError
    QuotaExceededError = exceptions.QuotaExceededError
    RateLimitError = exceptions.RateLimitError
    ResourceNotFoundError = exceptions.ResourceNotFoundError
    SSEStreamError = exceptions.SSEStreamError
    ServerError = exceptions.ServerError
    UploadError = exceptions.UploadError
    ValidationError = exceptions.ValidationError

    BatchColorExtractionResult = types.BatchColorExtractionResult
    BatchConfirmResult = types.BatchConfirmResult
    BatchDeleteFileResult = types.BatchDeleteFileResult
    BatchDeleteFilesResponse = types.BatchDeleteFilesResponse
    BatchImageInput = types.BatchImageInput
    BatchItemResult = types.BatchItemResult
    BatchItemStatus = types.BatchItemStatus
    BatchPrepareResult = types.BatchPrepareResult
    BatchPresignedUrl = types.BatchPresignedUrl
    BatchResults = types.BatchResults
    BatchResultsPagination = types.BatchResultsPagination
    BatchResultsSummary = types.BatchResultsSummary
    BatchStatus = types.BatchStatus
    BatchStatusResult = types.BatchStatusResult
    BatchSubmissionResult = types.BatchSubmissionResult
    BatchUploadResults = types.BatchUploadResults
    BatchVerifyInput = types.BatchVerifyInput
    ChatTokenType = types.ChatTokenType
    ColorAnalysis = types.ColorAnalysis
    ColorAnalytics = types.ColorAnalytics
    ColorExtractionResult = types.ColorExtractionResult
    ColorExtractionStatus = types.ColorExtractionStatus
    ColorFamily = types.ColorFamily
    ColorFamilyInfo = types.ColorFamilyInfo
    ColorLevel = types.ColorLevel
    ColorSearchResponse = types.ColorSearchResponse
    ColorSearchResult = types.ColorSearchResult
    ColorTemperature = types.ColorTemperature
    ConfirmResult = types.ConfirmResult
    DeleteFileResult = types.DeleteFileResult
    DescriptionErrorType = types.DescriptionErrorType
    DescriptionFailedEvent = types.DescriptionFailedEvent
    DescriptionFailure = types.DescriptionFailure
    DescriptionProgressEvent = types.DescriptionProgressEvent
    DescriptionResult = types.DescriptionResult
    DescriptionStatus = types.DescriptionStatus
    DominantColor = types.DominantColor
    FileCompleteEvent = types.FileCompleteEvent
    FileInfo = types.FileInfo
    FileList = types.FileList
    FullDescription = types.FullDescription
    HSL = types.HSL
    LAB = types.LAB
    MessageRole = types.MessageRole
    PresignedUrlInfo = types.PresignedUrlInfo
    ProcessingHistory = types.ProcessingHistory
    QuotaInfo = types.QuotaInfo
    RGB = types.RGB
    S3ConfigStatus = types.S3ConfigStatus
    S3ValidationResult = types.S3ValidationResult
    StorageTarget = types.StorageTarget
    StoredImage = types.StoredImage
    TenantLimits = types.TenantLimits
    TenantSettings = types.TenantSettings
    UpdateFileResult = types.UpdateFileResult
    UploadBatchStatusResult = types.UploadBatchStatusResult
    UploadConfirmation = types.UploadConfirmation
    UploadPlan = types.UploadPlan
    UploadProgressEvent = types.UploadProgressEvent
    UploadResult = types.UploadResult
    UserFile = types.UserFile
    UserFileDetails = types.UserFileDetails
    VerificationIssue = types.VerificationIssue
    VerificationLevel = types.VerificationLevel
    VerificationResult = types.VerificationResult
