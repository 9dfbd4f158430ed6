"""Other users of the machine see nothing of what is kept here."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import requests
from tests.conftest import first_start, reachable


def open_to_others(folder: Path) -> list[str]:
    """Files and folders below, and the folder itself, with their modes."""
    modes = {path: path.lstat().st_mode for path in (folder, *folder.rglob("*"))}
    return [f"{mode & 0o777:o} {path}" for path, mode in modes.items() if mode & 0o077]


def test_what_serve_writes_is_its_users_alone(tmp_path: Path, photos: dict[str, Path]) -> None:
    """Also in folders that an older version left open, and in a store elsewhere."""
    data, store = reachable(tmp_path) / "data", tmp_path / "store"
    for folder in (data, store):
        folder.mkdir(mode=0o755)
        folder.chmod(0o755)
    before = os.umask(0)
    try:
        server = first_start(data, "--workers", "1", OCELLI_STORAGE_URL=f"file://{store}")
    finally:
        os.umask(before)
    try:
        with photos["coffee"].open("rb") as file:
            answer = requests.post(
                f"{server.url}/api/v2/user-files/upload/stream",
                headers=server.headers,
                files={"file": file},
                timeout=30,
            )
        assert answer.ok, answer.text
        url = f"{server.url}/api/v2/user-files/{answer.json()['image_id']}/variants/medium_750"
        requests.get(url, headers=server.headers, timeout=30)
        assert any(path.is_file() for path in store.rglob("*"))
        assert open_to_others(data) == []
        assert open_to_others(store) == []
    finally:
        server.stop()
        assert server.process.stdout is not None
        server.process.stdout.close()


def test_a_folder_that_everybody_writes_to_is_not_closed(tmp_path: Path) -> None:
    from ocelli.settings import Settings
    from ocelli.wiring.data_folder import make_private

    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    make_private(Settings(data=shared, storage_url=f"file://{tmp_path / 'new/er'}"))
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777
    assert stat.S_IMODE((tmp_path / "new/er").stat().st_mode) == 0o700
