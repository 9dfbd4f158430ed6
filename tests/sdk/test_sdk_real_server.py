"""The same against a server that is really one."""

from __future__ import annotations

import io
import random
from collections import Counter
from typing import Any

import pytest
from tests.conftest import Server

from aion import AionVision, SyncAionVision, ValidationError


def settings(real: Server) -> dict[str, Any]:
    return {"api_key": real.key, "base_url": f"{real.url}/api/v2"}


def photo() -> bytes:
    """A small JPEG that no other is equal to."""
    from PIL import Image

    picture = Image.frombytes("RGB", (64, 48), random.randbytes(64 * 48 * 3))
    file = io.BytesIO()
    picture.save(file, "JPEG")
    return file.getvalue()


async def test_one_and_the_same_again(real_server: Server) -> None:
    async with AionVision(**settings(real_server)) as client:
        content = photo()
        first = await client.upload_one(content, filename="a.jpg")
        assert first.is_completed
        assert first.description
        assert first.confidence_score is not None
        again = await client.upload_one(content, filename="b.jpg", wait_for_descriptions=False)
        assert (again.image_id, again.description) == (first.image_id, first.description)
        details = await client.files.get(first.image_id)
        assert details.original_filename == "a.jpg"
        assert await client.files.download(first.image_id) == content
        assert (await client.files.delete(first.image_id)).id == first.image_id


async def test_all_files_while_some_come_and_go(real_server: Server) -> None:
    async with AionVision(**settings(real_server)) as client:

        async def add() -> str:
            sent = await client.upload_one(photo(), filename="a.jpg", wait_for_descriptions=False)
            return sent.image_id

        ids = [await add() for _ in range(9)]
        for id in ids:
            await client.files.update(id, tags=["come and go"])
        seen = []
        async for file in client.files.list_all(tags=["come and go"], page_size=2):
            seen.append(file.id)
            await client.files.delete(file.id)
            late = await add()
            await client.files.update(late, tags=["come and go"])
        assert seen == ids[::-1]


async def test_not_a_picture(real_server: Server) -> None:
    async with AionVision(**settings(real_server)) as client:
        with pytest.raises(ValidationError):
            await client.upload_one(b"plain text", filename="a.jpg")
        results = await client.upload(
            [photo(), b"plain text", photo()],
            filenames=["a.jpg", "b.jpg", "c.jpg"],
            raise_on_failure=False,
        )
        assert [r.is_failed for r in results] == [False, True, False]
        assert results.summary() == "2 succeeded, 1 failed (0 retryable)"


def test_several_without_await(real_server: Server) -> None:
    photos = [photo() for _ in range(23)]
    photos[7] = photos[3]
    counts: Counter[str] = Counter()
    with SyncAionVision(**settings(real_server)) as client:
        results = client.upload(
            photos,
            filenames=[f"{n}.jpg" for n in range(23)],
            on_progress=lambda _: counts.update(["read"]),
            on_file_complete=lambda _: counts.update(["complete"]),
            on_description_progress=lambda _: counts.update(["described"]),
        )
    assert results.summary() == "23 succeeded"
    assert [r.filename for r in results] == [f"{n}.jpg" for n in range(23)]
    assert results[3].image_id == results[7].image_id
    assert counts == {"read": 23, "complete": 23, "described": 23}
