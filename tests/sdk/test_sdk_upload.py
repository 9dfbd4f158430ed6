"""Many pictures: few requests, every file accounted for."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.sdk.sdk_server import KEY, FakeServer, picture
from tests.waiting import PATIENCE

from aion import (
    AionVision,
    AionvisionConnectionError,
    AionvisionTimeoutError,
    AuthenticationError,
    BatchUploadResults,
    DescriptionError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    UploadError,
    ValidationError,
)
from aion import _batch as batch
from aion import _senders as senders
from aion._files import Source
from aion._http import Http

Photos = Callable[..., list[Path]]


class Recorder:
    """All four callbacks."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def options(self) -> dict[str, Any]:
        kinds = ("progress", "file_complete", "description_progress", "description_failed")
        return {f"on_{kind}": self._note(kind) for kind in kinds}

    def _note(self, kind: str) -> Callable[[Any], None]:
        return lambda event: self.events.append((kind, event))

    def __getitem__(self, kind: str) -> list[Any]:
        return [event for k, event in self.events if k == kind]

    def counts(self) -> dict[str, int]:
        return dict(Counter(kind for kind, _ in self.events))


@pytest.mark.parametrize("index", [True, False])
async def test_a_folder_of_250(
    index: bool, server: FakeServer, client: AionVision, photos: Photos, tmp_path: Path
) -> None:
    """Half of the names occur twice, in different folders: every result is its own file's."""
    server.list_index, server.describe_after = index, 0.1
    paths = photos(*(f"{n % 2}/p{n // 2:03}.jpg" for n in range(250)))
    recorder = Recorder()
    results = await client.upload(tmp_path, **recorder.options())
    assert [r.filename for r in results] == [p.name for p in sorted(paths)]
    hashes = [server.images[r.image_id].sha256 for r in results]
    import hashlib

    assert hashes == [hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(paths)]
    assert all(r.description and r.tags == ["cat", "sofa"] and r.confidence_score for r in results)
    assert results.summary() == "250 succeeded"
    assert recorder.counts() == {"progress": 250, "file_complete": 250, "description_progress": 250}
    for kind in ("progress", "file_complete"):
        assert sorted(e.file_index for e in recorder[kind]) == list(range(250))
    ended = [e.completed_count for e in recorder["description_progress"]]
    assert ended == list(range(1, 251))
    assert {e.total_count for e in recorder["description_progress"]} == {250}
    for event in recorder["progress"]:
        assert (
            event.uploaded_bytes
            == event.total_bytes
            == sorted(paths)[event.file_index].stat().st_size
        )
    assert server.count("stream-batch") == 13  # chunks of 100 in requests of at most 20
    assert server.count("check-duplicates") == 3
    assert server.count("/user-files/") == 13  # nobody asked about single files


async def test_polls_are_by_session(server: FakeServer, client: AionVision, photos: Photos) -> None:
    server.describe_after, server.max_batch_size = 0.6, 50
    server.confidence_in_session = True
    await client.upload(photos(50))
    polls = server.count("/status")
    assert 2 <= polls <= 15
    assert server.count("/results") <= 4
    assert len(server.seen) < 30


async def test_without_waiting(server: FakeServer, client: AionVision, photos: Photos) -> None:
    server.describe_after = 60
    recorder = Recorder()
    results = await client.upload(photos(30), wait_for_descriptions=False, **recorder.options())
    assert results.summary() == "0 succeeded, 30 pending"
    assert len({r.image_id for r in results}) == 30
    assert recorder.counts() == {"progress": 30, "file_complete": 30}
    assert server.count("/status") == 0


async def test_one_path_is_a_list_too(
    server: FakeServer, client: AionVision, photos: Photos
) -> None:
    results = await client.upload(photos(1)[0])
    assert isinstance(results, BatchUploadResults)
    assert results[0].is_completed
    assert server.count("stream-batch") == 0
    named = await client.upload(picture(), filename="b.png")
    assert named[0].filename == "b.png"
    assert (await client.upload([])) == []
    assert await client.upload(photos("x/y.jpg")[0].parent / "..", recursive=False)


async def test_duplicates(server: FakeServer, client: AionVision, photos: Photos) -> None:
    paths = photos(12)
    paths[3].write_bytes(paths[2].read_bytes())  # twice in the call
    paths[11].write_bytes(paths[2].read_bytes())  # three times
    await client.upload_one(paths[0])
    sent = server.body_bytes
    recorder = Recorder()
    results = await client.upload(paths, **recorder.options())
    assert [r.filename for r in results] == [p.name for p in paths]
    assert len(server.images) == 10
    assert results[2].image_id == results[3].image_id == results[11].image_id
    assert all(r.description for r in results)
    assert recorder.counts() == {"progress": 12, "file_complete": 12, "description_progress": 12}
    assert server.body_bytes - sent == sum(paths[n].stat().st_size for n in (1, 2, *range(4, 11)))
    sent = server.body_bytes
    again = await client.upload(paths, wait_for_descriptions=False)
    assert [r.image_id for r in again] == [r.image_id for r in results]
    assert all(r.is_completed for r in again)
    assert server.body_bytes == sent


async def test_a_server_that_cannot_be_asked_for_duplicates(
    server: FakeServer, client: AionVision, photos: Photos
) -> None:
    server.offers = {"batch"}
    paths = photos(12)
    first = await client.upload(paths)
    again = await client.upload(paths)
    assert [r.image_id for r in again] == [r.image_id for r in first]
    assert again.succeeded_count == 12
    assert len(server.images) == 12


async def test_rejected_files(server: FakeServer, client: AionVision, photos: Photos) -> None:
    server.reject_names = "bad"
    paths = photos(*(f"{'bad' if n in (1, 7) else 'good'}{n}.jpg" for n in range(9)))
    recorder = Recorder()
    results = await client.upload(paths, raise_on_failure=False, **recorder.options())
    assert [r.filename for r in results] == [p.name for p in paths]
    assert [r.filename for r in results.failed()] == ["bad1.jpg", "bad7.jpg"]
    assert results.summary() == "7 succeeded, 2 failed (0 retryable)"
    assert results.failed()[0].description_error == "Not a picture."
    assert [e.file_index for e in recorder["description_failed"]] == [1, 7]
    assert len(recorder["file_complete"]) == 7
    assert len(recorder["description_progress"]) == 9
    with pytest.raises(UploadError, match=r"2 of 9 files.*bad1\.jpg: Not a picture") as caught:
        await client.upload(paths)
    error = caught.value
    assert error.partial_results is not None
    assert error.partial_results.succeeded_count == 7
    assert (error.stage, Path(error.filename or "").name) == ("upload", "bad1.jpg")


async def test_one_rejected_file(server: FakeServer, client: AionVision, photos: Photos) -> None:
    server.reject_names = "bad"
    results = await client.upload(photos("bad.jpg"), raise_on_failure=False)
    assert results.summary() == "0 succeeded, 1 failed (0 retryable)"
    with pytest.raises(UploadError, match="Not a picture") as caught:
        await client.upload(photos("bad.jpg"))
    assert isinstance(caught.value.__cause__, ValidationError)
    with pytest.raises(ValidationError, match="No bucket"):
        await client.upload(photos("a.jpg"), storage_target="custom")


async def test_failed_descriptions(server: FakeServer, client: AionVision, photos: Photos) -> None:
    server.fail_names = "bad"
    paths = photos(*(f"{'bad' if n == 4 else 'good'}{n}.jpg" for n in range(8)))
    recorder = Recorder()
    results = await client.upload(paths, raise_on_failure=False, **recorder.options())
    assert results.has_failures
    assert results.summary() == "7 succeeded, 1 failed (1 retryable)"
    [event] = recorder["description_failed"]
    assert (event.file_index, event.result.filename) == (4, "bad4.jpg")
    assert (event.error_message, event.is_retryable) == ("The model did not answer.", True)
    assert event.result.description_error_type == "vlm_error"
    with pytest.raises(DescriptionError, match=r"1 of 8 failed, first bad4\.jpg") as caught:
        await client.upload(paths)
    assert caught.value.partial_results is not None
    assert caught.value.partial_results.summary() == results.summary()


async def test_descriptions_that_never_come(
    server: FakeServer, client: AionVision, photos: Photos
) -> None:
    server.describe_after = 60
    with pytest.raises(AionvisionTimeoutError, match="none was within") as caught:
        await client.upload(photos(7), description_timeout=0.3)
    assert caught.value.last_result.pending_count == 7
    assert caught.value.details["session_id"] in server.sessions


async def test_files_that_vanish(
    server: FakeServer, client: AionVision, photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted between reading and sending: that file fails, the others arrive."""
    paths = photos(30)
    original = Source.open
    calls: Counter[str] = Counter()

    def vanishing(self: Source) -> Any:
        calls[self.filename] += 1
        if self.filename in ("img3.jpg", "img25.jpg") and calls[self.filename] == 2:
            (self.path or Path()).unlink()
        return original(self)

    monkeypatch.setattr(Source, "open", vanishing)
    results = await client.upload(paths, raise_on_failure=False)
    assert [r.filename for r in results.failed()] == ["img3.jpg", "img25.jpg"]
    assert "does not exist any more" in (results.failed()[0].description_error or "")
    assert results.succeeded_count == 28
    assert len(server.images) == 28


async def test_files_that_vanish_before_they_are_read(
    server: FakeServer, client: AionVision, photos: Photos
) -> None:
    paths = photos(5)

    def unlink(event: AionVision.UploadProgressEvent) -> None:
        paths[4].unlink(missing_ok=True)

    results = await client.upload(paths[:4], raise_on_failure=False, on_progress=unlink)
    assert results.succeeded_count == 4
    (paths[0].parent / "empty.jpg").touch()
    more = await client.upload([paths[0], paths[0].parent / "empty.jpg"], raise_on_failure=False)
    assert more.failed()[0].description_error == "the file is empty"


@pytest.mark.parametrize("kind", ["status", "html", "hang_up", "cut"])
async def test_a_broken_connection_is_resumed(
    kind: str, server: FakeServer, client: AionVision, photos: Photos
) -> None:
    server.fault("/stream-batch", kind, times=3)
    server.fault("/results", kind, times=1)
    server.fault("/check-duplicates", kind, times=1)
    results = await client.upload(photos(45))
    assert results.summary() == "45 succeeded"
    assert len(server.images) == 45
    assert len({r.image_id for r in results}) == 45


async def test_a_server_that_dies(server: FakeServer, client: AionVision, photos: Photos) -> None:
    """Partial results are complete, and a second call sends only the rest."""
    paths = photos(230)

    def strike(event: AionVision.FileCompleteEvent) -> None:
        if event.result.filename == "img50.jpg":
            server.fault("/api/", "hang_up", times=100_000)

    with pytest.raises(UploadError, match=r"Stopped after \d+ of 230") as caught:
        await client.upload(paths, on_file_complete=strike, wait_for_descriptions=False)
    error = caught.value
    assert isinstance(error.__cause__, AionvisionConnectionError)
    assert error.partial_results
    assert error.session_id in server.sessions
    assert (error.stage, error.details["cause"]) == ("chunk_upload", "CONNECTION_ERROR")
    known = {r.image_id for r in error.partial_results}
    assert known <= set(server.images)
    assert len(server.images) - len(known) <= 16 * 20  # those under way at that moment
    server.faults.clear()
    async with AionVision(KEY, base_url=server.url, polling_interval=0.05) as fresh:
        results = await fresh.upload(paths)
    assert results.summary() == "230 succeeded"
    assert len(server.images) == 230
    assert known <= {r.image_id for r in results}


# The test's server is torn down hard, in its own thread: its sockets complain, ours must not.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("at", [60, 229])
async def test_a_server_that_restarts(at: int, server: FakeServer, photos: Photos) -> None:
    """In the middle of the upload, or of the descriptions: the call goes on."""
    server.describe_after = 0.3
    restarts: list[threading.Thread] = []

    def strike(event: AionVision.FileCompleteEvent) -> None:
        if len(restarts) == 0 and event.file_index >= at:
            restarts.append(threading.Thread(target=server.restart, args=(0.5,)))
            restarts[0].start()

    async with AionVision(
        KEY, base_url=server.url, polling_interval=0.05, retry_delay=0.1
    ) as patient:
        results = await patient.upload(photos(230), on_file_complete=strike)
    restarts[0].join()
    assert results.summary() == "230 succeeded"
    assert len(server.images) == 230
    gc.collect()  # they complain here, not in the next test


# The test's server is torn down hard, in its own thread: its sockets complain, ours must not.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_server_that_dies_while_we_wait(server: FakeServer, photos: Photos) -> None:
    """Everything has arrived, descriptions are awaited: what is known comes with the error."""
    server.describe_after = 60
    arrived: list[int] = []
    end = threading.Thread(target=server.stop)

    def strike(event: AionVision.FileCompleteEvent) -> None:
        arrived.append(event.file_index)
        if len(arrived) == 30:
            end.start()

    async with AionVision(
        KEY, base_url=server.url, polling_interval=0.05, retry_delay=0.01, max_retries=1
    ) as hasty:
        with pytest.raises(UploadError) as raised:
            await hasty.upload(photos(30), on_file_complete=strike)
    end.join()
    assert raised.value.partial_results is not None
    assert len(raised.value.partial_results) == 30
    assert raised.value.session_id
    gc.collect()  # they complain here, not in the next test


async def test_a_server_that_takes_single_files_only(
    server: FakeServer, client: AionVision, photos: Photos
) -> None:
    server.offers, server.describe_after = set(), 0.2
    recorder = Recorder()
    results = await client.upload(photos(45), **recorder.options())
    assert results.summary() == "45 succeeded"
    assert set(recorder.counts().values()) == {45}
    assert len(server.images) == 45
    polls = sum(path == "/api/v2/user-files" for _, path in server.seen)
    assert polls < 45  # not one for each file


async def test_a_picture_that_somebody_deletes(
    server: FakeServer, client: AionVision, photos: Photos
) -> None:
    server.describe_after = 0.4

    def delete(event: AionVision.FileCompleteEvent) -> None:
        if event.result.filename == "img0.jpg":
            threading.Timer(0.1, server.forget, (event.result.image_id,)).start()

    for offers in (set(), {"batch"}):
        server.offers = offers
        results = await client.upload(photos(4), on_file_complete=delete, raise_on_failure=False)
        assert results.summary() == "3 succeeded, 1 failed (0 retryable)"
        assert "deleted" in (results[0].description_error or "")


async def test_a_server_that_is_not_there(photos: Photos) -> None:
    async with AionVision(KEY, base_url="http://127.0.0.1:9/api/v2", retry_delay=0.01) as client:
        with pytest.raises(AionvisionConnectionError):
            await client.upload(photos(3))


async def test_a_key_that_is_wrong(server: FakeServer, photos: Photos) -> None:
    async with AionVision("aion_" + "w" * 24, base_url=server.url) as client:
        with pytest.raises(AuthenticationError):
            await client.upload(photos(3))


async def test_a_server_that_fails_always(
    server: FakeServer, client: AionVision, photos: Photos
) -> None:
    server.fault("/stream-batch", times=10**6, status=500)
    with pytest.raises(ServerError):
        await client.upload(photos(3))


async def test_crowds_are_waited_out(
    server: FakeServer, client: AionVision, photos: Photos
) -> None:
    """More 429s than there are retries, but somebody gets through all the time."""
    server.max_batch_size, server.most_uploads, server.upload_time = 2, 1, 0.05
    results = await client.upload(photos(40))
    assert results.summary() == "40 succeeded"
    assert len(server.images) == 40


async def test_429_for_ever(server: FakeServer, client: AionVision, photos: Photos) -> None:
    server.fault("/stream-batch", times=10**6, status=429, headers={"Retry-After": "0"})
    with pytest.raises(RateLimitError):
        await client.upload(photos(30))


async def test_concurrency_is_bounded(
    server: FakeServer, client: AionVision, photos: Photos
) -> None:
    server.max_batch_size, server.delay = 2, 0.02
    server.quota = {"max_concurrent_uploads": 3}
    await client.upload(photos(60), wait_for_descriptions=False)
    assert server.most_busy <= 3


async def test_quota(server: FakeServer, client: AionVision, photos: Photos) -> None:
    paths = photos(6)
    server.can_proceed = False
    server.quota = {"available": 2, "monthly_limit": 300, "message": "Only 2 left."}
    with pytest.raises(QuotaExceededError, match="Only 2 left") as caught:
        await client.upload(paths)
    error = caught.value
    assert (error.available, error.limit, error.partial_results) == (2, 300, [])
    assert server.body_bytes == 0
    # What is there already costs nothing.
    server.can_proceed = True
    await client.upload(paths)
    server.can_proceed = False
    assert (await client.upload(paths)).succeeded_count == 6


async def test_quota_in_the_middle(server: FakeServer, client: AionVision, photos: Photos) -> None:
    server.quota = {"max_concurrent_uploads": 1}
    body = {"error": {"code": "USAGE_LIMIT_EXCEEDED", "message": "Full.", "details": {"limit": 40}}}

    def strike(event: AionVision.FileCompleteEvent) -> None:
        if event.file_index == 39:
            server.fault("/stream-batch", times=99, status=403, body=body)

    with pytest.raises(QuotaExceededError, match="Full") as caught:
        await client.upload(photos(100), on_file_complete=strike)
    assert caught.value.partial_results is not None
    assert len(caught.value.partial_results) == 40
    assert caught.value.limit == 40


async def test_a_request_that_is_too_large_is_halved(
    server: FakeServer, client: AionVision, photos: Photos
) -> None:
    server.quota = {"max_batch_size": 50}  # says 50, takes 20
    assert (await client.upload(photos(90))).succeeded_count == 90


async def test_large_files_among_small_ones(
    server: FakeServer, client: AionVision, photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (batch, senders):
        monkeypatch.setattr(module, "STREAM_LIMIT", 1000)
    paths = photos(9)
    for path in paths[2:4]:
        path.write_bytes(os.urandom(5000))
    results = await client.upload(paths)
    assert results.succeeded_count == 9
    assert len(server.presigned) == 2


async def test_callbacks_may_be_async(
    server: FakeServer, client: AionVision, photos: Photos
) -> None:
    seen = []

    async def note(event: AionVision.FileCompleteEvent) -> None:
        await asyncio.sleep(0)
        seen.append(event.file_index)

    await client.upload(photos(8), on_file_complete=note)
    assert sorted(seen) == list(range(8))


async def test_callbacks_that_raise_break_nothing(
    server: FakeServer, client: AionVision, photos: Photos, caplog: pytest.LogCaptureFixture
) -> None:
    def boom(event: object) -> None:
        raise RuntimeError("boom")

    recorder = Recorder()
    options = recorder.options() | {"on_progress": boom, "on_description_progress": boom}
    with caplog.at_level(logging.ERROR, "aion"):
        results = await client.upload(photos(30), **options)
    assert results.succeeded_count == 30
    assert len(recorder["file_complete"]) == 30
    assert caplog.text.count("is reported once") == 1


@pytest.mark.parametrize("offered", [True, False])
async def test_events(
    offered: bool, server: FakeServer, photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With events, hardly a poll is needed."""
    server.events, server.describe_after = offered, 0.3
    interval = 600 if offered else 0.1
    async with AionVision(KEY, base_url=server.url, polling_interval=interval) as client:
        results = await asyncio.wait_for(client.upload(photos(30)), PATIENCE)
    assert results.succeeded_count == 30
    assert server.count("/events") >= 1


async def test_sessions_that_list_only_what_is_described(
    server: FakeServer, client: AionVision, photos: Photos
) -> None:
    server.list_processing, server.describe_after = False, 60
    recorder = Recorder()
    paths = photos(30)
    results = await asyncio.wait_for(
        client.upload(paths, wait_for_descriptions=False, **recorder.options()), PATIENCE
    )
    assert results.pending_count == 30
    assert len({r.image_id for r in results}) == len(recorder["file_complete"]) == 30
    for path, result in zip(paths, results, strict=True):
        assert server.images[result.image_id].filename == path.name
    server.describe_after = 0.3
    assert (await client.upload(photos(*(f"n{n}.jpg" for n in range(30))))).succeeded_count == 30


async def test_upload_batch(server: FakeServer, client: AionVision, photos: Photos) -> None:
    results = await client.uploads.upload_batch(
        photos(6), storage_target="default", verification_level="thorough"
    )
    assert results.succeeded_count == 6
    assert server.fields[-1]["verification_level"] == "thorough"
    with pytest.raises(ValidationError, match="intent"):
        await client.uploads.upload_batch(photos(1), intent="rules")


async def test_a_thousand_files(server: FakeServer, client: AionVision, photos: Photos) -> None:
    """Counted exactly; the requests are real, the files are small."""
    server.max_batch_size, server.confidence_in_session = 50, True
    server.describe_after = 0.5
    paths = photos(1_000)
    recorder = Recorder()
    results = await client.upload(paths, **recorder.options())
    assert (
        results.succeeded_count == len(server.images) == len({r.image_id for r in results}) == 1_000
    )
    assert [r.filename for r in results] == [p.name for p in paths]
    assert set(recorder.counts().values()) == {1_000}


async def test_no_file_is_forgotten_by_the_session(
    server: FakeServer, client: AionVision, photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "LISTING_TIMEOUT", 0.2)
    original = server._items
    monkeypatch.setattr(server, "_items", lambda session: original(session)[:-1])
    server.offers.discard("duplicates")
    results = await client.upload(photos(8), raise_on_failure=False)
    assert (results.succeeded_count, results.failed_count) == (7, 1)
    assert results.failed()[0].description_is_retryable
    with pytest.raises(UploadError) as caught:
        await client.upload([*photos(1), *photos(*(f"n{n}.jpg" for n in range(8)))])
    assert caught.value.stage == "session_results"
    assert isinstance(client._http, Http)
