"""PhotoPrism's vision service, asked and read as PhotoPrism does."""

from __future__ import annotations

import base64
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from ocelli.api.photoprism import mapping
from ocelli.domain.analysis import Analysis, Status, VerificationLevel
from ocelli.domain.findings import Findings, Tag
from tests.chat.conftest import data_url
from tests.chat.upstream import Upstream
from tests.conftest import Server

LOCAL = "ocelli-local"
CLASSES = {"Drawing", "Hentai", "Neutral", "Porn", "Sexy"}


def ask(server: Server, type: str, body: Any, **headers: str) -> requests.Response:
    sent = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json", **headers}
    data = body if isinstance(body, bytes) else json.dumps({"stream": False, "suffix": "", **body})
    return requests.post(f"{server.url}/api/v1/vision/{type}", data=data, headers=sent, timeout=60)


def result(answer: requests.Response, type: str, id: str = "") -> tuple[Any, dict[str, Any]]:
    """What PhotoPrism reads: the one result of this type, and who answered."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body.keys() == {"id", "code", "model", "result"}
    assert (body["id"], body["code"]) == (id, 200)
    assert body["model"]["type"] == type
    assert body["result"].keys() == {type}
    return body["result"][type], body["model"]


def refused(answer: requests.Response, status: int, id: str = "") -> str:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body.keys() == {"id", "code", "error", "model"}
    assert (body["id"], body["code"], body["model"]) == (id, status, {})
    return str(body["error"])


@pytest.fixture(scope="module")
def coffee(photos: dict[str, Path]) -> str:
    return data_url(photos["coffee"].read_bytes())


def test_a_caption(chat: Server, coffee: str) -> None:
    id = str(uuid.uuid4())
    asked = {"id": id, "model": f"{LOCAL}:standard", "version": "latest", "images": [coffee]}
    caption, model = result(ask(chat, "caption", asked), "caption", id)
    assert caption["text"].startswith("A cup")  # the picture, without a word about the caption
    assert caption["source"] == "image"
    assert 0 < caption["confidence"] <= 1
    assert model["name"] == LOCAL
    assert model["version"]


def test_labels_of_crops_are_those_of_one_picture(
    chat: Server, coffee: str, photos: dict[str, Path], tmp_path: Path
) -> None:
    whole, _ = result(ask(chat, "labels", {"model": LOCAL, "images": [coffee]}), "labels")
    assert "cup" in [each["name"] for each in whole]
    crop = tmp_path / "crop.png"
    with Image.open(photos["coffee"]) as image:
        image.crop((0, 0, image.width // 2, image.height)).save(crop)
    both = [coffee, data_url(crop.read_bytes())]
    together, _ = result(ask(chat, "labels", {"model": LOCAL, "images": both}), "labels")
    names = [each["name"] for each in together]
    assert len(set(names)) == len(names)
    assert {each["name"] for each in whole} <= set(names)
    scores = [each["confidence"] for each in together]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < each["confidence"] == each["topicality"] <= 1 for each in together)


def test_safety_of_each_picture(chat: Server, coffee: str, upstream: Upstream) -> None:
    bare = coffee.partition(",")[2]
    pictures = [coffee, "data:image/jpeg;base64,!", bare, f"{upstream.url}/files/nothing"]
    judged, model = result(ask(chat, "nsfw", {"images": pictures}), "nsfw")
    assert [each["status"] for each in judged] == ["safe", "unavailable", "safe", "unavailable"]
    first, broken, *_ = judged
    assert first["score"] == first["Porn"] == pytest.approx(1 - first["Neutral"])
    assert first["score"] < first["threshold"]
    assert first.keys() & CLASSES == {"Neutral", "Porn"}
    assert broken.keys() == {"status", "reason"}
    assert model["name"] == LOCAL


def test_no_picture_that_can_be_judged(chat: Server) -> None:
    text = base64.b64encode(b"This is no picture.").decode()
    (judged,), model = result(ask(chat, "nsfw", {"images": [text]}), "nsfw")
    assert judged["status"] == "unavailable"
    assert model == {"type": "nsfw", "name": LOCAL, "version": ""}


def test_names_of_photoprisms_own_models_mean_the_default(chat: Server, coffee: str) -> None:
    asked = {"model": "nasnet", "version": "mobile-224", "images": [coffee]}
    _, model = result(ask(chat, "labels", asked), "labels")
    _, unnamed = result(ask(chat, "labels", {"images": [coffee]}), "labels")
    assert model == unnamed


def test_a_prompt_is_for_captions_by_a_backend_that_follows_it(
    chat: Server, coffee: str, upstream: Upstream
) -> None:
    upstream.asked.clear()
    prompts = {"system": "You are a poet.", "prompt": f"Rhyme about it. {uuid.uuid4()}"}
    asked = {"model": "good", "images": [coffee], **prompts}
    caption, model = result(ask(chat, "caption", asked), "caption")
    assert caption["text"]
    assert model["name"] == "good"
    sent = json.dumps(upstream.asked)
    assert prompts["system"] in sent
    assert prompts["prompt"] in sent
    upstream.asked.clear()
    result(ask(chat, "labels", asked), "labels")
    assert prompts["prompt"] not in json.dumps(upstream.asked)


def test_a_picture_by_its_address(chat: Server, upstream: Upstream) -> None:
    url = f"{upstream.url}/files/coffee"
    for asked in ({"url": url}, {"images": [url]}):
        caption, _ = result(ask(chat, "caption", {"model": LOCAL, **asked}), "caption")
        assert caption["text"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"[]", "body"),
        ({"images": []}, "Send a picture"),
        ({"images": "photo"}, "images"),
        ({"images": ["data:image/jpeg;base64,!"]}, "images.0"),
        ({"images": ["aGVsbG8="] * 2}, "one picture"),
        ({"images": ["aGVsbG8="] * 21}, "images"),
        ({"images": ["aGVsbG8="]}, "picture"),
        ({"images": ["aGVsbG8="], "prompt": "x" * 20_001}, "prompt"),
        ({"images": ["aGVsbG8="], "system": "x" * 15_000, "prompt": "x" * 15_000}, "prompt"),
    ],
)
def test_what_cannot_be_read_is_refused(chat: Server, body: Any, said: str) -> None:
    assert said in refused(ask(chat, "caption", body), 400)


def test_the_id_comes_back_with_an_error(chat: Server) -> None:
    refused(ask(chat, "labels", {"id": "7", "images": ["!"]}), 400, "7")


def test_a_key_is_needed(chat: Server, coffee: str) -> None:
    asked = {"images": [coffee]}
    refused(ask(chat, "caption", asked, Authorization="Bearer of-photoprism"), 401)
    read = chat.new_key("looker", "--scopes", "read")
    refused(ask(chat, "caption", asked, Authorization=f"Bearer {read}"), 403)


@pytest.mark.parametrize("type", ["face", "generate"])
def test_what_is_not_served(chat: Server, coffee: str, type: str) -> None:
    assert "face" in refused(ask(chat, type, {"images": [coffee]}), 501)


def test_unknown_paths_have_the_same_shape(chat: Server) -> None:
    refused(requests.get(f"{chat.url}/api/v1/vision/caption", timeout=60), 405)
    refused(requests.post(f"{chat.url}/api/v1/vision/caption/x", timeout=60), 404)


def test_a_label_without_a_score_has_none() -> None:
    findings = Findings("good", "1", tags=(Tag("cup", 0.25),))
    analysis = Analysis(
        uuid.uuid4(), uuid.uuid4(), None, "", VerificationLevel.QUICK, Status.COMPLETED,
        created_at=None,  # type: ignore[arg-type]
        findings=(findings,), tags=("word", "cup"),
    )  # fmt: skip
    labels = [each.model_dump(exclude_none=True) for each in mapping.labels([analysis])]
    assert labels == [
        {"name": "cup", "source": "image", "confidence": 0.25, "topicality": 0.25},
        {"name": "word", "source": "image"},
    ]
