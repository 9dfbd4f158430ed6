"""An upstream that misbehaves in every way that is known; the model's name says how.

``calls`` counts the requests per model. A model named "after:N:how" behaves for N requests first.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from aiohttp import web

from tests.upstream.server import Upstream, completion, nonce

SLOW = 600.0
NONCE = "0123abcd"  # stands for the one of the request
GOOD = {
    "nonce": NONCE,
    "description": "There are two cups. They are red.",
    "visible_text": ["TEA"],
    "tags": ["cup"],
    "brands": [],
    "nsfw": 0.0,
    "claims": [
        {
            "text": "There are two cups.",
            "type": "count",
            "subject": "cup",
            "count": 2,
            "value": None,
            "sentence": 0,
        },
        {
            "text": "The cups are red.",
            "type": "attribute",
            "subject": "cup",
            "count": None,
            "value": "red",
            "sentence": 1,
        },
    ],
}
GOOD_TEXT = json.dumps(GOOD)
CUT_TEXT = GOOD_TEXT[: GOOD_TEXT.index('"The cups are red."') + 9]


class TroubleServer:
    """See the module."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.most_at_once = self._at_once = 0
        self._upstream = Upstream(self._handle)

    @property
    def url(self) -> str:
        return self._upstream.url

    def __enter__(self) -> TroubleServer:
        self._upstream.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._upstream.stop()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response({"object": "list", "data": [{"id": "good"}]})
        body = await request.json()
        how = str(body["model"])
        self.calls[how] += 1
        self.bodies.append(body)
        if how.startswith("after:"):
            _, good, then = how.split(":")
            how = "good" if self.calls[str(body["model"])] <= int(good) else then
        if how.startswith("until:"):
            _, bad, first = how.split(":")
            how = first if self.calls[str(body["model"])] <= int(bad) else "good"
        answer = await self._answer(how, body, request)
        if isinstance(answer, web.Response) and isinstance(answer.body, bytes):
            answer.body = answer.body.replace(NONCE.encode(), nonce(body).encode())
        return answer

    async def _answer(
        self, how: str, body: dict[str, Any], request: web.Request
    ) -> web.StreamResponse:
        match how:
            case "good":
                return web.json_response(completion(GOOD_TEXT))
            case "slow":
                await asyncio.sleep(SLOW)
                return web.json_response(completion(GOOD_TEXT))
            case "lingering":
                self._at_once += 1
                self.most_at_once = max(self._at_once, self.most_at_once)
                await asyncio.sleep(0.3)
                self._at_once -= 1
                return web.json_response(completion(GOOD_TEXT))
            case "rude":  # closes without a word
                assert request.transport is not None
                request.transport.close()
                return web.Response()
            case "429":
                headers = {"Retry-After": "1"}
                return _error(429, "Slow down", "rate_limit_exceeded", headers)
            case "429-long":
                return _error(429, "Tomorrow", "rate_limit_exceeded", {"Retry-After": "86400"})
            case "no-money":
                return _error(429, "You exceeded your current quota", "insufficient_quota")
            case "500" | "503" | "529":
                return _error(int(how), "Overloaded", "overloaded_error")
            case "html":
                return web.Response(text="<html><h1>Welcome</h1></html>", content_type="text/html")
            case "html-502":
                return web.Response(status=502, text="<html>Bad gateway</html>")
            case "no-choice":
                return web.json_response({"id": "1", "object": "chat.completion", "choices": []})
            case "null-choice":
                return web.json_response({"choices": [None]})
            case "empty":
                return web.json_response(completion(""))
            case "null":
                return web.json_response(completion(None))
            case "refusal":
                return web.json_response(completion(None, refusal="I cannot help with that."))
            case "filtered":
                return web.json_response(completion("", finish="content_filter"))
            case "length":
                return web.json_response(completion(CUT_TEXT, finish="length"))
            case "length-empty":  # it thought, and had nothing left for the answer
                return web.json_response(completion("", finish="length"))
            case "huge":
                return web.Response(
                    body=b'{"choices": "' + b"x" * 10 * 1024**2, content_type="application/json"
                )
            case "bad-utf8":
                text = json.dumps(completion(GOOD_TEXT)).encode().replace(b"TEA", b"T\xff\xfeA")
                return web.Response(body=text, content_type="application/json")
            case "wrong-schema":
                answer: dict[str, Any] = {
                    "nonce": NONCE,
                    "caption": "There are two cups on a table.",
                    "score": "high",
                }
                return web.json_response(completion(json.dumps(answer)))
            case "wrong-types":
                answer = {
                    "nonce": NONCE,
                    "description": "There are two cups.",
                    "visible_text": "TEA",
                    "tags": [1, None, "Cup", "cup"],
                    "nsfw": "low",
                    "claims": ["There are two cups.", 7, {"text": None}, {"type": "count"}],
                }
                return web.json_response(completion(json.dumps(answer)))
            case "sign":  # copies what the picture says, and nothing else
                answer = {key: value for key, value in GOOD.items() if key != "nonce"}
                return web.json_response(completion(json.dumps(answer)))
            case "list-json":
                return web.json_response([1, 2, 3])
            case "deep":
                return web.Response(text="[" * 100_000, content_type="application/json")
            case "error-200":
                return web.json_response({"error": {"message": "Overloaded", "code": 503}})
            case "error-200-plain":
                return web.json_response({"error": "model is loading"})
            case "no-vision":
                return _error(400, "This model does not support image input", "invalid_request")
            case "no-format" if "response_format" in body:
                return _error(400, "response_format is not supported", "invalid_request")
            case "no-format":
                return web.json_response(completion(GOOD_TEXT))
            case "expired":
                key = request.headers.get("Authorization", "").removeprefix("Bearer ")
                return _error(401, f"Incorrect API key provided: {key}", "invalid_api_key")
            case "echo":
                url = body["messages"][-1]["content"][0]["image_url"]["url"]
                return _error(400, f"Bad picture {url} for you", "invalid_request")
            case "redirect":
                return web.Response(status=307, headers={"Location": "/v1/elsewhere"})
            case "prose":
                return web.json_response(completion("There are two cups. They are red."))
            case "parts":
                return web.json_response(
                    completion([{"type": "text", "text": GOOD_TEXT}])  # type: ignore[arg-type]
                )
            case _:
                return _error(404, f"The model {how} does not exist", "model_not_found")


def _error(
    status: int, message: str, code: str, headers: dict[str, str] | None = None
) -> web.Response:
    body = {"error": {"message": message, "type": code, "code": code}}
    return web.json_response(body, status=status, headers=headers)
