"""/api/fetch as its clients use it: every spelling, every state, every message."""

from __future__ import annotations

import base64
import functools
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from PIL import Image
from tests.conftest import Server, ocelli, reachable, start_server
from tests.integration.test_crashes import children
from tests.integration.test_frozen_database import frozen
from tests.unit.test_frames import video
from tests.waiting import until

from ocelli.settings import Settings
from ocelli.wiring.installation import database_for_command

PROGRAMS = Path(os.environ.get("SEED_PROGRAMS", Path(__file__).parents[3] / "shared/seed_programs"))
TIMEOUT = 60
ECHO = {
    "request_id", "user_id", "urls", "files", "file_names", "features", "backends", "role",
    "tag_score", "capture_interval", "max_frames", "status",
}  # fmt: skip


class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, photos: dict[str, Path]) -> Iterator[str]:
    """Pictures on loopback."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("chelsea", "rocket", "coffee", "page", "astronaut"):
        if name in photos:
            shutil.copy(photos[name], folder / f"{name}.img")
    (folder / "login.png").write_text("<!doctype html><p>Log in")
    (folder / "clip.mp4").write_bytes(video(seconds=3))
    (folder / "broken.mp4").write_bytes(video(seconds=3)[:500])
    (folder / "unnamed").write_bytes(video("mkv", seconds=2))
    handler = functools.partial(Files, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture(scope="module")
def fetching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may go to loopback."""
    data = reachable(tmp_path_factory.mktemp("fetching")) / "data"
    running = start_server(data, "--workers", "2", OCELLI_FETCH_ALLOW="127.0.0.0/8")
    yield running
    running.stop()
    assert running.process.stdout is not None
    running.process.stdout.close()


@pytest.fixture(scope="module")
def key(fetching: Server) -> str:
    return fetching.new_key("fetcher", "--credits", "5000")


def post(server: Server, key: str, body: Any = None, **options: Any) -> requests.Response:
    headers = {"X-API-Key": f"Token {key}", **options.pop("headers", {})}
    if body is not None:
        options["data"] = body if isinstance(body, bytes | str) else json.dumps(body)
    return requests.post(f"{server.url}/api/fetch", headers=headers, timeout=TIMEOUT, **options)


def poll(server: Server, key: str, id: str) -> requests.Response:
    headers = {"X-API-Key": f"Token {key}"}
    return requests.get(f"{server.url}/api/response/{id}", headers=headers, timeout=TIMEOUT)


def ended(server: Server, key: str, accepted: dict[str, Any]) -> dict[str, Any]:
    """Poll as clients do; states in between are checked on the way."""
    assert accepted["status"] == "queued", accepted
    assert accepted["success"] is True
    assert accepted["response_uri"] == f"{server.url}/api/response/{accepted['request_id']}"
    assert set(accepted) == {*ECHO, "success", "response_uri"}

    def final() -> dict[str, Any] | None:
        answer = poll(server, key, accepted["request_id"])
        assert answer.status_code == 200
        body: dict[str, Any] = answer.json()
        if body["status"] == "processing":
            assert set(body) == ECHO
            return None
        assert not {"response_uri", "success", "message"} & set(body)
        return body

    return until(final, every=0.1)


def ask(server: Server, key: str, body: Any) -> dict[str, Any]:
    answer = post(server, key, body)
    assert answer.status_code == 200, answer.text
    return ended(server, key, answer.json())


def credits(server: Server, key: str) -> int:
    answer = requests.get(f"{server.url}/api/credits", headers={"X-API-Key": key}, timeout=TIMEOUT)
    assert set(answer.json()) == {"credits"}
    return int(answer.json()["credits"])


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def distinct(count: int, photo: Path) -> list[bytes]:
    """Pictures that nobody has seen: known ones are answered from memory."""
    whole = Image.open(photo).convert("RGB")
    found = []
    for number in range(count):
        file = io.BytesIO()
        whole.crop((number, number, 200 + number, 150 + number)).save(file, "PNG")
        found.append(file.getvalue())
    return found


def test_one_picture_is_answered_at_once(fetching: Server, key: str, site: str) -> None:
    before = credits(fetching, key)
    answer = post(fetching, key, {"url": f"{site}/chelsea.img?x=1&y=%20", "tag_score": 0.2})
    body = answer.json()
    assert answer.status_code == 200
    assert set(body) == {*ECHO, "credits_paid", "credits", "all"}
    assert body["status"] == "completed"
    assert body["credits_paid"] == 2
    assert body["credits"] == before - 2 == credits(fetching, key)
    assert body["all"]["errors"] == []
    (asset,) = body["all"]["assets"]
    assert asset["name"] == f"{site}/chelsea.img?x=1&y=%20"
    assert "cat" in asset["descriptions"][0]["description"].lower()
    assert asset["descriptions"][0]["source"] == "ocelli-local"
    scores = [entries[0]["score"] for entries in asset["tags"].values()]
    assert scores == sorted(scores, reverse=True)
    assert all(entries[0]["name"] == name for name, entries in asset["tags"].items())
    color, entries = next(iter(asset["colors"].items()))
    assert entries[0]["hex"] == color == color.lower()
    assert {"red", "green", "blue", "score", "pixel_fraction"} < set(entries[0])
    assert {entry["label"] for entry in asset["nsfw"]} == {"sfw", "nsfw"}
    assert (asset["brands"], asset["texts"]) == ({}, [])
    again = poll(fetching, key, body["request_id"])
    assert again.json() == body


def test_texts_and_faces_have_places_in_pixels(fetching: Server, key: str, site: str) -> None:
    asked = {"url": f"{site}/page.img", "feature": ["texts", "faces"]}
    (asset,) = post(fetching, key, asked).json()["all"]["assets"]
    assert set(asset) == {"name", "texts", "faces"}
    whole, *words = asset["texts"]
    assert "\n" in whole["text"]
    assert whole["text"].split()[0] == words[0]["text"]
    xs = [corner["x"] for corner in whole["bounding_poly"]["vertices"]]
    assert len(xs) == 4 and max(xs) > 100
    asked = {"url": f"{site}/astronaut.img", "feature[]": "faces"}
    (asset,) = post(fetching, key, asked).json()["all"]["assets"]
    assert set(asset["faces"][0]) == {
        "bounding_poly", "emotions", "age", "gender", "score", "source",
    }  # fmt: skip


def test_the_programs_of_the_seed(
    fetching: Server, key: str, site: str, tmp_path: Path, photos: dict[str, Path]
) -> None:
    """As printed, but for host, key and addresses."""
    if not PROGRAMS.is_dir():
        pytest.skip("the seed programs are not here")
    shutil.copy(photos["coffee"], tmp_path / "photo.jpg")
    environment = {
        **os.environ,
        "OCELLI_URL": fetching.url,
        "OCELLI_KEY": key,
        "PHOTO_URLS": f"{site}/chelsea.img {site}/rocket.img",
    }
    commands = {
        "s003_fetch.sh": ["bash"],
        "s003_fetch.py": [sys.executable],
        "s003_fetch.mjs": ["node"],
        "s003_fetch.php": ["php"],
    }
    there = {name: command for name, command in commands.items() if shutil.which(command[0])}

    def run(name: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*there[name], str(PROGRAMS / name)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    with ThreadPoolExecutor(4) as pool:
        for name, done in zip(there, pool.map(run, there), strict=True):
            assert done.returncode == 0, f"{name}: {done.stderr}"
            assert "rocket" in done.stdout, name
            assert name == "s003_fetch.sh" or "cup" in done.stdout, name


@pytest.mark.parametrize(
    "header",
    [
        {"X-API-Key": "Token {}"},
        {"X-API-Key": "{}"},
        {"x-api-key": "token {}"},
        {"Authorization": "Token {}"},
        {"Authorization": "Bearer {}"},
    ],
)
def test_keys_in_every_spelling(fetching: Server, key: str, header: dict[str, str]) -> None:
    headers = {name: value.format(key) for name, value in header.items()}
    answer = requests.post(f"{fetching.url}/api/fetch", headers=headers, json={}, timeout=TIMEOUT)
    assert answer.status_code == 400
    assert answer.json() == {"error": "File/URL params are required."}


@pytest.mark.parametrize(
    "header", [{}, {"X-API-Key": "Token aion_" + "x" * 43}, {"X-API-Key": "?"}]
)
def test_without_a_good_key_nothing_is_read(fetching: Server, header: dict[str, str]) -> None:
    for method, path in (
        ("POST", "fetch"),
        ("GET", "fetch"),
        ("GET", "credits"),
        ("GET", "response/1"),
    ):
        answer = requests.request(
            method, f"{fetching.url}/api/{path}", headers=header, data="{broken", timeout=TIMEOUT
        )
        assert (answer.status_code, answer.json()) == (401, {"error": "Access denied."})


def test_any_page_may_ask(fetching: Server, key: str) -> None:
    for path in ("fetch", "credits", f"response/{uuid.uuid4()}"):
        answer = requests.options(
            f"{fetching.url}/api/{path}", headers={"Origin": "null"}, timeout=TIMEOUT
        )
        assert answer.ok
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"
        assert "X-API-Key" in answer.headers["Access-Control-Allow-Headers"]
        assert int(answer.headers["Access-Control-Max-Age"]) > 0
    for method, path, status in (
        ("GET", "credits", 200),
        ("GET", "response/nothing", 404),
        ("DELETE", "fetch", 405),
        ("GET", "fetch/deeper", 404),
        ("POST", "fetch", 400),
    ):
        answer = requests.request(
            method, f"{fetching.url}/api/{path}", headers={"X-API-Key": key}, timeout=TIMEOUT
        )
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert status == 200 or isinstance(answer.json()["error"], str)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ("{}", 400, "File/URL params are required."),
        ("", 400, "File/URL params are required."),
        ('{"url": "", "file": []}', 400, "File/URL params are required."),
        ('{"url": null}', 400, "File/URL params are required."),
        ("{", 400, "Invalid request format."),
        ("[]", 400, "Invalid request format."),
        ("hello", 400, "Invalid request format."),
        ('"url=x"', 400, "Invalid request format."),
        ('{"url": {"a": 1}}', 400, "Invalid request format."),
        ('{"url": 7}', 400, "Invalid request format."),
        ('{"url": "\\ud800"}', 400, "Invalid request format."),
        ('{"prompt": "%s", "url": "http://a"}' % ("x" * 70_000), 400, "Invalid request format."),
        ("[" * 100_000, 400, "Invalid request format."),
        ('{"url": ' + "[" * 100_000, 400, "Invalid request format."),
        ('{"url": "ftp://example.com/a"}', 400, "Invalid URLs detected."),
        ('{"url": ["http://example.com/a", "file:///etc/passwd"]}', 400, "Invalid URLs detected."),
        ('{"url": "http://u:p@example.com/"}', 400, "Invalid URLs detected."),
        ('{"url": "http://example.com/\\r\\nX: 1"}', 400, "Invalid URLs detected."),
        ('{"url": "http://example.com/%s"}' % ("a" * 10_000), 400, "Invalid URLs detected."),
        ('{"url": "http://a", "backend": "gpt9"}', 400, "Unknown backend: gpt9."),
        ('{"url": "http://a", "feature": ["tags", "smell"]}', 400, "Unknown feature: smell."),
        ('{"url": "http://a", "role": "king"}', 400, "Unknown role: king."),
        ('{"url": "http://a", "tag_score": 2}', 400, "tag_score"),
        ('{"url": "http://a", "tag_score": "NaN"}', 400, "tag_score"),
        ('{"url": "http://a", "max_frames": -1}', 400, "max_frames"),
        ('{"url": "http://a", "max_frames": 1.5}', 400, "max_frames"),
        ('{"url": "http://a", "capture_interval": true}', 400, "capture_interval"),
        ('{"url": "http://a", "prompt": "%s"}' % ("x" * 20_001), 400, "prompt"),
    ],
)
def test_what_is_refused(fetching: Server, key: str, body: str, status: int, error: str) -> None:
    answer = post(fetching, key, body)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    assert error in answer.json()["error"]


@pytest.mark.parametrize("part", ['name="url"', 'name="file"; filename="a"'])
def test_a_form_of_many_parts(fetching: Server, key: str, part: str) -> None:
    one = f"--b\r\nContent-Disposition: form-data; {part}\r\n\r\nx\r\n"
    for count, error in ((1_000, "More than 100"), (1_001, "Invalid request format.")):
        body = (one * count + "--b--\r\n").encode()
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = post(fetching, key, body, headers=headers)
        assert (answer.status_code, error in answer.text) == (400, True), answer.text


def test_long_queries(fetching: Server, key: str) -> None:
    answer = requests.get(
        f"{fetching.url}/api/fetch?url=http://a/{'a' * 2048}",
        headers={"X-API-Key": key},
        timeout=TIMEOUT,
    )
    assert (answer.status_code, answer.json()) == (414, {"error": "Max request length exceeded."})


@pytest.mark.parametrize(
    "options",
    [
        {
            "data": '{"url": ["URL"], "role": ""}',
            "headers": {"Content-Type": "text/plain;charset=UTF-8"},
        },
        {
            "data": ' \n{"url[]": "URL", "backend": [], "prompt": ""}',
            "headers": {"Content-Type": ""},
        },
        {
            "data": '{"url[]": ["URL"]}',
            "headers": {"Content-Type": "application/json;charset=utf-8"},
        },
        {"data": '{"url": ["URL"]}', "headers": {"Content-Type": "multipart/form-data"}},
        {"data": {"url[]": "URL", "capture_interval": "0"}},
        {"files": {"url[]": (None, "URL"), "tag_score": (None, "0.5")}},
        {"params": {"url[]": "URL"}},
    ],
)
def test_bodies_in_every_spelling(
    fetching: Server, key: str, site: str, options: dict[str, Any]
) -> None:
    text = json.dumps(options).replace("URL", f"{site}/chelsea.img")
    filled = json.loads(text)
    if "files" in filled:
        filled["files"] = {name: tuple(value) for name, value in filled["files"].items()}
    body = ended(fetching, key, post(fetching, key, **filled).json())
    assert body["urls"] == [f"{site}/chelsea.img"]
    assert len(body["all"]["assets"]) == 1


def test_a_query_is_enough(fetching: Server, key: str, site: str) -> None:
    answer = requests.get(
        f"{fetching.url}/api/fetch",
        params=[("url", f"{site}/chelsea.img"), ("feature", "tags"), ("feature[]", "nsfw")],
        headers={"Authorization": f"Token {key}"},
        timeout=TIMEOUT,
    ).json()
    assert answer["features"] == ["tags", "nsfw"]
    assert set(answer["all"]["assets"][0]) == {"name", "tags", "nsfw"}
    assert answer["credits_paid"] == 1


def test_files_in_every_spelling(fetching: Server, key: str, photos: dict[str, Path]) -> None:
    data = photos["coffee"].read_bytes()
    plain = encoded(data)
    body = {
        "file": [
            plain,
            f"data:text/html;base64,{plain}",
            base64.urlsafe_b64encode(data).decode().rstrip("="),
            "\n".join(plain[i : i + 76] for i in range(0, len(plain), 76)),
            "!!! no base64 !!!",
            encoded(b"<html>"),
        ],
        "file_name": ["folder/a:b.png", "", "c.png"],
        "feature": "descriptions",
    }
    text = json.dumps(body).replace("/", "\\/")  # as PHP writes it
    found = ask(fetching, key, text)
    assert found["files"] == 6
    assert found["file_names"] == ["folder/a:b.png", "", "c.png"]
    names = [asset["name"] for asset in found["all"]["assets"]]
    assert names == ["folder/a:b.png", "file-2", "c.png", "file-4"]
    assert all("cup" in each["descriptions"][0]["description"] for each in found["all"]["assets"])
    assert found["all"]["errors"][0] == "file-5: The file is not base64."
    assert found["all"]["errors"][1].startswith("file-6: The file is an HTML page")
    assert found["credits_paid"] == 4
    whole = post(fetching, key, files={"file": ("d.png", data, "image/png")}).json()
    assert [each["name"] for each in ended(fetching, key, whole)["all"]["assets"]] == ["d.png"]


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("; filename*=utf-8''%C3%BC%20a.jpg", "ü a.jpg"),
        ('; filename="=?utf-8?q?=C3=BC.jpg?="', "ü.jpg"),
        ("\r\nContent-Type: image/jpeg", "file-1"),
        ("\nContent-Type: application/octet-stream", "file-1"),
    ],
)
def test_files_whose_names_are_written_otherwise(
    fetching: Server, key: str, photos: dict[str, Path], disposition: str, name: str
) -> None:
    head = f"--b \r\nContent-Disposition: form-data; name=file[]{disposition}"
    body = head.encode() + b"\n\n" + photos["coffee"].read_bytes() + b"\r\n--b--"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    found = ended(fetching, key, post(fetching, key, body, headers=headers).json())
    assert [each["name"] for each in found["all"]["assets"]] == [name]


def test_a_file_of_21_mb(fetching: Server, key: str) -> None:
    answer = post(fetching, key, {"file": [encoded(bytes(21 * 1024 * 1024))]})
    assert (answer.status_code, answer.json()) == (413, {"error": "File too large. Max 20MB."})


def test_what_cannot_be_had_spoils_nothing_else(fetching: Server, key: str, site: str) -> None:
    before = credits(fetching, key)
    urls = [
        f"{site}/nothing.jpg",
        f"{site}/login.png",
        "http://192.168.0.1/a.jpg",
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        f"{site}/broken.mp4",
        f"{site}/chelsea.img",
    ]
    body = ask(fetching, key, {"url": urls, "feature": "tags"})
    assert body["status"] == "completed"
    assert [asset["name"] for asset in body["all"]["assets"]] == urls[-1:]
    errors = body["all"]["errors"]
    assert [error.split(": ")[0] for error in errors] == urls[:-1]
    assert "404" in errors[0] and "HTML" in errors[1] and "damaged" in errors[4]
    assert "cannot be reached" in errors[2]
    assert body["credits_paid"] == 1
    assert credits(fetching, key) == before - 1
    alone = post(fetching, key, {"url": urls[0]}).json()
    assert (alone["status"], alone["all"]["assets"], alone["credits_paid"]) == ("completed", [], 0)


def test_videos_become_frames(fetching: Server, key: str, site: str) -> None:
    before = credits(fetching, key)
    body = {
        "url": [f"{site}/clip.mp4", f"{site}/unnamed"],
        "file": encoded(video("webm", seconds=2)),
        "file_name": "c.webm",
        "feature": "nsfw",
        "capture_interval": 1,
        "max_frames": 2,
    }
    found = ask(fetching, key, body)
    names = [asset["name"] for asset in found["all"]["assets"]]
    stems = [name.partition("#t=")[0] for name in names]
    assert stems == [
        *[f"{site}/clip.mp4"] * 2,
        *[f"{site}/unnamed"] * 2,
        *["c.webm"] * 2,
    ]
    assert names[0].endswith("#t=0")
    assert found["all"]["errors"] == []
    assert found["credits_paid"] == 6
    assert credits(fetching, key) == before - 6
    everything = ask(fetching, key, {"url": f"{site}/clip.mp4", "feature": "nsfw", "max_frames": 0})
    assert everything["credits_paid"] == len(everything["all"]["assets"]) == 3


def test_frames_that_nobody_can_pay(fetching: Server, site: str) -> None:
    """All frames are wanted; how many there are is known once the video is here."""
    poor = fetching.new_key("video-poor", "--credits", "2")
    found = ask(fetching, poor, {"url": f"{site}/clip.mp4", "feature": "nsfw", "max_frames": 0})
    assert found["all"] == {"assets": [], "errors": [f"{site}/clip.mp4: Insufficient credits."]}
    assert (found["credits_paid"], credits(fetching, poor)) == (0, 2)


def test_backends_that_are_not_here(fetching: Server, key: str, site: str) -> None:
    asked = {"url": f"{site}/chelsea.img", "backend": ["claude", "clarifai"]}
    body = post(fetching, key, asked).json()
    assert body["backends"] == ["claude", "clarifai"]
    assert body["all"]["errors"] == []  # there is an answer, and its source
    (asset,) = body["all"]["assets"]
    assert asset["descriptions"][0]["source"] == "ocelli-local"
    assert (asset["colors"], asset["faces"]) == ({}, [])  # neither of the two offers them
    nothing = post(fetching, key, {**asked, "backend": "gemini", "feature": "tags"}).json()
    assert (nothing["status"], nothing["credits_paid"]) == ("completed", 0)
    assert nothing["all"]["assets"] == [{"name": f"{site}/chelsea.img", "tags": {}}]
    assert nothing["all"]["errors"] == []
    broken = post(fetching, key, {**asked, "url": f"{site}/nothing"}).json()
    *missing, why = broken["all"]["errors"]
    assert missing == ["claude is not configured here.", "clarifai is not configured here."]
    assert "404" in why


def test_polls(fetching: Server, key: str, site: str) -> None:
    accepted = post(
        fetching,
        key,
        {"url": [f"{site}/chelsea.img"] * 2},
        headers={"X-Forwarded-Proto": "https", "X-Forwarded-Host": "vision.example.com:8443"},
    ).json()
    id = accepted["request_id"]
    assert accepted["response_uri"] == f"https://vision.example.com:8443/api/response/{id}"
    other = fetching.new_key("other-fetcher", "--tier", "free")
    for unknown, asker in ((id, other), (str(uuid.uuid4()), key), ("1", key)):
        answer = poll(fetching, asker, unknown)
        assert answer.status_code == 404
        assert answer.json() == {"error": f"Request ID {unknown} not found."}
    with ThreadPoolExecutor(8) as pool:  # more than the free tier's minute has, and at once
        answers = list(pool.map(lambda _: poll(fetching, other, id).status_code, range(30)))
    assert set(answers) == {404}


def test_credits_are_exact(fetching: Server, site: str) -> None:
    """200 at once on a balance for 150."""
    paying = fetching.new_key("payer", "--credits", "150")
    body = {"url": [f"{site}/chelsea.img"], "feature": "nsfw"}

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: post(fetching, paying, body), range(200)))
    accepted = [each.json() for each in answers if each.status_code == 200]
    refused = [each.json()["error"] for each in answers if each.status_code == 402]
    assert (len(accepted), len(refused)) == (150, 50)
    assert set(refused) == {"No credits."}
    assert sum(ended(fetching, paying, each)["credits_paid"] for each in accepted) == 150
    assert credits(fetching, paying) == 0


def test_empty_purses(fetching: Server) -> None:
    body = {"url": ["http://192.168.0.1/a", "http://192.168.0.1/b"], "feature": "nsfw"}
    text = json.dumps({**body, "url": body["url"][:1]})
    poor = fetching.new_key("poor")
    assert post(fetching, poor, text).json() == {"error": "No credits."}
    ocelli("credits", "add", "1", "--tenant", "poor", data=fetching.data)
    assert post(fetching, poor, body).json() == {"error": "Insufficient credits."}
    assert post(fetching, poor, text).status_code == 200


def test_requests_of_one_client_take_turns(
    fetching: Server, key: str, photos: dict[str, Path]
) -> None:
    """Nobody's request waits for all of another one; somebody else's picture for none."""
    pictures = distinct(13, photos["coffee"])
    bodies = [
        {"file": [encoded(data) for data in pictures[i : i + 3]], "feature": "nsfw"}
        for i in range(0, 12, 3)
    ]
    stranger = fetching.new_key("stranger-fetcher", "--credits", "10")
    with frozen(children(fetching, "child worker")):
        accepted = [post(fetching, key, body).json() for body in bodies]
        last = {"file": encoded(pictures[12]), "feature": "nsfw"}
        of_stranger = post(fetching, stranger, last).json()
    for each in accepted:
        ended(fetching, key, each)
    ended(fetching, stranger, of_stranger)
    settings = Settings(data=fetching.data)
    with database_for_command(settings) as dsn, psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT request_id::text FROM analyses WHERE request_id::text = ANY(%s)"
            " ORDER BY completed_at",
            ([each["request_id"] for each in (*accepted, of_stranger)],),
        ).fetchall()
    assert len(rows) == len(pictures)
    assert (of_stranger["request_id"],) in rows[:-1]


def test_an_answer_that_takes_too_long_is_polled_for(
    tmp_path_factory: pytest.TempPathFactory, site: str
) -> None:
    data = reachable(tmp_path_factory.mktemp("hasty")) / "data"
    hasty = start_server(
        data, "--workers", "1", OCELLI_FETCH_ALLOW="127.0.0.0/8", OCELLI_FETCH_WAIT="0.01"
    )
    try:
        own = (data / "api_key").read_text().strip()
        accepted = post(hasty, own, {"url": f"{site}/chelsea.img", "feature": "tags"}).json()
        assert accepted["status"] == "queued"
        body = ended(hasty, own, accepted)
        assert body["status"] == "completed"
        assert "cat" in body["all"]["assets"][0]["tags"]
    finally:
        hasty.stop()
        assert hasty.process.stdout is not None
        hasty.process.stdout.close()
