"""The table ``library``: the index of lists and searches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocelli.domain.effective import effective_words
from ocelli.domain.file_query import DescriptionState, SortBy, sort_name
from ocelli.domain.search import SearchMode, fold
from ocelli.storage.postgres.annotations import edits_of, to_annotations
from ocelli.storage.postgres.rows import to_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.file_query import FileQuery
    from ocelli.domain.images import Image
    from ocelli.domain.paging import Key
    from ocelli.storage.postgres.rows import Connection, Row

# Of more matches than this the newest are ranked, and the others follow by age: ranking reads
# every vector, which for a word of every other picture would take seconds.
RANKED = 1_000
LONGEST_TEXT = 50_000  # characters; a vector holds a megabyte
LONGEST_LABEL = 255  # characters; a lexeme holds 2,046 bytes

_COLUMNS = {
    SortBy.SHOWN_AT: "shown_at",
    SortBy.CREATED_AT: "created_at",
    SortBy.TITLE: "name",
    SortBy.SIZE: "size_bytes",
}
_STATES = {
    DescriptionState.DESCRIBED: "described",
    DescriptionState.UNDER_WAY: (
        "image_id IN (SELECT image_id FROM analyses WHERE tenant_id = %(tenant)s"
        " AND status IN ('queued', 'processing'))"
    ),
    DescriptionState.FAILED: (
        "image_id IN (SELECT image_id FROM analyses failed WHERE tenant_id = %(tenant)s"
        " AND status = 'failed' AND NOT EXISTS (SELECT FROM analyses later"
        " WHERE later.image_id = failed.image_id AND later.created_at > failed.created_at"
        " AND later.status <> 'skipped'))"
    ),
    DescriptionState.NONE: (
        "NOT described AND NOT EXISTS (SELECT FROM analyses a"
        " WHERE a.image_id = library.image_id AND a.status <> 'skipped')"
    ),
}
# The planner does not know that vectors lie outside of the rows, and would read them all for a word
# of every third picture: ten times slower than the index. Matches are kept in memory, not on disk.
_FOR_SEARCHES = (
    "SELECT set_config('enable_seqscan', 'off', true), set_config('work_mem', '32MB', true)"
)
# The texts of a mode by themselves, each with an index (migration 0012): for weights in a search
# every vector would have to be read.
_PARTS = {
    SearchMode.METADATA: "ts_filter(words, '{a,b,c}')",
    SearchMode.VISIBLE_TEXT: "ts_filter(words, '{d}')",
}
_HAS_TEXT = "$text"  # the lexeme of pictures with visible text; no word is like it
_LABELLED = "words @@ %(labels)s::tsquery"
# ``all_rows`` is about how many pictures of all tenants there are.
_COUNT = (
    "SELECT count(*) AS total, (SELECT greatest(reltuples, 0)::bigint FROM pg_class"
    " WHERE oid = 'library'::regclass) AS everything FROM library WHERE "
)
# Reading a vector costs about as much as finding and sorting so many matches by index: see
# docs/decisions/0010.
VECTOR_COST = 15
_NEWEST_FIRST = (
    "SELECT image_id FROM hits ORDER BY shown_at DESC, image_id DESC"
    " LIMIT %(limit)s OFFSET %(offset)s"
)
_SOURCE = (
    f"SELECT i.*, {edits_of('i')} AS edits, a.id AS ai_id, a.description AS ai_description,"
    " a.visible_text AS ai_visible_text, a.tags AS ai_tags, a.confidence AS ai_confidence,"
    " CASE WHEN i.revision > 0 THEN a.claims END AS ai_claims,"
    " CASE WHEN i.revision > 0 THEN a.tagging END AS ai_tagging"
    " FROM images i LEFT JOIN LATERAL (SELECT * FROM analyses"
    " WHERE image_id = i.id AND status = 'completed' ORDER BY created_at DESC LIMIT 1) a ON true"
    " WHERE i.id = %s AND i.deleted_at IS NULL"
)
_WORDS = " || ".join(
    f"setweight(to_tsvector('simple', %({text})s) || to_tsvector('english', %({text})s),"
    f" '{weight}')"
    for text, weight in (("title", "A"), ("tags", "B"), ("description", "C"), ("seen", "D"))
)
# Inserts the entries of many new pictures without descriptions, which cannot change before the
# transaction ends that makes them; if there is a row in ``granted``. ``entries``: ``new_entry`` of
# each picture.
ADD_ENTRIES = (
    "INSERT INTO library (image_id, tenant_id, shown_at, created_at, size_bytes, described, name,"
    " words) SELECT id, tenant_id, shown_at, created_at, size_bytes, false, name,"
    " setweight(to_tsvector('simple', title) || to_tsvector('english', title), 'A')"
    " || setweight(to_tsvector('simple', tags) || to_tsvector('english', tags), 'B')"
    " || array_to_tsvector(labels) FROM granted, jsonb_to_recordset(%(entries)s) AS new"
    " (id uuid, tenant_id uuid,"
    " shown_at timestamptz, created_at timestamptz, size_bytes bigint, name text, title text,"
    " tags text, labels text[])"
)
_STORE = (
    "INSERT INTO library (image_id, tenant_id, shown_at, created_at, size_bytes, described,"
    " confidence, name, words) VALUES (%(id)s, %(tenant_id)s, %(shown_at)s, %(created_at)s,"
    " %(size_bytes)s, %(described)s, %(confidence)s, %(name)s,"
    f" {_WORDS} || array_to_tsvector(%(labels)s::text[]))"
    " ON CONFLICT (image_id) DO UPDATE SET shown_at = excluded.shown_at,"
    " described = excluded.described, confidence = excluded.confidence, name = excluded.name,"
    " words = excluded.words, stale = false"
)
# The words of a picture have changed: a worker makes its vector.
_QUEUE = (
    "INSERT INTO embedding_queue (image_id) VALUES (%(id)s)"
    " ON CONFLICT (image_id) DO UPDATE SET number = DEFAULT"
)
_FORGET = (
    "WITH waits_no_more AS (DELETE FROM embedding_queue WHERE image_id = %(id)s)"
    " DELETE FROM text_vectors WHERE image_id = %(id)s"
)
_FORGET_LOOKS = (
    "WITH waits_no_more AS (DELETE FROM picture_embedding_queue WHERE image_id = %(id)s)"
    " DELETE FROM picture_vectors WHERE image_id = %(id)s"
)


class PostgresLibrary:
    """Maintains the rows of ``library``, and queries them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def refresh(self, image_id: UUID) -> None:
        """Update the entry of a picture; must follow every change of its rows.

        The lock lets changes at the same time follow each other, so that the last one sees both:
        in a statement of its own, as one that has waited sees other tables as they were before.
        """
        await self._connection.execute("SELECT 1 FROM images WHERE id = %s FOR SHARE", (image_id,))
        cursor = await self._connection.execute(_SOURCE, (image_id,))
        row = await cursor.fetchone()
        if row is None:
            await self._remove(image_id)
            return
        entry = _entry(row)
        await self._connection.execute(_STORE, entry)
        await self._connection.execute(_QUEUE if entry["described"] else _FORGET, {"id": image_id})

    async def _remove(self, image_id: UUID) -> None:
        await self._connection.execute("DELETE FROM library WHERE image_id = %s", (image_id,))
        await self._connection.execute(_FORGET, {"id": image_id})
        await self._connection.execute(_FORGET_LOOKS, {"id": image_id})
        await self._connection.execute(
            "DELETE FROM image_colors WHERE number = (SELECT number FROM palettes"
            " WHERE image_id = %s)",
            (image_id,),
        )

    async def page(
        self,
        tenant_id: UUID,
        query: FileQuery,
        *,
        limit: int,
        offset: int,
        after: Key | None = None,
    ) -> tuple[Sequence[UUID], int]:
        """Return the ids of a page in their order, and the total number of matches.

        The page begins behind the sort key ``after`` (not by relevance), or at ``offset``.
        """
        if query.search is not None and not query.search.alternatives:
            return [], 0  # there is no word in it
        where, values = conditions(tenant_id, query)
        values |= {"limit": limit, "offset": offset}
        if after is not None:
            values |= {"offset": 0, "after": after[0], "after_id": after[1]}
        if query.search is not None or query.tags:
            return await self._searched(where, values, query)
        # Where every row is looked at for a filter, once is enough.
        sql = _listed if query.filters_nothing else _in_one_query
        row = await self._one(sql(where, query, values), values)
        return row["ids"], row["total"]

    async def _searched(
        self, where: str, values: dict[str, Any], query: FileQuery
    ) -> tuple[Sequence[UUID], int]:
        """Count the matches first, if their number decides how the page is found.

        Searches with phrases read the vectors of all candidates: so count and page in one query.
        """
        await self._connection.execute(_FOR_SEARCHES)
        has_phrases = query.search is not None and query.search.has_phrases
        if has_phrases or not _by_age(query):
            row = await self._one(_in_one_query(where, query, values), values)
            return row["ids"], row["total"]
        counted = await self._one(_COUNT + where, values)
        total: int = counted["total"]
        where = f"{where} AND {_behind(query, values)}"
        order, needed = _order(query, values)
        all_rows = max(counted["everything"], total)
        values["wanted"] = needed
        if total**2 > VECTOR_COST * needed * all_rows:
            values["newest"] = 4 * needed * all_rows // total
            row = await self._one(_among_the_newest(where, order), values)
            if row["found"] >= min(total, needed):
                return row["ids"], total
        row = await self._one(_among_all(where, order), values)
        return row["ids"], total

    async def _one(self, sql: str, values: dict[str, Any]) -> Row:
        cursor = await self._connection.execute(sql.encode(), values)
        row = await cursor.fetchone()
        assert row is not None
        return row


def conditions(tenant_id: UUID, query: FileQuery) -> tuple[str, dict[str, Any]]:
    """Return the conditions of a query as SQL, and their parameters."""
    holding: list[str] = []
    values: dict[str, Any] = {"tenant": tenant_id}
    for condition, name, value in (
        ("described = %(described)s", "described", query.described),
        ("shown_at >= %(since)s", "since", query.since),
        ("shown_at < %(before)s", "before", query.before),
        ("image_id = ANY(%(ids)s)", "ids", None if query.ids is None else list(query.ids)),
        ("confidence >= %(min_confidence)s", "min_confidence", query.min_confidence),
        ("confidence <= %(max_confidence)s", "max_confidence", query.max_confidence),
        (
            "image_id IN (SELECT id FROM images WHERE folder_id = %(folder)s)",
            "folder",
            query.folder,
        ),
    ):
        if value is not None:
            holding.append(condition)
            values[name] = value
    if query.state is not None:
        holding.append(_STATES[query.state])
    labels = [_quoted(label) for label in (_tenant(tenant_id), *map(_label, query.tags))]
    if query.has_text is not None:
        labels.append(f"{'' if query.has_text else '!'}{_quoted(_HAS_TEXT)}")
    values["labels"] = " & ".join(labels)
    labelled = len(labels) > 1
    if query.search is None:
        return _of_tenant([*holding, _LABELLED] if labelled else holding), values
    values["expression"] = query.search.expression()
    values["exact"] = query.search.expression(query.mode, prefix=False)
    values["ranked"] = RANKED
    if query.mode is SearchMode.ALL:
        holding.append(f"words @@ (%(labels)s::tsquery && ({_tsquery('expression')}))")
    else:
        holding.append(f"{_PARTS[query.mode]} @@ ({_tsquery('expression')})")
        if labelled:
            holding.append(_LABELLED)
    return _of_tenant(holding), values


def _of_tenant(holding: Sequence[str]) -> str:
    """Return the conditions for pictures of the tenant alone.

    Where the index of words holds the tenant, no other one must find the pictures: by that of
    tenants the vectors of all of them would be read, of which the planner does not know the cost.
    """
    labelled = any(each.startswith("words @@") for each in holding)
    equals = "IS NOT DISTINCT FROM" if labelled else "="  # which no index answers
    return " AND ".join([f"tenant_id {equals} %(tenant)s", *holding])


def _behind(query: FileQuery, values: dict[str, Any]) -> str:
    """Return the condition for rows after the key of a cursor, if there is one."""
    if "after" not in values:
        return "true"
    sign = "<" if query.descending else ">"
    return f"({_COLUMNS[query.sort_by]}, image_id) {sign} (%(after)s, %(after_id)s)"


def _listed(where: str, query: FileQuery, values: dict[str, Any]) -> str:
    direction = "DESC" if query.descending or query.sort_by is SortBy.RELEVANCE else "ASC"
    column = _COLUMNS.get(query.sort_by, "shown_at")
    return (
        f"SELECT (SELECT count(*) FROM library WHERE {where}) AS total,"
        f" ARRAY(SELECT image_id FROM library WHERE {where} AND {_behind(query, values)}"
        f" ORDER BY {column} {direction}, image_id {direction}"
        " LIMIT %(limit)s OFFSET %(offset)s) AS ids"
    )


def _sorted(hits: str, query: FileQuery) -> str:
    """Return a query of ``hits`` sorted by a column."""
    direction = "DESC" if query.descending else "ASC"
    column = _COLUMNS[query.sort_by]
    return (
        f"SELECT image_id FROM {hits} ORDER BY {column} {direction}, image_id {direction}"
        " LIMIT %(limit)s OFFSET %(offset)s"
    )


def _by_age(query: FileQuery) -> bool:
    """Return whether the newest matches are needed: to list them first, or to rank them."""
    if query.sort_by is SortBy.SHOWN_AT:
        return query.descending
    return query.sort_by is SortBy.RELEVANCE


def _order(query: FileQuery, values: dict[str, Any]) -> tuple[str, int]:
    """Return the query that orders the newest matches, and how many of them it needs."""
    by_rank = query.sort_by is SortBy.RELEVANCE and query.search is not None
    if by_rank and values["offset"] < RANKED:
        return _BY_RELEVANCE, values["limit"] + RANKED
    return _NEWEST_FIRST, values["limit"] + values["offset"]


def _in_one_query(where: str, query: FileQuery, values: dict[str, Any]) -> str:
    """Return a query that finds the matches once, for their number and a page."""
    if _by_age(query):
        order, values["wanted"] = _order(query, values)
    else:
        rest = f"(SELECT * FROM found WHERE {_behind(query, values)}) AS rest"
        order, values["wanted"] = _sorted(rest, query), 0
    return (
        "WITH found AS MATERIALIZED (SELECT image_id, shown_at, created_at, size_bytes, name"
        f" FROM library WHERE {where}), hits AS (SELECT image_id, shown_at FROM found"
        f" WHERE {_behind(query, values)}"
        " ORDER BY shown_at DESC, image_id DESC LIMIT %(wanted)s)"
        f" SELECT (SELECT count(*) FROM found) AS total, ARRAY({order}) AS ids"
    )


def _among_the_newest(where: str, order: str) -> str:
    """Return a query among the newest pictures only, which finds enough of frequent matches."""
    return (
        "WITH hits AS MATERIALIZED (SELECT image_id, shown_at FROM (SELECT * FROM library"
        " WHERE tenant_id = %(tenant)s ORDER BY shown_at DESC, image_id DESC LIMIT %(newest)s)"
        f" AS newest WHERE {where} ORDER BY shown_at DESC, image_id DESC LIMIT %(wanted)s)"
        f" SELECT (SELECT count(*) FROM hits) AS found, ARRAY({order}) AS ids"
    )


def _among_all(where: str, order: str) -> str:
    """Return a query by the index of words. OFFSET 0 makes the planner find before it sorts."""
    return (
        "WITH hits AS MATERIALIZED (SELECT image_id, shown_at FROM (SELECT image_id, shown_at"
        f" FROM library WHERE {where} OFFSET 0) AS found"
        " ORDER BY shown_at DESC, image_id DESC LIMIT %(wanted)s)"
        f" SELECT ARRAY({order}) AS ids"
    )


def _tsquery(name: str) -> str:
    """Return a tsquery that matches words as written, or their English stems."""
    return f"to_tsquery('simple', %({name})s) || to_tsquery('english', %({name})s)"


# Whole words count, beginnings only find. The best first; those not ranked by age.
_BY_RELEVANCE = (
    "SELECT image_id FROM (SELECT image_id, shown_at,"
    " row_number() OVER (ORDER BY shown_at DESC, image_id DESC) AS nth FROM hits) AS n"
    " ORDER BY CASE WHEN nth <= %(ranked)s THEN (SELECT ts_rank(words, "
    + _tsquery("exact")
    + ") FROM library l WHERE l.image_id = n.image_id) END DESC NULLS LAST,"
    " shown_at DESC, image_id DESC LIMIT %(limit)s OFFSET %(offset)s"
)


def new_entry(image: Image) -> dict[str, Any]:
    """Return the parameter of ``ADD_ENTRIES`` for a picture."""
    return {
        "id": image.id,
        "tenant_id": image.tenant_id,
        "shown_at": image.content_created_at or image.created_at,
        "created_at": image.created_at,
        "size_bytes": image.size_bytes,
        "name": sort_name(image.title, image.filename),
        "title": fold(f"{image.title or ''} {image.filename}"),
        "tags": fold(" ".join(image.tags)),
        "labels": [_tenant(image.tenant_id), *sorted({_label(tag) for tag in image.tags})],
    }


def _entry(row: Row) -> dict[str, Any]:
    machine = to_words(row)
    annotations = to_annotations(row["edits"])
    own = tuple(row["tags"])
    shown = effective_words(row["title"], own, annotations, machine)
    # Tags of either are found, but for those that a person has rejected.
    tags = (*own, *effective_words(None, (), annotations, machine).tags)
    return {
        "id": row["id"],
        "tenant_id": row["tenant_id"],
        "shown_at": row["content_created_at"] or row["created_at"],
        "created_at": row["created_at"],
        "size_bytes": row["size_bytes"],
        "described": machine is not None or shown.description is not None,
        "confidence": row["ai_confidence"],
        "name": sort_name(row["title"], row["filename"]),
        "title": fold(f"{row['title'] or ''} {row['filename']}"),
        "tags": fold(" ".join(tags)),
        "description": fold(f"{shown.description or ''} {shown.alt_text or ''}"[:LONGEST_TEXT]),
        "seen": fold((shown.visible_text or "")[:LONGEST_TEXT]),
        "labels": [
            _tenant(row["tenant_id"]),
            *sorted({_label(tag) for tag in tags}),
            *([_HAS_TEXT] if (shown.visible_text or "").strip() else []),
        ],
    }


def _tenant(tenant_id: UUID) -> str:
    """Return the lexeme of all rows of a tenant; no word begins like it."""
    return f"@{tenant_id}"


def _label(tag: str) -> str:
    """Return the lexeme of a tag; no word begins like it. A tag of signs only is not folded."""
    return f"#{fold(tag) or tag.strip().casefold()}"[:LONGEST_LABEL]


def _quoted(lexeme: str) -> str:
    escaped = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
