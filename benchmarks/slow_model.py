"""A model behind the OpenAI protocol that says the same of every picture, after ``seconds``.

``python -m benchmarks.slow_model SECONDS`` prints its port.
"""

from __future__ import annotations

import asyncio
import json
import sys

from aiohttp import web

ANSWER = json.dumps(
    {
        "description": "There is a cup. The cup is red.",
        "visible_text": [],
        "tags": ["cup"],
        "claims": [
            {"text": "There is a cup.", "type": "object", "subject": "cup", "sentence": 0},
            {
                "text": "The cup is red.",
                "type": "attribute",
                "subject": "cup",
                "value": "red",
                "sentence": 1,
            },
        ],
        "verdicts": [
            {"claim": 1, "ruling": "supported", "reason": "seen"},
            {"claim": 2, "ruling": "supported", "reason": "seen"},
        ],
    }
)
BODY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "slow",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": ANSWER},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
}


async def serve(seconds: float) -> None:
    """Until killed."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(seconds)
        return web.json_response(BODY)

    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
