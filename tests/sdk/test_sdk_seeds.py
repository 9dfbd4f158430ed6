"""The programs printed in the seeds, as they are, and the same through the sync client."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.sdk.sdk_server import KEY, FakeServer

from aion import SyncAionVision

PROGRAMS = Path(os.environ.get("SEED_PROGRAMS", Path(__file__).parents[3] / "shared/seed_programs"))


@pytest.fixture
def folder(photos: object, tmp_path: Path) -> Path:
    names = "product image1 image2 photo img1 img2 img3 photos/a photos/b photos/sub/c photos/.h/d"
    photos(*(f"{name}.jpg" for name in names.split()))  # type: ignore[operator]
    (tmp_path / "photos/notes.txt").write_text("not a picture")
    return tmp_path


@pytest.mark.parametrize("program", ["s001_sdk.py", "s001_own_s3.py", "s002_sdk.py"])
def test_printed_programs(program: str, server: FakeServer, folder: Path) -> None:
    if not (PROGRAMS / program).exists():
        pytest.skip("the seed programs are not here")
    server.offers.add("custom")
    server.batch_polls = 1  # the printed program would sleep for five seconds
    s3 = {"configured": True, "bucket_name": "b", "region": "us-east-1"}
    server.answers["POST", "tenant/s3-config"] = s3
    secrets = {"S3_KEY": "k" * 16, "S3_SECRET": "s" * 20, "S3_BUCKET": "bucket"}
    url = server.url.removesuffix("/api/v2")
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning:aion", PROGRAMS / program],
        cwd=folder,
        env={**os.environ, **secrets, "OCELLI_URL": url, "OCELLI_KEY": KEY},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_the_same_without_await(server: FakeServer, folder: Path) -> None:
    seen: list[str] = []

    def on_progress(event: SyncAionVision.UploadProgressEvent) -> None:
        seen.append(f"{event.file_index}: {event.progress_percent:.1f}%")

    def on_file_complete(event: SyncAionVision.FileCompleteEvent) -> None:
        seen.append(event.result.image_id)

    with SyncAionVision(api_key=KEY, base_url=server.url, polling_interval=0.05) as client:
        one = client.upload_one(folder / "photo.jpg")
        assert one.description and one.tags and one.visible_text and one.confidence_score
        names = [folder / f"img{n}.jpg" for n in (1, 2, 3)]
        results = client.upload(names, on_progress=on_progress, on_file_complete=on_file_complete)
        assert [r.filename for r in results] == ["img1.jpg", "img2.jpg", "img3.jpg"]
        assert len(seen) == 6
        assert all((r.description or "")[:50] for r in results)
        assert len(client.upload(folder / "photos")) == 3
        assert len(client.upload(folder / "photos", recursive=False)) == 2
        assert len(client.upload(folder / "photos", include_hidden=True)) == 4
        assert len(client.upload([folder / "photos", folder / "photo.jpg"])) == 4
        presigned = client.uploads.request_presigned_url(
            filename="photo.jpg", content_type="image/jpeg", size_bytes=3
        )
        assert presigned.upload_method == "PUT"
        status = client.uploads.get_batch_status("batch_1")
        while not status.is_terminal:
            status = client.uploads.get_batch_status(batch_id="batch_1")
        assert (status.completed, status.failed, status.completion_percentage) == (2, 0, 100.0)
