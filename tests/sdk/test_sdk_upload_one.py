"""One picture."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sdk.sdk_server import KEY, FakeServer, picture
from tests.waiting import PATIENCE

from aion import (
    AionVision,
    AionvisionTimeoutError,
    DescriptionError,
    DescriptionStatus,
    QuotaExceededError,
    UploadError,
    ValidationError,
)
from aion import _senders as senders
from aion._bodies import Multipart

Photos = Callable[..., list[Path]]


async def test_with_nothing_but_three_endpoints(
    server: FakeServer, client: AionVision, photos: Photos
) -> None:
    server.offers.clear()
    server.describe_after = 0.1
    result = await client.upload_one(photos(1)[0])
    assert result.filename == "img0.jpg"
    assert result.description == "A picture named img0.jpg."
    assert (result.tags, result.visible_text) == (["cat", "sofa"], "STOP")
    assert (result.confidence_score, result.is_completed) == (0.9, True)
    assert result.object_key
    assert {p.split("/")[3] for _, p in server.seen} == {"user-files"}


async def test_fast_servers_feel_fast(server: FakeServer, photos: Photos) -> None:
    """The first polls come long before the interval is over."""
    async with AionVision(KEY, base_url=server.url, polling_interval=600) as client:
        server.describe_after = 0.3
        async with asyncio.timeout(PATIENCE):
            await client.upload_one(photos(1)[0])
            await client.upload_one(photos("b.jpg")[0])


async def test_bytes(server: FakeServer, client: AionVision) -> None:
    result = await client.upload_one(picture(), filename="x.png", wait_for_descriptions=False)
    assert (result.filename, result.is_pending, result.description) == ("x.png", True, None)
    with pytest.raises(ValidationError, match="filename"):
        await client.upload_one(picture())
    with pytest.raises(ValidationError, match="not a supported"):
        await client.upload_one(picture(), filename="x.pdf")


async def test_the_same_again_is_the_same(
    server: FakeServer, client: AionVision, photos: Photos
) -> None:
    [path] = photos(1)
    first = await client.upload_one(path)
    again = await client.upload_one(path, filename="other.jpg", wait_for_descriptions=False)
    assert (again.image_id, again.filename) == (first.image_id, "other.jpg")
    assert again.description == first.description  # although nobody waited
    assert len(server.images) == 1


async def test_large_duplicates_are_not_sent(server: FakeServer, client: AionVision) -> None:
    content = os.urandom(2**20 + 1)
    first = await client.upload_one(content, filename="a.jpg")
    sent = server.body_bytes
    again = await client.upload_one(content, filename="a.jpg")
    assert again.image_id == first.image_id
    assert server.body_bytes == sent


async def test_a_failed_description(server: FakeServer, client: AionVision, photos: Photos) -> None:
    server.fail_names = "img"
    [path] = photos(1)
    with pytest.raises(DescriptionError, match="did not answer") as caught:
        await client.upload_one(path)
    assert caught.value.status == "failed"
    assert caught.value.details["is_retryable"] is True
    result = await client.upload_one(path, raise_on_failure=False)
    assert result.image_id == caught.value.image_id
    assert result.description_error == "The model did not answer."
    assert (result.description_error_type, result.description_is_retryable) == ("vlm_error", True)


async def test_too_slow(server: FakeServer, client: AionVision, photos: Photos) -> None:
    server.describe_after = 60
    with pytest.raises(AionvisionTimeoutError, match=r"within 0\.2 s") as caught:
        await client.upload_one(photos(1)[0], description_timeout=0.2)
    last = caught.value.last_result
    assert last.is_pending
    assert last.image_id in server.images


async def test_fields(server: FakeServer, client: AionVision, photos: Photos) -> None:
    a, b, c = photos(3)
    await client.upload_one(a)
    assert server.fields[-1] == {
        "auto_describe": "true",
        "skip_duplicates": "true",
        "storage_target": "default",
    }
    await client.upload_one(b, verification_level=AionVision.VerificationLevel.CRITICAL)
    assert server.fields[-1]["verification_level"] == "critical"
    with pytest.raises(ValidationError, match="quick, standard, thorough, critical"):
        await client.upload_one(c, verification_level="best")
    with pytest.raises(ValidationError, match="No bucket"):
        await client.upload_one(c, storage_target="custom")


async def test_over_the_limit(server: FakeServer, client: AionVision, photos: Photos) -> None:
    details = {"available": 0, "limit": 300}
    body = {"error": {"code": "USAGE_LIMIT_EXCEEDED", "message": "Full.", "details": details}}
    server.fault("/stream", status=403, body=body)
    with pytest.raises(QuotaExceededError, match="Full") as caught:
        await client.upload_one(photos(1)[0])
    assert (caught.value.available, caught.value.limit) == (0, 300)


async def test_files_that_cannot_be_sent(
    client: AionVision, tmp_path: Path, server: FakeServer
) -> None:
    with pytest.raises(ValidationError, match="does not exist"):
        await client.upload_one(tmp_path / "nothing.jpg")
    with pytest.raises(ValidationError, match="folder"):
        await client.upload_one(tmp_path)
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(UploadError, match="empty") as caught:
        await client.upload_one(tmp_path / "empty.jpg")
    assert (caught.value.stage, caught.value.filename) == ("upload", str(tmp_path / "empty.jpg"))


async def test_a_file_that_shrinks_on_the_way(
    server: FakeServer, client: AionVision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(os.urandom(900_000))
    original = Multipart.pieces

    def shrinking(self: Multipart) -> object:
        os.truncate(path, 10)
        return original(self)

    monkeypatch.setattr(Multipart, "pieces", shrinking)
    with pytest.raises(UploadError, match="changed while it was being uploaded"):
        await client.upload_one(path)
    assert not server.images


async def test_above_100_mb(
    server: FakeServer, client: AionVision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "STREAM_LIMIT", 1000)
    path = tmp_path / "big.jpg"
    path.write_bytes(os.urandom(5000))
    result = await client.upload_one(path)
    assert result.is_completed
    assert server.images[result.image_id].size == 5000
    assert server.count("/stream") == 0
    [spec] = server.presigned.values()
    assert spec["content_type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("path", "stage"),
    [("request-presigned", "presigned"), ("store", "upload"), ("confirm", "confirm")],
)
async def test_stages_above_100_mb(
    path: str, stage: str, server: FakeServer, client: AionVision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "STREAM_LIMIT", 10)
    server.fault(path, status=422, times=99)
    with pytest.raises(UploadError) as caught:
        await client.upload_one(picture(), filename="big.jpg")
    assert (caught.value.stage, caught.value.filename) == (stage, "big.jpg")
    assert caught.value.details["stage"] == stage


async def test_an_address_that_expired(
    server: FakeServer, client: AionVision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "STREAM_LIMIT", 10)
    server.fault("/store", status=403)
    result = await client.upload_one(picture(), filename="big.jpg")
    assert result.description_status is DescriptionStatus.COMPLETED
    assert len(server.presigned) == 2


async def test_memory_stays_flat(server: FakeServer, client: AionVision, tmp_path: Path) -> None:
    """90 MB go through without being held: measured in this very process, server included."""
    path = tmp_path / "large.jpg"
    with path.open("wb") as file:
        for _ in range(90):
            file.write(os.urandom(2**20))
    peak = _Peak()
    await client.upload_one(path, wait_for_descriptions=False)
    assert server.body_bytes == 90 * 2**20
    assert peak.stop() < 40 * 2**20


class _Peak:
    """The most memory that is used until ``stop``, above what was used before; bytes."""

    def __init__(self) -> None:
        self.before = self.most = _resident()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()

    def _watch(self) -> None:
        while not self.done.wait(0.005):
            self.most = max(self.most, _resident())

    def stop(self) -> int:
        self.done.set()
        self.thread.join()
        return self.most - self.before


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
