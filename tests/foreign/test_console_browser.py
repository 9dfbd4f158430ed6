"""The console as a person uses it, in a browser, against ``ocelli serve`` with real pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from ocelli.domain.findings import LOCAL
from tests.conftest import Server
from tests.console_client import upload_as
from tests.foreign.browser import NARROW, WIDE, Visit, overflows, serious_findings
from tests.integration.test_main_job import API, finished, noise
from tests.waiting import until

PHOTOS = ("astronaut", "coffee", "page", "rocket")


@pytest.fixture(scope="module")
def key(chat: Server) -> str:
    return chat.new_key("console-browser")


def described(server: Server, key: str, data: bytes, name: str) -> str:
    """Upload a picture and have the local models describe it; return its id."""
    id = upload_as(server, key, data, name, auto_describe="false")
    headers = {"Authorization": f"Bearer {key}"}
    address = f"{server.url}{API}/user-files/{id}/describe"
    body = {"providers": [LOCAL], "verification_level": "quick"}
    assert requests.post(address, headers=headers, json=body, timeout=60).status_code == 202
    finished(server, id, headers=headers)
    return id


@pytest.fixture(scope="module")
def pictures(chat: Server, key: str, photos: dict[str, Path]) -> dict[str, str]:
    """Ids of photos by name, which the local models have described."""
    return {
        name: described(chat, key, photos[name].read_bytes(), photos[name].name) for name in PHOTOS
    }


@pytest.mark.parametrize("size", [NARROW, WIDE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_signing_in(visit: Visit, key: str, size: tuple[int, int], scheme: str) -> None:
    page = visit("/library", size=size, color_scheme=scheme)
    assert serious_findings(page) == []
    assert overflows(page) == 0
    page.get_by_label("API key").fill(key)
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/library")
    page.get_by_role("heading", name="Library").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("API key").wait_for()


def test_a_wrong_key_is_told(visit: Visit) -> None:
    page = visit("/sign-in", expected=("401",))
    page.get_by_label("API key").fill("aion_" + "z" * 43)
    page.get_by_role("button", name="Sign in").click()
    assert "not known here" in page.get_by_role("alert").inner_text()


@pytest.mark.parametrize("size", [NARROW, WIDE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_library(
    visit: Visit, key: str, pictures: dict[str, str], size: tuple[int, int], scheme: str
) -> None:
    page = visit("/library", key=key, size=size, color_scheme=scheme)
    tiles = page.locator(".tile")
    assert tiles.count() == len(pictures)
    for image in tiles.locator("img").all():
        image.scroll_into_view_if_needed()
        image.evaluate("image => image.decode()")
    assert serious_findings(page) == []
    assert overflows(page) == 0


def test_searching_with_the_keyboard_alone(visit: Visit, key: str, pictures: Any) -> None:
    page = visit("/library", key=key)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # "Skip to the content"
    page.keyboard.press("Tab")
    page.keyboard.type("rocket")
    page.keyboard.press("Enter")
    page.wait_for_url("**search=rocket**")
    assert "rocket" in page.locator(".tile").first.inner_text()
    assert page.locator(".tile").count() < len(pictures)


def test_show_me_the_request(visit: Visit, key: str) -> None:
    page = visit("/library?search=rocket", key=key)
    page.get_by_text("Show me the request").click()
    shown = page.locator(".drawer pre")
    assert "search=rocket" in shown.nth(0).inner_text()
    assert "client.files.list(search='rocket'" in shown.nth(1).inner_text()
    assert serious_findings(page) == []


def test_the_library_reads_without_scripts(visit: Visit, key: str, pictures: Any) -> None:
    page = visit("/library", key=key, java_script_enabled=False)
    assert page.locator(".tile img").count() == len(pictures)
    page.get_by_label("Search").first.fill("coffee")
    page.get_by_role("button", name="Search").click()
    assert "coffee" in page.locator(".tile").first.inner_text()


def test_a_placeholder_is_painted_until_the_picture_comes(
    visit: Visit, key: str, pictures: Any
) -> None:
    page = visit("/library", key=key)
    painted = page.evaluate(
        """async () => {
          const script = document.querySelector('script[type="module"]').src;
          const { paint } = await import(script.replace("console.js", "blurhash.js"));
          const canvas = document.createElement("canvas");
          canvas.width = canvas.height = 8;
          const known = paint(canvas, document.querySelector("[data-blurhash]").dataset.blurhash);
          const pixels = new Set(canvas.getContext("2d").getImageData(0, 0, 8, 8).data);
          return [known, pixels.size > 8, paint(canvas, "none"), paint(canvas, "")];
        }"""
    )
    assert painted == [True, True, False, False]


def test_names_with_markup_are_text(visit: Visit, chat: Server) -> None:
    key = chat.new_key("console-nasty")
    headers = {"Authorization": f"Bearer {key}"}
    sent = upload_as(chat, key, noise(777_200), auto_describe="false")
    title = '<img src=x onerror="breaches.push(1)"> \u202egpj.exe \U0001f408'
    body = {"title": title}
    address = f"{chat.url}{API}/user-files/{sent}"
    assert requests.patch(address, headers=headers, json=body, timeout=60).status_code == 200
    page = visit("/library", key=key, size=NARROW)
    assert page.locator(".tile strong").inner_text().startswith("<img src=x onerror=")
    assert overflows(page) == 0


@pytest.mark.parametrize("size", [NARROW, WIDE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture(
    visit: Visit, key: str, pictures: dict[str, str], size: tuple[int, int], scheme: str
) -> None:
    page = visit(f"/pictures/{pictures['coffee']}", key=key, size=size, color_scheme=scheme)
    for summary in page.locator("summary").all():
        summary.click()
    assert serious_findings(page) == []
    assert overflows(page) == 0


def test_pointing_at_a_claim_lights_its_place(
    visit: Visit, key: str, pictures: dict[str, str]
) -> None:
    page = visit(f"/pictures/{pictures['coffee']}", key=key)
    page.locator(".stage img").evaluate("image => image.decode()")
    box = page.locator(".box", has_text="cup")
    assert not box.is_visible()
    page.locator(".claim", has_text="There is a cup.").hover()
    box.wait_for(state="visible")
    stage, place = page.locator(".stage").bounding_box(), box.bounding_box()
    share = place["width"] / stage["width"]
    assert 0.2 < share < 1  # the cup of the photo
    page.get_by_role("heading", name="File").hover()
    box.wait_for(state="hidden")
    page.locator(".claim", has_text="There is a cup.").focus()
    box.wait_for(state="visible")


def test_text_lights_where_it_was_read(visit: Visit, key: str, pictures: dict[str, str]) -> None:
    page = visit(f"/pictures/{pictures['page']}", key=key)
    line = page.locator(".lines li", has_text="Region-based")
    line.hover()
    page.locator(".box.text", has_text="Region-based").wait_for(state="visible")


def test_correcting_a_picture(visit: Visit, chat: Server, photos: Any) -> None:
    """As a person does it: reject, restore, write, undo; parts of the page are replaced."""
    key = chat.new_key("console-correcting")
    sent = described(chat, key, photos["coffee"].read_bytes(), "coffee.png")
    page = visit(f"/pictures/{sent}", key=key)
    page.evaluate("window.untouched = true")  # gone if the page were loaded anew
    claim = page.locator(".claim").first
    words = claim.locator("bdi").first.inner_text()
    claim.get_by_role("button", name=f"Reject: {words}").click()
    page.locator(".claim.dropped s", has_text=words).wait_for()
    claim.get_by_role("button", name=f"Take the verdict back: {words}").click()
    page.locator(".claim.dropped s", has_text=words).wait_for(state="detached")
    page.get_by_role("textbox", name="Title").fill("Breakfast")
    page.get_by_role("textbox", name="Description").fill("Coffee for one.")
    page.get_by_label("Tags, one a line").fill("coffee\nmorning")
    page.get_by_role("button", name="Save", exact=True).last.click()
    page.locator(".description", has_text="Coffee for one.").wait_for()
    assert page.locator(".tags li").all_inner_texts() == ["coffee", "morning"]
    page.get_by_text("A person's words.").wait_for()
    page.get_by_role("button", name="Undo: ").first.click()
    page.locator(".tags li", has_text="morning").wait_for(state="detached")
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("approved by").wait_for()
    assert page.evaluate("window.untouched")
    assert serious_findings(page) == []


def test_two_people_correct_one_picture(visit: Visit, chat: Server) -> None:
    key = chat.new_key("console-two")
    sent = upload_as(chat, key, noise(777_201), auto_describe="false")
    first = visit(f"/pictures/{sent}", key=key)
    second = visit(f"/pictures/{sent}", key=key, expected=("409",))
    first.get_by_role("textbox", name="Title").fill("First")
    first.get_by_role("button", name="Save", exact=True).click()
    first.get_by_text("set the title to “First”").wait_for()
    second.get_by_role("textbox", name="Title").fill("Second")
    second.get_by_role("button", name="Save", exact=True).click()
    second.get_by_role("alert").filter(has_text="set the title to “First”").wait_for()
    assert second.get_by_role("textbox", name="Title").input_value() == "Second"
    second.get_by_role("button", name="Save", exact=True).click()
    second.get_by_text("set the title to “Second”").wait_for()


def test_a_session_that_ended_leads_to_signing_in(visit: Visit, chat: Server) -> None:
    admin = chat.new_key("console-ended")
    headers = {"Authorization": f"Bearer {admin}"}
    body = {"name": "short-lived", "scopes": ["write"]}
    keys = f"{chat.url}{API}/api-keys"
    made = requests.post(keys, headers=headers, json=body, timeout=60).json()
    sent = upload_as(chat, admin, noise(777_202), auto_describe="false")
    page = visit(f"/pictures/{sent}", key=made["api_key"])
    requests.delete(f"{chat.url}{API}/api-keys/{made['id']}", headers=headers, timeout=60)
    with_it = {"Authorization": f"Bearer {made['api_key']}"}
    listing = f"{chat.url}{API}/user-files"
    until(lambda: requests.get(listing, headers=with_it, timeout=60).status_code == 401)
    page.get_by_role("textbox", name="Title").fill("Too late")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("was revoked, so you were signed out").wait_for()


def test_selecting_several_pictures(visit: Visit, chat: Server) -> None:
    key = chat.new_key("console-selecting")
    for number in range(3):
        upload_as(chat, key, noise(777_300 + number), f"n{number}.png", auto_describe="false")
    page = visit("/library?order=title", key=key)
    page.get_by_label("Select n0.png").check()
    page.get_by_text("1 selected").wait_for()
    page.get_by_role("button", name="Select all").click()
    page.get_by_text("3 selected").wait_for()
    assert serious_findings(page) == []
    page.get_by_label("Tags to add").fill("holiday")
    page.get_by_role("button", name="Tag", exact=True).click()
    page.get_by_text("3 pictures got the tags.").wait_for()
    page.get_by_label("Select n1.png").check()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("1 picture was deleted.").wait_for()
    assert page.locator(".tile").count() == 2
    page.get_by_label("Select n2.png").check()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export").click()
    assert '"holiday"' in Path(saved.value.path()).read_text(encoding="utf-8")


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_reviewing_with_keys(
    visit: Visit, chat: Server, photos: Any, size: tuple[int, int]
) -> None:
    key = chat.new_key(f"console-review-{size[0]}")
    for name in ("coffee", "rocket"):
        described(chat, key, photos[name].read_bytes(), f"{name}.png")
    page = visit("/review", key=key, size=size)
    page.get_by_text("2 descriptions wait").wait_for()
    assert serious_findings(page) == []
    assert overflows(page) == 0
    page.keyboard.press("n")
    page.wait_for_url("**/review?cursor=*")
    page.keyboard.press("c")
    page.get_by_role("textbox", name="Description").fill("")
    page.keyboard.type("An accurate account.")  # its letters are no keys here
    page.get_by_role("button", name="Save and accept").click()
    page.get_by_text("1 description waits").wait_for()
    page.get_by_role("link", name="begin with the most doubtful").click()
    page.get_by_text("It waits because").wait_for()
    page.keyboard.press("a")
    page.get_by_text("Nothing waits for review").wait_for()
    page.goto("console/library")
    assert page.get_by_text("approved").count() == 2


def test_the_open_page_is_in_sight_and_actions_wait_for_a_choice(
    visit: Visit, chat: Server
) -> None:
    key = chat.new_key("console-narrow")
    upload_as(chat, key, noise(777_400), "a_name_that_is_long.png", auto_describe="false")
    page = visit("/privacy", key=key, size=NARROW)
    here = page.get_by_role("navigation").get_by_role("link", name="Privacy").bounding_box()
    assert 0 <= here["x"] <= here["x"] + here["width"] <= NARROW[0]
    page.goto("console/library")
    export = page.get_by_role("button", name="Export")
    assert not export.is_visible()
    assert page.get_by_text("Nothing selected").is_visible()
    page.get_by_label("Select a_name_that_is_long.png").check()
    page.get_by_text("1 selected").wait_for()
    assert export.is_visible()
    bar = page.locator(".selection").bounding_box()
    assert bar["y"] + bar["height"] <= NARROW[1]  # in sight, wherever the page is
    assert overflows(page) == 0
    assert serious_findings(page) == []
