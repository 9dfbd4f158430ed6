"""``ocelli watch``: what arrives is described or sent once, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from tests.conftest import OCELLI, Server
from tests.integration.test_tag import DESCRIBER, texts
from tests.waiting import PATIENCE, until

from aion import AionvisionConnectionError, SyncAionVision, UploadResult, ValidationError
from aion._files import is_supported
from ocelli.cli import watch
from ocelli.cli.arrivals import Arrivals
from ocelli.cli.tag import HowToDescribe
from ocelli.cli.tagger import Report
from ocelli.cli.upload_ledger import UploadLedger, ledger_file
from ocelli.media._vips import vips
from ocelli.xmp.files import FileState
from ocelli.xmp.words import DESCRIPTION

SETTLED = 0.2  # seconds; how long, is no part of what is asserted

# The command, with a process that looks at nothing in place of the describers.
WATCH = f"""
import sys
from ocelli.cli import arrivals, describer_process
from ocelli.cli.main import main
arrivals.SETTLED = {SETTLED}
arrivals.Arrivals.__init__.__kwdefaults__["settled"] = {SETTLED}
describer_process.COMMAND = (sys.executable, "-c", {DESCRIBER!r})
main()
"""


def jpeg(number: int) -> bytes:
    """A small picture, another one for each number."""
    pixels = np.random.default_rng(number).integers(0, 255, (24, 32, 3), np.uint8)
    image = vips().Image.new_from_memory(pixels.data, 32, 24, 3, "uchar")
    return bytes(image.jpegsave_buffer())


@contextmanager
def watching(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A running command; returns once it watches."""
    command = [sys.executable, "-c", WATCH, "watch", str(folder), "--workers", "1", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "XDG_STATE_HOME": str(folder.parent / "state")},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if "watching" in line:
                break
        else:
            raise AssertionError("".join(said))
        reader = threading.Thread(target=lambda: said.extend(process.stdout or ()), daemon=True)
        reader.start()
        process.said = said  # type: ignore[attr-defined]
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)
        reader.join(PATIENCE)
        process.stdout.close()


def ended(process: subprocess.Popen[str]) -> str:
    """Ctrl-C; what was said at the end."""
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0
    until(lambda: told(process, "ended:"))
    said = "".join(process.said)  # type: ignore[attr-defined]
    assert "Traceback" not in said
    return said


def told(process: subprocess.Popen[str], text: str) -> bool:
    """Whether a line that the command has printed has this text."""
    return any(text in line for line in process.said)  # type: ignore[attr-defined]


def sidecars(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("*.xmp")
    }


@contextmanager
def arriving(folder: Path, count: int) -> Iterator[None]:
    """Pictures arrive while the block runs; all are there at its end."""

    def bring() -> None:
        for number in range(count):
            part = folder / f".{number}.part"
            part.write_bytes(jpeg(number))
            part.rename(folder / f"{number:04}.jpg")

    thread = threading.Thread(target=bring)
    thread.start()
    yield
    thread.join(PATIENCE)


def kill_twice(folder: Path, count: int, done: Callable[[], int], *options: str) -> str:
    """Let pictures arrive, kill the command twice on the way; what the last one said."""
    with arriving(folder, count):
        for enough in (count // 5, count // 2):
            with watching(folder, *options) as process:
                until(lambda enough=enough: done() >= enough)  # type: ignore[misc]
                process.kill()
    with watching(folder, *options) as process:
        until(lambda: done() >= count)
        return ended(process)


def test_sidecars_once_although_it_is_killed_twice(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    kill_twice(folder, 40, lambda: len(list(folder.glob("*.xmp"))))
    found = sidecars(folder)
    assert sorted(found) == [f"{number:04}.jpg.xmp" for number in range(40)]
    assert texts(folder / "0007.jpg.xmp", DESCRIPTION) == ["This is 0007."]
    with watching(folder) as process:
        (folder / "last.jpg").write_bytes(jpeg(1000))
        until((folder / "last.jpg.xmp").exists)
        said = ended(process)
    assert "1 written" in said
    assert "40 done before" in said
    assert sidecars(folder).items() > found.items()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_uploads_once_although_it_is_killed_twice(tmp_path: Path, server: Server) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    key = server.new_key("watching")
    where = ["--upload", "--server", server.url, "--key", key, "--level", "quick"]

    def stored() -> list[str]:
        answer = httpx2.get(
            f"{server.url}/api/v2/user-files?limit=100",
            headers={"Authorization": f"Bearer {key}"},
            timeout=PATIENCE,
        )
        return [file["filename"] for file in answer.json()["files"]]

    kill_twice(folder, 30, lambda: len(stored()), *where)
    assert Counter(stored()) == {f"{number:04}.jpg": 1 for number in range(30)}
    with watching(folder, *where) as process:
        (folder / "half.jpg").write_bytes(jpeg(1000)[:-100])
        until(lambda: told(process, "truncated"))
        (folder / "half.jpg").write_bytes(jpeg(1000))
        until(lambda: told(process, "half.jpg: uploaded"))
        ended(process)
    with watching(folder, *where) as process:
        (folder / "last.jpg").write_bytes(jpeg(1001))
        until(lambda: told(process, "last.jpg: uploaded"))
        assert "1 uploaded, 31 done before" in ended(process)
    assert Counter(stored()) == {f"{number:04}.jpg": 1 for number in range(30)} | {
        "half.jpg": 1,
        "last.jpg": 1,
    }


def test_watching_needs_a_folder_and_a_server(tmp_path: Path) -> None:
    for options, code in ([[str(tmp_path / "gone")], 2], [[str(tmp_path), "--upload"], 3]):
        command = [*OCELLI, "watch", *options, "--data", str(tmp_path)]  # type: ignore[misc]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False,
            env={k: v for k, v in os.environ.items() if not k.startswith("AIONVISION")},
        )  # fmt: skip
        assert (done.returncode, done.stderr[:7]) == (code, "ocelli:"), done.stderr


class Told:
    """What is told of files."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, path: Path, message: str) -> None:
        self.lines.append(f"{path.name}: {message}")


def arrived(arrivals: Arrivals, name: str, busy: set[Path] | None = None) -> set[str]:
    """The pictures that come until one of this name does; systems tell of some twice."""
    names: set[str] = set()
    for found in arrivals.whole(lambda path: path in (busy or ())):
        names |= {found[0].name} if found else set()
        if name in names:
            break
    return names


@pytest.mark.parametrize("poll", [False, True])
def test_what_arrives_is_told_once_it_stands_still(tmp_path: Path, poll: bool) -> None:
    folder, told = tmp_path / "photos", Told()
    (folder / ".hidden").mkdir(parents=True)
    (folder / "old.jpg").write_bytes(b"old")
    os.utime(folder / "old.jpg", (0, 0))
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(b"outside")
    moved = tmp_path / "moved"
    moved.mkdir()
    (moved / "inner.png").write_bytes(b"inner")
    with Arrivals(folder, is_supported, told, poll=poll, settled=SETTLED) as arrivals:
        came = arrived(arrivals, "old.jpg")
        (folder / ".hidden" / "a.jpg").write_bytes(b"hidden")
        (folder / "note.txt").write_bytes(b"text")
        (folder / "empty.jpg").write_bytes(b"")
        (folder / "linked.jpg").symlink_to(outside)
        moved.rename(folder / "moved")
        came |= arrived(arrivals, "inner.png")
        with (folder / "slow.jpg").open("wb") as file:
            for _ in range(20):
                file.write(b"piece")
                file.flush()
        came |= arrived(arrivals, "slow.jpg")
    assert came == {"old.jpg", "inner.png", "slow.jpg"}
    assert set(told.lines) == {
        "linked.jpg: a symbolic link out of the folder, or in a circle: left alone"
    }


def test_a_picture_that_changes_while_it_is_described_comes_again(tmp_path: Path) -> None:
    picture = tmp_path / "a.jpg"
    with Arrivals(tmp_path, is_supported, Told(), settled=SETTLED) as arrivals:
        picture.write_bytes(b"one")
        arrived(arrivals, "a.jpg")
        busy = {picture}
        picture.write_bytes(b"other")
        (tmp_path / "b.jpg").write_bytes(b"one")
        assert arrived(arrivals, "b.jpg", busy) == {"b.jpg"}
        busy.clear()
        assert "a.jpg" in arrived(arrivals, "a.jpg", busy)


def test_the_ledger_knows_a_state_of_a_file_and_a_server(tmp_path: Path) -> None:
    picture = tmp_path / os.fsdecode(b"f\xfcr.jpg")
    picture.write_bytes(b"one")
    file = FileState.of(picture)
    assert file is not None
    for server, expected in (("a", False), ("a", True), ("b", False)):
        with UploadLedger(tmp_path / "state" / "ledger", server) as ledger:
            assert ledger.has(picture, file) is expected
            ledger.add([(picture, file)])
    picture.write_bytes(b"other")
    other = FileState.of(picture)
    assert other is not None
    with UploadLedger(tmp_path / "state" / "ledger", "a") as ledger:
        assert not ledger.has(picture, other)


def test_a_ledger_that_is_damaged_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    ledger_file().parent.mkdir()
    ledger_file().write_text("no database " * 1000)
    how = HowToDescribe(server="http://127.0.0.1:9", key=f"aion_{'x' * 30}")
    with contextlib.ExitStack() as stack:
        assert watch._uploader(how, Report(as_lines=False), stack) == 3
    said = capsys.readouterr().err
    assert "is damaged" in said
    assert "delete it" in said


class Away(SyncAionVision):
    """A server that is away twice, then refuses one picture, and a call with what is no file."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def upload(self, files: Any, **options: Any) -> Any:
        names = [path.name for path in files]
        self.calls.append(names)
        assert options == {"wait_for_descriptions": False, "raise_on_failure": False}
        if len(self.calls) < 3:
            raise AionvisionConnectionError("There is no server.")
        if "gone.jpg" in names:
            raise ValidationError("gone.jpg does not exist")
        return [
            UploadResult("" if name == "refused.jpg" else "id", name, "", description_error="No.")
            for name in names
        ]


def test_a_server_that_is_away_is_asked_again_and_one_file_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watch, "RETRY", (0.0, 0.0))
    batch = []
    for name in ("a.jpg", "gone.jpg", "refused.jpg"):
        (tmp_path / name).write_bytes(b"pixels")
        file = FileState.of(tmp_path / name)
        assert file is not None
        batch.append((tmp_path / name, file))
    client = Away()
    with UploadLedger(tmp_path / "ledger", "a server") as ledger:
        uploader = watch._Uploader(client, ledger, Report(as_lines=False), {})
        uploader._send(batch)
        assert [ledger.has(*each) for each in batch] == [True, False, False]
    assert uploader.counts == {"uploaded": 1, "failed": 2}
    assert client.calls[3:] == [["a.jpg"], ["gone.jpg"], ["refused.jpg"]]
    said = capsys.readouterr().err
    assert said.count("There is no server.") == 1
    assert "refused.jpg: No." in said
