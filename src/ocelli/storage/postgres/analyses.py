"""The table ``analyses``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from ocelli.domain.analysis import Failure
from ocelli.domain.errors import FailureType
from ocelli.storage.postgres.library import PostgresLibrary
from ocelli.storage.postgres.rows import (
    ALWAYS,
    calls_to_json,
    claims_to_json,
    errors_to_json,
    escalation_to_json,
    findings_to_json,
    question_to_json,
    recordset,
    tagging_to_json,
    to_analysis,
    to_question,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.questions import Question
    from ocelli.storage.postgres.rows import Connection

ANSWERS = "ocelli_answers"  # the channel on which ids of final analyses are told

_NEW = (
    "id, tenant_id, image_id, object_key, storage_target, level, status, created_at, question,"
    " source_url, request_id, position, name, policy_id, key_id"
)
ADD_ANALYSES = (
    f"INSERT INTO analyses ({_NEW}) SELECT {_NEW} FROM granted,"
    " jsonb_populate_recordset(NULL::analyses, %(analyses)s)"
)
_UNFINISHED = "status IN ('queued', 'processing')"


class PostgresAnalyses:
    """The repository of analyses.

    A final state never changes: every update requires an unfinished row.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, *analyses: Analysis) -> None:
        """Insert the rows; their jobs must be in the same transaction."""
        if analyses:
            await self._connection.execute(ALWAYS + ADD_ANALYSES, {"analyses": new_rows(analyses)})

    async def get(self, tenant_id: UUID, id: UUID) -> Analysis | None:
        """Return an analysis; None if the tenant has none of that id."""
        cursor = await self._connection.execute(
            "SELECT * FROM analyses WHERE tenant_id = %s AND id = %s", (tenant_id, id)
        )
        row = await cursor.fetchone()
        return to_analysis(row) if row else None

    async def of_request(self, tenant_id: UUID, request_id: UUID) -> Sequence[Analysis]:
        """Return the analyses of a request, in their order."""
        cursor = await self._connection.execute(
            "SELECT * FROM analyses WHERE tenant_id = %s AND request_id = %s ORDER BY position",
            (tenant_id, request_id),
        )
        return [to_analysis(row) for row in await cursor.fetchall()]

    async def is_pending(self, request_id: UUID) -> bool:
        """Return whether analyses of a request or batch are unfinished.

        A statement of its own, so that it sees what others committed while a lock was awaited.
        """
        cursor = await self._connection.execute(
            f"SELECT 1 FROM analyses WHERE request_id = %s AND {_UNFINISHED} LIMIT 1", (request_id,)
        )
        return await cursor.fetchone() is not None

    async def purge(self, *, older_than: float) -> int:
        """Delete analyses without an image that ended ``older_than`` seconds ago.

        Those of a request go together. Their objects become orphans.
        """
        cursor = await self._connection.execute(
            "DELETE FROM analyses a WHERE image_id IS NULL"
            " AND completed_at < now() - make_interval(secs => %s)"
            " AND NOT EXISTS (SELECT 1 FROM analyses b WHERE b.request_id = a.request_id"
            " AND (b.completed_at IS NULL"
            " OR b.completed_at >= now() - make_interval(secs => %s)))",
            (older_than, older_than),
        )
        return cursor.rowcount

    async def start(self, id: UUID) -> Analysis | None:
        """Mark an analysis as processing; None if it is unknown or final."""
        cursor = await self._connection.execute(
            "UPDATE analyses SET status = 'processing', attempts = attempts + 1,"
            " started_at = coalesce(started_at, clock_timestamp())"
            f" WHERE id = %s AND {_UNFINISHED} RETURNING *",
            (id,),
        )
        row = await cursor.fetchone()
        return to_analysis(row) if row else None

    async def cancel(self, request_id: UUID, reason: str) -> int:
        """End the queued analyses of a request or batch without an answer; return how many."""
        cursor = await self._connection.execute(
            "SELECT id FROM analyses WHERE request_id = %s AND status = 'queued'"
            " ORDER BY id FOR UPDATE",
            (request_id,),
        )
        waiting = [row["id"] for row in await cursor.fetchall()]
        failure = Failure(FailureType.UNKNOWN, reason, retryable=True)
        return sum([await self.fail(id, failure, skipped=True) for id in waiting])

    async def skip(self, id: UUID) -> bool:
        """End an analysis without an answer, as others replace it. False if it was final."""
        cursor = await self._connection.execute(
            "UPDATE analyses SET status = 'skipped', completed_at = clock_timestamp()"
            f" WHERE id = %s AND {_UNFINISHED}",
            (id,),
        )
        return cursor.rowcount == 1

    async def complete(self, analysis: Analysis) -> bool:
        """Store the answer; False if the analysis was final already."""
        cursor = await self._connection.execute(
            "UPDATE analyses SET status = 'completed', looks = %s, findings = %s::jsonb,"
            " description = %s, visible_text = %s, tags = %s, confidence = %s, processing_ms = %s,"
            " claims = %s::jsonb, errors = %s::jsonb, calls = %s::jsonb, object_key = %s,"
            " width = %s, height = %s, escalation = %s::jsonb, tagging = %s::jsonb,"
            " failure = NULL, completed_at = clock_timestamp()"
            f" WHERE id = %s AND {_UNFINISHED}",
            (
                analysis.looks,
                findings_to_json(analysis.findings),
                _storable(analysis.description),
                _storable(analysis.visible_text),
                [tag.replace("\0", "") for tag in analysis.tags],
                analysis.confidence,
                analysis.processing_ms,
                claims_to_json(analysis.claims),
                errors_to_json(analysis.errors),
                calls_to_json(analysis.calls),
                analysis.object_key,
                analysis.width,
                analysis.height,
                escalation_to_json(analysis.escalation),
                tagging_to_json(analysis.tagging),
                analysis.id,
            ),
        )
        if cursor.rowcount and analysis.image_id is not None:
            await PostgresLibrary(self._connection).refresh(analysis.image_id)
        elif cursor.rowcount:
            await self._announce(analysis.id)
        return cursor.rowcount == 1

    async def fail(self, id: UUID, failure: Failure, *, skipped: bool = False) -> bool:
        """Store a failure; False if the analysis was final already."""
        status = "skipped" if skipped else "failed"
        cursor = await self._connection.execute(
            f"UPDATE analyses SET status = '{status}', failure = %s,"
            " completed_at = clock_timestamp()"
            f" WHERE id = %s AND {_UNFINISHED}",
            (Jsonb({**asdict(failure), "message": _storable(failure.message)}), id),
        )
        if cursor.rowcount:
            await self._announce(id)
        return cursor.rowcount == 1

    async def _announce(self, id: UUID) -> None:
        """Notify the API processes whose clients wait; delivered with the commit."""
        await self._connection.execute(
            "SELECT pg_notify(%s, id::text) FROM analyses WHERE id = %s AND image_id IS NULL",
            (ANSWERS, id),
        )

    async def requeue(self, id: UUID) -> None:
        """Mark as queued again, as the job will be retried."""
        await self._connection.execute(
            "UPDATE analyses SET status = 'queued' WHERE id = %s AND status = 'processing'", (id,)
        )

    async def of_image(self, tenant_id: UUID, image_id: UUID) -> Sequence[Analysis]:
        """Return the newest 100 analyses of an image, oldest first."""
        cursor = await self._connection.execute(
            "SELECT * FROM (SELECT * FROM analyses WHERE tenant_id = %s AND image_id = %s"
            " ORDER BY created_at DESC LIMIT 100) AS newest ORDER BY created_at",
            (tenant_id, image_id),
        )
        return [to_analysis(row) for row in await cursor.fetchall()]

    async def finished(self, tenant_id: UUID, image_ids: Sequence[UUID]) -> Sequence[Analysis]:
        """Return the final analyses of these pictures."""
        cursor = await self._connection.execute(
            "SELECT * FROM analyses WHERE tenant_id = %s AND image_id = ANY(%s)"
            " AND status IN ('completed', 'failed', 'skipped')",
            (tenant_id, list(image_ids)),
        )
        return [to_analysis(row) for row in await cursor.fetchall()]

    async def lock_questions(self, tenant_id: UUID) -> None:
        """Let others that lock the tenant's questions wait until this transaction ends."""
        await self._connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"questions:{tenant_id}",)
        )

    async def waiting(
        self,
        tenant_id: UUID,
        image_ids: Sequence[UUID],
        question: Question,
        level: str,
        policy_id: UUID | None,
    ) -> frozenset[UUID]:
        """Return those of these pictures that are waiting for the answer to an equal question."""
        cursor = await self._connection.execute(
            "SELECT image_id, question FROM analyses WHERE tenant_id = %s AND image_id = ANY(%s)"
            f" AND {_UNFINISHED} AND level = %s AND policy_id IS NOT DISTINCT FROM %s",
            (tenant_id, list(image_ids), level, policy_id),
        )
        return frozenset(
            row["image_id"]
            for row in await cursor.fetchall()
            if to_question(row["question"]) == question
        )

    async def orphans(self, older_than: float) -> Sequence[Analysis]:
        """Return unfinished analyses without a job that are older than ``older_than`` seconds."""
        cursor = await self._connection.execute(
            f"SELECT * FROM analyses a WHERE {_UNFINISHED}"
            " AND created_at < now() - make_interval(secs => %s)"
            " AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs j"
            " WHERE j.status IN ('todo', 'doing') AND j.args->>'analysis_id' = a.id::text)"
            " ORDER BY created_at LIMIT 1000",
            (older_than,),
        )
        return [to_analysis(row) for row in await cursor.fetchall()]


def new_rows(analyses: Iterable[Analysis]) -> Jsonb:
    """Return the parameter of ``ADD_ANALYSES``."""
    return recordset(_new_row(each) for each in analyses)


def _new_row(analysis: Analysis) -> dict[str, Any]:
    question = question_to_json(analysis.question)
    return {
        "id": analysis.id,
        "tenant_id": analysis.tenant_id,
        "image_id": analysis.image_id,
        "object_key": analysis.object_key,
        "storage_target": analysis.storage_target,
        "level": analysis.level,
        "status": analysis.status,
        "created_at": analysis.created_at,
        "question": question and json.loads(question),
        "source_url": _storable(analysis.source_url),
        "request_id": analysis.request_id,
        "position": analysis.position,
        "name": _storable(analysis.name),
        "policy_id": analysis.policy_id,
        "key_id": analysis.key_id,
    }


def _storable(text: str | None) -> str | None:
    """Remove NUL and lone surrogates, which Postgres cannot store."""
    return text and text.replace("\0", "").encode(errors="replace").decode()
