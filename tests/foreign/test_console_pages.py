"""The pages of jobs, usage and the like in a browser: readable, reachable, and at two widths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import Server
from tests.console_client import upload_as
from tests.foreign.browser import NARROW, WIDE, Visit, overflows, serious_findings
from tests.integration.test_main_job import API, finished, noise

SIZES = pytest.mark.parametrize(
    ("size", "scheme"), [(NARROW, "dark"), (WIDE, "light")], ids=["narrow", "wide"]
)


@pytest.fixture(scope="module")
def key(chat: Server) -> str:
    """A key of a tenant with a picture that was described, and one that failed."""
    key = chat.new_key("console-pages")
    headers = {"Authorization": f"Bearer {key}"}
    broken = noise(41_002)[:2_000] + b"\0" * 500
    contents = [("good.png", noise(41_001)), ("<b>bad.png", broken)]
    answer = requests.post(
        f"{chat.url}{API}/user-files/upload/stream-batch",
        headers=headers,
        files=[("files", each) for each in contents],
        timeout=60,
    ).json()
    for each in answer["immediate_results"]:
        finished(chat, each["image_id"], headers=headers)
    return key


def good(page: Any) -> None:
    assert serious_findings(page) == []
    assert overflows(page) == 0


@SIZES
def test_jobs(visit: Visit, key: str, size: tuple[int, int], scheme: str) -> None:
    page = visit("/jobs", key=key, size=size, color_scheme=scheme)
    good(page)
    page.get_by_role("link", name="Upload").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="What failed, and why").wait_for()
    assert "<b>bad.png" in page.locator(".file-list li").inner_text()
    good(page)


def test_failed_ones_are_repeated_and_the_page_follows(visit: Visit, key: str) -> None:
    page = visit("/jobs", key=key)
    page.get_by_role("link", name="Upload").first.click()
    button = page.get_by_role("button", name="Describe 1 failed again")
    if button.count():
        button.click()
        page.get_by_text("1 picture is described again").wait_for()
    page.get_by_role("link", name="All jobs").click()
    page.get_by_role("link", name="Batch").first.click()
    page.get_by_text("1 of 1 done").wait_for()  # the page asks again by itself


def test_jobs_read_without_scripts(visit: Visit, key: str) -> None:
    page = visit("/jobs", key=key, java_script_enabled=False)
    page.get_by_role("link", name="Upload").first.click()
    assert "<b>bad.png" in page.locator(".file-list li").inner_text()


@SIZES
def test_usage(visit: Visit, key: str, size: tuple[int, int], scheme: str) -> None:
    page = visit("/usage", key=key, size=size, color_scheme=scheme)
    good(page)
    assert page.locator("svg.plot").first.locator("rect.day").count() == 30
    assert page.locator("svg.plot rect.good").count() >= 1
    page.get_by_text("The numbers of each day").click()
    assert "1" in page.locator("details table").first.inner_text()


def test_a_key_is_made_shown_once_and_revoked(visit: Visit, chat: Server, key: str) -> None:
    page = visit("/usage", key=key)
    page.get_by_label("Name", exact=True).fill("<i>import</i>")
    page.get_by_label("It may").select_option("read")
    page.get_by_label("It ends").select_option("7")
    page.get_by_role("button", name="Make the key").click()
    secret = page.locator(".notice.good code").inner_text()
    good(page)
    headers = {"Authorization": f"Bearer {secret}"}
    address = f"{chat.url}{API}/user-files"
    assert requests.get(address, headers=headers, timeout=60).status_code == 200
    page.goto("console/usage")
    assert secret not in page.content()
    page.get_by_role("button", name="Revoke <i>import</i>").click()
    page.get_by_role("link", name="Also those that have ended").click()
    page.get_by_text("revoked").wait_for()
    assert page.get_by_role("button", name="Revoke <i>import</i>").count() == 0


@SIZES
def test_vocabulary(visit: Visit, chat: Server, size: tuple[int, int], scheme: str) -> None:
    key = chat.new_key(f"console-vocabulary-{size[0]}")
    page = visit("/vocabulary", key=key, size=size, color_scheme=scheme)
    page.get_by_text("No vocabulary yet").wait_for()
    good(page)
    page.get_by_label("Name").fill("<b>animals")
    content = b"animal/dog/terrier\nanimal/cat\n<i>plant"
    page.get_by_label("From a file").set_input_files(
        {"name": "a.txt", "mimeType": "text/plain", "buffer": content}
    )
    page.wait_for_function("document.querySelector('#content').value.length > 20")
    page.get_by_role("button", name="Import").click()
    page.get_by_text("Imported: 5 terms.").wait_for()
    good(page)
    page.get_by_label("On words").fill("terrier, <u>cat")
    page.keyboard.press("Enter")
    page.get_by_text("is its name").first.wait_for()
    assert "animal/dog/terrier" in page.locator("tbody").first.inner_text()
    good(page)
    page.get_by_role("button", name="Delete this vocabulary").click()
    page.get_by_text("Tags that were chosen from it stay.").wait_for()


@SIZES
def test_webhooks(visit: Visit, chat: Server, size: tuple[int, int], scheme: str) -> None:
    key = chat.new_key(f"console-webhooks-{size[0]}")
    page = visit("/webhooks", key=key, size=size, color_scheme=scheme)
    page.get_by_text("No webhook yet").wait_for()
    good(page)
    page.get_by_label("Address").fill("https://nowhere.invalid/a-hook")
    page.get_by_label("What it is for").fill("<b>shop")
    page.get_by_role("button", name="Register").click()
    page.get_by_text("Copy it now").wait_for()
    good(page)
    page.get_by_role("button", name="Send a test event").click()
    page.get_by_text("on its way").wait_for()
    good(page)
    page.get_by_role("link", name="All webhooks").click()
    page.get_by_role("link", name="https://nowhere.invalid/a-hook").wait_for()
    good(page)
    page.get_by_role("link", name="https://nowhere.invalid/a-hook").click()
    page.get_by_role("button", name="Delete this webhook").click()
    page.get_by_text("Deleted.").wait_for()


@SIZES
def test_privacy(
    visit: Visit, chat: Server, photos: dict[str, Path], size: tuple[int, int], scheme: str
) -> None:
    key = chat.new_key(f"console-privacy-{size[0]}")
    upload_as(chat, key, photos["coffee"].read_bytes(), "coffee.png")
    page = visit("/privacy", key=key, size=size, color_scheme=scheme)
    good(page)
    page.get_by_label("Pictures, with all that").fill("365")
    page.keyboard.press("Enter")
    page.get_by_text("after their upload: 365 days").wait_for()
    good(page)
    page.get_by_role("button", name="Erase what is older").press("Enter")
    page.get_by_text("Saved.").wait_for()
    page.get_by_role("link", name="library", exact=True).click()
    page.get_by_label("Select coffee.png").check()
    page.get_by_role("button", name="Erase for good").click()
    page.get_by_text("1 picture, with copies").wait_for()
    good(page)
    page.get_by_role("button", name="Erase 1 for good").click()
    page.get_by_text("Erased: 1 picture.").wait_for()
    good(page)


@SIZES
def test_backends(visit: Visit, chat: Server, size: tuple[int, int], scheme: str) -> None:
    page = visit("/backends", key=chat.key, size=size, color_scheme=scheme)
    if size == WIDE:  # the owner's navigation is the longest, and fits smaller windows too
        page.set_viewport_size({"width": 1280, "height": 800})
        assert page.evaluate("(e => e.scrollWidth <= e.clientWidth)(document.querySelector('nav'))")
    table = page.get_by_role("region", name="Backends").inner_text()
    assert "the local models" in table
    assert "good" in table
    assert "yes" not in page.content()  # the header of the operator's, which may be secret
    good(page)


@SIZES
def test_playground(
    visit: Visit,
    key: str,
    photos: dict[str, Path],
    size: tuple[int, int],
    scheme: str,
) -> None:
    page = visit("/playground", key=key, size=size, color_scheme=scheme)
    good(page)
    page.get_by_label("A picture", exact=True).set_input_files(photos["coffee"])
    page.get_by_label("Backend").select_option("ocelli-local")
    page.get_by_label("Verification level").select_option("quick")
    page.get_by_role("button", name="Ask").click()
    answer = page.get_by_label("Answer", exact=True)
    answer.get_by_text("cup").first.wait_for()
    answer.get_by_text("The raw look").click()
    assert '"findings"' in answer.locator("pre").first.inner_text()
    answer.get_by_text("Show me the request").click()
    shown = answer.locator(".drawer pre")
    assert '"providers": ["ocelli-local"]' in shown.nth(0).inner_text()
    assert "client.describe(" in shown.nth(1).inner_text()
    good(page)


def test_playground_without_a_picture_and_without_scripts(visit: Visit, key: str) -> None:
    page = visit("/playground", key=key, java_script_enabled=False, expected=("422",))
    page.get_by_role("button", name="Ask").click()
    assert "Choose a picture" in page.get_by_role("alert").inner_text()
    page.goto("console/playground")
    page.get_by_label("Or one of the library").select_option("good.png")
    page.get_by_label("Backend").select_option("ocelli-local")
    page.get_by_label("Verification level").select_option("quick")
    page.get_by_role("button", name="Ask").click()
    page.locator(".said").wait_for()


@SIZES
def test_compare(
    visit: Visit,
    key: str,
    photos: dict[str, Path],
    size: tuple[int, int],
    scheme: str,
) -> None:
    page = visit("/compare", key=key, size=size, color_scheme=scheme, expected=("422",))
    good(page)
    page.get_by_label("Files").set_input_files([photos["coffee"], photos["page"]])
    checked = page.locator(".ways input:checked")
    while checked.count():
        checked.first.uncheck()
    page.get_by_label("ocelli-local, quick").check()
    page.get_by_role("button", name="Compare").click()
    page.get_by_text("Choose two to 4 ways to ask").wait_for()
    page.get_by_label("good, quick").check()
    page.get_by_label("good.png").check()
    page.get_by_role("button", name="Compare").click()
    sums = page.get_by_role("region", name="What the answers come to")
    sums.get_by_text("3 of 3").nth(1).wait_for()  # the page follows by itself
    assert page.locator(".compared-picture").count() == 3
    assert page.locator(".compared-picture img").first.evaluate("image => image.decode()") is None
    table = page.get_by_role("region", name="Answers about coffee.png")
    assert table.locator("tr.differs").count() > 0
    assert "not said" in table.inner_text()
    assert "tokens" in table.inner_text()
    good(page)
    page.get_by_text("Compare others").click()
    good(page)


def test_compare_what_is_selected_without_scripts(visit: Visit, key: str) -> None:
    page = visit("/library", key=key, java_script_enabled=False)
    page.get_by_label("Select good.png").check()
    page.get_by_role("button", name="Compare").click()
    assert page.get_by_label("good.png").is_checked()
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("region", name="What the answers come to").wait_for()
