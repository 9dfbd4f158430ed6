"""A model behind the OpenAI protocol that says the same of every picture, after ``seconds``.

``python -m benchmarks.slow_model SECONDS`` prints its port.
"""

from __future__ import annotations

import asyncio
import json
import sys

from aiohttp import web

NONCE = "0123abcd"  # stands for the one of the request
ANSWER = json.dumps(
    {
        "nonce": NONCE,
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
        asked = await request.text()
        await asyncio.sleep(seconds)
        nonce = asked.rpartition('\\"nonce\\": \\"')[2].partition("\\")[0]
        return web.Response(
            text=json.dumps(BODY).replace(NONCE, nonce), content_type="application/json"
        )

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
