"""What operators read: a line for each request and each job, and nothing that is a secret."""

from __future__ import annotations

import json
import logging
import re
import socket
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.conftest import Server, reachable, start_server
from tests.integration.test_main_job import API, finished
from tests.waiting import until

from ocelli.cli.logs import configure_logs, scrub
from ocelli.domain.correlation import REQUEST_ID
from ocelli.settings import Settings

SECRET = "where-i-live"
HEAD = "GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: {}\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = reachable(tmp_path_factory.mktemp("logs")) / "data"
    server = start_server(data, "--workers", "1", "--log-level", "debug", OCELLI_LOG_FORMAT="json")
    yield server
    server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


def log_of(server: Server) -> str:
    return (server.data.parent / f"{server.data.name}.log").read_text()


def lines(server: Server, event: str, **fields: Any) -> list[dict[str, Any]]:
    """Whole lines; every one is a JSON object."""
    found = [
        json.loads(line) for line in log_of(server).splitlines(keepends=True) if line[-1:] == "\n"
    ]
    return [
        each
        for each in found
        if each["event"] == event and all(each.get(k) == v for k, v in fields.items())
    ]


def line(server: Server, event: str, **fields: Any) -> dict[str, Any]:
    """The only one."""
    (only,) = until(lambda: lines(server, event, **fields))
    return only


def ask(server: Server, method: str, path: str, id: str, **options: Any) -> requests.Response:
    headers = {**server.headers, "X-Request-ID": id, **options.pop("headers", {})}
    return requests.request(method, f"{server.url}{path}", headers=headers, timeout=60, **options)


def test_a_request_and_its_jobs_share_an_id(talking: Server, photos: dict[str, Path]) -> None:
    files = {"file": (f"{SECRET}.png", photos["coffee"].read_bytes())}
    answer = ask(
        talking,
        "POST",
        f"{API}/user-files/upload/stream?note={SECRET}",
        "upload-1",
        files=files,
        data={"title": SECRET},
    )
    assert answer.headers["X-Request-ID"] == "upload-1"
    id = answer.json()["image_id"]
    finished(talking, id)
    request = line(talking, "request", request_id="upload-1")
    assert request["route"] == f"{API}/user-files/upload/stream"
    assert (request["method"], request["status"], request["process"]) == ("POST", 200, "api")
    assert request["ms"] > 0
    assert re.fullmatch(r"[0-9a-f-]{36}", request["key_id"])
    assert request["timestamp"].endswith("Z")
    described = line(talking, "job", request_id="upload-1", task="analyse")
    assert described["picture"] == id
    assert (described["status"], described["looks"]) == ("completed", 2)
    assert described["error_type"] is None
    assert (described["process"], described["attempt"]) == ("worker-1", 1)
    copies = line(talking, "job", request_id="upload-1", task="make_variants")
    assert (copies["picture"], copies["status"]) == (id, "completed")
    assert copies["ms"] > 0


def test_many_at_once_keep_their_own_ids(talking: Server, photos: dict[str, Path]) -> None:
    """Uploads are written several at a time; what each enqueues is its own."""
    from concurrent.futures import ThreadPoolExecutor

    data = photos["rocket"].read_bytes()

    def send(number: int) -> str:
        answer = ask(
            talking,
            "POST",
            f"{API}/user-files/upload/stream",
            f"many-{number}",
            files={"file": ("a.jpg", data)},
        )
        return str(answer.json()["image_id"])

    with ThreadPoolExecutor(12) as pool:
        ids = list(pool.map(send, range(12)))
    for number, id in enumerate(ids):
        for task in ("analyse", "make_variants"):
            assert line(talking, "job", request_id=f"many-{number}", task=task)["picture"] == id


def test_what_fails_says_so(talking: Server) -> None:
    answer = ask(
        talking,
        "POST",
        f"{API}/describe",
        "bad-1",
        json={"image_url": f"http://user:{SECRET}@127.0.0.1:9/a.png?token={SECRET}"},
    )
    assert answer.status_code >= 400
    job = line(talking, "job", request_id="bad-1")
    assert (job["status"], job["error_type"], job["level"]) == ("failed", "validation", "warning")
    assert line(talking, "request", request_id="bad-1")["status"] == answer.status_code
    nobody = requests.get(f"{talking.url}{API}/user-files", timeout=60)
    refused = line(talking, "request", request_id=nobody.headers["X-Request-ID"])
    assert (refused["status"], refused["key_id"]) == (401, None)
    not_ours = f"aion_{SECRET}{'x' * 40}"
    headers = {"Authorization": f"Bearer {not_ours}"}
    unknown = ask(talking, "GET", f"{API}/user-files", "unknown-1", headers=headers)
    assert unknown.status_code == 401
    assert line(talking, "request", request_id="unknown-1")["key_id"] is None


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", f"{API}/user-files/00000000?x={SECRET}", f"{API}/user-files/{{file_id}}"),
        ("GET", "/api/credits", "/api/credits"),
        ("GET", "/api/response/1", "/api/response/{request_id}"),
        ("OPTIONS", "/api/fetch", "none"),
        ("GET", "/v1/models", "/v1/models"),
        ("GET", f"/v1/models/{SECRET}", "/v1/models/{model_id}"),
        ("POST", "/v1/chat/completions", "/v1/chat/completions"),
        ("POST", "/chat/completions", "/chat/completions"),
        ("GET", f"/objects/{SECRET}/b?signature={SECRET}", "/objects/{key}"),
        ("GET", f"/{SECRET}", "none"),
        ("PUT", "/health/live", "/health/live"),
        ("GET", "/health/ready", "/health/ready"),
        ("GET", "/metrics", "/metrics"),
        ("GET", "/openapi.json", "/openapi.json"),
    ],
)
def test_every_surface_answers_with_the_id(
    talking: Server, method: str, path: str, route: str
) -> None:
    id = f"surface-{uuid.uuid4()}"
    answer = ask(talking, method, path, id)
    assert answer.headers["X-Request-ID"] == id
    said = line(talking, "request", request_id=id)
    assert (said["route"], said["status"]) == (route, answer.status_code)


@pytest.mark.parametrize("id", ["", "a b", "x" * 65, "ü", "a;b", '"', "{}", "\x01"])
def test_an_id_that_is_not_sane_is_replaced(talking: Server, id: str) -> None:
    host, _, port = talking.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(HEAD.format(id).encode("latin-1"))
        said = b""
        while piece := connection.recv(65536):
            said += piece
    answered = re.search(rb"x-request-id: ([^\r]*)", said, re.IGNORECASE)
    assert answered is not None
    assert re.fullmatch(rb"[0-9a-f-]{36}", answered[1]), said


def test_the_id_that_our_client_sends_is_one(talking: Server) -> None:
    headers = {"X-Correlation-ID": "ours-1"}
    alone = requests.get(f"{talking.url}/health/live", headers=headers, timeout=60)
    assert alone.headers["X-Request-ID"] == "ours-1"
    assert ask(talking, "GET", "/", "mine-1", headers=headers).headers["X-Request-ID"] == "mine-1"


def test_what_is_refused_before_it_is_a_request_has_a_line_too(talking: Server) -> None:
    answer = requests.get(f"{talking.url}/?{'x' * 70_000}", timeout=60)
    assert answer.status_code in (414, 431)
    said = line(talking, "request", request_id=answer.headers["X-Request-ID"])
    assert (said["route"], said["status"]) == ("none", answer.status_code)


def test_no_line_holds_a_secret(talking: Server) -> None:
    """Of all that the other tests of this file sent; it runs last."""
    said = log_of(talking)
    assert len(said.splitlines()) > 40
    assert talking.key not in said
    assert not re.search(r"aion_\w", said)
    assert SECRET not in said
    assert "access.log" not in said


# ---- the lines themselves


@pytest.fixture
def restored() -> Iterator[None]:
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    yield
    root.handlers[:] = kept
    root.setLevel(level)


@pytest.mark.usefixtures("restored")
def test_lines_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings(), "api")
    REQUEST_ID.set("r-1")
    logging.getLogger("x").warning("the disk of %s is full", "a")
    logging.getLogger("x").info("request", extra={"route": "/a", "ms": 1.5, "key_id": None})
    logging.getLogger("x").debug("nothing")
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3} warning api\[\d+\] the disk of a is full request_id=r-1", first
    )
    assert re.fullmatch(r"\S+ info    api\[\d+\] request route=/a ms=1.5 request_id=r-1", second)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("format", ["text", "json"])
def test_an_error_says_where_and_not_what(format: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(Settings(log_format=format), "api")
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("x").exception("unexpected error")
    said = capsys.readouterr().err
    assert SECRET not in said
    assert "ValueError" in said
    assert f"{Path(__file__).name}:{sys._getframe().f_lineno - 6}" in said


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("https://h/a?b=c#d end", "https://h/a end"),
        ("postgresql://u:p@h:5/d", "postgresql://h:5/d"),
        ("(s3://bucket/a?endpoint=x)", "(s3://bucket/a"),
        ("key aion_abcdefgh12345678-_x.", "key aion_...."),
        ("a?b and 1//2", "a?b and 1//2"),
    ],
)
def test_what_is_taken_out(text: str, scrubbed: str) -> None:
    assert scrub(text) == scrubbed
