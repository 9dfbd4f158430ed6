"""The schema of the Parquet shards. ``docs/bulk.md`` documents it; a test compares them."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pyarrow as pa

from ocelli.bulk.rows import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = 1  # a new column, or another meaning of one, is a new version
VERSION_KEY, FINGERPRINT_KEY = b"ocelli.schema", b"ocelli.fingerprint"

_VERDICT = pa.struct(
    [
        ("ruling", pa.string()),
        ("source", pa.string()),
        ("basis", pa.string()),
        ("reason", pa.string()),
    ]
)
_CLAIM = pa.struct(
    [
        ("text", pa.string()),
        ("type", pa.string()),
        ("kept", pa.bool_()),
        ("probability", pa.float64()),
        ("verdicts", pa.list_(_VERDICT)),
    ]
)
_COLOR = pa.struct([("hex", pa.string()), ("name", pa.string()), ("fraction", pa.float64())])

SCHEMA = pa.schema(
    [
        pa.field("key", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("duplicate_of", pa.string()),
        pa.field("error_type", pa.string()),
        pa.field("error", pa.string()),
        pa.field("retryable", pa.bool_()),
        pa.field("description", pa.string()),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("visible_text", pa.string()),
        pa.field("claims", pa.list_(_CLAIM)),
        pa.field("confidence", pa.float64()),
        pa.field("nsfw", pa.float64()),
        pa.field("colors", pa.list_(_COLOR)),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("bytes", pa.int64()),
        pa.field("backend", pa.string()),
        pa.field("model_version", pa.string()),
        pa.field("level", pa.string()),
        pa.field("looks", pa.int32()),
        pa.field("prompt_tokens", pa.int64()),
        pa.field("completion_tokens", pa.int64()),
        pa.field("cost_usd", pa.float64()),
        pa.field("seconds", pa.float64()),
        pa.field("finished_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)
assert {each.name for each in fields(Row)} - {"task"} == set(SCHEMA.names)


def to_table(rows: Sequence[Row], fingerprint: str) -> pa.Table:
    """Return rows as a table, with the schema's version and the run's fingerprint."""
    columns = {name: [_value(getattr(row, name)) for row in rows] for name in SCHEMA.names}
    return pa.table(columns, schema=SCHEMA.with_metadata(metadata(fingerprint)))


def metadata(fingerprint: str) -> dict[bytes, bytes]:
    """Return the metadata of a shard."""
    return {VERSION_KEY: str(VERSION).encode(), FINGERPRINT_KEY: fingerprint.encode()}


def _value(value: object) -> object:
    """Return text as UTF-8 can hold it: what models and names contain may have lone surrogates."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-8", "backslashreplace").decode()
    return value
