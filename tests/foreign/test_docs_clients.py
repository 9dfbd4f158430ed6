"""The Python that pages print for clients of others, run but for host and key as it is."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server

DOCS = Path(__file__).parents[2] / "docs"
PYTHON = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("chat.md", "cat"),
        ("responses.md", "cat"),
        ("ollama.md", "cat"),
        ("guides/moderation.md", r"^\d(\.\d+)?(e-\d+)?$"),
    ],
)
def test_python_runs(
    page: str,
    expected: str,
    chat: Server,
    photos: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("cat.jpg", "photo.jpg"):
        shutil.copy(photos["chelsea"], tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (code,) = PYTHON.findall((DOCS / page).read_text(encoding="utf-8"))
    ours = code.replace("http://127.0.0.1:8000", chat.url)
    names: dict[str, Any] = {}
    exec(compile(ours.replace("aion_...", chat.key), page, "exec"), names)
    client = names["client"]
    getattr(client, "_client", client).close()  # Ollama's has no method for it
    assert re.search(expected, capsys.readouterr().out, re.MULTILINE)
