"""The page of a picture over HTTP: what it shows, and correcting it without a script."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import requests
from tests.conftest import Server
from tests.console_client import ConsoleClient, upload_as
from tests.integration.test_crashes import children
from tests.integration.test_main_job import API, finished, noise
from tests.unit.test_media_pictures import exif, quarters, saved
from tests.waiting import until

from aion import FileLocation, SyncAionVision

FIELD = re.compile(r'<input type="hidden" name="(revision|analysis_id)" value="([^"]*)">')


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    return server.new_key("console-pictures")


@pytest.fixture(scope="module")
def client(server: Server, key: str) -> ConsoleClient:
    return ConsoleClient(server, key)


@pytest.fixture(scope="module")
def coffee(server: Server, key: str, photos: dict[str, Path]) -> str:
    id = upload_as(server, key, photos["coffee"].read_bytes(), "coffee.png")
    finished(server, id, headers={"Authorization": f"Bearer {key}"})
    return id


@contextmanager
def without_workers(server: Server) -> Iterator[None]:
    """They take no job meanwhile, as when many pictures wait."""
    workers = children(server, "worker")
    assert workers
    for each in workers:
        each.suspend()
    try:
        yield
    finally:
        for each in workers:
            each.resume()


def version(page: str) -> dict[str, str]:
    return dict(FIELD.findall(page))


def details(server: Server, key: str, id: str) -> Any:
    headers = {"Authorization": f"Bearer {key}"}
    return requests.get(f"{server.url}{API}/user-files/{id}", headers=headers, timeout=60).json()


def test_what_the_page_shows(server: Server, client: ConsoleClient, key: str, coffee: str) -> None:
    page = html.unescape(client.get(f"/pictures/{coffee}").text)
    told = details(server, key, coffee)
    assert told["upload_description"].split(",")[0] in page
    for claim in told["claims"]:
        assert claim["text"] in page
    for tag in told["tags"]:
        assert f"<bdi>{tag}</bdi>" in page
    places = re.findall(r'data-place="([\d. ]+)"', page)
    assert places
    assert all(0 <= float(part) <= 100 for place in places for part in place.split())
    claim = page[: page.index("<bdi>There is a cup.")]
    cup = re.search(r'data-boxes="(box-\d+)', claim[claim.rindex("<li class") :])
    assert cup is not None
    assert re.search(rf'id="{cup[1]}"[^>]*hidden><bdi>cup<', page)
    assert f"Confidence: {told['full_descriptions'][-1]['confidence_score']:.0%}" in page


def test_a_picture_is_seen_before_a_worker_has_time_for_it(
    server: Server, client: ConsoleClient, key: str
) -> None:
    with without_workers(server):
        id = upload_as(server, key, saved(quarters(), "JPEG", exif=exif()), "waits.jpg")
        path = f"/pictures/{id}/preview"
        for page in ("/library", f"/pictures/{id}"):
            assert f'src="/console{path}"' in client.get(page).text
        seen = client.get(path)
        assert seen.headers["Content-Type"] == "image/jpeg"
        with PIL.Image.open(BytesIO(seen.content)) as picture:
            assert max(picture.size) <= 512
            assert not picture.getexif()
        stranger = ConsoleClient(server, server.new_key("console-pictures-stranger"))
        assert stranger.get(path).status_code == 404
    finished(server, id, headers={"Authorization": f"Bearer {key}"})
    until(lambda: path not in client.get("/library").text)
    with SyncAionVision(key, base_url=f"{server.url}{API}") as sdk:
        sdk.files.delete(id)
    assert client.get(path).status_code == 404


def test_the_place_of_a_photo_is_told(server: Server, client: ConsoleClient, key: str) -> None:
    photo = saved(quarters(), "JPEG", exif=exif())
    placed = upload_as(server, key, photo, "placed.jpg", auto_describe="false")
    page = client.get(f"/pictures/{placed}").text
    assert ">51.050000, 13.733333</code>" in page
    told = details(server, key, placed)
    assert told["content_location"] == {"latitude": 51.05, "longitude": 13.7333333}
    nowhere = upload_as(server, key, noise(780_300), "nowhere.png", auto_describe="false")
    assert "none is known" in client.get(f"/pictures/{nowhere}").text
    with SyncAionVision(key, base_url=f"{server.url}{API}") as sdk:
        rows = {
            each.id: each.content_location for each in sdk.files.list(ids=[placed, nowhere]).files
        }
        assert rows == {placed: FileLocation(51.05, 13.7333333), nowhere: None}
        sdk.files.delete(placed)
    assert client.get(f"/pictures/{placed}").status_code == 404


def test_words_are_kept_where_they_differ(server: Server, client: ConsoleClient, key: str) -> None:
    id = upload_as(server, key, noise(778_001))
    finished(server, id, headers={"Authorization": f"Bearer {key}"})
    before = details(server, key, id)
    page = client.get(f"/pictures/{id}").text
    sent = {
        **version(page),
        "title": "Noise",
        "description": (before["upload_description"] or "").replace("\n", "\r\n"),
        "alt_text": "",
        "tags": "\r\n".join(before["tags"]),
    }
    assert client.post(f"/pictures/{id}", sent).status_code == 303
    after = details(server, key, id)
    assert after["title"] == "Noise"
    assert set(after["authorship"]) == {"title"}
    assert client.post(f"/pictures/{id}", sent).status_code == 303  # nothing new: no conflict
    assert details(server, key, id)["revision"] == 1


def test_a_long_path_of_a_vocabulary_is_taken_over(
    server: Server, client: ConsoleClient, key: str
) -> None:
    id = upload_as(server, key, noise(780_400), "path.png", auto_describe="false")
    path = "/".join(f"{name} of a long name" for name in ("genus", "kind", "race", "strain"))
    page = client.get(f"/pictures/{id}").text
    words = {"title": "", "description": "", "alt_text": ""}
    sent = {**words, **version(page), "tags": path}
    assert client.post(f"/pictures/{id}", sent).status_code == 303
    assert details(server, key, id)["tags"] == [path]
    page = client.get(f"/pictures/{id}").text
    refused = client.post(f"/pictures/{id}", {**words, **version(page), "tags": "a" * 5_000})
    assert refused.status_code == 422


def test_the_second_of_two_is_told(server: Server, client: ConsoleClient, key: str) -> None:
    id = upload_as(server, key, noise(778_002), auto_describe="false")
    first = client.get(f"/pictures/{id}").text
    words = {"description": "", "alt_text": "", "tags": ""}
    assert client.post(f"/pictures/{id}", {**version(first), **words, "title": "One"}).ok
    second = client.post(f"/pictures/{id}", {**version(first), **words, "title": "<i>Two</i>"})
    assert second.status_code == 409
    assert "Nothing was changed" in second.text
    assert "set the title to “One”" in second.text
    assert 'value="&lt;i&gt;Two&lt;/i&gt;"' in second.text
    again = {**version(second.text), **words, "title": "<i>Two</i>"}
    assert client.post(f"/pictures/{id}", again).status_code == 303
    assert details(server, key, id)["title"] == "<i>Two</i>"


def test_claims_are_judged_and_taken_back(
    server: Server, client: ConsoleClient, key: str, coffee: str
) -> None:
    path = f"/pictures/{coffee}"
    claim = "There is a cup."

    def judge(verdict: str, **more: str) -> str:
        fields = {**version(client.get(path).text), "claim": claim, "verdict": verdict, **more}
        assert client.post(f"{path}/claims", fields).status_code == 303
        return html.unescape(client.get(path).text)

    def verdict() -> Any:
        found = [e for e in details(server, key, coffee)["claims"] if e["claim"] == claim]
        return found[0]["verdict"], found[0]["kept"]

    page = judge("rejected")
    assert verdict() == ("rejected", False)
    assert f"<s><bdi>{claim}</bdi></s>" in page
    assert "rejected it" in page
    judge("")
    assert verdict() == (None, True)
    page = judge("corrected", text="There is a white cup.")
    assert verdict() == ("corrected", True)
    assert "it said “<bdi>There is a cup.</bdi>”" in page
    undo = re.search(rf'action="/console({path}/edits/[0-9a-f-]+/undo)"', page)
    assert undo is not None
    assert client.post(undo[1]).status_code == 303
    assert verdict() == (None, True)
    for fields in ({"verdict": "nonsense"}, {"verdict": "corrected"}):
        answer = client.post(f"{path}/claims", {"claim": claim, **fields})
        assert answer.status_code == 422


def test_a_description_is_approved(server: Server, client: ConsoleClient, key: str) -> None:
    id = upload_as(server, key, noise(778_003))
    finished(server, id, headers={"Authorization": f"Bearer {key}"})
    path = f"/pictures/{id}"
    fields = {**version(client.get(path).text), "status": "approved"}
    assert client.post(f"{path}/review", fields).status_code == 303
    assert details(server, key, id)["review_status"] == "approved"
    assert "approved by" in client.get(path).text
    assert "approved</span>" in client.get("/library").text


def test_it_is_described_again(server: Server, client: ConsoleClient, key: str) -> None:
    id = upload_as(server, key, noise(778_004), auto_describe="false")
    path = f"/pictures/{id}"
    assert "It was never described." in client.get(path).text
    for fields in ({"level": "deep"}, {"level": "quick", "backend": "none"}):
        assert client.post(f"{path}/describe", fields).status_code == 422
    assert client.post(f"{path}/describe", {"level": "quick"}).status_code == 303
    finished(server, id, headers={"Authorization": f"Bearer {key}"})
    assert "described</span>" in client.get(path).text


def test_a_key_that_may_only_read_sees_no_forms(server: Server, key: str, coffee: str) -> None:
    reader = ConsoleClient(server, server.new_key("console-pictures", "--scopes", "read"))
    page = reader.get(f"/pictures/{coffee}").text
    assert f'action="/console/pictures/{coffee}' not in page
    for path, fields in (
        (f"/pictures/{coffee}", {"title": "x"}),
        (f"/pictures/{coffee}/claims", {"claim": "x", "verdict": "added"}),
        (f"/pictures/{coffee}/review", {"status": "approved"}),
        (f"/pictures/{coffee}/describe", {"level": "quick"}),
        (f"/pictures/{coffee}/delete", {}),
    ):
        answer = reader.post(path, fields)
        assert answer.status_code == 403, path
        assert "This needs a key with the scope `write`" in answer.text


def test_it_is_deleted(server: Server, client: ConsoleClient, key: str) -> None:
    id = upload_as(server, key, noise(778_005), auto_describe="false")
    assert client.post(f"/pictures/{id}/delete").status_code == 303
    assert client.get(f"/pictures/{id}").status_code == 404


def test_a_polyglot_is_never_shown_as_a_page(
    server: Server, client: ConsoleClient, key: str
) -> None:
    """A picture with markup behind its pixels, under a name of a page."""
    data = noise(778_006) + b"<html><script>alert(1)</script></html>"
    id = upload_as(server, key, data, "page.html", auto_describe="false")
    led = client.get(f"/pictures/{id}/original")
    assert led.status_code == 302
    told = details(server, key, id)
    urls = [server.url + led.headers["Location"], told["original_url"]]
    for url in urls:
        answer = requests.get(url, timeout=60)
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
    saved = requests.get(urls[0], timeout=60)
    assert saved.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "name",
    ["\u202egnp.exe", "\U0001f408" * 60 + ".png", "a" * 251 + ".png", "<b onclick=x>.png"],
)
def test_names_of_every_kind(server: Server, client: ConsoleClient, key: str, name: str) -> None:
    id = upload_as(server, key, noise(779_000 + len(name), 8), name, auto_describe="false")
    page = client.get(f"/pictures/{id}").text
    assert f"<h1><bdi>{html.escape(details(server, key, id)['original_filename'])}</bdi>" in page
    assert "onclick=x>" not in page
