"""Conversions between PhotoPrism's vision service and analyses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NoReturn

from pydantic import ValidationError

from ocelli.api import json_reader
from ocelli.api.photoprism import schemas
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.chat_errors import ModelNotFound
from ocelli.domain.errors import (
    FailureType,
    ImageProcessingFailed,
    MalformedRequest,
    OcelliError,
)
from ocelli.domain.findings import LOCAL, UNSAFE, Feature
from ocelli.domain.questions import MAX_PROMPT, Question
from ocelli.media.data_url import NotBase64, decode_data_url
from ocelli.usecases.adhoc import Source, UrlSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.tagging import TagVocabulary
    from ocelli.usecases.chat_models import ChatModels

JUDGE_SAFETY = Question(frozenset({Feature.NSFW}), backends=(LOCAL,))

_FETCHED = ("http://", "https://")


def parse(raw: bytes) -> schemas.VisionRequest:
    """Return the request of a body, whatever its Content-Type. Blocks. Raises MalformedRequest."""
    try:
        return schemas.VisionRequest.model_validate(json_reader.parse(raw))
    except ValidationError as error:
        _refuse(error)
    except ValueError as error:
        raise MalformedRequest(f"The body is no JSON: {error}", field="body") from error


def _refuse(error: ValidationError) -> NoReturn:
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(map(str, first["loc"])) or "body"
    raise MalformedRequest(f"{field}: {first['msg']}", field=field) from error


def sources(asked: schemas.VisionRequest) -> list[Source | OcelliError]:
    """Return the pictures in their order; an error for one that is no base64. Blocks.

    Raises MalformedRequest if there is none.
    """
    given = [asked.url] if asked.url else asked.images or []
    if not given:
        raise MalformedRequest("Send a picture: `images` or `url`.", field="images")
    return [_source(each, at) for at, each in enumerate(given)]


def _source(text: str, position: int) -> Source | OcelliError:
    if text.lower().startswith(_FETCHED):
        return UrlSource(text)
    try:
        return decode_data_url(text)
    except NotBase64 as error:
        field = f"images.{position}"
        return MalformedRequest(f"{field}: {error}.", field=field)


def respondent(models: ChatModels, name: str | None) -> tuple[tuple[str, ...], VerificationLevel]:
    """Return the backends and the level that a model's name asks for.

    PhotoPrism also sends names of its own models ("nasnet"): these mean the default backend.
    """
    try:
        target = models.resolve(name or "")
    except ModelNotFound:
        return (), VerificationLevel.QUICK
    return (target.backend,), target.level or VerificationLevel.QUICK


def question(
    asked: schemas.VisionRequest,
    backends: tuple[str, ...],
    vocabulary: TagVocabulary | None,
    *,
    prompted: bool,
) -> Question:
    """Return the question; captions and labels of one picture are the same one without a prompt.

    So that the second of them is answered from what is remembered. Raises MalformedRequest.
    """
    parts = (asked.system, asked.prompt) if prompted else ()
    prompt = "\n\n".join(filter(None, ((part or "").strip() for part in parts)))
    if len(prompt) > MAX_PROMPT:
        raise MalformedRequest(
            f"`system` and `prompt` have more than {MAX_PROMPT} characters.", field="prompt"
        )
    return Question(prompt=prompt or None, backends=backends, vocabulary=vocabulary)


def answer(
    id: str,
    type: Literal["caption", "labels", "nsfw"],
    result: schemas.Result,
    analysis: Analysis | None,
) -> schemas.VisionAnswer:
    """Return the body; without an analysis no picture could be judged."""
    findings = analysis.findings[0] if analysis and analysis.findings else None
    model = schemas.ModelOut(
        type=type,
        name=findings.source if findings else LOCAL,
        version=findings.model_version if findings else "",
    )
    return schemas.VisionAnswer(id=id, model=model, result=result)


def caption(analysis: Analysis) -> schemas.Caption:
    """Return the caption. Raises ImageProcessingFailed if the backend said nothing."""
    if not analysis.description:
        raise ImageProcessingFailed(
            "The backend described nothing.", type=FailureType.VLM_ERROR, retryable=False
        )
    return schemas.Caption(text=analysis.description, confidence=analysis.confidence)


def labels(analyses: Iterable[Analysis]) -> list[schemas.Label]:
    """Return the tags of all pictures, the best score of each, the best first.

    PhotoPrism sends several crops of one picture.
    """
    best: dict[str, float | None] = {}
    for analysis in analyses:
        scores = _scores(analysis)
        for tag in analysis.tags:
            before, score = best.get(tag), scores.get(tag)
            best[tag] = score if before is None else max(before, score or 0.0)
    ordered = sorted(best.items(), key=lambda pair: -(pair[1] or 0.0))
    return [schemas.Label(name=name, confidence=score, topicality=score) for name, score in ordered]


def _scores(analysis: Analysis) -> dict[str, float]:
    """Return the known scores: probabilities of chosen tags, else those of the backend."""
    if analysis.tagging is not None:
        return {each.tag: each.probability for each in analysis.tagging.tags}
    scores: dict[str, float] = {}
    for findings in analysis.findings:
        for tag in findings.tags:
            scores[tag.name] = max(tag.score, scores.get(tag.name, 0.0))
    return scores


def safety(judged: Analysis | OcelliError) -> schemas.SafetyOut:
    """Return the judgement of one picture, or why there is none."""
    if isinstance(judged, OcelliError):
        return schemas.SafetyOut(status="unavailable", reason=judged.message)
    found = [each.safety for each in judged.findings if each.safety is not None]
    if not found:
        return schemas.SafetyOut(status="unavailable", reason="The safety model did not answer.")
    score = max(each.nsfw for each in found)
    return schemas.SafetyOut(
        status="unsafe" if score >= UNSAFE else "safe",
        score=score,
        threshold=UNSAFE,
        neutral=1.0 - score,
        porn=score,
    )


def first_answered(judged: Sequence[Analysis | OcelliError]) -> Analysis | None:
    """Return the first analysis that was answered."""
    return next((each for each in judged if not isinstance(each, OcelliError)), None)
