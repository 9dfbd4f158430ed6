"""A browser for the console: Debian's Chromium, driven by Playwright, with axe-core.

A page of the fixture ``visit`` fails its test at any error that its console tells, and at any
breach of its policy of content.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
LONGEST_WAIT = 60  # seconds, for one thing to appear
NARROW, WIDE = (360, 740), (2560, 1440)
BREACHES = """
window.breaches = [];
addEventListener("securitypolicyviolation", (event) =>
  breaches.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
"""
Visit = Callable[..., Any]


class Watched:
    """A page, and what went wrong on it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.problems: list[str] = []
        self.expected: list[str] = []
        page.add_init_script(BREACHES)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.problems.append(str(error)))

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def check(self) -> None:
        """Fail unless every problem is one that the test provoked."""
        breaches = self.page.evaluate("window.breaches ?? []")
        unexpected = [
            each for each in self.problems if not any(text in each for text in self.expected)
        ]
        assert not breaches + unexpected


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The browser. Of a module: while it runs, no other test has an event loop of its own."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="make test-foreign installs it")
    arguments = ["--disable-dev-shm-usage"]  # containers have little of it
    arguments += ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        running.close()


@pytest.fixture(scope="module")
def site_url(chat: Server) -> str:
    """The address that people are given; behind a proxy it is another than the server's."""
    return chat.url


@pytest.fixture
def visit(browser: Any, site_url: str) -> Iterator[Visit]:
    """Open a page of the console, signed in with ``key``; the tests end with its problems.

    ``visit(path, key=..., size=(width, height), expected=[texts of problems that are meant])``
    gives Playwright's page. Further options are those of a context of Playwright.
    """
    opened: list[Watched] = []

    def open_page(
        path: str,
        *,
        key: str | None = None,
        size: tuple[int, int] = (1280, 900),
        expected: tuple[str, ...] = (),
        **options: Any,
    ) -> Any:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            ignore_https_errors=True,
            base_url=f"{site_url}/",
            **options,
        )
        context.set_default_timeout(LONGEST_WAIT * 1000)
        watched = Watched(context.new_page())
        watched.expected.extend(expected)
        opened.append(watched)
        if key is not None:
            signed_in = context.request.post("console/sign-in", form={"key": key})
            assert signed_in.ok
        watched.page.goto(f"console{path}")
        return watched.page

    yield open_page
    try:
        for each in opened:
            each.check()
    finally:
        for each in opened:
            each.page.context.close()


def serious_findings(page: Any) -> list[str]:
    """Return what axe-core finds on the page that is serious or critical."""
    if not AXE.exists():
        pytest.skip("there is no axe-core here: npm installs it with make test-foreign")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def overflows(page: Any) -> int:
    """Return by how many pixels the page is wider than its window."""
    return int(
        page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    )
