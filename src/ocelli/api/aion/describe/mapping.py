"""Conversions for the bodies of ``/describe``, ``/verify`` and ``/batch``."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ocelli.api.aion.common import whole
from ocelli.api.aion.describe import schemas
from ocelli.api.aion.policies.mapping import escalation
from ocelli.api.verified import backend_errors, claims, places, tagging
from ocelli.domain.analysis import Status, VerificationLevel
from ocelli.domain.batches import BatchKind
from ocelli.domain.claims import Claim, ClaimType, JudgedClaim, Ruling
from ocelli.domain.errors import OcelliError, ValidationFailed
from ocelli.domain.findings import Feature
from ocelli.domain.languages import DEFAULT, language_named
from ocelli.domain.questions import Question, Role
from ocelli.media.data_url import NotBase64, decode_data_url
from ocelli.usecases.adhoc import Source, StoredSource, UrlSource
from ocelli.usecases.batches import BatchQuestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.findings import Findings
    from ocelli.domain.tagging import TagVocabulary
    from ocelli.usecases.batches import BatchState

Risk = Literal["low", "medium", "high", "critical"]

_RISKS: tuple[tuple[float, Risk], ...] = ((0.2, "low"), (0.5, "medium"), (0.8, "high"))
_LEVELS = {
    VerificationLevel.QUICK: "Described, not checked.",
    VerificationLevel.STANDARD: "Every claim is checked by a second look.",
    VerificationLevel.THOROUGH: "As standard, at full resolution and detail.",
    VerificationLevel.CRITICAL: "As standard, and a third look decides where the first two "
    "disagree.",
}
_IGNORED = {
    "prompt": "cannot follow `prompt`: this is its usual description.",
    "language": "describes in English only: `language` made no difference.",
}
_STATES: dict[Status, Literal["pending", "processing", "success", "failed", "skipped"]] = {
    Status.QUEUED: "pending",
    Status.PROCESSING: "processing",
    Status.COMPLETED: "success",
    Status.FAILED: "failed",
    Status.SKIPPED: "skipped",
}


class DescribeOptions(Protocol):
    """What the bodies of all routes that describe have in common."""

    role: Role
    language: str
    prompt: str | None
    providers: list[str] | None


def question(body: DescribeOptions, vocabulary: TagVocabulary | None = None) -> Question:
    """Return the question of a request; an empty prompt counts as none."""
    return Question(
        features=frozenset(Feature) if _tagged(body) else frozenset(Feature) - {Feature.TAGS},
        role=body.role,
        language=language_named(body.language),
        prompt=(body.prompt or "").strip() or None,
        backends=tuple(body.providers or ()),
        vocabulary=vocabulary if _tagged(body) else None,
    )


def statement(body: schemas.VerifyRequest | schemas.BatchVerifyRequest) -> Question:
    """Return the question about a text to verify."""
    text = body.content if isinstance(body, schemas.VerifyRequest) else ""
    return Question(backends=tuple(body.providers or ()), statement=text)


def source(image: schemas.ImageInput) -> Source:
    """Return the source of a picture. Raises ValidationFailed."""
    if image.image_url is not None:
        return UrlSource(image.image_url)
    if image.object_key is not None:
        return StoredSource(image.object_key)
    try:
        return decode_data_url(image.image_base64 or "")
    except NotBase64 as error:
        raise ValidationFailed(
            f"This is no picture in base64: {error}.", field="image_base64"
        ) from error


def batch_items(
    images: Iterable[tuple[schemas.BatchImage, str | None, Mapping[str, Any] | None]],
) -> list[BatchQuestion]:
    """Return the items of a batch, from pictures with their texts and metadata."""
    items = []
    for image, text, metadata in images:
        try:
            source_or_error: Source | OcelliError = source(image)
        except OcelliError as error:
            source_or_error = error
        input: dict[str, Any] = {
            "image_url": image.image_url,
            "image_base64": None if image.image_base64 is None else "(not repeated)",
            "object_key": image.object_key,
            "text": text,
            "metadata": metadata or image.metadata,
        }
        items.append(
            BatchQuestion(source_or_error, {k: v for k, v in input.items() if v is not None}, text)
        )
    return items


def described(
    analysis: Analysis, *, metadata: bool = True, tags: bool = True
) -> schemas.DescribeResponse:
    """Return the body of a completed analysis."""
    return schemas.DescribeResponse(
        operation_id=str(analysis.id),
        description=analysis.description or "",
        visible_text=analysis.visible_text,
        tags=list(analysis.tags) if tags else [],
        tagging=tagging(analysis) if tags else None,
        features=_features(analysis.findings),
        metadata=_metadata(analysis) if metadata else None,
        verification_level=analysis.answered_level,
        providers_used=_providers(analysis),
        consensus_score=analysis.confidence,
        confidence_score=analysis.confidence,
        looks=analysis.looks,
        calls=calls(analysis),
        claims=claims(analysis),
        places=places(analysis),
        errors=backend_errors(analysis),
        escalation=escalation(analysis),
        warnings=warnings(analysis),
        processing_time_ms=round(analysis.processing_ms or 0),
        timestamp=analysis.completed_at or analysis.created_at,
    )


def verified(analysis: Analysis) -> schemas.VerifyResponse:
    """Return the body of a completed verification."""
    judged = analysis.claims
    sure = analysis.confidence or 0.0
    mean = sum(each.probability for each in judged) / len(judged) if judged else sure
    worst = min((each.probability for each in judged), default=mean)
    shown = claims(analysis)
    issues = [_issue(each) for each in judged if not each.kept]
    return schemas.VerifyResponse(
        operation_id=str(analysis.id),
        is_verified=bool(judged) and not issues,
        confidence_score=round(mean, 4),
        risk_level=_risk(1 - worst),
        risk_score=round(1 - mean, 4),
        hallucination_probability=round(1 - worst, 4),
        explanation=_explanation(judged, issues),
        detected_issues=issues,
        claims=shown,
        verified_claims=[
            claim for claim, each in zip(shown, judged, strict=True) if each.kept or each.is_unknown
        ],
        places=places(analysis),
        verification_level=analysis.level,
        providers_used=_providers(analysis),
        consensus_achieved=all(_unanimous(each) for each in judged),
        looks=analysis.looks,
        calls=calls(analysis),
        errors=backend_errors(analysis),
        processing_time_ms=round(analysis.processing_ms or 0),
        timestamp=analysis.completed_at or analysis.created_at,
    )


def calls(analysis: Analysis) -> list[schemas.CallOut]:
    """Return the model calls, in their order."""
    return [
        schemas.CallOut(
            source=each.source,
            model_version=each.model_version,
            task=each.task,
            prompt_tokens=each.tokens.prompt,
            completion_tokens=each.tokens.completion,
            time_ms=round(each.milliseconds, 1),
        )
        for each in analysis.calls
    ]


def warnings(analysis: Analysis) -> list[str]:
    """Return what of the question was not followed, and by which backend."""
    return [
        f"{found.source} {_IGNORED[name]}" for found in analysis.findings for name in found.ignored
    ]


def providers(names: Sequence[str], default: str) -> schemas.ProvidersResponse:
    """Return the available backends and levels."""
    return schemas.ProvidersResponse(
        providers=[schemas.ProviderOut(name=n, is_default=n == default) for n in names],
        verification_levels=[
            schemas.LevelOut(name=level, looks=level.looks, description=_LEVELS[level])
            for level in VerificationLevel
        ],
    )


def submitted(state: BatchState) -> schemas.BatchSubmitted:
    """Return the body of an accepted batch."""
    return schemas.BatchSubmitted(
        batch_id=str(state.batch.id),
        status=state.status,
        total_items=state.batch.total,
        processed_items=state.finished,
        failed_items=state.progress.count(Status.FAILED),
        created_at=state.batch.created_at,
    )


def batch_status(state: BatchState) -> schemas.BatchStatusOut:
    """Return the progress of a batch."""
    good = state.progress.count(Status.COMPLETED)
    total, finished = state.batch.total, state.finished
    return schemas.BatchStatusOut(
        **submitted(state).model_dump(),
        successful_items=good,
        success_rate=round(good / finished, 4) if finished else 0.0,
        started_at=state.progress.started_at,
        completed_at=state.progress.completed_at if finished == total else None,
        progress_percentage=round(100 * finished / total, 2) if total else 100.0,
        avg_processing_time_ms=state.progress.mean_ms,
    )


def batch_results(
    state: BatchState, items: Sequence[Analysis], pagination: schemas.Pagination
) -> schemas.BatchResults:
    """Return a page of results."""
    progress = state.progress
    return schemas.BatchResults(
        batch_id=str(state.batch.id),
        status=state.status,
        results=[_item(state, each) for each in items],
        pagination=pagination,
        summary=schemas.BatchSummary(
            total_items=state.batch.total,
            successful_items=progress.count(Status.COMPLETED),
            failed_items=progress.count(Status.FAILED),
            skipped_items=progress.count(Status.SKIPPED),
            processing_time_ms=whole(
                progress.mean_ms and progress.mean_ms * progress.count(Status.COMPLETED)
            ),
        ),
    )


def _item(state: BatchState, analysis: Analysis) -> schemas.BatchItem:
    output = None
    if analysis.status is Status.COMPLETED:
        shown = verified if state.batch.kind is BatchKind.VERIFY else described
        output = shown(analysis).model_dump(mode="json")
    return schemas.BatchItem(
        item_id=str(analysis.id),
        item_index=analysis.position,
        status=_STATES[analysis.status],
        input_data=dict(state.batch.inputs[analysis.position]),
        output_data=output,
        error_message=analysis.failure.message if analysis.failure else None,
        processing_time_ms=whole(analysis.processing_ms),
    )


def _tagged(body: object) -> bool:
    return bool(getattr(body, "include_tags", True))


def _providers(analysis: Analysis) -> list[str]:
    """Return the distinct backends that answered or checked, in their order."""
    looked = (v.source for each in analysis.claims for v in each.verdicts)
    return list(dict.fromkeys([*(each.source for each in analysis.findings), *looked]))


def _metadata(analysis: Analysis) -> dict[str, Any]:
    return {
        "models": {each.source: each.model_version for each in analysis.findings},
        "role": analysis.question.role,
        "language": _language(analysis),
        "image": analysis.name,
    }


def _language(analysis: Analysis) -> str:
    """Return the language of the description: the one asked for, where its backend writes it."""
    describer = next((each for each in analysis.findings if each.description), None)
    ignored = describer is not None and "language" in describer.ignored
    return DEFAULT if ignored else analysis.question.language


def _features(findings: Sequence[Findings]) -> list[schemas.FeatureGroup]:
    """Return the found objects with their counts, and the other findings."""
    groups: dict[str, list[schemas.FeatureItem]] = defaultdict(list)
    for each in findings:
        things: dict[str, list[float]] = defaultdict(list)
        for thing in each.objects:
            things[thing.name].append(thing.score)
        groups["objects"] += [_feature(name, scores) for name, scores in things.items()]
        groups["text"] += [_feature(line.text, [line.score]) for line in each.texts]
        if each.faces:
            groups["faces"].append(_feature("face", [face.score for face in each.faces]))
        groups["colors"] += [_feature(c.name, [c.fraction]) for c in each.colors]
    return [schemas.FeatureGroup(name=n, items=items) for n, items in groups.items() if items]


def _feature(name: str, scores: Sequence[float]) -> schemas.FeatureItem:
    return schemas.FeatureItem(
        description=name, count=len(scores), confidence=round(sum(scores) / len(scores), 4)
    )


def _issue(judged: JudgedClaim) -> schemas.Issue:
    against = [v for v in judged.verdicts if v.ruling is Ruling.CONTRADICTED]
    reasons = "; ".join(dict.fromkeys(v.reason for v in against if v.reason))
    doubt = round(1 - judged.probability, 4)
    if judged.is_unknown:
        reasons = f"{Ruling.UNKNOWN}: none of those who looked can tell"
    return schemas.Issue(
        type=_issue_type(judged.claim) if against else "unverified",
        severity=_risk(doubt),
        description=reasons or "None of those who looked could confirm it.",
        claim=judged.claim.text,
        confidence=doubt,
    )


def _issue_type(claim: Claim) -> Literal["hallucination", "inaccuracy"]:
    """Return "hallucination" for an object that is not there, "inaccuracy" for a wrong detail."""
    invented = claim.type in (ClaimType.OBJECT, ClaimType.SCENE, ClaimType.OTHER)
    return "hallucination" if invented else "inaccuracy"


def _risk(doubt: float) -> Risk:
    return next((risk for bound, risk in _RISKS if doubt <= bound), "critical")


def _unanimous(judged: JudgedClaim) -> bool:
    rulings = {v.ruling for v in judged.verdicts if v.ruling is not Ruling.UNSEEN}
    return len(rulings) <= 1


def _explanation(claims: Sequence[JudgedClaim], issues: Sequence[schemas.Issue]) -> str:
    if not claims:
        return "There is nothing in the text that could be checked."
    held = len(claims) - len(issues)
    words = f"{held} of {len(claims)} claims hold."
    named = (
        f" {'Unknown' if each.is_unknown else 'Not'}: {issue.claim} ({issue.description})"
        for each, issue in zip((c for c in claims if not c.kept), issues[:5], strict=False)
    )
    return words + "".join(named)
