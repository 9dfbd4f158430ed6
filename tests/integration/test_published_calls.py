"""The calls of the programs that the vendor publishes, for pictures, against a real server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import Server
from tests.waiting import until

from aion import AionVision, SyncAionVision
from aion.exceptions import AionvisionError, AuthenticationError, ResourceNotFoundError, UploadError
from aion.types.callbacks import (
    DescriptionFailedEvent,
    DescriptionProgressEvent,
    FileCompleteEvent,
    UploadProgressEvent,
)
from ocelli.cli.demo import sample_photos

PHOTOS = [path for path in sample_photos() if path.stem in ("coffee", "chelsea")]


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    return server.new_key(f"published-{uuid.uuid4()}")


@pytest.fixture
def client(server: Server, key: str) -> Iterator[SyncAionVision]:
    with SyncAionVision(api_key=key, base_url=server.url) as opened:
        yield opened


async def test_uploads_with_events(server: Server, key: str) -> None:
    seen: list[str] = []

    def on_progress(event: UploadProgressEvent) -> None:
        seen.append(f"prepared {event.filename} {event.total_bytes > 0}")

    def on_file(event: FileCompleteEvent) -> None:
        seen.append(f"arrived {event.result.filename}")

    def on_description(event: DescriptionProgressEvent) -> None:
        seen.append(f"described {event.completed_count} of {event.total_count}")

    def on_failure(event: DescriptionFailedEvent) -> None:
        seen.append(f"failed {event.error_message}")

    async with AionVision(api_key=key, base_url=server.url) as client:
        results = await client.upload(
            PHOTOS,
            on_progress=on_progress,
            on_file_complete=on_file,
            on_description_progress=on_description,
            on_description_failed=on_failure,
        )
        assert [result.filename for result in results] == [path.name for path in PHOTOS]
        assert all(result.description and result.tags for result in results)
        assert {f"arrived {path.name}" for path in PHOTOS} <= set(seen)
        assert {f"prepared {path.name} True" for path in PHOTOS} <= set(seen)
        assert "described 2 of 2" in seen
        again = await client.upload(PHOTOS, raise_on_failure=False)
        assert not again.has_failures
        assert again.failed() == again.retryable() == []
        named = await client.upload_one(
            PHOTOS[0].read_bytes(), filename="mine.jpg", wait_for_descriptions=False
        )
        assert named.image_id == results[0].image_id, "the same bytes"


def test_files_are_listed_read_changed_and_deleted(client: SyncAionVision) -> None:
    one, two = client.upload(PHOTOS)
    everything = client.files.list(limit=20, offset=0, sort_by="created_at", sort_order="desc")
    assert {one.image_id, two.image_id} == {each.id for each in everything.files}
    assert client.files.list(search="infrastructure").total_count == 0
    details = client.files.get(file_id=one.image_id)
    assert details.original_filename == PHOTOS[0].name
    assert [each.description for each in details.full_descriptions] == [details.upload_description]
    assert (details.page_count, details.crawled_at) == (None, None), "it is a picture"
    client.files.update(file_id=one.image_id, title="A title", tags=["urgent", "checked"])
    changed = client.files.get(file_id=one.image_id)
    assert (changed.title, changed.tags) == ("A title", ["urgent", "checked"])
    assert PHOTOS[1].name in client.files.delete(file_id=two.image_id).message
    done = client.files.batch_delete(file_ids=[one.image_id, str(uuid.uuid4())])
    assert (done.summary["deleted"], done.summary["total"]) == (1, 2)


def test_colours_are_read_and_searched(client: SyncAionVision) -> None:
    image_id = client.upload_one(PHOTOS[0]).image_id
    client.colors.extract(image_id, n_colors=6, force=True)
    until(lambda: client.colors.get(image_id).is_completed)
    found = client.colors.get(image_id)
    assert found.color_analysis is not None
    first = found.color_analysis.dominant_colors[0]
    analytics = found.color_analysis.analytics
    assert analytics is not None
    assert analytics.brightness.category in ("dark", "medium", "light")
    assert analytics.saturation.category in ("muted", "medium", "vivid")
    hits = client.colors.search(hex_code=first.hex)
    assert image_id in {each.image_id for each in hits.results}
    assert client.colors.search(color_family=first.family).total_count >= 1
    assert {family.name for family in client.colors.list_families()} >= {"earth_tone", "warm"}
    queued = client.colors.batch_extract(image_ids=[image_id], force=True, n_colors=6)
    assert queued.queued_count == 1


async def test_errors_are_caught_by_class(server: Server, key: str, tmp_path: Path) -> None:
    with pytest.raises(AuthenticationError):
        async with AionVision(api_key="aion_" + "x" * 30, base_url=server.url) as stranger:
            await stranger.files.list()
    async with AionVision(api_key=key, base_url=server.url) as client:
        with pytest.raises(AionVision.ResourceNotFoundError) as missing:
            await client.files.get(file_id=str(uuid.uuid4()))
        assert missing.value.details["resource_type"] == "File"
        assert isinstance(missing.value, ResourceNotFoundError | AionvisionError)
        assert missing.value.status_code == 404
        empty = tmp_path / "no photos"
        empty.mkdir()
        (empty / "broken.jpg").write_bytes(b"no picture")
        with pytest.raises(UploadError) as refused:
            await client.upload(empty)
        assert refused.value.stage == refused.value.details["stage"]
        assert refused.value.session_id == refused.value.details["session_id"]
