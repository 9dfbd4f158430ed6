"""The pages about the SDK: their Python is checked by mypy, the reference is what is generated."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from docs.generate import RESOURCES, SDK_TARGET, markdown, sdk_reference

import aion

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/sdk"
PAGES = sorted(set(FOLDER.glob("*.md")) - {SDK_TARGET})
TASKS = {"account", "quick-start", "uploading", "batches", "failures", "own-s3", "sync"}
PYTHON = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(page: Path) -> list[str]:
    return PYTHON.findall(page.read_text(encoding="utf-8"))


def test_there_is_a_page_for_each_task_and_all_are_linked() -> None:
    assert {page.stem for page in PAGES} == TASKS
    first = (FOLDER / "quick-start.md").read_text(encoding="utf-8")
    assert all(f"]({name}.md)" in first for name in (TASKS | {"reference"}) - {"quick-start"})
    assert "](docs/sdk/quick-start.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_reference_is_up_to_date() -> None:
    assert SDK_TARGET.read_text(encoding="utf-8") == sdk_reference(), "python -m docs.generate"


def test_the_reference_names_everything_that_is_public() -> None:
    text = SDK_TARGET.read_text(encoding="utf-8")
    missing = [name for name in aion.__all__ if f"`{name}`" not in text]
    missing += [
        f"client.{name}.{method}"
        for name, resource in RESOURCES.items()
        for method in vars(resource)
        if not method.startswith("_") and f"### `client.{name}.{method}`" not in text
    ]
    assert missing == []


def test_every_block_of_the_reference_compiles() -> None:
    for code in blocks(SDK_TARGET):
        compile(code, "reference.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where mypy keeps what it has found out about the SDK."""
    return tmp_path_factory.mktemp("mypy")


def test_every_block_uses_only_names_that_exist(tmp_path: Path, known: Path) -> None:
    files = []
    for page in PAGES:
        assert blocks(page), page.name
        files.append(tmp_path / f"{page.stem.replace('-', '_')}.py")
        files[-1].write_text(program(blocks(page)))
    assert mypy(tmp_path, known, files) == ""
    assert [name for page in PAGES for code in blocks(page) for name in unknown(code)] == []


def test_the_checker_finds_what_does_not_exist(tmp_path: Path, known: Path) -> None:
    assert unknown("from aion import AionVision, UploadOne") == ["aion.UploadOne"]
    wrong = [
        'print((await client.upload_one("photo.jpg")).caption)',
        'await client.upload("photos/", retries=3)',
        "print(nothing)",
    ]
    file = tmp_path / "wrong.py"
    file.write_text(program(wrong))
    found = mypy(tmp_path, known, [file])
    assert all(word in found for word in ("caption", "retries", "nothing")), found


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ("One\nline.", "One line."),
        (
            "Like this::\n\n    a = 1\n\n    b = 2\n\nEnd.",
            "Like this:\n\n```python\na = 1\n\nb = 2\n```\n\nEnd.",
        ),
        (
            "Do.\n\nArgs:\n    a: ``x`` or\n        y.\n    b: :meth:`go`.\n\n"
            "Returns:\n    A list.",
            "Do.\n\n**Arguments**\n\n- `a`: `x` or y.\n- `b`: `go`.\n\n**Returns** A list.",
        ),
        ("Do.\n\n>>> 1 + 1\n2", "Do.\n\n```pycon\n>>> 1 + 1\n2\n```"),
    ],
)
def test_docstrings_become_markdown(doc: str, expected: str) -> None:
    assert markdown(doc) == expected


def unknown(code: str) -> list[str]:
    """Imports of what is not there: mypy believes `aion`, which looks names up when asked."""
    return [
        f"{node.module}.{item.name}"
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.ImportFrom) and node.module
        for item in node.names
        if not hasattr(importlib.import_module(node.module), item.name)
    ]


def program(blocks: list[str]) -> str:
    """A page as a function that is given an open client: blocks build on those before them."""
    body = textwrap.indent("\n".join(blocks), "    ")
    return f"from aion import AionVision\n\nasync def page(client: AionVision) -> None:\n{body}"


def mypy(folder: Path, cache: Path, files: list[Path]) -> str:
    """Its complaints; an empty text if there are none."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--config-file=", "--check-untyped-defs"),
            *("--allow-redefinition", "--no-error-summary", "--follow-imports=silent"),
            *(f"--cache-dir={cache}", *map(str, files)),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=folder,
    )
    return (done.stdout + done.stderr).strip()
