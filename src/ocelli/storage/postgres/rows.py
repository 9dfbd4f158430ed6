"""Conversions between rows and the domain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.json import Jsonb
from pydantic import TypeAdapter
from pydantic_core import to_json

from ocelli.domain.accounts import ApiKey, Tenant, Tier
from ocelli.domain.analysis import (
    Analysis,
    AnalysisAnswer,
    BackendFailure,
    Failure,
    ModelCall,
    Status,
    VerificationLevel,
)
from ocelli.domain.choosing import Mode
from ocelli.domain.claims import JudgedClaim
from ocelli.domain.effective import MachineWords
from ocelli.domain.errors import FailureType
from ocelli.domain.escalation import Escalation
from ocelli.domain.findings import Findings
from ocelli.domain.images import (
    Coordinates,
    Image,
    ImageFormat,
    StorageTarget,
    Variant,
    VariantStatus,
    VariantType,
)
from ocelli.domain.questions import Question
from ocelli.domain.tagging import Tagging, TagVocabulary
from ocelli.storage.postgres.annotations import to_annotations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_findings = TypeAdapter(tuple[Findings, ...])
_claims = TypeAdapter(tuple[JudgedClaim, ...])
_answer = TypeAdapter(AnalysisAnswer)
_calls = TypeAdapter(tuple[ModelCall, ...])
_errors = TypeAdapter(tuple[BackendFailure, ...])
_escalation = TypeAdapter(Escalation)
_question = TypeAdapter(Question)
_tagging = TypeAdapter(Tagging)
_vocabulary = TypeAdapter(TagVocabulary)
_inputs = TypeAdapter(list[Any])
_DEFAULT_QUESTION = Question()

_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")

Row = dict[str, Any]
Connection = psycopg.AsyncConnection[Row]


# Statements that may be parts of one which grants something read from ``granted``; alone they begin
# with this.
ALWAYS = "WITH granted AS (SELECT 1 AS there) "


def recordset(rows: Iterable[Mapping[str, Any]]) -> Jsonb:
    """Return many rows as one JSON parameter; ids, moments and enums become text."""
    return Jsonb(list(rows), dumps=to_json)


def findings_to_json(findings: tuple[Findings, ...]) -> str:
    """Serialise findings, without NUL, which Postgres cannot store in text."""
    return storable_json(_findings.dump_json(findings))


def claims_to_json(claims: tuple[JudgedClaim, ...]) -> str:
    """Serialise claims, without NUL."""
    return storable_json(_claims.dump_json(claims))


def calls_to_json(calls: tuple[ModelCall, ...]) -> str:
    """Serialise model calls, without NUL."""
    return storable_json(_calls.dump_json(calls))


def errors_to_json(errors: tuple[BackendFailure, ...]) -> str:
    """Serialise failures of backends, without NUL."""
    return storable_json(_errors.dump_json(errors))


def escalation_to_json(escalation: Escalation | None) -> str | None:
    """Serialise the record of a policy, without NUL."""
    return None if escalation is None else storable_json(_escalation.dump_json(escalation))


def tagging_to_json(tagging: Tagging | None) -> str | None:
    """Serialise chosen tags, without NUL."""
    return None if tagging is None else storable_json(_tagging.dump_json(tagging))


def to_tagging(json: Any) -> Tagging | None:
    """Return chosen tags from the JSON of ``tagging_to_json``."""
    return None if json is None else _tagging.validate_python(json)


def answer_to_json(answer: AnalysisAnswer) -> str:
    """Serialise an answer, without NUL."""
    return storable_json(_answer.dump_json(answer))


def to_answer(json: Any) -> AnalysisAnswer:
    """Return an answer from the JSON of ``answer_to_json``."""
    return _answer.validate_python(json)


def question_to_json(question: Question) -> str | None:
    """Serialise a question, without NUL; None for the default question, that of uploads."""
    return None if question == _DEFAULT_QUESTION else storable_json(_question.dump_json(question))


def to_question(json: Any) -> Question:
    """Return a question from the JSON of ``question_to_json``."""
    return _question.validate_python(json) if json else _DEFAULT_QUESTION


def storable_json(json: bytes) -> str:
    """Return JSON without NUL, which Postgres cannot store."""
    # An escaped NUL only: a backslash before it is text about one, and must stay.
    return _NUL.sub(r"\1", json.decode())


def inputs_to_json(inputs: Sequence[Mapping[str, Any]]) -> str:
    """Serialise the inputs of a batch, without NUL."""
    return storable_json(_inputs.dump_json(list(inputs)))


def to_analysis(row: Mapping[str, Any]) -> Analysis:
    """Return the analysis of a row of ``analyses``."""
    failure = row["failure"]
    return Analysis(
        id=row["id"],
        tenant_id=row["tenant_id"],
        image_id=row["image_id"],
        object_key=row["object_key"],
        storage_target=StorageTarget(row["storage_target"]),
        level=VerificationLevel(row["level"]),
        status=Status(row["status"]),
        created_at=row["created_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        attempts=row["attempts"],
        looks=row["looks"],
        findings=_findings.validate_python(row["findings"]),
        description=row["description"],
        visible_text=row["visible_text"],
        tags=tuple(row["tags"]),
        confidence=row["confidence"],
        failure=failure
        and Failure(FailureType(failure["type"]), failure["message"], failure["retryable"]),
        processing_ms=row["processing_ms"],
        question=to_question(row["question"]),
        claims=_claims.validate_python(row["claims"]),
        errors=_errors.validate_python(row["errors"]),
        calls=_calls.validate_python(row["calls"]),
        source_url=row["source_url"],
        request_id=row["request_id"],
        position=row["position"],
        name=row["name"],
        width=row["width"],
        height=row["height"],
        policy_id=row["policy_id"],
        key_id=row["key_id"],
        escalation=None
        if row["escalation"] is None
        else _escalation.validate_python(row["escalation"]),
        tagging=to_tagging(row["tagging"]),
    )


def to_words(row: Mapping[str, Any]) -> MachineWords | None:
    """Return the machine's words of a row with columns ``ai_*``; None without an ``ai_id``."""
    if row["ai_id"] is None:
        return None
    return MachineWords(
        row["ai_id"],
        row["ai_description"],
        row["ai_visible_text"],
        tuple(row["ai_tags"]),
        _claims.validate_python(row["ai_claims"] or []),
        to_tagging(row["ai_tagging"]),
    )


def to_variant(row: Mapping[str, Any]) -> Variant:
    """Return the variant of a row of ``variants``."""
    return Variant(
        VariantType(row["type"]), row["object_key"], row["width"], row["height"], row["size_bytes"]
    )


def to_location(row: Mapping[str, Any]) -> Coordinates | None:
    """Return where a picture was taken; None if its file does not say."""
    if row["latitude"] is None:
        return None
    return Coordinates(row["latitude"], row["longitude"])


def to_image(
    row: Mapping[str, Any],
    *,
    variants: Iterable[Variant] = (),
    analysis: Analysis | None = None,
    described: Analysis | None = None,
) -> Image:
    """Return the image of a row of ``images`` and its ``edits``, with variants and analyses."""
    return Image(
        id=row["id"],
        tenant_id=row["tenant_id"],
        session_id=row["session_id"],
        folder_id=row["folder_id"],
        filename=row["filename"],
        object_key=row["object_key"],
        storage_target=StorageTarget(row["storage_target"]),
        upload_method=row["upload_method"],
        content_type=row["content_type"],
        format=ImageFormat(row["format"]),
        size_bytes=row["size_bytes"],
        sha256=row["sha256"].hex(),
        width=row["width"],
        height=row["height"],
        title=row["title"],
        tags=tuple(row["tags"]),
        blur_hash=row["blur_hash"],
        variant_status=VariantStatus(row["variant_status"]),
        variant_error=row["variant_error"],
        content_created_at=row["content_created_at"],
        content_location=to_location(row),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        deleted_at=row["deleted_at"],
        variants=tuple(variants),
        analysis=analysis,
        described=described,
        revision=row["revision"],
        annotations=to_annotations(row["edits"]),
    )


def to_vocabulary(json: Any) -> TagVocabulary | None:
    """Return the vocabulary of a question from its JSON."""
    return None if json is None else _vocabulary.validate_python(json)


def to_default_vocabulary(row: Mapping[str, Any]) -> TagVocabulary | None:
    """Return a tenant's default of the columns ``vocabulary_*``; None if it has none."""
    if row["vocabulary_id"] is None:
        return None
    return TagVocabulary(
        str(row["vocabulary_id"]),
        row["vocabulary_name"],
        row["vocabulary_digest"],
        Mode(row["vocabulary_mode"]),
    )


def to_key(row: Mapping[str, Any]) -> ApiKey:
    """Return the key of a row of ``api_keys``, joined with its tenant (columns ``tenant_*``)."""
    tenant = Tenant(
        id=row["tenant_id"],
        name=row["tenant_name"],
        tier=Tier(row["tenant_tier"]),
        created_at=row["tenant_created_at"],
        requests_per_minute=row["tenant_requests_per_minute"],
        unmetered=row["tenant_unmetered"],
        vocabulary=to_default_vocabulary(row),
        key_id=row["id"],
        webhook_url=row["tenant_webhook_url"],
    )
    return ApiKey(
        id=row["id"],
        tenant=tenant,
        name=row["name"],
        prefix=row["prefix"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
        description=row["description"],
        scopes=tuple(row["scopes"]),
        metadata=row["metadata"],
        usage_count=row["usage_count"],
        member_id=row["member_id"],
    )
