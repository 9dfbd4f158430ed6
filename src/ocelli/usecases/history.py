"""The history of descriptions: pages, statistics, and exports."""

from __future__ import annotations

import asyncio
import codecs
import csv
import json
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ocelli.domain.errors import OcelliError, StorageFull, ValidationFailed
from ocelli.domain.history import ExportFormat
from ocelli.usecases.lookup import existing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from _typeshed import SupportsWrite

    from ocelli.domain.effective import Source
    from ocelli.domain.history import (
        Export,
        ExportOptions,
        HistoryQuery,
        HistoryRecord,
        HistoryStatistics,
    )
    from ocelli.domain.images import Image
    from ocelli.domain.paging import PageRequest
    from ocelli.domain.ports_storage import Objects
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.usecases.store_resolver import StoreResolver

URL_LIFETIME = 3600
# A formula begins with one of these, or with what some spreadsheets read as one of them.
_SIGNS = "=+\\-@＝＋－＠﹦﹢﹣﹫⁼⁺⁻₌₊₋"
# What they overlook before it: white space, marks without a width, quotes.
_OVERLOOKED = (
    r'\x00-\x08\x0b\x0c\x0e-\x20"\x85\xa0\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\xad\ufeff'
)
# A cell also begins after a semicolon, a tab, a bar or the end of a line, where a spreadsheet takes
# that for what parts them, as it does in countries that write 0,5.
_FORMULA = re.compile(rf"(?:\A|(?<=[;|\t\r\n]))(?=[{_OVERLOOKED}]*[{_SIGNS}])")

FIELDS: dict[str, Callable[[HistoryRecord], Any]] = {
    "id": lambda record: str(record.id),
    "image_id": lambda record: str(record.image_id),
    "created_at": lambda record: record.created_at.isoformat(),
    "description": lambda record: record.shown.description,
    "visible_text": lambda record: record.shown.visible_text,
    "tags": lambda record: list(record.shown.tags),
    "confidence_score": lambda record: record.confidence and round(record.confidence, 4),
    "error_message": lambda record: record.error,
    "description_source": lambda record: _name(record.shown.description_source),
    "tags_source": lambda record: _name(record.shown.tags_source),
    "alt_text": lambda record: record.shown.alt_text,
    "ai_description": lambda record: record.machine and record.machine.description,
    "ai_tags": lambda record: list(record.machine.tags) if record.machine else [],
}
METADATA_FIELDS: dict[str, Callable[[HistoryRecord], Any]] = {
    "source_type": lambda record: str(record.source),
    "source_id": lambda record: str(record.session_id or record.image_id),
    "filename": lambda record: record.filename,
    "title": lambda record: record.shown.title,
    "verification_level": lambda record: record.level,
    "backends": lambda record: record.backends,
    "content_type": lambda record: record.content_type,
    "size_bytes": lambda record: record.size_bytes,
    "width": lambda record: record.width,
    "height": lambda record: record.height,
    "review_status": lambda record: str(record.shown.review_status),
    "reviewed_by": lambda record: record.shown.reviewed and record.shown.reviewed.author,
    "reviewed_at": lambda record: (
        record.shown.reviewed and record.shown.reviewed.created_at.isoformat()
    ),
}
ALL_FIELDS = FIELDS | METADATA_FIELDS


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """One page, numbers about all that match, and the pictures of the page."""

    records: Sequence[HistoryRecord]
    statistics: HistoryStatistics
    images: Sequence[Image]
    has_more: bool


class History:
    """Use cases around a tenant's history."""

    def __init__(self, database: PostgresDatabase, store: Objects) -> None:
        self._database = database
        self._store = store

    async def page(self, tenant_id: UUID, query: HistoryQuery, page: PageRequest) -> HistoryPage:
        """Return a page, newest first; the key of a record is (created_at, id)."""
        async with self._database.transaction() as tx:
            records, more = page.cut(await tx.history.page(tenant_id, query, page))
            statistics = await tx.history.statistics(tenant_id, query)
            images = await tx.images.by_ids(list({record.image_id for record in records}))
        return HistoryPage(records, statistics, images, more)

    async def export(self, tenant_id: UUID, request: ExportOptions) -> Export:
        """Enqueue an export."""
        async with self._database.transaction() as tx:
            export = await tx.exports.add(uuid.uuid4(), tenant_id, request)
            await tx.jobs.export(export.id)
        return export

    async def get_export(self, tenant_id: UUID, id: UUID) -> Export:
        """Return an export. Raises NotFound."""
        async with self._database.transaction() as tx:
            export = await tx.exports.get(tenant_id, id)
        return existing(export, "Export", id)

    def download_url(self, export: Export) -> str | None:
        """Return a URL without API key, valid for an hour; None until the file is stored."""
        if export.object_key is None:
            return None
        return self._store.url(
            export.object_key,
            expires_in=URL_LIFETIME,
            content_type=export.request.format.content_type,
            filename=f"descriptions-{str(export.id)[:8]}.{export.request.format}",
        )


class WriteExport:
    """The job that writes an export, some hundred records at a time. Safe to run twice."""

    def __init__(self, database: PostgresDatabase, stores: StoreResolver) -> None:
        self._database = database
        self._stores = stores

    async def run(self, id: UUID, *, last_attempt: bool) -> None:
        """Write and store the file. Raises an error for a retry."""
        async with self._database.transaction() as tx:
            export = await tx.exports.start(id)
        if export is None:
            return
        try:
            key, count = await self._write(export)
        except StorageFull:
            raise
        except Exception as error:
            if last_attempt:
                known = isinstance(error, OcelliError)
                await self.give_up(id, str(error) if known else "The file could not be written.")
            raise
        async with self._database.transaction() as tx:
            is_there = await tx.exports.complete(id, key, count)
        if not is_there:  # what it is about was erased meanwhile
            await self._stores.default.delete(key)

    async def give_up(self, id: UUID, reason: str) -> None:
        """Fail the export."""
        async with self._database.transaction() as tx:
            await tx.exports.fail(id, reason)

    async def _write(self, export: Export) -> tuple[str, int]:
        request = export.request
        key = f"exports/{export.tenant_id}/{export.id}.{request.format}"
        encoding = "utf-8-sig" if request.format is ExportFormat.CSV else "utf-8"
        with self._stores.new_blob() as blob:
            text = codecs.getwriter(encoding)(cast("Any", blob))  # it is only written to
            count = await self._write_records(export, text)
            await self._stores.default.put(key, blob, request.format.content_type)
        return key, count

    async def _write_records(self, export: Export, file: SupportsWrite[str]) -> int:
        request = export.request
        writer = await asyncio.to_thread(ExportWriter, file, request.format, request.fields)
        async with self._database.transaction() as tx:
            stream = tx.history.stream(export.tenant_id, request.query, limit=request.limit)
            async for records in stream:
                await asyncio.to_thread(writer.write, records)
        await asyncio.to_thread(writer.close)
        return writer.count


class ExportWriter:
    """Writes records as CSV with a header, as a JSON array, or as one JSON object per line.

    A ``file`` for CSV begins with a byte order mark, or spreadsheets do not read it as UTF-8.
    """

    def __init__(
        self, file: SupportsWrite[str], format: ExportFormat, fields: Sequence[str]
    ) -> None:
        self.count = 0
        self._file = file
        self._format = format
        self._fields = {name: ALL_FIELDS[name] for name in fields}
        self._rows = csv.writer(file)
        match format:
            case ExportFormat.CSV:
                self._rows.writerow(self._fields)
            case ExportFormat.JSON:
                file.write("[")

    def write(self, records: Sequence[HistoryRecord]) -> None:
        """Append records. Blocks on the disk: call it from a thread."""
        for record in records:
            values = {name: read(record) for name, read in self._fields.items()}
            match self._format:
                case ExportFormat.CSV:
                    self._rows.writerow(cell(value) for value in values.values())
                case ExportFormat.JSON:
                    separator = "\n" if self.count == 0 else ",\n"
                    self._file.write(separator + json.dumps(values, ensure_ascii=False))
                case ExportFormat.JSONL:
                    self._file.write(json.dumps(values, ensure_ascii=False) + "\n")
            self.count += 1

    def close(self) -> None:
        """Finish the file."""
        if self._format is ExportFormat.JSON:
            self._file.write("\n]\n")


def _name(source: Source | None) -> str | None:
    return source and str(source)


def checked_fields(fields: Sequence[str], *, metadata: bool) -> tuple[str, ...]:
    """Return the requested fields, or all. Raises ValidationFailed for an unknown one."""
    if not fields:
        return tuple(ALL_FIELDS if metadata else FIELDS)
    for field in fields:
        if field not in ALL_FIELDS:
            known = ", ".join(ALL_FIELDS)
            raise ValidationFailed(f"Unknown field. Known are {known}.", field="fields")
    return tuple(dict.fromkeys(fields))


def cell(value: Any) -> str | int | float:
    """Return the content of a CSV cell, which no spreadsheet takes for a formula.

    >>> cell("=1+1")
    "'=1+1"
    >>> cell(["cat", "-dog"])
    "cat;' -dog"
    """
    if value is None:
        return ""
    if isinstance(value, int | float):
        return value
    text = "; ".join(value) if isinstance(value, list) else str(value)
    text = _FORMULA.sub("'", text)
    return f"'{text}" if text.startswith(("\t", "\r", "\n")) else text
