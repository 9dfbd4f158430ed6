"""Pictures of conversations: what was prepared for a backend is made once, while there is room."""

from __future__ import annotations

import base64
import io
import uuid
from typing import Any

import pytest
from PIL import Image
from tests import bombs

from ocelli.domain.chat import PictureRef
from ocelli.domain.chat_errors import ImageTooLarge
from ocelli.domain.ports_chat import PictureLimits
from ocelli.usecases import chat_pictures
from ocelli.usecases.chat_pictures import PictureLoader
from ocelli.usecases.decoders import DecoderPool

DECODERS = DecoderPool(max_pixels=100, budget=10**8)


def picture(shade: int) -> PictureRef:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, shade, shade)).save(stream, "PNG")
    url = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    return PictureRef(url, "messages[0].content[0].image_url", 0, 0)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Which were prepared, in order."""
    made: list[bytes] = []

    def sanitized(data: bytes, **_: Any) -> bytes:
        made.append(data)
        return data

    monkeypatch.setattr(chat_pictures, "sanitized", sanitized)
    return made


async def test_what_was_used_longest_ago_is_made_again(
    made: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (picture(shade) for shade in (10, 20, 30))
    monkeypatch.setattr(chat_pictures, "PREPARED_BYTES", 2 * (len(first.url) + 250))
    loader = PictureLoader(None, DECODERS, max_bytes=10_000)  # type: ignore[arg-type]
    tenant = uuid.uuid4()

    async def prepare(*refs: PictureRef) -> int:
        before = len(made)
        await loader.prepare(tenant, refs, PictureLimits(), max_bytes=10_000)
        return len(made) - before

    assert await prepare(first) == 1
    assert await prepare(second) == 1
    assert await prepare(first) == 0
    assert await prepare(third) == 1  # in the place of the second
    assert await prepare(first) == 0
    assert await prepare(second) == 1


async def test_what_a_tenant_has_prepared_is_not_known_to_another(made: list[bytes]) -> None:
    loader = PictureLoader(None, DECODERS, max_bytes=10_000)  # type: ignore[arg-type]
    for _ in range(2):
        await loader.prepare(uuid.uuid4(), [picture(1)], PictureLimits(), max_bytes=10_000)
    assert len(made) == 2


async def test_one_that_is_larger_than_all_that_is_remembered_is_prepared_too(
    made: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_pictures, "PREPARED_BYTES", 10)
    loader = PictureLoader(None, DECODERS, max_bytes=10_000)  # type: ignore[arg-type]
    refs = [picture(1)]
    changed = await loader.prepare(uuid.uuid4(), refs, PictureLimits(), max_bytes=10_000)
    assert set(changed) == {refs[0].url}
    assert len(made) == 1


async def test_what_unpacks_to_too_much_together_is_refused_before_any_is_decoded(
    made: list[bytes],
) -> None:
    decoders = DecoderPool(max_pixels=10**8, budget=10**9)
    loader = PictureLoader(None, decoders, max_bytes=10_000)  # type: ignore[arg-type]

    def shown(count: int) -> list[PictureRef]:
        files = (bombs.gif(4000 - n, 4000) for n in range(count))
        urls = ("data:image/gif;base64," + base64.b64encode(file).decode() for file in files)
        return [PictureRef(url, f"at {n}", 0, n) for n, url in enumerate(urls)]

    for limits in (PictureLimits(), PictureLimits(fetches=True)):
        with pytest.raises(ImageTooLarge, match="unpack to more than"):
            await loader.prepare(uuid.uuid4(), shown(100), limits, max_bytes=10_000)
    with pytest.raises(ImageTooLarge, match="unpack to more than"):
        await loader.open(uuid.uuid4(), shown(100), max_bytes=10_000)
    assert made == []
    await loader.prepare(uuid.uuid4(), shown(3), PictureLimits(), max_bytes=10_000)
    assert len(made) == 3
