"""What a failed analysis means: one rule for descriptions, conversations and requests."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ocelli.domain.analysis import (
    Analysis,
    Failure,
    Status,
    VerificationLevel,
    error_of,
    failure_by,
)
from ocelli.domain.chat import PictureRef
from ocelli.domain.chat_errors import (
    ChatError,
    ImageTooLarge,
    InvalidImageFormat,
    UpstreamFailed,
    UpstreamUnavailable,
)
from ocelli.domain.errors import (
    AnalysisFailed,
    FailureType,
    FetchFailed,
    FetchUnavailable,
    ImageProcessingFailed,
    InvalidImageUrl,
    InvalidUrl,
    NotInTime,
    OcelliError,
    TooLarge,
    Unavailable,
    UsageLimitExceeded,
    ValidationFailed,
)
from ocelli.domain.fetch_jobs import failure_of
from ocelli.usecases.chat_pictures import picture_errors

REF = PictureRef("http://example.com/a.png", "messages[0].content[1].image_url.url", 0, 1)


def failed(type: FailureType, *, retryable: bool = False, url: str | None = None) -> Analysis:
    return Analysis(
        id=uuid.uuid4(),
        tenant_id=uuid.uuid4(),
        image_id=None,
        object_key="",
        level=VerificationLevel.QUICK,
        status=Status.FAILED,
        created_at=datetime.now(UTC),
        failure=Failure(type, "So it is.", retryable),
        source_url=url,
    )


def in_conversation(error: OcelliError | AnalysisFailed) -> OcelliError:
    with pytest.raises(OcelliError) as raised, picture_errors(REF):
        raise error
    return raised.value


@pytest.mark.parametrize("retryable", [False, True])
@pytest.mark.parametrize("type", FailureType)
def test_all_agree_whose_fault_it_is(type: FailureType, retryable: bool) -> None:
    analysis = failed(type, retryable=retryable)
    error = error_of(analysis)
    assert error is not None
    told = in_conversation(error)
    of_picture = type is FailureType.VALIDATION
    assert (error.status < 500) == (told.status < 500) == of_picture
    assert (failure_of([analysis]) is None) == of_picture
    assert "So it is." in error.message
    assert "So it is." in told.message
    if not of_picture:
        assert error.retryable == told.retryable == retryable
        assert isinstance(told, UpstreamUnavailable if retryable else UpstreamFailed)


def test_a_picture_that_was_fetched_is_named_by_its_address() -> None:
    error = error_of(failed(FailureType.VALIDATION, url="http://example.com/a.png"))
    assert isinstance(error, InvalidImageUrl)
    assert (error.code, error.details) == ("INVALID_IMAGE_URL", {})


def test_an_answer_is_no_error_and_none_yet_is_one() -> None:
    analysis = replace(failed(FailureType.UNKNOWN), failure=None, status=Status.COMPLETED)
    assert error_of(analysis) is None
    late = error_of(replace(analysis, status=Status.PROCESSING))
    assert isinstance(late, NotInTime)
    assert "busy" in in_conversation(late).message


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (FetchFailed("404"), InvalidImageUrl, "INVALID_IMAGE_URL"),
        (FetchUnavailable("503"), InvalidImageUrl, "INVALID_IMAGE_URL"),
        (InvalidUrl("no host"), InvalidImageUrl, "INVALID_IMAGE_URL"),
        (TooLarge("so large"), ImageTooLarge, "image_too_large"),
        (ValidationFailed("text", field="file"), InvalidImageFormat, "invalid_image_format"),
        (
            AnalysisFailed(FailureType.VALIDATION, "cut", retryable=False),
            InvalidImageFormat,
            "invalid_image_format",
        ),
    ],
)
def test_the_place_of_the_picture_is_told(
    error: OcelliError | AnalysisFailed, kind: type[OcelliError], code: str
) -> None:
    told = in_conversation(error)
    assert type(told) is kind
    assert (told.code, told.status) == (code, 400)
    place = told.param if isinstance(told, ChatError) else told.details["field"]
    assert place == REF.param


@pytest.mark.parametrize("error", [Unavailable("later"), UsageLimitExceeded("all used")])
def test_what_is_not_the_pictures_passes(error: OcelliError) -> None:
    assert in_conversation(error) is error


def test_one_refused_before_it_began_fails_for_good_or_stops_all() -> None:
    failure = failure_by(ValidationFailed("no picture", field="image"))
    assert failure == Failure(FailureType.VALIDATION, "no picture", retryable=False)
    with pytest.raises(Unavailable):
        failure_by(Unavailable("the disk is full"))
    busy = ImageProcessingFailed("busy", type=FailureType.TIMEOUT, retryable=True)
    with pytest.raises(ImageProcessingFailed):
        failure_by(busy)
