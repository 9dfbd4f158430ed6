"""What is wrong with ``ocelli.toml`` is said in a sentence, with line and key."""

from __future__ import annotations

import doctest
import os
from pathlib import Path

import pytest

from ocelli import settings_file
from ocelli.cli.connection import data_folder
from ocelli.cli.options import load_settings
from ocelli.settings import Settings

WRONG = {
    b"port 8000": "ocelli.toml, line 1: Expected '=' after a key",
    b"port = 1\n\n[backends": "ocelli.toml, line 3: Expected ']'",
    b"port = 1\nport = 2\n": "ocelli.toml, line 2: Cannot overwrite a value",
    b"host = [\n'a',\n\n": "ocelli.toml, line 2: Invalid value",
    b"a = " + b"[" * 5000: "ocelli.toml is nested too deeply",
    b"port = 1\n# f\xfcr\n": "ocelli.toml, line 2: byte 0xfc is not UTF-8",
    "port = 1\n".encode("utf-16"): "ocelli.toml, line 1: byte 0xff is not UTF-8",
    b"\n# one\nportt = 1": "line 3, portt: there is no such setting; did you mean `port`?",
    b"[server]\nport = 1": "ocelli.toml, line 1, server: there is no such setting",
    b"host = '''a\nb'''\nport = 'x'": "ocelli.toml, line 3, port: must be a valid integer",
    b"host = '\xe2\x80\xa8'\nport = 'x'": "ocelli.toml, line 2, port: must be a valid integer",
    b"workers = [1]": "ocelli.toml, line 1, workers: must be a valid integer",
    **{
        f"public_url = '{url}'".encode(): "line 1, public_url: must be like https://host or"
        for url in (
            *("vision.example", "/ocelli", "ftp://host/", "https://", "https://me:word@host/"),
            *("https://host//other.example", "https://host/a/../b", "https://host/a b"),
            *(
                "https://host/a?b",
                "https://host/a#b",
                "https://host/a;Domain=b",
                "https://host/\u00e9",
            ),
        )
    },
    b"port = 99999": "ocelli.toml, line 1, port: must be less than or equal to 65535",
    b"[backends.openai]\nmodel = 3": "line 2, backends.openai.model: must be a valid string",
    b"[backends.openai]\nmodle = 'm'": "line 2, backends.openai.modle: there is no such setting",
    b"backends.openai = {\nmodel = 'm' }": "ocelli.toml, line 1: ",
    b"[backends.openai]\n[backends.foo]\n": "line 2, backends.foo: needs a `base_url`",
    b"port = 1\nbackends = 3": "ocelli.toml, line 2, backends: must be a valid dictionary",
    b"[tiers.gold]\nstorage_gb = 1": "ocelli.toml, line 1, tiers.gold: must be 'free'",
    b"[tiers.free]\nstorage_gb = 'x'": "line 2, tiers.free.storage_gb: must be a valid integer",
    b"port = 1\nchecker = 'b'": "ocelli.toml, line 2, checker: there is no backend 'b'",
}


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        load_settings()
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_the_doctest() -> None:
    assert doctest.testmod(settings_file).failed == 0


def test_addresses_that_clients_may_be_given() -> None:
    for url in ("https://host", "http://127.0.0.1:8000/", "https://[::1]:8/a/b-c_d/", "http://a_b"):
        assert Settings(public_url=url).public_url == url
    assert Settings(public_url="").public_url is None, "as templates write what is not set"


@pytest.mark.parametrize("content", WRONG, ids=lambda content: WRONG[content][:60])
def test_what_is_wrong_is_said(
    content: bytes, in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (in_folder / "ocelli.toml").write_bytes(content)
    message, advice, *more = printed(capsys).splitlines()
    assert WRONG[content] in message
    assert advice.startswith("  → ")
    assert len(more) <= 2


def test_a_folder_a_pipe_and_a_link_to_nothing(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = in_folder / "ocelli.toml"
    file.mkdir()
    assert "ocelli.toml is a folder" in printed(capsys)
    file.rmdir()
    os.mkfifo(file)
    assert "ocelli.toml is not a file that can be read" in printed(capsys)
    file.unlink()
    file.symlink_to("nowhere")
    assert "ocelli.toml is not a file that can be read" in printed(capsys)


def test_a_file_that_may_not_be_read(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    (in_folder / "ocelli.toml").write_text("port = 1")
    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read everything
    assert "ocelli.toml cannot be read: Permission denied" in printed(capsys)


def test_options_and_variables_are_named_instead_of_the_file(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (in_folder / "ocelli.toml").write_text("port = 1\nworkers = 1")
    monkeypatch.setenv("OCELLI_WORKERS", "-1")
    with pytest.raises(SystemExit):
        load_settings(port=99_999)
    error = capsys.readouterr().err
    assert "ocelli: --port: must be" in error
    assert "ocelli: OCELLI_WORKERS: must be" in error


def test_files_of_other_editors_are_read(in_folder: Path) -> None:
    (in_folder / "ocelli.toml").write_bytes(b"\xef\xbb\xbfport = 1234\r\n")
    assert load_settings().port == 1234


def test_what_clients_read_of_it(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert data_folder(None) == Path(".ocelli")
    (in_folder / "ocelli.toml").write_text('data = "d"')
    assert data_folder(None) == Path("d")
    for wrong in ("data = 5", "data 5"):
        (in_folder / "ocelli.toml").write_text(wrong)
        with pytest.raises(SystemExit) as stopped:
            data_folder(None)
        assert stopped.value.code == 2
        assert "ocelli.toml" in capsys.readouterr().err
