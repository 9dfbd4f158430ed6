"""The account of bulk runs, their shards and limits, with an engine that answers at once."""

from __future__ import annotations

import hashlib
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import examples

from ocelli.bulk import feed, manifest, rows, schema, shards
from ocelli.bulk.account import Account, Limits, parse_budget
from ocelli.bulk.feed import Feed
from ocelli.bulk.hash_index import HashIndex, hashes_of
from ocelli.bulk.history import History
from ocelli.bulk.progress import Progress
from ocelli.bulk.rows import Content, Row, RowStatus
from ocelli.bulk.run import Run
from ocelli.bulk.tasks import Entry, Task
from ocelli.bulk.worker import PictureWorker
from ocelli.domain.analysis import Failure
from ocelli.domain.errors import FailureType


class AtOnce:
    """Several tasks at a time; the last one first, so that duplicates come before their firsts."""

    def __init__(self, at_once: int = 4, *, asks: bool = True) -> None:
        self.described: list[str] = []
        self._at_once = at_once
        self._asks = asks

    def run(self, feed: Feed, claim: Callable[[Task, str], bool]) -> Iterator[Row | None]:
        held: list[tuple[Task, bool]] = []
        while not feed.ended or held:
            while len(held) < self._at_once and (task := feed.take()) is not None:
                held.append((task, not self._asks or claim(task, key_of(task))))
            if held:
                yield self._row(*held.pop())

    def _row(self, task: Task, is_first: bool) -> Row:
        content = Content(key_of(task), len(task.data or b""))
        if not is_first:
            return rows.duplicate(task, content)
        self.described.append(task.source)
        data = task.data or b""
        if data.startswith(b"broken"):
            again = data.endswith(b"busy")
            failure = Failure(FailureType.TIMEOUT, "So.", retryable=again)
            return rows.failed(task, failure, None if b"lost" in data else content)
        return Row(task.id, task.source, RowStatus.DONE, key=content.key, cost_usd=0.25)


def key_of(task: Task) -> str:
    return hashlib.sha256(task.data or b"").hexdigest()


def run(folder: Path, contents: list[bytes], engine: AtOnce | None = None, **limits: Any) -> Run:
    """Over sources that are called after their positions."""
    return run_entries(
        folder, [Entry(str(n), data=each) for n, each in enumerate(contents)], engine, **limits
    )


def run_entries(
    folder: Path, entries: list[Entry], engine: AtOnce | None = None, **limits: Any
) -> Run:
    folder.mkdir(exist_ok=True)
    history = History()
    history.load(folder)
    writer = shards.ShardWriter(folder, "print", rows=7, seconds=1000)
    it = Run(entries, history, writer, Limits(**limits), holds_bytes=True)
    for _ in it.steps(engine or AtOnce()):
        pass
    assert it.is_complete(folder), it.account
    return it


def table(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(folder).to_pylist()
    return found


@examples(20)
@given(
    st.lists(st.sampled_from([b"a", b"b", b"c", b"broken", b"broken lost", b"broken busy"])),
    st.integers(1, 9),
    st.integers(0, 20),
)
def test_each_source_has_one_row_and_duplicates_point_at_the_first(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes], at_once: int, limit: int
) -> None:
    folder = tmp_path_factory.mktemp("bulk")
    if limit:
        run(folder, contents, AtOnce(at_once), sources=limit)
    engine = AtOnce(at_once)
    account = run(folder, contents, engine).account
    assert account.seen == len(contents)
    found = table(folder) if contents else []
    assert Counter(each["source"] for each in found) == Counter(map(str, range(len(contents))))
    firsts = {each["source"]: each for each in found if each["status"] != "duplicate"}
    assert len(firsts) == len(set(contents))
    for row in found:
        if row["status"] == "duplicate":
            assert firsts[row["duplicate_of"]]["key"] == row["key"]
    engine = AtOnce()
    assert run(folder, contents, engine).account.seen == len(contents)
    assert engine.described == []


def test_an_engine_that_asks_for_no_claims_gets_the_same_rows(tmp_path: Path) -> None:
    account = run(tmp_path / "out", [b"a", b"b", b"a"], AtOnce(asks=False)).account
    assert (account.count(RowStatus.DONE), account.count(RowStatus.DUPLICATE)) == (2, 1)
    assert account.cost == 0.75  # it was paid for


def test_a_source_that_is_listed_twice_has_two_rows_also_after_a_limit(tmp_path: Path) -> None:
    entries = [Entry(name, data=name.encode()) for name in ("a", "b", "a", "a")]
    run_entries(tmp_path, entries, sources=2)
    account = run_entries(tmp_path, entries).account
    assert str(account) == "seen 4 = done 2 + failed 0 + skipped 0 + duplicate 2"
    assert sorted(each["source"] for each in table(tmp_path)) == ["a", "a", "a", "b"]


def test_entries_without_a_picture_are_skipped_rows(tmp_path: Path) -> None:
    entries = [Entry("a", problem="none"), Entry("b", data=b"b"), Entry("c", problem="none")]
    account = run_entries(tmp_path, entries).account
    assert str(account) == "seen 3 = done 1 + failed 0 + skipped 2 + duplicate 0"


def test_the_budget_counts_what_is_under_way(tmp_path: Path) -> None:
    contents = [bytes([n]) for n in range(100)]
    spent = run(tmp_path / "a", contents, AtOnce(8), budget=5.0, picture_cost=1.0)
    assert spent.account.cost == 5.0
    assert spent.feed.stopped_by == "budget"
    assert (
        run(tmp_path / "b", contents, AtOnce(8), budget=0.1, picture_cost=1.0).account.cost == 0.25
    )
    with_rest = run(tmp_path / "a", contents[:25], AtOnce(8), budget=5.0)
    assert with_rest.feed.stopped_by is None


def test_pictures_in_a_listing_are_read_as_far_as_there_is_room(tmp_path: Path) -> None:
    def listing() -> Iterator[Entry]:
        for number in range(100):
            listed.append(number)
            yield Entry(str(number), data=bytes(feed.BYTES_AT_ONCE // 2))

    listed: list[int] = []
    it = Feed(
        listing(),
        History(),
        Account(),
        Limits(),
        lambda _: None,
        threading.RLock(),
        holds_bytes=True,
    )
    tasks = 0
    while it.take() is not None:
        tasks += 1
    assert tasks < 12, "all others wait for those that are under way"
    assert len(listed) - tasks <= 2


async def test_a_picture_in_a_table_may_be_as_large_as_a_file() -> None:
    nothing: Any = None
    worker = PictureWorker(
        *[nothing] * 6, token_cost=nothing, max_bytes=3, max_attempts=3, timeout=1.0
    )
    row = await worker.work(Task(0, "a.tar#a.jpg", data=b"1234"), nothing)
    assert row.status is RowStatus.FAILED
    assert row.error is not None
    assert "larger than the limit" in row.error


def test_too_many_failures_end_a_run(tmp_path: Path) -> None:
    it = run(tmp_path, [b"broken %d" % n for n in range(50)], AtOnce(1), failures=3)
    assert it.account.count(RowStatus.FAILED) == 4
    assert it.feed.stopped_by == "failures"


@pytest.mark.parametrize(("retryable_only", "again"), [(True, ["2"]), (False, ["1", "2"])])
def test_failures_are_taken_out_and_done_again(
    tmp_path: Path, retryable_only: bool, again: list[str]
) -> None:
    contents = [b"a", b"broken", b"broken busy", b"c"]
    run(tmp_path, contents)
    assert shards.drop_failed(tmp_path, retryable_only=retryable_only) == len(again)
    engine = AtOnce()
    account = run(tmp_path, contents, engine).account
    assert sorted(engine.described) == again
    assert str(account) == "seen 4 = done 2 + failed 2 + skipped 0 + duplicate 0"


def test_what_is_interrupted_leaves_a_balanced_account(tmp_path: Path) -> None:
    history = History()
    writer = shards.ShardWriter(tmp_path, "print", rows=7, seconds=1000)
    entries = [Entry(str(n), data=b"same" if n % 2 else bytes([n])) for n in range(20)]
    it = Run(entries, history, writer, Limits(), holds_bytes=True)
    steps = it.steps(AtOnce(8))
    for _ in range(5):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert it.abandon() > 0
    assert it.is_complete(tmp_path)
    assert run_entries(tmp_path, entries).account.seen == 20


def test_rows_of_a_write_that_is_interrupted_are_written_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = shards.ShardWriter(tmp_path, "print", rows=3, seconds=1000)
    for number in range(2):
        writer.add(Row(number, str(number), RowStatus.DONE))
    with monkeypatch.context() as patch:
        patch.setattr(shards, "write_durably", lambda *_: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            writer.flush()
    writer.add(Row(2, "2", RowStatus.DONE))
    writer.flush()
    assert writer.written == len(table(tmp_path)) == 3


def test_half_written_and_foreign_and_damaged_shards(tmp_path: Path) -> None:
    run(tmp_path, [b"a"])
    (tmp_path / ".shard-000001.parquet.tmp").write_bytes(b"half")
    assert len(table(tmp_path)) == 1
    shards.remove_unfinished(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    for data in (b"", b"PAR1"):
        (tmp_path / "shard-000009.parquet").write_bytes(data)
        with pytest.raises(shards.UnreadableShard, match=r"shard-000009.parquet cannot be read"):
            History().load(tmp_path)
    pq.write_table(pa.table({"source": ["a"]}), tmp_path / "shard-000009.parquet")
    with pytest.raises(shards.UnreadableShard, match="was not written by"):
        History().load(tmp_path)


def test_a_manifest_is_compared_and_set_aside(tmp_path: Path) -> None:
    parts = {"level": "quick", "models": {"a": "1"}}
    first = manifest.settle(tmp_path, parts, new=False)
    assert manifest.settle(tmp_path, {**parts, "level": "critical"}, new=False) != first
    assert manifest.settle(tmp_path, parts, new=False) == first, "nothing was described yet"
    run(tmp_path, [b"a"])
    with pytest.raises(manifest.WrongOutput, match="other settings: models"):
        manifest.settle(tmp_path, {**parts, "models": {"a": "2"}}, new=False)
    other = manifest.settle(tmp_path, {**parts, "models": {"a": "2"}}, new=True)
    assert other != first
    assert not shards.shards(tmp_path)
    assert len(shards.shards(tmp_path / "_previous" / "0001")) == 1
    (tmp_path / manifest.NAME).unlink()
    run(tmp_path, [b"a"])
    with pytest.raises(manifest.WrongOutput, match="no _manifest"):
        manifest.settle(tmp_path, parts, new=False)
    assert len(table(tmp_path)) == 1  # earlier runs are not among them


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        manifest.locked(tmp_path / "out"),
        pytest.raises(manifest.WrongOutput, match="Another run"),
        manifest.locked(tmp_path / "out"),
    ):
        pass


@examples(20)
@given(st.lists(st.sampled_from("abcdef")), st.lists(st.sampled_from("abcdefgh")))
def test_the_index_counts(before: list[str], after: list[str]) -> None:
    index = HashIndex()
    index.count_and_add(hashes_of(before))
    seen = Counter(before)
    for text in after:
        assert index.count_and_add(hashes_of([text])) == [seen[text]]
        seen[text] += 1


def test_rows_of_the_widest_kind_are_read_back(tmp_path: Path) -> None:
    verdict = {"ruling": "supported", "source": "b", "basis": "look", "reason": "seen"}
    claim = {"text": "x", "type": "object", "kept": True, "probability": 1.0, "verdicts": [verdict]}
    row = Row(
        0, "a", RowStatus.DONE, key="k", description="\udcff lone", tags=("t",), claims=(claim,),
        colors=({"hex": "#000000", "name": "black", "fraction": 1.0},), width=3, retryable=False,
    )  # fmt: skip
    shards.write_durably(tmp_path / "shard-000000.parquet", schema.to_table([row], "print"))
    (found,) = table(tmp_path)
    assert found["claims"] == [claim]
    assert found["description"] == "\\udcff lone"
    assert shards.read(tmp_path / "shard-000000.parquet").schema.metadata == schema.metadata(
        "print"
    )


def test_the_columns_are_documented() -> None:
    page = (Path(__file__).parents[2] / "docs/bulk.md").read_text(encoding="utf-8")
    documented = {}
    for line in page.splitlines():
        cells = [each.strip() for each in line.split("|")]
        if len(cells) == 5 and cells[1].startswith("`"):
            documented[cells[1].strip("`")] = cells[2]
    assert documented == {each.name: str(each.type) for each in schema.SCHEMA}
    assert f"version {schema.VERSION}" in page
    assert {each.name for each in fields(Row)} - {"task"} == set(schema.SCHEMA.names)


@pytest.mark.parametrize(("text", "dollars"), [("20usd", 20), ("0.5 USD", 0.5), ("$3", 3)])
def test_budgets(text: str, dollars: float) -> None:
    assert parse_budget(text) == dollars


@pytest.mark.parametrize("text", ["", "0", "-1usd", "20eur", "many", "1e3"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match="20usd"):
        parse_budget(text)


def test_progress_says_rate_and_time_left(tmp_path: Path) -> None:
    it = run(tmp_path, [b"a"])
    now = [0.0]
    progress = Progress(it.account, lambda: now[0])
    progress.expected = 1000
    progress.line()
    now[0], it.account.now[RowStatus.DONE] = 10.0, 101
    assert progress.line() == "101 of 1,000 (10%) · 10/s · 1 min left · 0.2500 USD"
    it.account.unpriced = 3
    it.account.cost = 1234.5
    assert progress.line().endswith("1,234.50 USD, 3 without a price")
