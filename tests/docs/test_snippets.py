"""What pages print to be copied: it names nothing that is not there, and the Python of it runs."""

from __future__ import annotations

import ast
import asyncio
import builtins
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from tests.conftest import Server
from tests.waiting import PATIENCE

from aion import AionVision, SyncAionVision

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("guides/*.md"))]
PYTHON = re.compile(r"^ *```python\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
USED = re.compile(r"\$\{?([A-Z][A-Z_]*)")
SET = re.compile(r"^(?:export )?([A-Z][A-Z_]*)=", re.MULTILINE)
OF_THE_SYSTEM = {"HOME", "PATH", "PWD", "USER"}
# `id` would be Python's own function, and say nothing of what is wrong.
KNOWN = set(dir(builtins)) - {"id", "input", "vars"} | {"__file__"}

PYTHON_PAGES = {
    "agents.md": "# Report",
    "escalation.md": "ocelli-local",
    "guides/accessibility.md": "cup",
    "guides/shop-catalogue.md": "cup",
    "library-chat.md": "dog",
    "privacy.md": "pictures",
    "search.md": "description",
    "tenant.md": "create",
    "vocabulary.md": "animal/cat",
    "webhooks.md": "webhook.test",
    "your-words.md": "Two cups of coffee.",
}
"""Pages whose Python talks to a server by the SDK, and what it prints."""
SDK_PAGES = {
    "account": "scanner",
    "batches": "completed 2 0",
    "failures": "",
    "quick-start": "A cat",
    "sync": "A cup",
    "uploading": "1 of 1, 0 to come",
}
"""Pages in `docs/sdk` that need no bucket, and what they print."""
OF_ANOTHER_SERVER = ("ocelli.example.org", "load_dotenv")
CURL_PAGES = {
    "README.md": '"is_verified":false',
    "docs/guides/moderation.md": '"sexual":',
    "docs/library-chat.md": "No picture is from 2024.",
    "docs/search.md": '"results":[',
}
"""Pages with commands of curl, and what these print."""
OF_OTHERS = re.compile(r"example\.com|user-files/[0-9a-f]{8}")  # pictures that are not here


def blocks(page: Path) -> list[str]:
    return PYTHON.findall(page.read_text(encoding="utf-8"))


def shell(page: Path) -> list[str]:
    found = FENCED.findall(page.read_text(encoding="utf-8"))
    return [lines for language, lines in found if language in ("", "sh", "bash")]


def undefined(code: str, known: set[str]) -> set[str]:
    """The names that the code reads and neither it nor what came before it makes; adds to these."""
    nodes = list(ast.walk(ast.parse(code)))
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                known.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                known.add(name)
            case ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)):
                known.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                known |= {each.asname or each.name.partition(".")[0] for each in names}
    return {node.id for node in nodes if isinstance(node, ast.Name)} - known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_uses_no_name_that_the_page_does_not_make(page: Path) -> None:
    known = set(KNOWN)
    assert [undefined(code, known) for code in blocks(page)] == [set()] * len(blocks(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_shell_uses_no_variable_that_the_page_does_not_set(page: Path) -> None:
    known = set(OF_THE_SYSTEM)
    for lines in shell(page):
        known |= set(SET.findall(lines))
        assert set(USED.findall(lines)) <= known, lines


def test_the_checker_finds_what_is_missing() -> None:
    known = set(KNOWN)
    assert undefined("print(client.files.get(id))", known) == {"client", "id"}
    assert undefined("import a.b\nclient = a\nasync def c(d): ...", known) == set()
    assert undefined("print(client, c, d)", known) == set()


def test_every_page_with_the_sdk_is_run() -> None:
    found = {
        str(page.relative_to(DOCS))
        for page in PAGES
        if page.is_relative_to(DOCS) and any("from aion import" in code for code in blocks(page))
    }
    assert found == set(PYTHON_PAGES)


@pytest.fixture(scope="module")
def key(server: Server, photos: dict[str, Path]) -> str:
    """A key of a tenant with what the pages look for."""
    key = server.new_key("snippets")
    with SyncAionVision(key, base_url=f"{server.url}/api/v2") as client:
        client.vocabularies.import_text("categories", "kitchen/cup\nanimal/cat\n")
        titles = {"chelsea": "A cat, not a dog", "coffee": "coffee", "rocket": "passport"}
        for name, title in titles.items():
            image_id = client.upload_one(photos[name], verification_level="quick").image_id
            client.files.update(image_id, title=title)
    return key


@pytest.fixture
def folder(tmp_path: Path, photos: dict[str, Path]) -> Path:
    """The files that pages name."""
    for name in ("photos", "more-photos", "products"):
        (tmp_path / name).mkdir()
    for name in ("photo.jpg", "photos/photo.jpg", "products/4711.jpg"):
        shutil.copy(photos["coffee"], tmp_path / name)
    for name in ("cat.jpg", "a.jpg", "more-photos/cat.jpg"):
        shutil.copy(photos["chelsea"], tmp_path / name)
    shutil.copy(photos["rocket"], tmp_path / "b.jpg")
    shutil.copy(photos["camera"], tmp_path / "new.jpg")  # the one that the server does not have
    (tmp_path / "animals.txt").write_text("animal/cat\nanimal/dog\n")
    return tmp_path


@pytest.fixture
def names(server: Server, key: str, folder: Path) -> Iterator[dict[str, Any]]:
    """What a page's Python has made, in ``folder`` and with the key in the environment."""
    made: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("AIONVISION_API_KEY", key)
        patch.setenv("AIONVISION_BASE_URL", f"{server.url}/api/v2")
        yield made
    if "client" in made:
        made["client"].close()


@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_python_runs(page: str, names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    for code in blocks(DOCS / page):
        # The pages speak of a backend that a vendor has.
        ours = code.replace('"backend": "openai"', '"backend": "ocelli-local"')
        exec(compile(ours, page, "exec"), names)
    if page == "webhooks.md":
        check_verifying(names)
    assert PYTHON_PAGES[page] in capsys.readouterr().out


@pytest.mark.parametrize("page", SDK_PAGES)
def test_pages_of_the_sdk_run(
    page: str, names: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Their `await` is in an open client, as they say; a loop of its own is not."""
    found = blocks(DOCS / "sdk" / f"{page}.md")
    ours = [each for each in found if not any(word in each for word in OF_ANOTHER_SERVER)]
    with_await = [each for each in ours if not re.search(r"asyncio\.run\(|SyncAionVision", each)]
    for code in ours:
        if code not in with_await:
            exec(compile(code, page, "exec"), dict(names))

    async def run() -> None:
        async with AionVision.from_env() as client:
            made = {"client": client}
            for code in with_await:
                flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
                done = eval(compile(code, page, "exec", flags), made)
                if done is not None:
                    await done

    asyncio.run(run())
    assert SDK_PAGES[page] in capsys.readouterr().out


@pytest.mark.parametrize("page", CURL_PAGES)
def test_curl_runs(page: str, server: Server, key: str, folder: Path) -> None:
    (folder / ".ocelli").mkdir()
    (folder / ".ocelli" / "api_key").write_text(key)
    found = [each for each in shell(ROOT / page) if "curl" in each]
    lines = "".join(each for each in found if not OF_OTHERS.search(each))
    # What the command line does is run elsewhere.
    ours = re.sub(r"^ocelli .*\n", "", lines, flags=re.MULTILINE)
    ours = ours.replace("curl ", "curl --fail-with-body -sS ")
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", ours.replace("http://127.0.0.1:8000", server.url)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert CURL_PAGES[page] in done.stdout


def check_verifying(names: dict[str, Any]) -> None:
    """What the page says of verifying takes what is signed by the specification."""
    secret, body, at = names["webhook"].secret, b'{"type": "webhook.test"}', datetime.now(UTC)
    headers = {
        "webhook-id": "1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("1", at, body.decode()),
    }
    assert names["event_of"](secret, body, headers)["type"] == "webhook.test"
