"""Whose page sends a request."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from ocelli.api.origins import is_foreign_page


def asked(origin: str | None, host: str = "ocelli.lan:8080") -> Request:
    headers = [(b"host", host.encode())]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    return Request({"type": "http", "headers": headers, "path": "/", "scheme": "http"})


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "http://ocelli.lan:8080",
        "https://ocelli.lan",
        "http://localhost:3000",
        "http://127.9.9.9",
        "http://[::1]:5173",
        "https://pictures.example",
        "app://obsidian.md",
        "vscode-webview://0a1b2c",
    ],
)
def test_pages_of_ours_and_programs(origin: str | None) -> None:
    assert not is_foreign_page(asked(origin), "https://pictures.example/ocelli")


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "http://",
        "http://[",
        "http://localhost.evil.example",
        "http://ocelli.lan.evil.example",
        "http://evil.example:80@ocelli.lan.evil.example",
        "https://192.168.1.7",
    ],
)
def test_pages_of_others(origin: str) -> None:
    assert is_foreign_page(asked(origin), "https://pictures.example/ocelli")
    assert is_foreign_page(asked(origin), None)
