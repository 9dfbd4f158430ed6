"""Bulk runs as commands: killed, interrupted, over real pictures and a real bucket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests import bombs
from tests.conftest import OCELLI
from tests.integration.test_no_calls_home import Watched
from tests.integration.test_no_calls_home import library as library
from tests.integration.test_no_calls_home import watched as watched
from tests.s3.store import S3
from tests.waiting import PATIENCE, until
from typer.testing import CliRunner

from ocelli.cli.main import app
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.questions import Question
from ocelli.settings import Settings
from ocelli.wiring import bulk

STUB = (sys.executable, "-m", "benchmarks.bulk_stub")
EAGER = {"OCELLI_BULK_SHARD_SECONDS": "0.05", "OCELLI_BULK_SHARD_ROWS": "40"}


def start(*arguments: Path | str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*STUB, *map(str, arguments)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def account(process: subprocess.Popen[str], code: int = 0) -> dict[str, Any]:
    said, wrong = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, wrong
    found: dict[str, Any] = json.loads(said)
    return found


def rows(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(folder).to_pylist()
    return found


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(120):
        text = "same" if number % 10 == 3 else f"broken {number}" if number % 40 == 7 else number
        (folder / f"{number:03}.jpg").write_text(f"{text}")
    return folder


def test_after_kills_no_row_is_there_twice_and_none_is_missing(
    pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    slow = {**EAGER, "OCELLI_STUB_SECONDS": "0.05"}
    for wanted in (20, 60):
        process = start(pictures, out, **slow)
        until(lambda n=wanted: out.exists() and list(out.glob("*.parquet")) and len(rows(out)) >= n)  # type: ignore[misc]
        process.kill()
        process.communicate()
        held = Counter(each["source"] for each in rows(out))
        assert held.most_common(1)[0][1] == 1
    last = account(start(pictures, out, "--json", **EAGER))
    assert (last["seen"], last["done"], last["failed"], last["duplicate"]) == (120, 106, 3, 11)
    assert last["rows_of_this_run"] < 60
    held = Counter(each["source"] for each in rows(out))
    assert sorted(held) == [str(path) for path in sorted(pictures.iterdir())]
    assert held.most_common(1)[0][1] == 1


def test_a_picture_that_kills_its_process_fails_alone(pictures: Path, tmp_path: Path) -> None:
    (pictures / "050.jpg").write_text("killer")
    found = account(start(pictures, tmp_path / "out", "--json", **EAGER))
    assert (found["seen"], found["failed"]) == (120, 4)
    (row,) = [each for each in rows(tmp_path / "out") if each["source"].endswith("050.jpg")]
    assert (row["error_type"], row["status"]) == ("resource_limit", "failed")
    assert "ended twice (signal 9)" in row["error"]


def test_a_source_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["bulk", str(tmp_path / "nothing"), str(out)])
    assert done.exit_code == 2
    assert "There is no" in done.stderr
    assert not out.exists()


def test_an_interrupted_run_and_one_beside_it(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(pictures, out, "--json", OCELLI_STUB_SECONDS="1", **EAGER)
    until(lambda: out.exists() and list(out.glob("*.parquet")))
    second = start(pictures, out)
    assert "Another run writes" in second.communicate(timeout=PATIENCE)[1]
    assert second.returncode == 2
    process.send_signal(signal.SIGINT)
    found = account(process, 130)
    assert found["balanced"]
    assert found["seen"] == len(rows(out)) < 120


def test_concurrency_is_divided_among_the_processes() -> None:
    one = {"base_url": "http://127.0.0.1:1/v1", "model": "m"}
    backends = {"a": {**one, "concurrency": 129}, "b": {**one, "concurrency": 3}}
    settings = Settings(workers=4, backends=backends)
    question = Question(backends=("a",))
    several = bulk.shared(settings, question, VerificationLevel.QUICK)
    assert [each.backends["a"].concurrency for each in several] == [33, 32, 32, 32]
    assert [each.analyses_at_once for each in several] == [37, 36, 36, 36]
    several = bulk.shared(settings, question, VerificationLevel.STANDARD)
    assert [each.backends["b"].concurrency for each in several] == [1, 1, 1]
    local = bulk.shared(settings, Question(backends=("ocelli-local",)), VerificationLevel.QUICK)
    assert len(local) == 4


def test_pictures_bombs_and_addresses_of_our_own_network(
    watched: Watched, tmp_path: Path, photos: dict[str, Path]
) -> None:
    (tmp_path / "cut.jpg").write_bytes(photos["coffee"].read_bytes()[:9000])
    (tmp_path / "bomb.gif").write_bytes(bombs.gif(width=30_000, height=30_000))
    locations = [photos["coffee"], "cut.jpg", "bomb.gif", "http://127.0.0.1:9/x.jpg", "none.jpg"]
    lines = "\n".join(json.dumps({"picture": str(each)}) for each in locations)
    (tmp_path / "t.jsonl").write_text(lines)
    command = (*OCELLI, "bulk", str(tmp_path / "t.jsonl"), str(tmp_path / "out"))
    said = watched.run(*command, "--level", "quick", "--workers", "1", "--vocabulary-mode", "off")
    assert said.splitlines()[-1] == "seen 5 = done 1 + failed 4 + skipped 0 + duplicate 0"
    found = {each["source"].rpartition("/")[2]: each for each in rows(tmp_path / "out")}
    coffee = found[photos["coffee"].name]
    assert "cup" in coffee["description"].lower()
    assert coffee["backend"] == "ocelli-local"
    assert coffee["claims"]
    assert coffee["colors"]
    assert coffee["width"] > 100
    assert "not public" in found["x.jpg"]["error"]
    assert {each["error_type"] for each in found.values() if each["error"]} == {"validation"}
    assert watched.run(*command, "--level", "quick").splitlines()[-1] == said.splitlines()[-1]
    done = subprocess.run([*command, "--level", "standard"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "other settings: level" in done.stderr
    assert watched.seen() == []


def test_a_bucket(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ocelli.bulk import buckets
    from ocelli.bulk.sources import Source

    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    buckets._client.cache_clear()
    bucket = s3.new_bucket()
    bodies = {
        "a/1.jpg": b"1", "a/b/2.jpg": b"2", "a/b/3.png": b"3", "a/notes.txt": b"", "x/4.jpg": b"4",
        "a/t.csv": b"path\n1.jpg\n",
    }  # fmt: skip
    for key, body in bodies.items():
        s3.client.put_object(Bucket=bucket, Key=key, Body=body)

    def found(pattern: str) -> list[str]:
        source = Source(f"s3://{bucket}/{pattern}", None, frozenset({".jpg", ".png"}))  # type: ignore[arg-type]
        keys = [each.location or "" for each in source.entries()]
        return [key.removeprefix(f"s3://{bucket}/") for key in keys]

    try:
        assert found("a/**/*.jpg") == ["a/1.jpg", "a/b/2.jpg"]
        assert found("*/[1-4].jpg") == ["a/1.jpg", "x/4.jpg"]
        assert found("x") == found("x/") == found("x/4.jpg") == ["x/4.jpg"]
        assert found("a/t.csv") == ["a/1.jpg"]
        assert buckets.read(f"s3://{bucket}/x/4.jpg", 10) == b"4"
        with pytest.raises(Exception, match="status 404"):
            buckets.read(f"s3://{bucket}/x/5.jpg", 10)
    finally:
        s3.drop(bucket)
        buckets._client.cache_clear()
