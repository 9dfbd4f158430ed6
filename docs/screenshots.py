"""Write the pictures of ``docs/console``: ``python -m docs.screenshots``.

It starts a server of its own, with photos of scikit-image that are CC0 or in the public domain, and
needs Chromium and what ``make test-foreign`` installs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ocelli.cli.demo import sample_photos
from ocelli.console.navigation import ENTRIES

FOLDER = Path(__file__).with_name("console")
SIZE = {"width": 1280, "height": 800}
# By others, under licences that ask for their names.
OTHERS = ("china", "flower", "motorcycle_left")


def main() -> None:
    """Upload the photos, wait for their descriptions, and take a picture of each page."""
    from playwright.sync_api import sync_playwright

    photos = [str(photo) for photo in sample_photos() if photo.stem not in OTHERS]
    ocelli = [sys.executable, "-m", "ocelli"]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # root's Postgres runs as another user
        data = Path(folder) / "data"
        serve = [*ocelli, "serve", "--data", str(data), "--port", "0"]
        with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
            try:
                lines = dict(_announced(server))
                subprocess.run([*ocelli, "upload", *photos, "--data", str(data)], check=True)
                with sync_playwright() as playwright:
                    browser = playwright.chromium.launch(
                        executable_path=shutil.which("chromium"), args=["--no-sandbox"]
                    )
                    _take(browser.new_page(viewport=SIZE), lines["console"], lines["ready"])
                    browser.close()
            finally:
                server.terminate()


def _announced(server: subprocess.Popen[str]) -> Any:
    """Yield the first two words of each line until the server is ready."""
    assert server.stdout is not None
    for line in server.stdout:
        first, _, rest = line.partition(" ")
        yield first, rest.split()[0] if rest.split() else ""
        if first == "ready":
            return


def _take(page: Any, link: str, address: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    page.goto(link)
    page.get_by_role("button", name="Sign in").click()
    for entry in ENTRIES:
        page.goto(f"{address}/console{entry.path}")
        if entry.path in _ASK:
            _ASK[entry.path](page)
        _save(page, entry.path.strip("/").replace("/", "-"))
    page.goto(f"{address}/console/library?search=cup")
    page.locator(".tile-link").first.click()
    page.locator(".claim[data-boxes]").first.hover()
    _save(page, "picture")


def _ask_in_playground(page: Any) -> None:
    page.get_by_label("Or one of the library").select_option("coffee.png")
    page.get_by_role("button", name="Ask").click()
    page.locator(".said").wait_for()


def _compare(page: Any) -> None:
    for name in ("coffee.png", "astronaut.png"):
        page.get_by_label(name).check()
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/compare?batch=*")
    page.get_by_text("This page follows").wait_for(state="detached")


def _erase(page: Any) -> None:
    page.get_by_role("link", name="library", exact=True).click()
    page.get_by_label("Select camera.png").check()
    page.get_by_role("button", name="Erase for good").click()
    page.get_by_role("button", name="Erase 1 for good").click()
    page.get_by_role("heading", name="Receipts").wait_for()


_ASK = {"/playground": _ask_in_playground, "/compare": _compare, "/privacy": _erase}


def _save(page: Any, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=FOLDER / f"{name}.jpg", type="jpeg", quality=80)
    print(FOLDER.name, name)


if __name__ == "__main__":
    main()
