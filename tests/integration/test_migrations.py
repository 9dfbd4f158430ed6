"""What older installations have stored is there after an upgrade."""

from __future__ import annotations

import json
import subprocess
from itertools import takewhile
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb
from tests.conftest import OCELLI, database_of_process
from tests.waiting import PATIENCE
from typer.testing import CliRunner

from ocelli.cli.main import app
from ocelli.storage.postgres import schema, text_vectors
from ocelli.storage.postgres.schema import NewerSchema, migrate, missing, takes_away

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


def test_what_batches_had_still_to_tell_is_told(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dsn = older(dsn, "0040", monkeypatch)
    url = "https://example.com/hook"
    batches = [  # address, announced, status of its item, whether its job is in the queue
        (url, False, "completed", False),
        (url, True, "failed", True),
        (url, True, "completed", False),
        (url, False, "queued", False),
        (None, False, "completed", False),
    ]
    with psycopg.connect(dsn, autocommit=True) as connection:

        def one(query: str, *values: object) -> str:
            row = connection.execute(query.encode(), values).fetchone()
            assert row is not None
            return str(row[0])

        tenant = one("INSERT INTO tenants (name, tier) VALUES ('old', 'FREE') RETURNING id")
        ids = []
        for address, announced, status, job in batches:
            id = one(
                "INSERT INTO batches (id, tenant_id, kind, level, total, inputs, created_at,"
                " webhook_url, announced_at) VALUES (gen_random_uuid(), %s, 'describe', 'quick', 1,"
                " '[{}]', now(), %s, CASE WHEN %s THEN now() END) RETURNING id",
                tenant,
                address,
                announced,
            )
            connection.execute(
                "INSERT INTO analyses (id, tenant_id, object_key, level, status, request_id)"
                " VALUES (gen_random_uuid(), %s, '', 'quick', %s, %s)",
                (tenant, status, id),
            )
            if job:
                connection.execute(
                    "INSERT INTO procrastinate_jobs (queue_name, task_name, args)"
                    " VALUES ('ocelli', 'call_webhook', jsonb_build_object('batch_id', %s::text))",
                    (id,),
                )
            ids.append(id)
        assert migrate(dsn)
        assert missing(dsn) == []
        rows = connection.execute("SELECT url, payload FROM webhook_deliveries").fetchall()
        assert {url for url, _ in rows} == {url}
        told = {body["batch_id"]: body["status"] for body in (json.loads(row[1]) for row in rows)}
        assert told == {ids[0]: "completed", ids[1]: "failed"}
        waiting = "SELECT id::text FROM batches WHERE announced_at IS NULL"
        assert connection.execute(waiting).fetchall() == [(ids[3],)]
        jobs = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'call_webhook'"
        assert one(jobs) == "0"


def test_commands_say_what_brings_an_older_database_up_to_date(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCELLI_DATABASE_URL", older(dsn, "0040", monkeypatch))
    monkeypatch.setenv("OCELLI_DATA", str(tmp_path))
    monkeypatch.setenv("OCELLI_PUBLIC_URL", "https://vision.example")
    for command in (["keys", "list"], ["console"]):
        told = CliRunner().invoke(app, command)
        assert told.exit_code == 3
        assert "of an older version" in told.output
        assert "`ocelli migrate`" in told.output


@pytest.mark.parametrize("later", ["9999_later", "procrastinate/99.00.00_01_later"])
def test_a_database_of_a_newer_version_is_refused(
    dsn: str, later: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is migrated, by `serve`, `worker` and `migrate`, and by commands."""
    dsn = database_of_process(dsn, "newer")
    migrate(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute("INSERT INTO schema_migrations (name) VALUES (%s)", (later,))
    with pytest.raises(NewerSchema):
        migrate(dsn)
    monkeypatch.setenv("OCELLI_DATABASE_URL", dsn)
    monkeypatch.setenv("OCELLI_DATA", str(tmp_path))
    for command in (["worker", "--workers", "1"], ["migrate"], ["keys", "list"]):
        refused = CliRunner().invoke(app, command)
        assert (refused.exit_code, later in refused.output) == (3, True), refused.output
    served = subprocess.run(
        [*OCELLI, "serve", "--port", "0"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (served.returncode, "newer version of Ocelli" in served.stderr) == (3, True)
    found = upgrade_check(dsn, monkeypatch)
    assert (later in found["migrations"]["found"], bool(found["migrations"]["advice"])) == (
        True,
        True,
    )


def test_a_name_between_the_known_ones_is_of_no_newer_version(dsn: str) -> None:
    dsn = database_of_process(dsn, "renamed")
    migrate(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute("INSERT INTO schema_migrations (name) VALUES ('0002_renamed_since')")
    assert migrate(dsn) == []


def upgrade_check(dsn: str, monkeypatch: pytest.MonkeyPatch, code: int = 1) -> dict[str, Any]:
    """What `ocelli upgrade --check` says, by name."""
    monkeypatch.setenv("OCELLI_DATABASE_URL", dsn)
    done = CliRunner().invoke(app, ["upgrade", "--check", "--json"])
    assert done.exit_code == code, done.output
    return {each["name"]: each for each in json.loads(done.output)}


def test_an_upgrade_says_what_it_would_change(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a migration that takes a key away, before one that adds a table, and after all."""
    workers = "servers and workers of before"
    takes = upgrade_check(older(dsn, "0031", monkeypatch), monkeypatch)
    assert "0031_spend_by_key" in takes["migrations"]["found"]
    assert "0031_spend_by_key" in takes[workers]["found"]
    assert "stop them" in takes[workers]["advice"]
    adds = upgrade_check(older(dsn, "0038", monkeypatch), monkeypatch, code=0)
    assert "0038_request_log" in adds["migrations"]["found"]
    assert adds[workers]["found"] == "may go on: migrations only add"
    migrate(new := database_of_process(dsn, "new"))
    assert upgrade_check(new, monkeypatch, code=0)["migrations"]["found"] == "none is open"


@pytest.mark.parametrize(
    ("sql", "is_taking"),
    [
        ("ALTER TABLE a ADD COLUMN b text; CREATE INDEX a_b ON a (b); -- DROP TABLE a", False),
        ("CREATE TABLE a (b text); CREATE UNIQUE INDEX a_b ON a (b);", False),
        ("CREATE UNIQUE INDEX a_b ON a (b);", True),
        ("ALTER TABLE a\n    DROP COLUMN b;", True),
        ("alter table a alter column b set not null;", True),
        ("ALTER TABLE a ALTER b TYPE bigint;", True),
        ("ALTER TABLE a RENAME TO c;", True),
        ("DROP FUNCTION f();", True),
    ],
)
def test_migrations_that_only_add_are_known_by_their_text(sql: str, is_taking: bool) -> None:
    assert takes_away(sql) is is_taking
