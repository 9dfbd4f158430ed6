"""What the package shows to the world."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
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
    assert (rate.retry_after, rate.limit, rate.remaining, rate.reset) == (1, 2, 0, 3)
    upload = aion.UploadError("no", filename="a", stage="quota", session_id="s")
    assert (upload.stage, upload.details["stage"], upload.session_id) == ("quota", "quota", "s")
    described = aion.DescriptionError("no", image_id="i", status="failed")
    assert (described.image_id, described.details["image_id"]) == ("i", "i")
    assert aion.BatchError("no", batch_id="b", failed_items=2).failed_items == 2
    assert aion.AionvisionTimeoutError(last_result=3).last_result == 3
    assert aion.AuthenticationError().code == "AUTH_ERROR"
    assert str(aion.AionvisionError("CODE", "Text.")) == "[CODE] Text."


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
