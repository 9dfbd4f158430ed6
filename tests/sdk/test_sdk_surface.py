"""What the package shows to the world."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pickle
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import aion
from aion import AionVision, AionvisionError, SyncAionVision, exceptions

SOURCE = Path(aion.__file__).parent
MODULES = [
    m.name for m in pkgutil.walk_packages([str(SOURCE)], "aion.") if m.name != "aion.__main__"
]
CONTRACT = [
    "ColorBrightness",
    "ColorSaturation",
    "VideoAnalysisError",
    "VideoUploadError",
    "UploadProgressEvent",
    "FileCompleteEvent",
    "DescriptionFailedEvent",
    "DescriptionProgressEvent",
    "DescriptionStatus",
    "StorageTarget",
    "MessageRole",
    "ChatTokenType",
    "DescriptionErrorType",
    "DescriptionFailure",
    "DescriptionResult",
    "BatchStatus",
    "BatchItemStatus",
    "BatchStatusResult",
    "BatchResults",
    "BatchItemResult",
    "BatchResultsPagination",
    "BatchResultsSummary",
    "BatchImageInput",
    "BatchVerifyInput",
    "BatchSubmissionResult",
    "UploadResult",
    "BatchUploadResults",
    "QuotaInfo",
    "PresignedUrlInfo",
    "ConfirmResult",
    "FileInfo",
    "UploadConfirmation",
    "BatchPrepareResult",
    "BatchConfirmResult",
    "UploadBatchStatusResult",
    "VerificationLevel",
    "VerificationResult",
    "VerificationIssue",
    "AionvisionError",
    "AuthenticationError",
    "AionvisionPermissionError",
    "QuotaExceededError",
    "ResourceNotFoundError",
    "ValidationError",
    "RateLimitError",
    "ServerError",
    "AionvisionTimeoutError",
    "AionvisionConnectionError",
    "CircuitBreakerError",
    "UploadError",
    "DescriptionError",
    "BatchError",
    "DocumentProcessingError",
    "CloudStorageError",
    "ChatError",
    "SSEStreamError",
    "FileList",
    "UserFile",
    "UserFileDetails",
    "FullDescription",
    "ProcessingHistory",
    "UpdateFileResult",
    "DeleteFileResult",
    "BatchDeleteFileResult",
    "BatchDeleteFilesResponse",
    "S3ConfigStatus",
    "S3ValidationResult",
    "TenantSettings",
    "TenantLimits",
    "ColorExtractionResult",
    "ColorAnalysis",
    "DominantColor",
    "RGB",
    "HSL",
    "LAB",
    "ColorAnalytics",
    "ColorSearchResponse",
    "ColorSearchResult",
    "ColorFamilyInfo",
    "BatchColorExtractionResult",
    "ColorFamily",
    "ColorExtractionStatus",
]


@pytest.mark.parametrize("client", [AionVision, SyncAionVision])
def test_every_name_is_on_the_class(client: type) -> None:
    for name in CONTRACT:
        assert getattr(client, name) is getattr(aion, name)


def test_where_names_live() -> None:
    from aion import resources
    from aion.types import describe, settings, verify

    assert describe.DescriptionFailure is aion.DescriptionFailure
    assert verify.VerificationResult is aion.VerificationResult
    assert settings.S3ConfigStatus is aion.S3ConfigStatus
    for name in resources.__all__:
        assert getattr(resources, name).__name__ == name
    assert aion.SyncFilesResource.__name__ == "SyncFilesResource"
    assert aion.__version__


def test_all_is_complete() -> None:
    assert len(set(aion.__all__)) == len(aion.__all__)
    assert set(CONTRACT) <= set(aion.__all__)
    for name in aion.__all__:
        getattr(aion, name)


def test_exception_tree() -> None:
    for name, error in inspect.getmembers(exceptions, inspect.isclass):
        if issubclass(error, AionvisionError) and error is not AionvisionError:
            assert error.__bases__ == (AionvisionError,), name
    quota = aion.QuotaExceededError("no", available=1, limit=2)
    assert (quota.available, quota.limit, quota.partial_results) == (1, 2, None)
    assert (quota.details["available"], quota.details["limit"]) == (1, 2)
    missing = aion.ResourceNotFoundError("file", "1")
    assert (missing.resource_type, missing.resource_id) == ("file", "1")
    breaker = aion.CircuitBreakerError("GET /x", 3.0)
    assert (breaker.endpoint, breaker.retry_after) == ("GET /x", 3.0)
    rate = aion.RateLimitError(retry_after=1, limit=2, reset=3)
    assert (rate.retry_after, rate.limit, rate.remaining, rate.reset) == (1, 2, None, 3)
    upload = aion.UploadError("no", filename="a", stage="quota", session_id="s")
    assert (upload.stage, upload.details["stage"], upload.session_id) == ("quota", "quota", "s")
    described = aion.DescriptionError("no", image_id="i", status="failed")
    assert (described.image_id, described.details["image_id"]) == ("i", "i")
    assert aion.BatchError("no", batch_id="b", failed_items=["i"]).failed_items == ["i"]
    assert aion.AionvisionTimeoutError(last_result=3).last_result == 3
    assert aion.AuthenticationError().code == "AUTH_ERROR"
    base = aion.AionvisionError("CODE", "Text.")
    assert (str(base), base.args) == ("[CODE] Text.", ("[CODE] Text.",))


ERRORS: list[tuple[AionvisionError, str, dict[str, object]]] = [
    (aion.AuthenticationError(), "AUTH_ERROR", {}),
    (aion.AionvisionPermissionError(), "PERMISSION_DENIED", {}),
    (
        aion.RateLimitError(limit=5),
        "RATE_LIMIT",
        {"retry_after": None, "limit": 5, "remaining": None, "reset": None},
    ),
    (aion.ValidationError("no", details={"field": "x"}), "VALIDATION_ERROR", {"field": "x"}),
    (aion.QuotaExceededError("no", limit=3), "QUOTA_EXCEEDED", {"available": 0, "limit": 3}),
    (
        aion.ResourceNotFoundError("file", "1", message="", details={"resource_id": "2"}),
        "NOT_FOUND",
        {"resource_type": "file", "resource_id": "2"},
    ),
    (aion.AionvisionTimeoutError(last_result=0), "TIMEOUT", {"last_result": 0}),
    (aion.AionvisionTimeoutError(), "TIMEOUT", {}),
    (aion.ServerError(), "SERVER_ERROR", {}),
    (aion.AionvisionConnectionError(), "CONNECTION_ERROR", {}),
    (
        aion.CircuitBreakerError("GET /x", 1.25),
        "CIRCUIT_OPEN",
        {"endpoint": "GET /x", "retry_after": 1.25},
    ),
    (
        aion.UploadError("no"),
        "UPLOAD_ERROR",
        {"filename": None, "stage": None, "session_id": None},
    ),
    (
        aion.DescriptionError("no", image_id="i", status="failed"),
        "DESCRIPTION_ERROR",
        {"image_id": "i", "status": "failed"},
    ),
    (aion.BatchError("no"), "BATCH_ERROR", {"batch_id": None, "failed_items": []}),
    (
        aion.DocumentProcessingError("no", status="x"),
        "DOCUMENT_PROCESSING_ERROR",
        {"document_id": None, "status": "x"},
    ),
    (
        aion.CloudStorageError("no", job_id="j"),
        "CLOUD_STORAGE_ERROR",
        {"job_id": "j", "job_status": None},
    ),
    (aion.ChatError("no"), "CHAT_ERROR", {"session_id": None}),
    (
        aion.ChatError("no", error_code="FULL", plan_data={"plan_id": "p"}),
        "FULL",
        {"session_id": None, "plan_data": {"plan_id": "p"}},
    ),
    (
        aion.SSEStreamError("no", events_received=4),
        "SSE_STREAM_ERROR",
        {"last_event_id": None, "events_received": 4, "reconnect_attempts": 0},
    ),
    (
        aion.VideoUploadError("no"),
        "VIDEO_UPLOAD_ERROR",
        {"media_id": None, "stage": None, "partial_chunks": 0},
    ),
    (
        aion.VideoAnalysisError("no", media_id="m"),
        "VIDEO_ANALYSIS_ERROR",
        {"media_id": "m", "analysis_job_id": None, "status": None},
    ),
]


@pytest.mark.parametrize(("error", "code", "details"), ERRORS, ids=lambda it: type(it).__name__)
def test_what_an_error_is_about(
    error: AionvisionError, code: str, details: dict[str, object]
) -> None:
    assert (error.code, error.details) == (code, details)
    assert error.status_code is None  # a status of a description is none of HTTP
    if not isinstance(error, aion.ResourceNotFoundError | aion.ValidationError):
        assert {name: getattr(error, name) for name in details} == details
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.details) == (str(error), error.details)


@pytest.mark.parametrize("module", MODULES)
def test_examples(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def test_one_door_to_http_and_none_to_the_server() -> None:
    for path in SOURCE.rglob("*.py"):
        assert "ocelli" not in imports(path), path
        assert ("httpx2" in imports(path)) == (path.name == "_http.py"), path


def test_no_file_is_long() -> None:
    for path in SOURCE.rglob("*.py"):
        assert len(path.read_text().splitlines()) < 500, path


def test_typed() -> None:
    assert (SOURCE / "py.typed").exists()


def test_import_is_light() -> None:
    """At most 1.3 times the processor's time of httpx2; the best of five, in turns."""

    def seconds(module: str) -> float:
        program = (
            "import sys, time; before = time.process_time()\n"
            f"import {module}; print(time.process_time() - before)\n"
            "assert 'opentelemetry' not in sys.modules and 'dotenv' not in sys.modules"
        )
        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        return float(run.stdout)

    runs = [(seconds("aion"), seconds("httpx2")) for _ in range(5)]
    assert min(ours for ours, _ in runs) <= 1.3 * min(theirs for _, theirs in runs)
