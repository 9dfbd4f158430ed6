"""Requests that run as they are, for the documentation and for tests that take it at its word."""

from __future__ import annotations

from typing import Any

# A red picture of 8 × 8 pixels.
PNG = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlEQVR42mM8ISfHgA0wMeAAg1MCANDKARQfGKMRAAAA"
    "AElFTkSuQmCC"
)

_PART = {"type": "image_url", "image_url": {"url": PNG}}


def _body(name: str, summary: str, value: dict[str, Any]) -> dict[str, Any]:
    example = {name: {"summary": summary, "value": value}}
    return {"requestBody": {"content": {"application/json": {"examples": example}}}}


CHAT = _body(
    "picture",
    "What's in this image?",
    {
        "model": "ocelli-local",
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "What’s in this image?"}, _PART],
            }
        ],
        "max_tokens": 300,
    },
)
MODERATION = _body("picture", "One picture", {"input": [_PART]})
