"""The console as a person uses it, in a browser, against ``ocelli serve`` with real pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import Server
from tests.foreign.browser import NARROW, WIDE, Visit, overflows, serious_findings
from tests.integration.test_main_job import API, finished, noise

PHOTOS = ("astronaut", "coffee", "page", "rocket")


@pytest.fixture(scope="module")
def key(chat: Server) -> str:
    return chat.new_key("console-browser")


@pytest.fixture(scope="module")
def pictures(chat: Server, key: str, photos: dict[str, Path]) -> dict[str, str]:
    """Ids of photos by name, which are described by the local models."""
    headers = {"Authorization": f"Bearer {key}"}
    ids = {}
    for name in PHOTOS:
        answer = requests.post(
            f"{chat.url}{API}/user-files/upload/stream",
            headers=headers,
            files={"file": (photos[name].name, photos[name].read_bytes())},
            data={"providers": "local"},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        ids[name] = answer.json()["image_id"]
    for id in ids.values():
        finished(chat, id, headers=headers)
    return ids


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
    sent = requests.post(
        f"{chat.url}{API}/user-files/upload/stream",
        headers=headers,
        files={"file": ("a.png", noise(777_200))},
        data={"auto_describe": "false"},
        timeout=60,
    ).json()
    title = '<img src=x onerror="breaches.push(1)"> \u202egpj.exe \U0001f408'
    body = {"title": title}
    address = f"{chat.url}{API}/user-files/{sent['image_id']}"
    assert requests.patch(address, headers=headers, json=body, timeout=60).status_code == 200
    page = visit("/library", key=key, size=NARROW)
    assert page.locator(".tile strong").inner_text().startswith("<img src=x onerror=")
    assert overflows(page) == 0
