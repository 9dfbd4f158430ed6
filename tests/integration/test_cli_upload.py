"""``ocelli upload`` against a real server."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image
from tests.conftest import OCELLI, Server, reachable, start_server
from tests.waiting import until

from ocelli.wiring.data_folder import publish_address, running_server

FAILED, WRONG_USE, CANNOT_RUN = 1, 2, 3
HEAVY = "pydantic fastapi psycopg numpy cv2 onnxruntime uvicorn procrastinate ocelli.settings"


def picture() -> bytes:
    """A small JPEG that no other is equal to."""
    stream = io.BytesIO()
    Image.frombytes("RGB", (64, 48), random.randbytes(64 * 48 * 3)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures in folders, what is none, what is hidden."""
    folder = tmp_path / "photos"
    for name in ("a.jpg", "b.jpg", "sub/a.jpg", ".hidden/c.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture())
    (folder / "notes.txt").write_text("no picture")
    return folder


def run(
    *arguments: object, cwd: Path, server: Server | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The command in ``cwd``, with the key and address of ``server`` in its environment."""
    known = {k: v for k, v in os.environ.items() if not k.startswith("AIONVISION_")}
    if server is not None:
        known |= {"AIONVISION_API_KEY": server.key, "AIONVISION_BASE_URL": server.url}
    return subprocess.run(
        [*OCELLI, "upload", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=cwd,
        env={**known, **environment},
    )


def upload_in_background(folder: Path, server: Server) -> subprocess.Popen[str]:
    """The command with ``--json``, running."""
    environment = {
        "AIONVISION_API_KEY": server.key,
        "AIONVISION_BASE_URL": server.url,
        "AIONVISION_RETRY_DELAY": "0.01",
    }
    return subprocess.Popen(
        [*OCELLI, "upload", "--json", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def wait_for_a_poll(server: Server) -> None:
    """Until a client has asked how far its session has come: it knows all of its files by then."""

    def polled() -> bool:
        return (
            'route="/api/v2/uploads/sessions/{session_id}/status"'
            in requests.get(f"{server.url}/metrics").text
        )

    until(polled, every=0.05, fleeting=True)


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return list(json.loads(done.stdout))


def test_a_folder(server: Server, folder: Path) -> None:
    done = run(
        folder, "--server", server.url, "--key", server.key, "--level", "quick", "--json",
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = rows(done)
    assert [row["file"] for row in found] == [
        str(folder / name) for name in ("a.jpg", "b.jpg", "sub/a.jpg")
    ]
    for row in found:
        assert row["status"] == "completed"
        assert row["description"]
        assert 0 <= row["confidence"] <= 1
        assert row["error"] is None
    assert len({row["image_id"] for row in found}) == 3


def test_names_that_are_not_utf_8(server: Server, tmp_path: Path) -> None:
    name = os.fsdecode(b"f\xfcr.jfif")
    (tmp_path / name).write_bytes(picture())
    os.mkfifo(tmp_path / "pipe.jpg")
    done = run(tmp_path, "--json", "--no-wait", cwd=tmp_path, server=server)
    assert [Path(row["file"]).name for row in rows(done)] == [r"f\xfcr.jfif"]
    assert done.returncode == 0
    assert run(tmp_path, "--no-wait", cwd=tmp_path, server=server).returncode == 0
    refused = run(tmp_path / "pipe.jpg", cwd=tmp_path, server=server)
    assert refused.returncode == WRONG_USE
    assert "pipe" in refused.stderr


def test_files_and_folders_mixed(
    server: Server, folder: Path, photos: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copy(photos["chelsea"], tmp_path / "chelsea.png")
    done = run("chelsea.png", folder, cwd=tmp_path, server=server)
    assert done.returncode == 0, done.stderr
    assert "chelsea.png" in done.stdout
    assert "cat" in done.stdout
    assert done.stdout.splitlines()[-1] == "4 succeeded"


def test_the_same_again_is_the_same_picture(server: Server, folder: Path) -> None:
    first, again = (rows(run(folder, "--json", cwd=folder, server=server)) for _ in range(2))
    assert [row["image_id"] for row in again] == [row["image_id"] for row in first]


def test_a_bad_file_fails_alone(server: Server, folder: Path) -> None:
    (folder / "bad.jpg").write_text("this is [b]no[/b] picture\n" * 50)
    (folder / "empty.jpg").touch()
    done = run(folder, cwd=folder, server=server)
    assert done.returncode == FAILED
    assert done.stdout.splitlines()[-1] == "3 succeeded, 2 failed (0 retryable)"
    done = run(folder, "--json", cwd=folder, server=server)
    assert done.returncode == FAILED
    by_name = {Path(row["file"]).name: row for row in rows(done)}
    assert by_name["bad.jpg"]["status"] == by_name["empty.jpg"]["status"] == "failed"
    assert "text" in by_name["bad.jpg"]["error"]
    assert by_name["empty.jpg"]["error"] == "the file is empty"
    assert by_name["b.jpg"]["status"] == "completed"


def test_without_waiting(server: Server, folder: Path) -> None:
    done = run(folder, "--no-wait", "--json", cwd=folder, server=server)
    assert done.returncode == 0, done.stderr
    assert all(row["image_id"] for row in rows(done))
    assert {row["status"] for row in rows(done)} <= {"pending", "queued", "processing", "completed"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.jpg"], "does not exist"),
        (["notes.txt"], "not a supported picture"),
        (["nothing"], "no pictures found"),
        (["a.jpg", "--level", "sloppy"], "no such level: sloppy"),
        (["a.jpg", "--key", "aion_..."], "placeholder"),
        (["a.jpg", "--server", "ftp://example.org"], "http://"),
        ([], "Missing argument"),
    ],
)
def test_wrong_use(folder: Path, arguments: list[str], words: str) -> None:
    (folder / "nothing").mkdir()
    done = run(*arguments, cwd=folder, AIONVISION_API_KEY="aion_" + "x" * 32)
    assert done.returncode == WRONG_USE
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_no_key(folder: Path) -> None:
    done = run("a.jpg", cwd=folder)
    assert done.returncode == CANNOT_RUN
    assert "no API key" in done.stderr
    assert "ocelli keys create" in done.stderr


def test_a_key_that_the_server_does_not_know(server: Server, folder: Path) -> None:
    done = run("a.jpg", "--key", "aion_" + "x" * 32, "--json", cwd=folder, server=server)
    assert done.returncode == CANNOT_RUN
    assert "--key" in done.stderr
    assert done.stdout == ""


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens at, kept for us."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def test_the_server_is_down(folder: Path, closed_port: int) -> None:
    done = run(
        folder, "--server", f"http://127.0.0.1:{closed_port}", "--key", "aion_" + "x" * 32,
        cwd=folder, AIONVISION_RETRY_DELAY="0.01",
    )  # fmt: skip
    assert done.returncode == CANNOT_RUN
    assert "No server listens" in done.stderr
    assert "→ start one with `ocelli serve`" in done.stderr


def test_the_server_goes_away_while_descriptions_are_awaited(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(50):  # one session
        (pictures / f"{number}.jpg").write_bytes(picture())
    own = start_server(reachable(tmp_path) / "data", "--workers", "1")
    with own.process, upload_in_background(pictures, own) as command:
        try:
            wait_for_a_poll(own)
        finally:
            own.stop()
        stdout, stderr = command.communicate(timeout=60)
    assert command.returncode == FAILED, stderr
    assert "run the same command again" in stderr
    found = json.loads(stdout)
    assert len(found) == 50
    assert all(row["image_id"] for row in found)
    assert {row["status"] for row in found} & {"pending", "queued", "processing"}


def test_the_server_of_the_folder_is_found(server: Server, folder: Path) -> None:
    """With its first key, whatever its port; its name may be spelt otherwise."""
    port = server.url.rpartition(":")[2]
    arguments = ["a.jpg", "--no-wait", "--json"]
    given = ["--server", f"http://localhost:{port}/api/v2", "--data", str(server.data)]
    for done in (
        run(*arguments, *given, cwd=folder),
        run(*arguments, cwd=folder, OCELLI_DATA=str(server.data)),
    ):
        assert done.returncode == 0, done.stderr
    (folder / "ocelli.toml").write_text(f"data = '{server.data}'\n")
    assert run(*arguments, cwd=folder).returncode == 0


@pytest.fixture
def stranger() -> Iterator[tuple[str, list[bytes]]]:
    """Something that listens, and what it was sent."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        heard.append(connection.recv(65536))

        thread = threading.Thread(target=listen)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heard
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize("state", ["never", "gone", "killed", "half"])
def test_the_key_of_a_folder_is_for_its_running_server_alone(
    folder: Path, stranger: tuple[str, list[bytes]], state: str
) -> None:
    url, heard = stranger
    data = folder / ".ocelli"
    data.mkdir()
    (data / "api_key").write_text("aion_" + "k" * 32)
    if state == "killed":  # its port is another's by now
        code = "import sys, os; from ocelli.wiring.data_folder import *; from pathlib import Path\n"
        code += "with publish_address(Path(sys.argv[1]), sys.argv[2]): os._exit(9)"
        subprocess.run([sys.executable, "-c", code, data, url], check=False)
        assert json.loads((data / "address").read_text()) == {"url": url}
    elif state == "half":
        (data / "address").write_text('{"url": "')
    elif state == "gone":
        with publish_address(data, url):
            assert running_server(data) == url
        assert not (data / "address").exists()
    assert running_server(data) is None
    for arguments in ([], ["--server", url]):
        done = run("a.jpg", *arguments, cwd=folder)
        assert done.returncode == CANNOT_RUN
        assert "no API key" in done.stderr
    assert heard == []


def test_another_server_does_not_get_the_key_of_the_folder(
    server: Server, folder: Path, stranger: tuple[str, list[bytes]]
) -> None:
    url, heard = stranger
    for given in (url, "https://" + server.url.removeprefix("http://"), server.url + "0"):
        done = run("a.jpg", "--server", given, "--data", str(server.data), cwd=folder)
        assert done.returncode == CANNOT_RUN
        assert "no API key" in done.stderr
    assert heard == []


def test_it_needs_no_server_libraries() -> None:
    code = (
        "import sys, ocelli.cli.upload\n"
        f"assert not (loaded := sys.modules.keys() & set({HEAVY.split()!r})), loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
