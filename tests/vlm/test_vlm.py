"""A model inside this process: `make test-vlm`. Skipped where transformers is not installed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

pytest.importorskip("torch", reason="pip install 'ocelli-vision[vlm]', or make test-vlm")
pytest.importorskip("transformers")

from ocelli.backends.chat.backend import ChatBackend, chat_backend
from ocelli.backends.config import BackendConfig
from ocelli.backends.plugins import BackendContext
from ocelli.backends.registry import configure
from ocelli.domain.claims import Claim
from ocelli.domain.errors import AnalysisFailed, FailureType
from ocelli.domain.questions import Question
from ocelli.media.decode import Picture, decode
from tests.upstream import scenes
from tests.vlm import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def picture() -> Picture:
    return decode(scenes.picture(3), max_pixels=10_000_000)


async def backend(model: Path, **given: Any) -> ChatBackend:
    values = {"provider": "transformers", "model": str(model), "max_tokens": 40, **given}
    config = configure("tiny", values, {})
    assert isinstance(config, BackendConfig)
    async with aiohttp.ClientSession() as session:  # which it has no use for
        return chat_backend(config, BackendContext(session))


async def test_it_is_loaded_and_speaks(folder: Path, picture: Picture) -> None:
    vlm = await backend(folder)
    found = await vlm.look(picture, Question())
    assert found.source == "tiny"
    assert found.description
    assert found.claims
    assert found.tokens.prompt > 500
    assert 0 < found.tokens.completion <= 40
    again = await vlm.look(picture, Question())
    assert again.description == found.description
    with pytest.raises(AnalysisFailed, match="gave no verdict"):
        await vlm.check(
            picture, [Claim("A cup.")], description="A cup.", question=Question(), evidence=found
        )


async def test_whoever_gives_up_stops_it(folder: Path, picture: Picture) -> None:
    endless = await backend(folder, max_tokens=6000, deadline=3.0)
    await (await backend(folder)).look(picture, Question())  # torch itself is slow at first
    with pytest.raises(AnalysisFailed) as failed:
        await endless.look(picture, Question())
    assert failed.value.type is FailureType.TIMEOUT
    look = asyncio.create_task(endless.look(picture, Question()))
    await asyncio.sleep(0.3)
    look.cancel()
    with pytest.raises(asyncio.CancelledError):
        await look


async def test_a_model_that_cannot_be_loaded(
    tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    vlm = await backend(tmp_path)
    for _ in range(2):
        with pytest.raises(AnalysisFailed, match="cannot be loaded") as failed:
            await vlm.look(picture, Question())
        assert failed.value.type is FailureType.VLM_ERROR
        assert not failed.value.retryable
        assert failed.value.__cause__ is not None
