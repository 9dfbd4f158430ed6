"""What older installations have stored is there after an upgrade."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

import psycopg
import pytest
from psycopg.types.json import Jsonb
from tests.conftest import database_of_process

from ocelli.storage.postgres import schema, text_vectors
from ocelli.storage.postgres.schema import migrate, missing

FOLDER = Path(schema.__file__).parent / "migrations"


def older(dsn: str, number: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of its own, as it was before the migration of this number."""
    dsn = database_of_process(dsn, f"before_{number}")
    steps = list(schema._steps(fresh=True))
    until = next(name for name, _ in steps if name.startswith(number))
    before = list(takewhile(lambda step: step[0] != until, steps))
    with monkeypatch.context() as patch:
        patch.setattr(schema, "_steps", lambda *, fresh: before)
        patch.setattr(text_vectors, "prepare", lambda _: None)
        assert migrate(dsn) == [name for name, _ in before]
    return dsn


def test_every_migration_has_a_number_of_its_own() -> None:
    numbers = [file.name[:4] for file in FOLDER.glob("*.sql")]
    assert sorted(numbers) == sorted(set(numbers))
    assert all(number.isdecimal() for number in numbers)


def test_calls_of_before_are_counted_and_local_ones_have_a_price(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = older(dsn, "0031", monkeypatch)
    calls = [
        {"source": source, "tokens": {"prompt": 3, "completion": 2}, "milliseconds": 5.0}
        for source in ("ocelli-local", "openai", "openai")
    ]
    with psycopg.connect(dsn, autocommit=True) as connection:
        tenant = connection.execute(
            "INSERT INTO tenants (name, tier) VALUES ('old', 'FREE') RETURNING id"
        ).fetchone()
        connection.execute(
            "INSERT INTO analyses (id, tenant_id, object_key, level, status, calls, completed_at)"
            " VALUES (gen_random_uuid(), %s, '', 'quick', 'completed', %s, '2026-01-02 23:30Z')",
            (*(tenant or ()), Jsonb(calls)),
        )
        assert migrate(dsn)
        assert missing(dsn) == []
        counted = connection.execute(
            "SELECT backend, day::text, calls, prompt_tokens, completion_tokens, unpriced"
            " FROM usage_calls ORDER BY backend"
        ).fetchall()
    assert counted == [
        ("ocelli-local", "2026-01-02", 1, 3, 2, 0),
        ("openai", "2026-01-02", 2, 6, 4, 2),
    ]
