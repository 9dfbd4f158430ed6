"""HEIC, AVIF, TIFF and BMP through every surface that takes pictures, on the shared server."""

from __future__ import annotations

import base64
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image
from tests import heic
from tests.conftest import OCELLI, Server
from tests.integration.test_main_job import API, finished, get, upload
from tests.unit.test_media_pictures import exif
from tests.waiting import until


@pytest.fixture(scope="module")
def files(photos: dict[str, Path]) -> dict[str, bytes]:
    """The photo of a cup, as each format."""
    image = Image.open(photos["coffee"]).convert("RGB")
    found = {"heic": heic.grid(np.asarray(image), 256, exif=exif(taken="2024:05:17 13:45:10"))}
    for format in ("avif", "tiff", "bmp"):
        stream = io.BytesIO()
        image.save(stream, format)
        found[format] = stream.getvalue()
    return found


@pytest.mark.parametrize("format", ["heic", "avif", "tiff", "bmp"])
def test_an_upload_is_described_and_has_variants(
    server: Server, files: dict[str, bytes], format: str
) -> None:
    id = upload(server, files[format], f"cup.{format}", verification_level="quick").json()[
        "image_id"
    ]
    file = finished(server, id)
    assert file["description_status"] == "completed", file["processing_history"]
    assert "cup" in file["upload_description"].lower()
    assert (file["format"], file["content_type"]) == (format, f"image/{format}")
    assert file["dimensions"] == {"width": 600, "height": 400}
    assert file["variant_count"] == 5
    assert (file["content_created_at"] is None) == (format != "heic")
    variant = requests.get(file["thumbnail_url"], timeout=60)
    assert Image.open(io.BytesIO(variant.content)).size == (256, 171)
    original = get(server, f"/user-files/{id}/download")
    assert original.content == files[format]


@pytest.mark.parametrize("format", ["heic", "tiff"])
def test_chat_ollama_describe_and_fetch_take_them(
    server: Server, files: dict[str, bytes], format: str
) -> None:
    text = base64.b64encode(files[format]).decode()

    def post(path: str, **body: Any) -> str:
        answer = requests.post(
            f"{server.url}{path}",
            headers=server.headers,
            json={"model": "ocelli-local", "stream": False, **body},
            timeout=120,
        )
        assert answer.status_code == 200, answer.text
        return answer.text.lower()

    for url in (f"data:image/{format};base64,{text}", text):
        content = [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": url}},
        ]
        messages = [{"role": "user", "content": content}]
        assert "cup" in post("/v1/chat/completions", messages=messages)
    assert "cup" in post("/api/ollama/api/generate", prompt="What is it?", images=[text])
    assert "cup" in post(f"{API}/describe", image_base64=text, verification_level="quick")
    key = {"X-API-Key": f"Token {server.key}"}
    whole = {"file": (f"cup.{format}", files[format])}
    asked = requests.post(f"{server.url}/api/fetch", headers=key, files=whole, timeout=120).json()

    def completed() -> str | None:
        url = f"{server.url}/api/response/{asked['request_id']}"
        body = requests.get(url, headers=key, timeout=60).json()
        return json.dumps(body) if body["status"] in ("completed", "failed") else None

    assert "cup" in until(completed, every=0.2).lower()


def test_a_folder_with_other_files_says_what_it_passes_over(
    server: Server, files: dict[str, bytes], tmp_path: Path
) -> None:
    for format, data in files.items():
        (tmp_path / f"cup.{format.upper()}").write_bytes(data)
    for name in ("a.CR2", "b.cr2", "c.psd", ".hidden", "README"):
        (tmp_path / name).write_bytes(b"...")
    done = subprocess.run(
        [*OCELLI, "upload", str(tmp_path), "--server", server.url, "--key", server.key],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "4 files passed over: .cr2 2, .psd 1, without extension 1\n" in done.stderr
    assert "4 succeeded" in done.stdout
