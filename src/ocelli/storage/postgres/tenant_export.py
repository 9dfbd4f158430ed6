"""What a tenant has, table by table, as lines of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from uuid import UUID

    from ocelli.storage.postgres.rows import Connection

AT_ONCE = 200


def _all(table: str, order: str, *, but: str = "", also: str = "", where: str = "") -> str:
    """Return the query of a table's rows, without the columns ``but``, with what ``also`` says."""
    left_out = "{" + ",".join(["tenant_id", *but.split()]) + "}"
    more = f" || jsonb_build_object({also})" if also else ""
    return (
        f"SELECT (to_jsonb(r) - '{left_out}'::text[]{more})::text AS line FROM {table} r"
        f" WHERE {where or 'r.tenant_id = %(tenant)s'} ORDER BY {order}"
    )


def _list(table: str, reference: str, order: str, *, but: str = "") -> str:
    """Return the rows of a table that reference the present one, as a list."""
    left_out = "{" + ",".join(["tenant_id", *but.split()]) + "}"
    return (
        f"coalesce((SELECT jsonb_agg(to_jsonb(d) - '{left_out}'::text[] ORDER BY {order})"
        f" FROM {table} d WHERE d.{reference} = r.id), '[]')"
    )


_OF_PICTURE = (
    "'sha256', encode(r.sha256, 'hex'),"
    " 'file', 'originals/' || r.id || '.' || r.format,"
    f" 'analyses', {_list('analyses', 'image_id', 'd.created_at, d.id')},"
    f" 'edits', {_list('edits', 'image_id', 'd.revision, d.position')},"
    " 'colors', (SELECT to_jsonb(p) - '{tenant_id,number}'::text[] FROM palettes p"
    "  WHERE p.image_id = r.id),"
    " 'review', (SELECT to_jsonb(w) - '{tenant_id}'::text[] FROM reviews w"
    "  WHERE w.image_id = r.id)"
)
# By file; each line is a row, with the rows that belong to it in it.
FILES = {
    "tenant": _all(
        "tenants",
        "r.id",
        but="number",
        where="r.id = %(tenant)s",
        also="'bucket', (SELECT to_jsonb(b) - '{tenant_id,version,sealed}'::text[]"
        " FROM s3_configs b WHERE b.tenant_id = r.id),"
        " 'known_tags', coalesce((SELECT jsonb_agg(tag ORDER BY tag) FROM known_tags k"
        " WHERE k.tenant_id = r.id), '[]')",
    ),
    "members": _all("members", "r.joined_at, r.id"),
    "api_keys": _all("api_keys", "r.created_at, r.id", but="key_hash"),
    "folders": _all("folders", "r.created_at, r.id"),
    "pictures": _all("images", "r.created_at, r.id", also=_OF_PICTURE),
    "uploads": _all(
        "sessions",
        "r.created_at, r.id",
        also=f"'items', {_list('items', 'session_id', 'position')}",
    ),
    "batches": _all("batches", "r.created_at, r.id"),
    "fetch_requests": _all("requests", "r.created_at, r.id"),
    # Of pictures that are not in the library: /describe, /verify, batches, /api/fetch.
    "analyses": _all(
        "analyses",
        "r.created_at, r.id",
        where="r.tenant_id = %(tenant)s AND r.image_id IS NULL",
        also="'file', CASE WHEN r.object_key LIKE 'asked/%%' THEN 'asked/' || r.id END",
    ),
    "chat_sessions": _all(
        "chat_sessions",
        "r.created_at, r.id",
        also=f"'messages', {_list('chat_messages', 'session_id', 'place')},"
        " 'plan_ids', coalesce((SELECT jsonb_agg(plan_id) FROM chat_plans c"
        " WHERE c.session_id = r.id), '[]')",
    ),
    "organize_plans": _all("organize_plans", "r.created_at, r.id"),
    "responses": _all(
        "responses",
        "r.created_at, r.id",
        also="'input', convert_from(r.input, 'UTF8'), 'body', convert_from(r.body, 'UTF8')",
    ),
    "vocabularies": _all(
        "vocabularies",
        "r.created_at, r.id",
        also=f"'terms', {_list('vocabulary_terms', 'vocabulary_id', 'position')}",
    ),
    "escalation_policies": _all(
        "escalation_policies",
        "r.created_at, r.id",
        also=f"'spending', {_list('escalation_spending', 'policy_id', 'period')}",
    ),
    "webhooks": _all("webhook_endpoints", "r.created_at, r.id"),
    "webhook_deliveries": _all(
        "webhook_deliveries", "r.created_at, r.id", but="lane trace_context"
    ),
    "exports": _all("exports", "r.created_at, r.id"),
    "usage_days": _all("usage_days", "r.day, r.operation, r.level, r.key_id"),
    "usage_calls": _all("usage_calls", "r.day, r.backend, r.key_id"),
    "usage_months": _all("usage_months", "r.month"),
    "audit_log": _all("audit_events", "r.occurred_at, r.id"),
    "request_log": _all("request_log", "r.at, r.id"),
    "erasures": _all("erasures", "r.requested_at, r.id"),
}
# What is in no file, and why.
LEFT_OUT = {
    **dict.fromkeys(("webhook_secrets", "console_links", "console_sessions"), "a secret"),
    **dict.fromkeys(
        ("library", "image_colors", "variants", "text_vectors", "picture_vectors"),
        "made from the pictures and their descriptions",
    ),
    **dict.fromkeys(("answers", "idempotency_keys", "vocabulary_vectors"), "a cache"),
    **dict.fromkeys(
        ("embedding_queue", "picture_embedding_queue", "rate_windows", "procrastinate_jobs",
         "procrastinate_events", "procrastinate_periodic_defers", "procrastinate_workers"),
        "work in progress",
    ),
    **dict.fromkeys(("schema_migrations", "sight_tests"), "of the installation"),
}  # fmt: skip


class PostgresTenantExport:
    """Reads everything that a tenant has, in a transaction of one moment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def files(self) -> Sequence[str]:
        """The names of the files, in their order."""
        return list(FILES)

    async def lines(self, tenant_id: UUID, file: str) -> AsyncIterator[Sequence[str]]:
        """Yield the lines of one of ``files``, some at a time."""
        async with self._connection.cursor("tenant_export") as cursor:
            await cursor.execute(FILES[file].encode(), {"tenant": tenant_id})
            while rows := await cursor.fetchmany(AT_ONCE):
                yield [row["line"] for row in rows]
