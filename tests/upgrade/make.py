"""Make the installation that upgrades are tested with: ``python -m tests.upgrade.make CHECKOUT``.

``CHECKOUT`` is an older version of this repository with its own ``.venv``, built by its ``make
venv``. It is used as its users would, with generated pictures, and killed in the middle of its
work. What it had answered before is kept beside its database and its objects.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import psycopg
import requests

from ocelli.storage.backup import dump
from ocelli.storage.embedded import EmbeddedPostgres
from tests.conftest import reachable
from tests.integration.test_main_job import API
from tests.upstream import scenes
from tests.waiting import until

MADE = Path(__file__).parent / "685589e.tar.xz"
DUMP, ANSWERS, OBJECTS = "database.dump", "answers.json", "objects"
SIZE = (160, 120)  # each has five smaller copies, and all have to be small together
QUICK = {"verification_level": "quick"}
UNDONE = "SELECT image_id::text FROM analyses WHERE image_id IS NOT NULL AND status <> 'completed'"


class Older:
    """``ocelli serve`` of another checkout."""

    def __init__(self, checkout: Path, data: Path) -> None:
        self._ocelli = [str(checkout / ".venv/bin/ocelli")]
        self._folder = checkout
        self.data = data
        self.process = subprocess.Popen(
            [*self._ocelli, "serve", "--data", str(data), "--port", "0", "--workers", "1"],
            stdout=subprocess.PIPE, text=True, cwd=checkout, env=self._environment(),
        )  # fmt: skip
        assert self.process.stdout is not None
        line = next(line for line in self.process.stdout if line.startswith("ready "))
        self.url = line.split()[1]
        self.key = (data / "api_key").read_text().strip()

    def _environment(self) -> dict[str, str]:
        """Without what leads to our own modules."""
        return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(self, *arguments: str) -> str:
        return subprocess.run(
            [*self._ocelli, *arguments, "--data", str(self.data)],
            capture_output=True, text=True, check=True, cwd=self._folder, env=self._environment(),
        ).stdout.strip()  # fmt: skip

    def call(self, method: str, path: str, key: str = "", **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {key or self.key}"}
        answer = requests.request(method, self.url + path, headers=headers, timeout=60, **options)
        answer.raise_for_status()
        return answer

    def get(self, path: str, key: str = "") -> Any:
        return self.call("GET", path, key).json()

    def post(self, path: str, key: str = "", **options: Any) -> Any:
        return self.call("POST", path, key, **options).json()

    def upload(self, number: int, **fields: str) -> str:
        files = {"file": (f"scene-{number}.jpg", picture(number))}
        sent = self.post(f"{API}/user-files/upload/stream", files=files, data={**QUICK, **fields})
        return str(sent["image_id"])

    def finished(self, id: str) -> Any:
        until(lambda: self.get(f"{API}/uploads/status/{id}")["is_terminal"])
        return self.get(f"{API}/user-files/{id}")


def picture(number: int) -> bytes:
    """A scene, small."""
    import io

    from PIL import Image

    stream = io.BytesIO()
    with Image.open(io.BytesIO(scenes.picture(number))) as scene:
        scene.convert("RGB").resize(SIZE).save(stream, "JPEG", quality=85)
    return stream.getvalue()


def used(server: Older) -> dict[str, Any]:
    """Use all that leaves something behind; return what was answered."""
    ids = [server.upload(0, title="A scene", tags="scene,first"), server.upload(1)]
    parts = [("files", (f"scene-{number}.jpg", picture(number))) for number in (2, 3)]
    session = server.post(f"{API}/user-files/upload/stream-batch", files=parts, data=QUICK)
    ids += [str(each["image_id"]) for each in session["immediate_results"]]
    deleted = server.upload(4)
    for id in (*ids, deleted):
        server.finished(id)
    server.call("PATCH", f"{API}/user-files/{ids[1]}", json={"title": "Renamed"})
    server.call("DELETE", f"{API}/user-files/{deleted}")
    inline = [base64.b64encode(picture(number)).decode() for number in (5, 6)]
    batch = server.post(
        f"{API}/batch/describe", json={"images": [{"image_base64": each} for each in inline]}
    )["batch_id"]
    buyer = server.run("keys", "create", "--tenant", "buyer", "--credits", "50")
    fetch = server.post("/api/fetch", buyer, json={"file": inline})["request_id"]
    until(lambda: server.get(f"{API}/batch/{batch}")["progress_percentage"] == 100)
    until(lambda: server.get(f"/api/response/{fetch}", buyer)["status"] == "completed")
    return {
        "key": server.key,
        "buyer": buyer,
        "files": {id: server.get(f"{API}/user-files/{id}") for id in ids},
        "sha256": {id: downloaded(server, id) for id in ids},
        "deleted": deleted,
        "session": server.get(f"{API}/uploads/sessions/{session['session_id']}/status"),
        "batch": server.get(f"{API}/batch/{batch}/results"),
        "batch_id": batch,
        "fetch": server.get(f"/api/response/{fetch}", buyer),
        "credits": server.get("/api/credits", buyer),
        "usage": server.get(f"{API}/usage/summary"),
    }


def downloaded(server: Older, id: str) -> str:
    data = server.call("GET", f"{API}/user-files/{id}/download").content
    return hashlib.sha256(data).hexdigest()


def cut_off(server: Older, answers: dict[str, Any]) -> None:
    """Send it pictures and a batch that it will not have looked at when it is killed."""
    sent = {server.upload(number): number for number in range(10, 14)}
    answers["late"] = {
        id: hashlib.sha256(picture(number)).hexdigest() for id, number in sent.items()
    }
    inline = base64.b64encode(picture(14)).decode()
    late = server.post(f"{API}/batch/describe", json={"images": [{"image_base64": inline}]})
    answers["late_batch"] = late["batch_id"]


def main() -> None:
    """Write ``MADE``."""
    checkout = Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory() as folder:
        data = reachable(Path(folder)) / "data"
        server = Older(checkout, data)
        try:
            answers = used(server)
            cut_off(server, answers)
        finally:
            server.process.kill()
            server.process.wait()
        postgres = EmbeddedPostgres(data / "postgres")
        dsn = postgres.start()
        try:
            with psycopg.connect(dsn) as connection:
                answers["undone"] = [id for (id,) in connection.execute(UNDONE).fetchall()]
            assert answers["undone"], "all was done before the server was killed"
            with dump.snapshot(dsn) as snapshot:
                snapshot.dump(data / DUMP)
        finally:
            postgres.stop()
        (data / ANSWERS).write_text(json.dumps(answers, indent=1))
        with tarfile.open(MADE, "w:xz", preset=9) as archive:
            for name in (DUMP, ANSWERS, OBJECTS, "secret"):
                archive.add(data / name, name, filter=_without_owner)
    print(f"{MADE}: {MADE.stat().st_size / 1000:.0f} kB, {len(answers['undone'])} pictures undone")


def _without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main()
