"""Dropping pictures in a browser, as a person does it; also while processes die."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest
import requests

from tests.conftest import Server
from tests.foreign.browser import NARROW, WIDE, Visit, overflows, serious_findings
from tests.integration.test_main_job import API, noise
from tests.waiting import until

# What a browser tells of the answers that go missing while a process is killed.
LOST = ("Failed to load resource",)


@pytest.fixture(scope="module")
def key(chat: Server) -> str:
    return chat.new_key("console-drop", "--tier", "enterprise")


def files(count: int, seed: int = 0, side: int = 16) -> list[dict[str, Any]]:
    return [
        {"name": f"n{n}.png", "mimeType": "image/png", "buffer": noise(seed + n, side)}
        for n in range(count)
    ]


def summary(page: Any) -> str:
    return str(page.locator('[data-part="summary"]').inner_text())


def wait_for_summary(page: Any, text: str) -> None:
    page.locator('[data-part="summary"]').filter(has_text=text).wait_for()


def stored(chat: Server, key: str) -> int:
    """The number of pictures in the library of a key; 0 while the server does not answer."""
    headers = {"Authorization": f"Bearer {key}"}
    try:
        answer = requests.get(f"{chat.url}{API}/user-files", headers=headers, timeout=60)
    except requests.ConnectionError:
        return 0
    return int(answer.json()["total_count"]) if answer.ok else 0


@pytest.mark.parametrize(("size", "scheme"), [(NARROW, "dark"), (WIDE, "light")])
def test_each_file_says_how_far_it_is(
    visit: Visit, chat: Server, size: tuple[int, int], scheme: str
) -> None:
    page = visit(
        "/drop", key=chat.new_key(f"drop-{size[0]}-{scheme}"), size=size, color_scheme=scheme
    )
    assert serious_findings(page) == []
    assert overflows(page) == 0
    nasty = {"name": f"<b>{'x' * 240}\u202e\U0001f408.png", "mimeType": "", "buffer": noise(1)}
    text = {"name": "note.png", "mimeType": "image/png", "buffer": b"no picture at all"}
    page.get_by_label("Choose pictures").set_input_files([nasty, text])
    wait_for_summary(page, "2 of 2 done: 1 described, 1 not accepted")
    rows = page.locator(".file-list li")
    assert "<b>xxx" in rows.nth(0).inner_text()
    assert "described" in rows.nth(0).inner_text()
    assert "not accepted" in rows.nth(1).inner_text()
    assert "picture" in rows.nth(1).locator(".failure").inner_text()
    page.get_by_label("Show").select_option("failed")
    assert rows.count() == 1
    assert serious_findings(page) == []
    assert overflows(page) == 0


DROP = """([names, contents]) => {
  const transfer = new DataTransfer();
  names.forEach((name, at) => {
    const bytes = Uint8Array.from(atob(contents[at]), (letter) => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type: "image/png" }));
  });
  return transfer;
}"""


def test_dropped_pasted_and_chosen_with_the_keyboard(
    visit: Visit, chat: Server, tmp_path: Path
) -> None:
    key = chat.new_key("drop-ways")
    page = visit("/drop", key=key)
    page.get_by_label("local").check()  # which is the fastest here
    contents = [base64.b64encode(noise(100 + n, 16)).decode() for n in range(3)]
    dropped = page.evaluate_handle(DROP, [["a.png", ".hidden", "b.png"], contents])
    page.dispatch_event('[data-part="zone"]', "drop", {"dataTransfer": dropped})
    wait_for_summary(page, "2 of 2 done: 2 described")
    assert "Hidden files left out: 1." in summary(page)
    page.evaluate(
        f"""(given) => document.dispatchEvent(new ClipboardEvent("paste",
          {{ clipboardData: ({DROP})(given), bubbles: true, cancelable: true }}))""",
        [["pasted.png"], [base64.b64encode(noise(104, 16)).decode()]],
    )
    wait_for_summary(page, "3 of 3 done: 3 described")
    folder = tmp_path / "trip"
    (folder / "day one").mkdir(parents=True)
    for n in range(2):
        (folder / "day one" / f"f{n}.png").write_bytes(noise(110 + n, 16))
    page.get_by_label("Choose a folder").set_input_files(folder)
    wait_for_summary(page, "5 of 5 done: 5 described")
    page.get_by_label("Choose pictures").focus()
    for _ in range(2):  # the folder, the addresses
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "urls"
    assert stored(chat, key) == 5


def test_choices_are_kept_and_what_is_here_already_is_left_out(visit: Visit, chat: Server) -> None:
    key = chat.new_key("drop-choices")
    page = visit("/drop", key=key)
    page.get_by_label("Verification level").select_option("quick")
    page.get_by_label("Written for").select_option("alttext")
    page.get_by_label("local").check()
    page.get_by_label("Choose pictures").set_input_files(files(2, 200))
    wait_for_summary(page, "2 of 2 done: 2 described")
    page.get_by_label("Choose pictures").set_input_files(files(2, 200))
    wait_for_summary(page, "4 of 4 done: 2 described, 2 left out")
    assert stored(chat, key) == 2


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of a site with a picture."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    (tmp_path / "a b.png").write_bytes(noise(400, 16))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_by_address(visit: Visit, site: str, key: str) -> None:
    page = visit("/drop", key=key, expected=LOST)
    addresses = f"{site}/a%20b.png\nhttp://10.0.0.1/secret.png"
    page.get_by_label("Or addresses of pictures").fill(addresses)
    page.get_by_role("button", name="Fetch").click()
    wait_for_summary(page, "2 of 2 done: 1 described, 1 not accepted")


def test_many_files_neither_freeze_the_page_nor_are_lost(visit: Visit, chat: Server) -> None:
    """A list of a hundred rows, whatever there is; each arrives once, and the rest is cancelled."""
    key = chat.new_key("drop-many", "--tier", "enterprise")
    page = visit("/drop", key=key)
    page.get_by_label("local").check()  # which is the fastest here
    page.get_by_label("Choose pictures").set_input_files(files(130, 1_000, 8))
    until(lambda: stored(chat, key) == 130)
    assert page.locator(".file-list li").count() == 100
    page.get_by_role("button", name="Later").click()
    page.get_by_text("101 to 130 of 130").wait_for()
    page.get_by_role("button", name="Cancel the rest").click()
    wait_for_summary(page, "130 of 130 done")
    assert "failed" not in summary(page)
    assert "not accepted" not in summary(page)
    assert stored(chat, key) == 130


def test_what_failed_is_sent_again(visit: Visit, chat: Server, key: str) -> None:
    page = visit("/drop", key=key, expected=LOST)
    page.route("**/drop/files", lambda route: route.fulfill(status=404, body="Not just now."))
    page.get_by_label("Choose pictures").set_input_files(files(1, 300))
    wait_for_summary(page, "1 of 1 done: 1 not accepted")
    assert "Not just now." in page.locator(".file-list .failure").inner_text()
    page.unroute("**/drop/files")
    page.get_by_role("button", name="Try failed ones again").click()
    wait_for_summary(page, "1 of 1 done: 1 described")


def processes_of(server: Server, kind: str) -> list[int]:
    """The processes of a server that were started as ``kind``: api or worker."""
    found = []
    for child in psutil.Process(server.process.pid).children():
        with contextlib.suppress(psutil.Error):
            if kind in child.cmdline():
                found.append(child.pid)
    return found


def another(server: Server, kind: str, victim: int) -> set[int]:
    """The processes of this kind but the one that was killed."""
    return set(processes_of(server, kind)) - {victim}


def drop_and_kill(
    page: Any, server: Server, pictures: list[dict[str, Any]], wait: Callable[[int], object]
) -> None:
    """Choose the pictures; kill the API, then a worker, when some have come."""
    page.get_by_label("local").check()  # which is the fastest here
    page.get_by_label("Choose pictures").set_input_files(pictures)
    for kind, arrived in (("api", 1), ("worker", len(pictures) // 3)):
        wait(arrived)
        victim = processes_of(server, kind)[0]
        os.kill(victim, signal.SIGKILL)
        until(partial(another, server, kind, victim))


def test_all_arrive_once_while_the_api_and_a_worker_are_killed(visit: Visit, chat: Server) -> None:
    key = chat.new_key("drop-kills", "--tier", "enterprise")
    page = visit("/drop", key=key, expected=(*LOST, "ERR_"))
    count = 30

    def arrived(number: int) -> None:
        until(lambda: stored(chat, key) >= number)

    drop_and_kill(page, chat, files(count, 5_000), arrived)
    wait_for_summary(page, f"{count} of {count} done: {count} described")
    assert stored(chat, key) == count
