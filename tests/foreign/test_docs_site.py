"""The site of the documentation, in a browser that has no network: ``make docs`` wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tools.docs_site import complete

from tests.foreign.browser import LONGEST_WAIT

SITE = Path(__file__).parents[2] / "build" / "site"


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """The first page; the test fails if anything was asked for beyond the folder."""
    if not (SITE / "index.html").exists():
        pytest.skip("there is no site here: make docs")
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(LONGEST_WAIT * 1000)
    asked: list[str] = []
    opened = context.new_page()
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto((SITE / "index.html").as_uri())
    yield opened
    context.close()
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []


def test_searching_without_a_server(page: Any) -> None:
    page.get_by_role("textbox", name="Search").fill("kubernetes")
    found = page.locator(".md-search-result__link", has_text="Kubernetes").first
    found.click()
    page.wait_for_url("**/docs/deploy.html**")
    page.locator("h2#kubernetes").wait_for()


def test_each_section_opens(page: Any) -> None:
    sections = ("Guides", "Reference", "Explanation", "Operations", "Contributing")
    for name in sections:
        page.locator(".md-tabs").get_by_role("link", name=name, exact=True).click()
        page.locator(".md-tabs__item--active", has_text=name).wait_for()
        assert page.locator("article h1").inner_text()


def test_the_first_commands_need_no_scrolling(page: Any) -> None:
    heading = page.locator("h2#try-it")
    blocks = heading.locator("xpath=following::pre[position() <= 2]/code")
    assert blocks.count() == 2
    for block in blocks.all():
        assert block.evaluate("e => e.scrollWidth <= e.clientWidth"), block.inner_text()


def test_pages_that_are_not_listed_have_a_place() -> None:
    nav: list[dict[str, list[Any]]] = [{"Guides": ["a.md"]}, {"Explanation": ["b.md"]}]
    complete(nav, ["a.md", "b.md", "docs/new.md", "docs/decisions/0001-x.md"])
    assert nav == [
        {"Guides": ["a.md", "docs/new.md"]},
        {"Explanation": ["b.md", {"Decisions": ["docs/decisions/0001-x.md"]}]},
    ]
