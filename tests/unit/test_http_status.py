"""One table says whether a status may pass: of models, buckets and addresses."""

from __future__ import annotations

import doctest

from ocelli.backends.chat import failures
from ocelli.domain import http_status
from ocelli.domain.errors import StorageAccessDenied, Unavailable
from ocelli.domain.http_status import can_be_retried
from ocelli.storage.objects_s3 import _refusal


def test_examples() -> None:
    assert doctest.testmod(http_status).failed == 0


def test_a_models_server_is_asked_again() -> None:
    for status in range(300, 600):
        refused = failures.by_status("up", status, failures.ReportedError())
        assert refused.retryable == refused.again == can_be_retried(status), status


def test_a_bucket_may_answer_later() -> None:
    for status in range(300, 600):
        answer = {"Error": {"Code": "Odd"}, "ResponseMetadata": {"HTTPStatusCode": status}}
        expected = Unavailable if can_be_retried(status) else StorageAccessDenied
        assert type(_refusal("bucket", answer)) is expected, status
