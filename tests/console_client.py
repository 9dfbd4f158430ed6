"""A browser without scripts: what the console answers, over HTTP."""

from __future__ import annotations

import re
from typing import Any

import requests

from tests.conftest import Server

CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


class ConsoleClient:
    """A session of the console, signed in with a key."""

    def __init__(self, server: Server, key: str | None = None) -> None:
        self.root = f"{server.url}/console"
        self.http = requests.Session()
        signed_in = self.post("/sign-in", {"key": key or server.key}, csrf=False)
        assert signed_in.status_code == 303, signed_in.text

    def get(self, path: str, **options: Any) -> requests.Response:
        options = {"timeout": 60, "allow_redirects": False, **options}
        return self.http.get(self.root + path, **options)

    def post(
        self, path: str, fields: Any = None, *, csrf: bool = True, **options: Any
    ) -> requests.Response:
        """Send a form, with the token of this session unless ``csrf`` is false."""
        options = {"timeout": 60, "allow_redirects": False, **options}
        headers = {**options.pop("headers", {})}
        if csrf:
            headers["X-CSRF-Token"] = self.csrf
        return self.http.post(self.root + path, data=fields or {}, headers=headers, **options)

    @property
    def csrf(self) -> str:
        found = CSRF.search(self.get("/library").text)
        assert found is not None
        return found[1]


def upload_as(server: Server, key: str, data: bytes, name: str = "a.png", **fields: Any) -> str:
    """Upload a picture with a key; return its id."""
    answer = requests.post(
        f"{server.url}/api/v2/user-files/upload/stream",
        headers={"Authorization": f"Bearer {key}"},
        files={"file": (name, data)},
        data=fields,
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["image_id"])
